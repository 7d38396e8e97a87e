"""Singular values by Jacobi's rotations, exact ranks by fractions, and the steps of an orthogonalisation, in loops."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np


def singular_values(matrix: np.ndarray) -> list[float]:
    """One-sided Jacobi: turn pairs of columns until all are orthogonal; their lengths are the values, falling."""
    columns = [[float(value) for value in column] for column in matrix.T]
    for _ in range(60):
        turned = False
        for p in range(len(columns)):
            for q in range(p + 1, len(columns)):
                a, b = columns[p], columns[q]
                alpha = math.fsum(x * x for x in a)
                beta = math.fsum(x * x for x in b)
                gamma = math.fsum(x * y for x, y in zip(a, b, strict=True))
                if abs(gamma) <= 1e-15 * math.sqrt(alpha * beta) or gamma == 0:
                    continue
                turned = True
                zeta = (beta - alpha) / (2 * gamma)
                t = math.copysign(1, zeta) / (abs(zeta) + math.hypot(1, zeta))
                c = 1 / math.hypot(1, t)
                columns[p] = [c * x - c * t * y for x, y in zip(a, b, strict=True)]
                columns[q] = [c * t * x + c * y for x, y in zip(a, b, strict=True)]
        if not turned:
            break
    return sorted((math.sqrt(math.fsum(x * x for x in column)) for column in columns), reverse=True)[
        : min(matrix.shape)
    ]


def above(matrix: np.ndarray, threshold: float) -> int:
    """How many singular values exceed the threshold."""
    return sum(value > threshold for value in singular_values(matrix))


def above_maps(counts: np.ndarray, threshold: float) -> np.ndarray:
    """The same of `counts[b, :, :, c]`, [B, C]."""
    B, _, _, C = counts.shape
    return np.array([[above(counts[b, :, :, c], threshold) for c in range(C)] for b in range(B)])


def rank(matrix: np.ndarray) -> int:
    """The rank of a matrix of integers, without any rounding."""
    rows = [[Fraction(int(value)) for value in row] for row in matrix]
    found = 0
    for column in range(matrix.shape[1]):
        pivot = next((i for i in range(found, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        for i in range(found + 1, len(rows)):
            factor = rows[i][column] / rows[found][column]
            rows[i] = [x - factor * y for x, y in zip(rows[i], rows[found], strict=True)]
        found += 1
    return found


def sum_of_rows(
    into: np.ndarray, v: np.ndarray, factors: np.ndarray, start: int, stop: int, begin: int, end: int
) -> np.ndarray:
    """`into[i] + sum over j in start..stop-1 of factors[j] * v[j, i]`, for i in start..end-1."""
    into = into.copy()
    for i in range(begin, end):
        for j in range(start, stop):
            into[i] += factors[j] * v[j, i]
    return into


def less_row(
    v: np.ndarray, factors: np.ndarray, row: np.ndarray, start: int, stop: int, begin: int, end: int
) -> np.ndarray:
    """`v[j, i] - factors[j] * row[i]`, for j in start..stop-1 and i in start..end-1."""
    v = v.copy()
    for j in range(start, stop):
        for i in range(begin, end):
            v[j, i] -= factors[j] * row[i]
    return v


def first_largest(values: np.ndarray, start: int, stop: int) -> int:
    """The first place of the largest of `values[start:stop]`."""
    return max(range(start, stop), key=lambda i: (values[i], -i))


def squares(v: np.ndarray, start: int, stop: int, end: int) -> tuple[list[float], float]:
    """The squared length of each column, rows start..stop-1; the sum of those of the columns start..end-1."""
    lengths = [math.fsum(v[j, i] ** 2 for j in range(start, stop)) for i in range(end)]
    return lengths, math.fsum(lengths[start:])


def reflected(v: np.ndarray, k: int) -> np.ndarray:
    """`(I - 2 w w') v` for the unit vector w that turns column k, from row k on, into a multiple of row k's unit."""
    m = v.shape[0]
    w = [float(v[j, k]) if j >= k else 0.0 for j in range(m)]
    w[k] += math.copysign(math.sqrt(math.fsum(x * x for x in w)), w[k])
    length = math.fsum(x * x for x in w)
    result = v.astype(float)
    for i in range(v.shape[1]):
        share = math.fsum(w[j] * v[j, i] for j in range(m))
        for j in range(m):
            result[j, i] -= 2 * w[j] * share / length
    return result


def inverse_bound(v: np.ndarray, rank: int) -> float:
    """rank times the square of the largest column sum of the inverse of M: magnitudes, negative off the diagonal."""
    M = np.array([[abs(v[i, j]) if i == j else -abs(v[i, j]) for j in range(rank)] for i in range(rank)])
    inverse = np.linalg.inv(np.triu(M))
    return rank * max(math.fsum(column) for column in inverse.T) ** 2


def inverse_norm(v: np.ndarray, rank: int) -> float:
    """The squared Frobenius norm of the inverse of the upper triangle of `v[:rank, :rank]`, column by column."""
    total = 0.0
    for k in range(rank):
        x = [0.0] * rank
        for i in range(k, -1, -1):
            x[i] = (float(i == k) - math.fsum(v[i, j] * x[j] for j in range(i + 1, k + 1))) / v[i, i]
        total += math.fsum(value * value for value in x)
    return total
