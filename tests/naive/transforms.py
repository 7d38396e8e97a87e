"""Loops-only twins of the random changes: one pixel at a time, the same draws."""

from __future__ import annotations

import numpy as np


def random_crop(images, padding, rng):
    batch, steps, height, width, channels = images.shape
    down = rng.integers(0, 2 * padding + 1, size=(2, batch))
    out = np.zeros_like(images)
    for b in range(batch):
        for t in range(steps):
            for y in range(height):
                for x in range(width):
                    from_y = y + int(down[0, b]) - padding
                    from_x = x + int(down[1, b]) - padding
                    if 0 <= from_y < height and 0 <= from_x < width:
                        for c in range(channels):
                            out[b, t, y, x, c] = images[b, t, from_y, from_x, c]
    return out


def random_flip(images, rng):
    batch, steps, height, width, channels = images.shape
    draws = rng.random(batch)
    out = np.zeros_like(images)
    for b in range(batch):
        for t in range(steps):
            for y in range(height):
                for x in range(width):
                    from_x = width - 1 - x if draws[b] < 0.5 else x
                    for c in range(channels):
                        out[b, t, y, x, c] = images[b, t, y, from_x, c]
    return out


def cutout(images, size, rng):
    batch, steps, height, width, channels = images.shape
    centre_y = rng.integers(0, height, size=batch)
    centre_x = rng.integers(0, width, size=batch)
    out = np.zeros_like(images)
    for b in range(batch):
        top, left = int(centre_y[b]) - size // 2, int(centre_x[b]) - size // 2
        for t in range(steps):
            for y in range(height):
                for x in range(width):
                    inside = top <= y < top + size and left <= x < left + size
                    for c in range(channels):
                        out[b, t, y, x, c] = 0 if inside else images[b, t, y, x, c]
    return out
