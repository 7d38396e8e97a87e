"""The gradient of a convolution's inputs where its output channels fill no whole vectors."""

from __future__ import annotations

import numpy as np
import pytest

from naive import conv as naive
from qpsnn_core.engine.layers import conv_gradients as gradients
from qpsnn_core.kernels.conv.geometry import AccGradient
from qpsnn_core.network import Conv
from qpsnn_core.network.values import ValueSpec


@pytest.mark.parametrize("outputs", [1, 15, 16, 17, 32, 33, 48, 49])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(1, 1, 0), (2, 2, 0), (3, 2, 1)])
def test_any_number_of_output_channels(outputs, kernel, stride, padding):
    rng = np.random.default_rng(outputs)
    node, value = Conv("n", "x", outputs, kernel, stride, padding), ValueSpec("spikes", (3, 2, 2), 1)
    codes = rng.integers(-7, 8, (kernel, kernel, 2, outputs)).astype(np.int8)
    shape = (1, *node.output(value).shape)
    gradient = rng.integers(-4, 5, shape).astype(np.float32)
    factors = np.zeros((3, outputs), np.float32)
    factors[0] = 1
    given = AccGradient(gradient.reshape(-1, outputs), np.zeros((gradient.size // outputs, outputs), np.int16), factors)
    with np.errstate(all="ignore"):  # lanes beyond the channels hold anything
        found = gradients.input_gradient(gradients.geometry_of(node, value), codes, given)
    np.testing.assert_array_equal(
        found.reshape(1, 3, 2, 2), naive.input_gradient(codes, gradient, (1, 3, 2, 2), stride, padding)
    )


@pytest.mark.parametrize("few", [0, gradients.FEW], ids=["many weights", "few weights"])
@pytest.mark.parametrize(("height", "width", "channels", "outputs"), [(9, 10, 2, 3), (3, 13, 17, 1), (5, 4, 1, 17)])
def test_tiles_of_few_weights_and_of_many(few, height, width, channels, outputs, monkeypatch):
    """3 x 3 tiles are 9 and not 6; images by themselves and together."""
    monkeypatch.setattr(gradients, "FEW", few)
    rng = np.random.default_rng(height)
    node, value = Conv("n", "x", outputs), ValueSpec("spikes", (height, width, channels), 1)
    codes = rng.integers(-7, 8, (3, 3, channels, outputs)).astype(np.int8)
    gradient = rng.integers(-4, 5, (2, height, width, outputs)).astype(np.float32)
    factors = np.zeros((3, outputs), np.float32)
    factors[0] = 1
    given = AccGradient(gradient.reshape(-1, outputs), np.zeros((gradient.size // outputs, outputs), np.int16), factors)
    with np.errstate(all="ignore"):  # lanes beyond the channels hold anything
        found = gradients.input_gradient(gradients.geometry_of(node, value), codes, given).reshape(
            2, height, width, channels
        )
    ref = naive.input_gradient(codes, gradient, found.shape, 1, 1)
    np.testing.assert_allclose(found, ref, atol=1e-5 * np.abs(ref).max())


@pytest.mark.parametrize("outputs", [16, 17, 33, 49])
def test_memory_of_windows_is_enough_where_it_is_filled_to_the_end(outputs, monkeypatch):
    """As many images at a time as there are, so that none of the memory is spare."""
    images, area, wide = 8, 4, -(-4 * 2 // gradients.WIDTH) * gradients.WIDTH
    monkeypatch.setattr(gradients, "SMALL", 0)
    monkeypatch.setattr(gradients, "WINDOWS", images * area * wide)
    rng = np.random.default_rng(outputs)
    node, value = Conv("n", "x", outputs, 2, 2, 0), ValueSpec("spikes", (4, 4, 2), 1)
    codes = rng.integers(-7, 8, (2, 2, 2, outputs)).astype(np.int8)
    gradient = rng.integers(-4, 5, (images, 2, 2, outputs)).astype(np.float32)
    factors = np.zeros((3, outputs), np.float32)
    factors[0] = 1
    given = AccGradient(gradient.reshape(-1, outputs), np.zeros((images * area, outputs), np.int16), factors)
    with np.errstate(all="ignore"):  # lanes beyond the channels hold anything
        found = gradients.input_gradient(gradients.geometry_of(node, value), codes, given).reshape(images, 4, 4, 2)
    np.testing.assert_array_equal(found, naive.input_gradient(codes, gradient, found.shape, 2, 0))
