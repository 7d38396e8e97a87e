"""Smaller networks: whole channels by their scores, and single weights after training, from a few images."""
