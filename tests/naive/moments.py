"""Loops-only twins of the sums over rows: Python integers, which cannot overflow, or exactly rounded float64."""

from __future__ import annotations

import math


def of_integers(total):
    """`(sum of x, sum of x**2)` of each column of [rows, C], exactly."""
    columns = [[int(value) for value in column] for column in total.T]
    return [sum(column) for column in columns], [sum(value * value for value in column) for column in columns]


def of_reals(total):
    """The same for real numbers, each sum rounded once."""
    columns = [[float(value) for value in column] for column in total.T]
    return [math.fsum(column) for column in columns], [
        math.fsum(value * value for value in column) for column in columns
    ]


def of_products(gradient, total):
    """`(sum of g, sum of g*x)` of each column, each sum rounded once."""
    pairs = [
        [(float(g), float(x)) for g, x in zip(*column, strict=True)] for column in zip(gradient.T, total.T, strict=True)
    ]
    return [math.fsum(g for g, _ in column) for column in pairs], [
        math.fsum(g * x for g, x in column) for column in pairs
    ]
