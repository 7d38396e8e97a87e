"""To what a model can be compressed: every edge of the arguments, just inside and just outside."""

from __future__ import annotations

import pytest

from qpsnn_core.common.errors import ConfigError
from qpsnn_core.compression.weights.osbc import check_target


@pytest.mark.parametrize("bits", range(2, 9))
def test_two_to_eight_bits(bits):
    check_target(0.0, bits, "osbc")


@pytest.mark.parametrize("bits", [-1, 0, 1, 9, 4.0, True])
def test_other_bits_are_refused(bits):
    with pytest.raises(ConfigError, match=r"compress\.bits: expected an integer from 2 to 8"):
        check_target(0.5, bits, "osbc")


@pytest.mark.parametrize(("sparsity", "bits"), [(0.5, None), (0.0, 4), (0.5, 4), (0, 8)])
def test_something_to_do(sparsity, bits):
    check_target(sparsity, bits, "osbc")


@pytest.mark.parametrize(
    ("sparsity", "bits", "method", "place"),
    [
        (0.0, None, "osbc", "compress: expected a sparsity above 0, or bits"),
        (0.5, 4, "rtn", "compress.sparsity: expected 0 for 'rtn'"),
        (1.0, 4, "osbc", "compress.sparsity: expected a number from 0 to below 1"),
        (-0.1, 4, "osbc", "compress.sparsity: expected a number from 0 to below 1"),
        (0.5, 4, "obs", "compress.method"),
    ],
)
def test_nothing_to_do_or_too_much(sparsity, bits, method, place):
    with pytest.raises(ConfigError) as caught:
        check_target(sparsity, bits, method)
    assert str(caught.value).startswith(place)
