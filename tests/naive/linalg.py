"""Products, Cholesky's factor, inverses and solutions in loops: one chain of exact multiply-adds per number."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np


def multiply_add(a: float, b: float, c: float) -> float:
    """`a*b + c`, rounded once."""
    return float(Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c)))


def add_product(left: np.ndarray, right: np.ndarray, out: np.ndarray, sign: float = 1.0) -> np.ndarray:
    """`out + sign * left^T right`, in the order of rows."""
    out = out.astype(float)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(len(left)):
                out[i, j] = multiply_add(sign * left[k, i], right[k, j], out[i, j])
    return out


def factor(matrix: np.ndarray) -> np.ndarray | int:
    """U of `A = U^T U`, row after row; or the first row whose pivot is not above 0."""
    size = len(matrix)
    upper = np.zeros((size, size))
    for k in range(size):
        for j in range(k, size):
            value = matrix[k, j]
            for above in range(k):
                value = multiply_add(-upper[above, k], upper[above, j], value)
            if j == k:
                if not 0 < value < math.inf:
                    return k
                upper[k, k] = math.sqrt(value)
            else:
                upper[k, j] = value / upper[k, k]
    return upper


def inverse_of_factor(upper: np.ndarray) -> np.ndarray:
    """W with `U^T W = I`, a lower triangle."""
    size = len(upper)
    lower = np.zeros((size, size))
    for j in range(size):
        for k in range(j, size):
            value = float(k == j)
            for above in range(j, k):
                value = multiply_add(-upper[above, k], lower[above, j], value)
            lower[k, j] = value / upper[k, k]
    return lower


def inverse(matrix: np.ndarray) -> np.ndarray:
    """`W^T W`, the whole of it."""
    lower = inverse_of_factor(factor(matrix))
    size = len(lower)
    out = np.zeros((size, size))
    for i in range(size):
        for j in range(i, size):
            for k in range(j, size):
                out[i, j] = multiply_add(lower[k, i], lower[k, j], out[i, j])
            out[j, i] = out[i, j]
    return out


def dot(a: np.ndarray, b: np.ndarray, lanes: int = 16) -> float:
    """The sum of products: one chain for each lane, then the lanes one after another."""
    sums = [0.0] * lanes
    for j, (x, y) in enumerate(zip(a, b, strict=True)):
        sums[j % lanes] = multiply_add(x, y, sums[j % lanes])
    total = 0.0
    for value in sums:
        total += value
    return total


def solution(upper: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """x of `U^T U x = b`: forward row after row, backward by products along rows."""
    y = [float(value) for value in vector]
    for k in range(len(y)):
        y[k] = y[k] / upper[k, k]
        for j in range(k + 1, len(y)):
            y[j] = multiply_add(-y[k], upper[k, j], y[j])
    x = np.zeros(len(y))
    for k in reversed(range(len(y))):
        x[k] = (y[k] - dot(upper[k], x)) / upper[k, k]
    return x


def chosen(matrix: np.ndarray, index: list[int]) -> np.ndarray:
    """The rows and columns of these numbers."""
    return np.array([[matrix[i, j] for j in index] for i in index])


def sums_down(values: np.ndarray) -> list[float]:
    """The sum of each column, row after row."""
    found = [0.0] * values.shape[1]
    for row in values:
        found = [total + float(value) for total, value in zip(found, row, strict=True)]
    return found


def filtered(factors: np.ndarray, x: np.ndarray) -> np.ndarray:
    """`factors x`, each sum step after step."""
    out = np.zeros((len(factors), x.shape[1]))
    for t in range(len(factors)):
        for j in range(x.shape[1]):
            for i in range(len(x)):
                out[t, j] += factors[t, i] * float(x[i, j])
    return out


def compensated(weight: np.ndarray, kept: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """One row without its pruned weights P: `w_K + H[K, K]^-1 H[K, P] w_P`."""
    some, gone = np.flatnonzero(kept), np.flatnonzero(~kept)
    out = np.where(kept, weight, 0.0)
    if some.size and gone.size:
        driven = [math.fsum(hessian[k, p] * weight[p] for p in gone) for k in some]
        out[some] += solution(factor(chosen(hessian, list(some))), np.array(driven))
    return out


def bidiagonal_count(matrix: np.ndarray, threshold: float) -> int:
    """How many eigenvalues of `[[0, A^T], [A, 0]]` are above the threshold: as many as A has singular values there."""
    m, n = matrix.shape
    both = np.zeros((m + n, m + n))
    both[:n, n:], both[n:, :n] = matrix.T, matrix
    return int((np.linalg.eigvalsh(both) > threshold).sum())


def positive_pivots(beside: np.ndarray, threshold: float) -> int:
    """Eigenvalues above the threshold, of zeros with `beside` next to the diagonal."""
    return int((np.linalg.eigvalsh(np.diag(beside, 1) + np.diag(beside, -1)) > threshold).sum())
