"""Loops-only twins of the random changes: one pixel at a time, the same draws."""

from __future__ import annotations

import math

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


def resized_crop(images, share, rng):
    batch, steps, height, width, channels = images.shape
    draws = rng.random((batch, 10, 4))
    out = np.zeros_like(images)
    for b in range(batch):
        ratio = width / height
        if ratio < 3 / 4:
            columns, rows = width, round(width / (3 / 4))
        elif ratio > 4 / 3:
            rows, columns = height, round(height * (4 / 3))
        else:
            rows, columns = height, width
        top, left = (height - rows) // 2, (width - columns) // 2
        for k in range(10):
            area = (share + (1 - share) * draws[b, k, 0]) * height * width
            aspect = math.exp(math.log(3 / 4) + draws[b, k, 1] * (math.log(4 / 3) - math.log(3 / 4)))
            across, down = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < across <= width and 0 < down <= height:
                rows, columns = down, across
                top = math.floor(draws[b, k, 2] * (height - rows + 1))
                left = math.floor(draws[b, k, 3] * (width - columns + 1))
                break
        for t in range(steps):
            for y in range(height):
                for x in range(width):
                    from_y = top + math.floor((y + 0.5) * rows / height)
                    from_x = left + math.floor((x + 0.5) * columns / width)
                    for c in range(channels):
                        out[b, t, y, x, c] = images[b, t, from_y, from_x, c]
    return out


def random_erasing(images, chance, rng):
    batch, steps, height, width, channels = images.shape
    draws = rng.random((batch, 41))
    out = images.copy()
    for b in range(batch):
        rows = columns = top = left = 0
        for k in range(10):
            if draws[b, 0] >= chance:
                break
            area = (0.02 + (1 / 3 - 0.02) * draws[b, 1 + 4 * k]) * height * width
            aspect = math.exp(math.log(0.3) + draws[b, 2 + 4 * k] * 2 * math.log(1 / 0.3))
            down, across = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if down < height and across < width:
                rows, columns = down, across
                top = math.floor(draws[b, 3 + 4 * k] * (height - rows + 1))
                left = math.floor(draws[b, 4 + 4 * k] * (width - columns + 1))
                break
        for t in range(steps):
            for y in range(top, top + rows):
                for x in range(left, left + columns):
                    for c in range(channels):
                        out[b, t, y, x, c] = 0
    return out
