"""Weights to codes and back (Eqs. 4 to 6, 9 and 10): the one definition that training and export share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import ConfigError, NumericsError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Doubles, Floats
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.cyclic_channels import tile_channels
from qpsnn_core.kernels.quantize import encode, pass_within, sum_abs
from qpsnn_core.kernels.threads import chunks, parallel_for, parallel_map
from qpsnn_core.quantization.formats import AUTO, GAMMAS, KEPT, SAWB, SCALED, TERNARY, WITH_ZERO, Quantizer

TERNARY_SHARE = np.float32(0.05)
"""Of the largest magnitude, above which a ternary weight is not 0."""

MIN_CHUNK_WEIGHTS = 2**15
"""Least number of weights in a chunk."""


class QuantizedWeights(NamedTuple):
    """`W_hat = step * codes`, with `step = gamma / s` for each output channel (the last axis).

    codes: odd integers in [-s, s] (even ones where the quantizer has a zero), int8 (int16 at 8 bits), the shape of the
    weight. step, gamma: float32 [C_out]. bound: the largest sum of |codes| of a channel.
    """

    codes: npt.NDArray[Any]
    step: Floats
    gamma: Floats
    bound: int


def gamma(weight: Floats, quantizer: Quantizer, stored: Floats | None = None) -> Floats:
    """The scale coefficient of Eq. 9, float32 [C_out]; 1 where every weight of a channel is 0.

    weight: [..., C_out]. stored: the gamma of the model's state, where the quantizer's is "kept". Raises NumericsError
    on NaN or infinity, or a stored gamma that is not positive; ShapeError where that is not there; ConfigError where no
    Network has resolved an "auto".
    """
    outputs = weight.shape[-1]
    if quantizer.gamma == AUTO:
        want = "the quantizer that a Network chooses by the place of its node, or " + ", ".join(
            (*GAMMAS, SCALED, *WITH_ZERO, KEPT)
        )
        raise ConfigError(expected("quantizer.gamma", want, AUTO))
    if quantizer.gamma == KEPT:
        _finite(weight)
        return _stored(stored, outputs)
    rows = weight.reshape(-1, outputs if quantizer.granularity == "channel" else 1)
    if quantizer.gamma in ("mean", SCALED, SAWB):
        sums = _summed(sum_abs, rows, np.float64)
        _finite(sums)
        factors = {"mean": 1.0, SCALED: (2**quantizer.bits - 1) / 2 ** (quantizer.bits - 1), SAWB: 2.0}
        value = sums / len(rows) * factors[quantizer.gamma]
    else:
        _finite(weight)
        value = _other_gamma(rows, quantizer)
    value = value.astype(np.float32)
    return np.broadcast_to(np.where(value > 0, value, np.float32(1)), (outputs,)).copy()


def _stored(found: Floats | None, outputs: int) -> Floats:
    if found is None or found.shape != (outputs,):
        got = Unquoted("nothing" if found is None else f"{found.shape}")
        raise ShapeError(expected("gamma", f"an array ({outputs},) that was kept", got))
    if not (np.isfinite(found).all() and (found > 0).all()):
        raise NumericsError(expected("gamma", "finite numbers above 0", Unquoted(f"{found.min()}")))
    return found.astype(np.float32, copy=False)


def _other_gamma(rows: Floats, quantizer: Quantizer) -> npt.NDArray[Any]:
    """Of each column of `rows`; where a percentile is 0 (weights are mostly 0), the largest magnitude stands in."""
    if quantizer.gamma == "one":
        return np.ones(rows.shape[1])
    if quantizer.gamma == "max":
        largest: npt.NDArray[Any] = np.abs(rows).max(0)
        return largest
    if quantizer.gamma == TERNARY:
        large = _large(rows)
        sums = _summed(sum_abs, np.where(large, rows, np.float32(0)), np.float64)
        mean: npt.NDArray[Any] = sums / np.maximum(large.sum(0), 1)
        return mean
    edges = [_quantile(rows, share) for share in (1 - quantizer.percentile, quantizer.percentile)]
    found: npt.NDArray[Any] = np.abs(edges).max(0)
    return found if (found > 0).all() else np.where(found > 0, found, np.abs(rows).max(0))


def _large(rows: Floats) -> npt.NDArray[np.bool_]:
    """Where ternary weights are not 0, of each column of `rows`."""
    magnitudes = np.abs(rows)
    found: npt.NDArray[np.bool_] = magnitudes > TERNARY_SHARE * magnitudes.max(0)
    return found


def _quantile(rows: Floats, share: float) -> Doubles:
    """What so large a share of each column is below, in float64; between two numbers in proportion, as NumPy has it.

    NumPy's own differs in its last bits from version to version.
    """
    place = share * (len(rows) - 1)
    low = int(place)
    high = min(low + 1, len(rows) - 1)
    below, above = np.partition(rows, sorted({low, high}), axis=0)[[low, high]].astype(np.float64)
    found: Doubles = below + (above - below) * (place - low)
    return found


def quantize(weight: Floats, quantizer: Quantizer, stored: Floats | None = None) -> QuantizedWeights:
    """Eq. 4 of `W / gamma`: `W_int = round(s/2 * (clamp(W/gamma, -1, 1) + 1))`, half to even; `codes = 2*W_int - s`.

    weight: float32 [..., C_out]. stored: as in `gamma`, which says what is raised. "ternary": first each weight becomes
    gamma with its sign, or 0.
    """
    scale = gamma(weight, quantizer, stored)
    levels = quantizer.levels
    if quantizer.gamma == TERNARY:
        rows = weight.reshape(-1, weight.shape[-1] if quantizer.granularity == "channel" else 1)
        weight = np.where(_large(rows).reshape(weight.shape), np.copysign(scale, weight), np.float32(0))
    codes = empty(weight.shape, np.int8 if levels <= 127 else np.int16)
    sums = _summed(encode, weight, np.int64, tile_channels(scale), levels, codes.reshape(-1))
    return QuantizedWeights(codes, scale / np.float32(levels), scale, int(sums.max(initial=0)))


def dequantize(codes: QuantizedWeights) -> Floats:
    """`W_hat` of Eq. 10, float32."""
    return codes.codes * codes.step


def straight_through(
    gradient: Floats, weight: Floats, scale: Floats, quantizer: Quantizer, *, out: Floats | None = None
) -> Floats:
    """The gradient of W from that of W_hat, both [..., C_out]; gamma counts as a constant.

    out: where to write it, maybe over `gradient`; both then contiguous float32.
    "clip": where `|W/gamma| <= 1`, else 0 (the paper, App. D). "pass": everywhere, times 1/gamma (its public code).
    """
    if quantizer.ste == "clip":
        passed = empty(weight.shape, np.float32) if out is None else out
        flat = (_flat(gradient), _flat(weight), tile_channels(scale), passed.reshape(-1))
        parallel_for(pass_within, *_rows(weight), *flat)
        return passed
    return np.divide(gradient, scale, out=out)


def integers(codes: npt.NDArray[Any], quantizer: Quantizer) -> npt.NDArray[np.int32]:
    """The paper's `W_int`, 0 to s, from codes."""
    return (codes.astype(np.int32) + quantizer.levels) // 2


def utilization(weight: Floats, quantizer: Quantizer) -> float:
    """Eq. 8: the share of the 2**b integers (one fewer with a zero) that the layer's weights take."""
    return len(np.unique(quantize(weight, quantizer).codes)) / (quantizer.levels + 1)


def _summed(work: Callable[..., None], weight: Floats, kind: Any, *arguments: Any) -> npt.NDArray[Any]:
    """What `work` adds up for each output channel, part by part."""

    def part(start: int, stop: int) -> npt.NDArray[Any]:
        sums = np.zeros(weight.shape[-1], kind)
        work(start, stop, flat, *arguments, sums)
        return sums

    flat, (rows, least) = _flat(weight), _rows(weight)
    total: npt.NDArray[Any] = sum(parallel_map(part, chunks(rows, least)), start=np.zeros(weight.shape[-1], kind))
    return total


def _rows(weight: Floats) -> tuple[int, int]:
    """The rows of all output channels, and how many a part has at least."""
    return weight.size // weight.shape[-1], -(-MIN_CHUNK_WEIGHTS // weight.shape[-1])


def _flat(array: Floats) -> Floats:
    return np.ascontiguousarray(array, np.float32).reshape(-1)


def _finite(values: npt.NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        raise NumericsError(expected("weight", "finite numbers", Unquoted("NaN or infinity")))
