"""Losses, optimizers and learning rates, as pure functions."""
