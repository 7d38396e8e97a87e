"""Attention's kernels against loops: any number of tokens, heads and channels; spikes of any rate."""

from __future__ import annotations

import numpy as np
import pytest

from naive import attention as naive
from qpsnn_core.kernels import attention as kernels
from qpsnn_core.kernels.attention import HeadShape

SHAPES = [HeadShape(5, 2, 3, 4), HeadShape(4, 1, 17, 2), HeadShape(6, 3, 4, 17), HeadShape(1, 2, 1, 1)]
IMAGES = 2


def spikes(shape, seed, rate=0.5):
    """q, k, v [M, N, C], uint8."""
    rng = np.random.default_rng(seed)
    sizes = (shape.heads * shape.matched,) * 2 + (shape.heads * shape.given,)
    return [(rng.random((IMAGES, shape.tokens, size)) < rate).astype(np.uint8) for size in sizes]


def flat(arrays):
    return [array.reshape(-1) for array in arrays]


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_integers_are_those_of_loops(shape, dtype):
    q, k, v = spikes(shape, 1)
    out = np.full(v.shape, -1, dtype)
    for start in reversed(range(IMAGES * shape.heads)):
        kernels.attention_forward(start, start + 1, *flat((q, k, v)), out.reshape(-1), shape)
    np.testing.assert_array_equal(out, naive.forward(q, k, v, shape.heads))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rate", [0.4, 1.0])
def test_the_gradients_are_those_of_loops(shape, rate):
    q, k, v = spikes(shape, 2, rate)
    gradient = np.random.default_rng(3).normal(0, 1, v.shape).astype(np.float32)
    found = [np.full(one.shape, np.nan, np.float32) for one in (q, k, v)]
    for start in reversed(range(IMAGES * shape.heads)):
        given = (*flat((q, k, v, gradient)), np.float32(0.25), tuple(flat(found)), shape)
        kernels.attention_backward(start, start + 1, *given)
    for comp, ref in zip(found, naive.backward(q, k, v, 0.25 * gradient, shape.heads), strict=True):
        np.testing.assert_allclose(comp, ref, rtol=1e-5, atol=1e-5)


def test_whole_tokens_match_in_every_channel():
    """The largest sum there is, `tokens * matched`, where everything fires: in int16, up to its last value."""
    shape = HeadShape(7, 1, 31 * 151, 1)  # 7 * 31 * 151 = 2**15 - 1
    q, k, v = (np.ones(shape.tokens * size, np.uint8) for size in (shape.matched, shape.matched, 1))
    out = np.zeros(shape.tokens, np.int16)
    kernels.attention_forward(0, 1, q, k, v, out, shape)
    assert (out == 2**15 - 1).all()


def test_the_twins_gradients_are_slopes_of_the_twin():
    """Of real q, k and v, by central differences, which are exact but for rounding: A is linear in each."""
    rng = np.random.default_rng(4)
    arrays = [rng.normal(0, 1, (1, 3, size)) for size in (4, 4, 2)]
    gradient = rng.normal(0, 1, arrays[2].shape)
    for which, slopes in enumerate(naive.backward(*arrays, gradient, 2)):
        for place in np.ndindex(slopes.shape):
            ends = []
            for step in (0.5, -0.5):
                moved = [array.copy() for array in arrays]
                moved[which][place] += step
                ends.append((naive.forward(*moved, 2) * gradient).sum())
            assert slopes[place] == pytest.approx(ends[0] - ends[1], abs=1e-9)
