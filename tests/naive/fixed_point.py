"""Fixed point, random words and spike trains by their definitions; loops only, exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor


def word(step, element, key):
    """Philox2x32-10 in Python's integers: the first of the two words."""
    left, right = step, element
    for i in range(10):
        product = 0xD256D193 * left
        high, low = product >> 32, product % 2**32
        left, right = high ^ ((key + i * 0x9E3779B9) % 2**32) ^ right, low
    return left


def code(value, fraction, integer, rounding, draw=None):
    """The code of an exact fraction, and whether it saturated. draw: a word, 2**32 times P."""
    exact = Fraction(value) * 2**fraction
    below = floor(exact)
    rest = exact - below
    up = {
        "truncation": False,
        "nearest": rest >= Fraction(1, 2),
        "stochastic": draw is not None and draw < rest * 2**32,
    }
    found = below + up[rounding]
    low, high = -(2 ** (integer + fraction)), 2 ** (integer + fraction) - 1
    return min(max(found, low), high), not low <= found <= high


def stored(wide, grid, step, element, key):
    """A wide integer on a grid, not yet saturated."""
    exact = Fraction(wide, 2**grid.shift)
    if grid.random:
        added = Fraction(word(step, element, key), 2**32)
        if grid.shift < 32:
            added = Fraction(floor(added * 2**grid.shift), 2**grid.shift)
        return floor(exact + added)
    return floor(exact + Fraction(grid.offset, 2**grid.shift))


def interval(chances, draw):
    """The first interval whose chance the word lies below."""
    for k, chance in enumerate(chances, 1):
        if draw < int(chance):
            return k
    return len(chances) + 1


def train(image, chances, key, steps):
    """The spikes of an image: a list of pixels for each step."""
    found = [[] for _ in range(steps)]
    for pixel, level in enumerate(image):
        if level == 0:
            continue
        time = spike = 0
        while True:
            time += interval(chances[level], word(spike, pixel, key))
            spike += 1
            if time > steps:
                break
            found[time - 1].append(pixel)
    return found
