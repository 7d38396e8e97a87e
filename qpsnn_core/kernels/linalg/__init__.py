"""Singular values, and removing weights by an inverse Hessian."""
