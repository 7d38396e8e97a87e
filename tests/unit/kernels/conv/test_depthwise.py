"""The kernels of depthwise convolutions against loops: whole numbers, so that nothing is rounded."""

from __future__ import annotations

import numpy as np
import pytest

from naive import conv as naive
from qpsnn_core.kernels.conv import depthwise as kernels
from qpsnn_core.kernels.conv.geometry import AccGradient

# height, width, channels, outputs, kernel, stride, padding
CASES = [
    (5, 4, 3, 3, (3, 3), (1, 1), (1, 1)),
    (5, 7, 2, 6, (2, 3), (2, 1), (1, 0)),
    (4, 6, 17, 34, (1, 5), (1, 3), (0, 4)),
    (1, 1, 2, 4, (3, 1), (1, 1), (2, 0)),
    (4, 9, 32, 32, (2, 2), (3, 2), (0, 0)),
    (3, 2, 64, 64, (1, 2), (1, 1), (2, 3)),
    (2, 7, 5, 5, (1, 1), (3, 3), (1, 2)),
]


@pytest.fixture(params=CASES, ids=str)
def case(request):
    height, width, channels, outputs, kernel, stride, padding = request.param
    rng = np.random.default_rng(outputs)
    images = rng.integers(0, 9, (3, height, width, channels)).astype(np.uint8)
    weight = rng.integers(-7, 8, (*kernel, outputs)).astype(np.int32)
    acc = naive.depthwise(images, weight, stride, padding)
    geometry = kernels.DepthwiseGeometry.of(images.shape[1:], acc.shape[1:], kernel, stride, padding)
    return images, weight, acc, (kernel, stride, padding), geometry


def gradients(acc):
    """dL/dacc of whole numbers, as batch norm leaves it, and multiplied out."""
    rng = np.random.default_rng(1)
    gradient = rng.integers(-5, 6, acc.shape).astype(np.float32)
    factors = rng.integers(-2, 3, (3, acc.shape[-1])).astype(np.float32)
    found = AccGradient(
        gradient.reshape(-1, acc.shape[-1]), acc.reshape(-1, acc.shape[-1]).astype(np.int16), factors.copy()
    )
    return found, factors[0] * gradient + factors[1] * acc + factors[2]


@pytest.mark.parametrize(("pixel", "number"), [(np.uint8, np.int16), (np.int32, np.int32), (np.float32, np.float32)])
def test_forward(case, pixel, number):
    images, weight, acc, _, geometry = case
    out, weights = np.full(acc.size, 99, number), kernels.lay_weights(weight, number)
    for image in (2, 1, 0):
        kernels.depthwise_forward(image, image + 1, images.astype(pixel).reshape(-1), weights, out, geometry)
    np.testing.assert_array_equal(out.reshape(acc.shape), acc)


def test_weights(case):
    images, weight, acc, window, geometry = case
    found, gradient = gradients(acc)
    sums = np.ones((weight.size // weight.shape[-1], kernels.whole(weight.shape[-1])), np.float32)
    kernels.depthwise_weights(1, 3, images.reshape(-1), found, sums.reshape(-1), geometry)
    ref = naive.depthwise_weights(images[1:], gradient[1:], *window)
    np.testing.assert_array_equal(sums[:, : weight.shape[-1]].reshape(weight.shape) - 1, ref)


def test_inputs(case):
    images, weight, acc, (_, stride, padding), geometry = case
    found, gradient = gradients(acc)
    out = np.full((*images.shape[:3], weight.shape[-1]), 99, np.float32)
    weights = kernels.lay_weights(weight, np.float32, turned=True)
    for image in (2, 1, 0):
        kernels.depthwise_inputs(image, image + 1, found, weights, out.reshape(-1), geometry.back())
    ref = naive.depthwise_inputs(images.shape, gradient, weight, stride, padding)
    np.testing.assert_array_equal(out.reshape(*images.shape, -1).sum(-1), ref)
