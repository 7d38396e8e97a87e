"""How layers that learn locally begin: orthogonal rows."""

from __future__ import annotations

from qpsnn_core.kernels.threads import kernel


@kernel
def orthogonal_rows(matrix):
    """Make the rows of `matrix`, float64 with no more rows than columns, orthogonal and of length 1 (Gram, Schmidt).

    Each row loses its part along each row before it, one after the other, then is divided by its length.
    """
    rows, columns = matrix.shape
    for i in range(rows):
        for j in range(i):
            along = 0.0
            for k in range(columns):
                along += matrix[i, k] * matrix[j, k]
            for k in range(columns):
                matrix[i, k] -= along * matrix[j, k]
        length = 0.0
        for k in range(columns):
            length += matrix[i, k] * matrix[i, k]
        length = length**0.5
        for k in range(columns):
            matrix[i, k] /= length
