"""The kernels of depthwise convolutions against loops: whole numbers, so that nothing is rounded."""

from __future__ import annotations

import numpy as np
import pytest

from naive import conv as naive
from qpsnn_core.kernels.conv import depthwise as kernels

# height, width, channels, outputs, kernel, stride, padding
CASES = [
    (5, 4, 3, 3, (3, 3), (1, 1), (1, 1)),
    (5, 7, 2, 6, (2, 3), (2, 1), (1, 0)),
    (4, 6, 17, 17, (1, 5), (1, 3), (0, 4)),
    (1, 1, 2, 4, (3, 1), (1, 1), (2, 0)),
]


@pytest.fixture(params=CASES, ids=str)
def case(request):
    height, width, channels, outputs, kernel, stride, padding = request.param
    rng = np.random.default_rng(outputs)
    images = rng.integers(0, 9, (3, height, width, channels)).astype(np.uint8)
    weight = rng.integers(-7, 8, (*kernel, outputs)).astype(np.int32)
    acc = naive.depthwise(images, weight, stride, padding)
    gradient = rng.integers(-5, 6, acc.shape).astype(np.float32)
    geometry = kernels.DepthwiseGeometry.of(images.shape[1:], acc.shape[1:], kernel, stride, padding)
    return images, weight, acc, gradient, (kernel, stride, padding), geometry


@pytest.mark.parametrize(("pixel", "number"), [(np.uint8, np.int32), (np.int32, np.int32), (np.float32, np.float32)])
def test_forward(case, pixel, number):
    images, weight, acc, _, _, geometry = case
    out = np.full(acc.size, 99, number)
    for image in (2, 1, 0):
        kernels.depthwise_forward(
            image, image + 1, images.astype(pixel).reshape(-1), weight.astype(number).reshape(-1), out, geometry
        )
    np.testing.assert_array_equal(out.reshape(acc.shape), acc)


def test_weights(case):
    images, weight, _, gradient, window, geometry = case
    sums = np.ones(weight.size, np.float32)
    kernels.depthwise_weights(1, 3, images.astype(np.float32).reshape(-1), gradient.reshape(-1), sums, geometry)
    ref = naive.depthwise_weights(images[1:], gradient[1:], *window)
    np.testing.assert_array_equal(sums.reshape(weight.shape) - 1, ref)


def test_inputs(case):
    images, weight, _, gradient, (_, stride, padding), geometry = case
    out = np.full(images.size, 99, np.float32)
    for image in (2, 1, 0):
        kernels.depthwise_inputs(
            image, image + 1, gradient.reshape(-1), weight.astype(np.float32).reshape(-1), out, geometry
        )
    ref = naive.depthwise_inputs(images.shape, gradient, weight, stride, padding)
    np.testing.assert_array_equal(out.reshape(images.shape), ref)
