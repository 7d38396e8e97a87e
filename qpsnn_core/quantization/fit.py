"""A quantizer for weights that are finished: the gamma and the levels with the least squared error, not those of Eq. 9.

Eq. 9's mean is made for training from scratch, where weights settle around their codes; it clips two fifths of normal
weights that did not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.types import Doubles, Floats
from qpsnn_core.kernels.linalg.sums import sum_down
from qpsnn_core.quantization.formats import GAMMAS, KEPT, Quantizer
from qpsnn_core.quantization.rescaw import dequantize, gamma, quantize

FRACTIONS = np.linspace(1, 0.1, 46).astype(np.float32)  # as the weights: NumPy 1 and 2 widen them differently
"""Of the largest magnitude of a channel, which the search for its gamma tries."""

WORTH = 0.99
"""Searched gammas are kept where their squared error is below this share of that of the best function of the weights.
A function is exact for weights that are codes already, and follows the weights when they are trained on."""


class Fitted(NamedTuple):
    """quantizer: what to store. gamma: float32 [C_out] to keep in the model's state, None for a function of weights.

    clipped: the share of weights beyond gamma; error: `|W_hat - W| / |W|`, 0 for weights of 0.
    """

    quantizer: Quantizer
    gamma: Floats | None
    clipped: float
    error: float


def fit(weight: Floats, bits: int, *, like: Quantizer | None = None, sparse: bool = False) -> Fitted:
    """The quantizer of `bits` with the least squared error on `weight` [..., C_out], finished weights.

    It tries every gamma that is a function of the weights, per channel and per layer, and a search of one gamma for
    each channel (kept in the state), each with and without a level at 0. like: has the straight-through rule. sparse:
    weights that are 0 stay 0, so only with a level at 0. Raises ConfigError (bits), NumericsError (NaN, infinity).
    """
    rule = (like or Quantizer()).ste
    best: tuple[float, Quantizer] | None = None
    for quantizer in _functions(bits, rule, sparse):
        off = math.fsum(_errors(weight, quantizer))
        if best is None or off < best[0]:
            best = off, quantizer
    assert best is not None  # noqa: S101 - there is always a function to try
    least, chosen = best
    kept: Floats | None = None
    for zero in (True,) if sparse else (False, True):
        if least == 0:
            break
        searched = Quantizer(bits, KEPT, ste=rule, zero=zero)
        found = _searched(weight, searched)
        off = math.fsum(_errors(weight, searched, found))
        if off < (WORTH * best[0] if kept is None else least):
            least, chosen, kept = off, searched, found
    return described(weight, chosen, kept)


def described(weight: Floats, quantizer: Quantizer, kept: Floats | None = None) -> Fitted:
    """How well a quantizer suits the weights. kept: the stored gamma, where the quantizer's is "kept"."""
    used = gamma(weight, quantizer, kept)
    total = math.fsum(sum_down(np.square(weight, dtype=np.float64).reshape(-1, weight.shape[-1])))
    off = math.fsum(_errors(weight, quantizer, kept))
    beyond = np.abs(weight) > used * (1 + 1e-6)  # float32: the largest weight is not beyond itself
    return Fitted(quantizer, kept, float(beyond.mean()), math.sqrt(off / total) if total else 0.0)


def _functions(bits: int, rule: str, sparse: bool) -> Iterator[Quantizer]:
    for zero in (True,) if sparse else (False, True):
        for name in ("max", *(name for name in GAMMAS if name != "max")):
            for granularity in ("channel", "layer"):
                yield Quantizer(bits, name, granularity, rule, zero=zero)


def _errors(weight: Floats, quantizer: Quantizer, kept: Floats | None = None) -> Doubles:
    """The squared error of each channel, [C_out]."""
    off = dequantize(quantize(weight, quantizer, kept)).astype(np.float64) - weight
    sums: Doubles = sum_down((off * off).reshape(-1, weight.shape[-1]))
    return sums


def _searched(weight: Floats, quantizer: Quantizer) -> Floats:
    """The best gamma of each channel: of fractions of its largest magnitude, and of the functions' gammas."""
    largest = np.abs(weight).reshape(-1, weight.shape[-1]).max(0)
    tried = [np.where(largest > 0, largest * fraction, 1.0).astype(np.float32) for fraction in FRACTIONS]
    tried += [gamma(weight, replace(quantizer, gamma=name)) for name in GAMMAS]
    best, least = tried[0], np.full(len(largest), np.inf)
    for values in tried:
        off = _errors(weight, quantizer, values)
        best = np.where(off < least, values, best)
        least = np.minimum(off, least)
    return best
