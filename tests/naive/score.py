"""SVS, SCA and AvgCosS as the paper writes them, one map at a time."""

from __future__ import annotations

import math

import numpy as np


def svs(spikes: np.ndarray, epsilon: float) -> np.ndarray:
    """Eqs. 11 to 13. spikes: 0/1 [T, B, H, W, C]; float64 [C]."""
    T, B, H, W, C = spikes.shape
    score = np.zeros(C)
    for f in range(C):
        for b in range(B):
            average = np.zeros((H, W))
            for y in range(H):
                for x in range(W):
                    for t in range(T):
                        average[y, x] += int(spikes[t, b, y, x, f]) / T
            for sigma in np.linalg.svd(average)[1]:
                if sigma > epsilon:
                    score[f] += 1 / B
    return score


def rank(spikes: np.ndarray) -> np.ndarray:
    """SVS by NumPy's own rank of each map, as the paper's public code counts it."""
    _, B, _, _, C = spikes.shape
    average = spikes.mean(axis=0, dtype=np.float64)
    return np.array([sum(np.linalg.matrix_rank(average[b, :, :, f]) for b in range(B)) / B for f in range(C)])


def sca(membrane: np.ndarray) -> np.ndarray:
    """Eq. 7. membrane: before reset, [T, B, H, W, C]; float64 [C]."""
    T, B, H, W, C = membrane.shape
    score = np.zeros(C)
    for f in range(C):
        for t in range(T):
            for b in range(B):
                for y in range(H):
                    for x in range(W):
                        score[f] += abs(float(membrane[t, b, y, x, f])) / (B * T)
    return score


def stability(batches: np.ndarray) -> float:
    """Eq. 15. batches: scores [N, C]."""
    N, C = batches.shape
    total = 0.0
    for i in range(N):
        for j in range(i + 1, N):
            product = first = second = 0.0
            for f in range(C):
                product += batches[i, f] * batches[j, f]
                first += batches[i, f] ** 2
                second += batches[j, f] ** 2
            total += product / (math.sqrt(first) * math.sqrt(second))
    return 2 * total / (N * (N - 1))
