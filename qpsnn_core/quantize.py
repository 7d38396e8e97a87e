"""Weights to codes and back (Eqs. 4 to 10): the one definition that training and export share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.errors import NumericsError, Words, expected
from qpsnn_core.network.synapses import Quantizer

Floats = npt.NDArray[np.float32]


class Codes(NamedTuple):
    """`W_hat = step * codes`, with `step = gamma / s` for each output channel (the last axis).

    codes: odd integers in [-s, s], int8 (int16 at 8 bits), the shape of the weight. step, gamma: float32 [C_out].
    """

    codes: npt.NDArray[Any]
    step: Floats
    gamma: Floats


def gamma(weight: Floats, quantizer: Quantizer) -> Floats:
    """The scale coefficient of Eq. 9, float32 [C_out]; 1 where every weight of a channel is 0.

    weight: [..., C_out]. Raises NumericsError on NaN or infinity.
    """
    if not np.isfinite(weight).all():
        raise NumericsError(expected("weight", "finite numbers", Words("NaN or infinity")))
    outputs = weight.shape[-1]
    if quantizer.gamma == "one":
        return np.ones(outputs, np.float32)
    rows = weight.reshape(-1, outputs) if quantizer.granularity == "channel" else weight.reshape(-1, 1)
    if quantizer.gamma == "mean":
        value = np.abs(rows).mean(0, dtype=np.float64)
    elif quantizer.gamma == "max":
        value = np.abs(rows).max(0)
    else:
        value = np.abs(np.quantile(rows, (1 - quantizer.percentile, quantizer.percentile), axis=0)).max(0)
    value = value.astype(np.float32)
    return np.broadcast_to(np.where(value > 0, value, np.float32(1)), (outputs,)).copy()


def quantize(weight: Floats, quantizer: Quantizer) -> Codes:
    """Eq. 4 of `W / gamma`: `W_int = round(s/2 * (clamp(W/gamma, -1, 1) + 1))`, half to even; `codes = 2*W_int - s`.

    weight: float32 [..., C_out].
    """
    scale = gamma(weight, quantizer)
    levels = quantizer.levels
    clamped = np.clip(weight / scale, np.float32(-1), np.float32(1))
    integer = np.rint((clamped + np.float32(1)) * np.float32(levels / 2))
    codes = (2 * integer - levels).astype(np.int8 if levels <= 127 else np.int16)
    return Codes(codes, scale / np.float32(levels), scale)


def dequantize(codes: Codes) -> Floats:
    """`W_hat` of Eq. 10, float32."""
    return codes.codes * codes.step


def straight_through(gradient: Floats, weight: Floats, scale: Floats, quantizer: Quantizer) -> Floats:
    """The gradient of W from that of W_hat, both [..., C_out]; gamma counts as a constant.

    "clip": where `|W/gamma| <= 1`, else 0 (the paper, App. D). "pass": everywhere, times 1/gamma (its public code).
    """
    if quantizer.ste == "clip":
        return gradient * (np.abs(weight) <= scale)
    return gradient / scale


def integers(codes: npt.NDArray[Any], quantizer: Quantizer) -> npt.NDArray[np.int32]:
    """The paper's `W_int`, 0 to s, from codes."""
    return (codes.astype(np.int32) + quantizer.levels) // 2


def utilization(weight: Floats, quantizer: Quantizer) -> float:
    """Eq. 8: the share of the 2**b integers that the layer's weights take."""
    return len(np.unique(quantize(weight, quantizer).codes)) / (quantizer.levels + 1)
