"""Winograd's F(4x4, 3x3) by its matrices (Lavin and Gray 2016, arXiv:1509.09308, section 4.3), in float64."""

from __future__ import annotations

import numpy as np

B = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
"""B' of the paper."""

G = np.array(
    [[1 / 4, 0, 0], [-1 / 6] * 3, [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]
)

A = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])
"""A' of the paper."""


def line(matrix, numbers):
    """One row or column transformed: `matrix @ numbers`, number by number."""
    return [sum(row[i] * numbers[i] for i in range(len(numbers))) for row in matrix.tolist()]


def both(matrix, square):
    """`matrix square matrix'`: every column, then every row."""
    columns = np.array([line(matrix, column) for column in square.T.tolist()]).T
    return np.array([line(matrix, row) for row in columns.tolist()])


def backward(gradient, total, factors):
    """Batch norm's backward of numbers [places, C], factors being [3, C]."""
    rows = zip(gradient.tolist(), total.tolist(), strict=True)
    return np.array([[f * g + t * a + c for f, g, t, a, c in _together(*row, *factors.tolist())] for row in rows])


def _together(gradient, total, of_gradient, of_total, constant):
    return zip(of_gradient, gradient, of_total, total, constant, strict=True)


def tiles(images):
    """[36, tiles, C] of images [M, H, W, C]: `B'dB` of each 6x6 tile of the images with a border of zeros, 4 apart."""
    _, height, width, channels = images.shape
    found = []
    for image in images:
        edged = np.pad(image, ((1, 8), (1, 8), (0, 0)))
        for top in range(0, height, 4):
            for left in range(0, width, 4):
                tile = edged[top : top + 6, left : left + 6]
                found.append([both(B, tile[..., c]).reshape(-1) for c in range(channels)])
    return np.array(found).transpose(2, 0, 1)


def points(weight):
    """[36, C_out, C_in] of weights [3, 3, C_in, C_out]: `GgG'` of each kernel turned by half a turn."""
    inputs, outputs = weight.shape[2:]
    turned = weight[::-1, ::-1]
    found = [[both(G, turned[..., i, o]).reshape(-1) for i in range(inputs)] for o in range(outputs)]
    return np.array(found).transpose(2, 0, 1)


def back(products, shape):
    """Images [M, H, W, C] of products [36, tiles, C]: `A'mA` of each, side by side, cut at the edges."""
    images, height, width, channels = shape
    out, tile = np.zeros((images, height + 3, width + 3, channels)), 0
    for m in range(images):
        for top in range(0, height, 4):
            for left in range(0, width, 4):
                for c in range(channels):
                    own = products[:, tile, c].reshape(6, 6)
                    out[m, top : top + 4, left : left + 4, c] = both(A, own)[: height + 3 - top, : width + 3 - left]
                tile += 1
    return out[:, :height, :width]
