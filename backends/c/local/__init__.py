"""Deployed networks of local learning as portable C99."""
