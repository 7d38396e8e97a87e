"""Channels: scored, and those that score lowest removed (Algorithm 1)."""
