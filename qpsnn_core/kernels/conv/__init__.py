"""Convolutions: forward, and the gradients of weights and inputs."""
