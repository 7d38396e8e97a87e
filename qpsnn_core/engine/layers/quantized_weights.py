"""A synapse's weights as they are used: codes and a step, or real numbers, and the integers that hold their sums."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import NumericsError, Unquoted, expected
from qpsnn_core.common.types import Array, Floats
from qpsnn_core.kernels.exact_types import exact_float, sum_type
from qpsnn_core.network.current_readouts import Weighted
from qpsnn_core.quantization.formats import Quantizer
from qpsnn_core.quantization.rescaw import quantize, straight_through


class Weights(NamedTuple):
    """`W_hat = step*codes`: integer codes, or the real weights with a step of 1. `bound` >= sum |codes| per channel."""

    codes: Array
    step: Floats
    gamma: Floats
    bound: int

    @property
    def integer(self) -> bool:
        """Whether the codes are integers."""
        return bool(self.codes.dtype.kind == "i")

    def effective(self) -> Floats:
        """W_hat in float32."""
        return self.codes * self.step


def used_weights(weight: Floats, quantizer: Quantizer | None, stored: Floats | None = None) -> Weights:
    """Quantize `weight` [..., C_out], or take it as it is. NumericsError on NaN or infinity. stored: as in `gamma`."""
    if quantizer is None:
        if not np.isfinite(weight).all():
            raise NumericsError(expected("weight", "finite numbers", Unquoted("NaN or infinity")))
        ones = np.ones(weight.shape[-1], np.float32)
        return Weights(weight, ones, ones, 0)
    return Weights(*quantize(weight, quantizer, stored))


def accumulator(used: Weights, max_count: int | None) -> Any:
    """The narrowest type that holds any sum of codes times counts up to `max_count`: int16, int32, or float32.

    float32 is for weights without codes. Raises NumericsError where int32 could not hold the sums.
    """
    if not used.integer:
        return np.float32
    return sum_type(_largest(used, max_count))


def product_type(used: Weights, magnitude: int | None) -> Any:
    """The float that sums codes times integers exactly; float32 for real numbers.

    Raises NumericsError where the sums would not fit the int32 that holds them afterwards.
    """
    return exact_float(_largest(used, magnitude)) if used.integer and magnitude else np.float32


def _largest(used: Weights, magnitude: int | None) -> int:
    """What no sum of codes times integers of at most this magnitude exceeds."""
    largest = used.bound * (magnitude or 1)
    if largest >= 2**31:
        raise NumericsError(expected("weight", "sums of |codes| times the input's largest count below 2**31", largest))
    return largest


def weight_gradient(raw: Floats, weight: Floats, used: Weights, node: Weighted) -> Floats:
    """The gradient of the weight from that of W_hat, straight through the quantizer; written over it.

    raw: float32, contiguous, of any shape of the weight's size. Where weights are pruned, those that are 0 get none.
    """
    shaped = raw.reshape(weight.shape)
    if node.quantizer is not None:
        straight_through(shaped, weight, used.gamma, node.quantizer, out=shaped)
    if node.sparse:
        shaped[weight == 0] = 0
    return shaped
