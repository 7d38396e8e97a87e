"""The constants of plastic synapses as their kernels take them, in float32 or in integers."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.kernels.neurons.stdp import Plasticity
from qpsnn_core.local_learning.formats import NumberFormats
from qpsnn_core.local_learning.network import DiehlCook
from qpsnn_core.local_learning.neuron_constants import FINE, WIDE, decay, grid, whole_number
from qpsnn_core.quantization.fixed_point import FixedPoint, constant

MOST_DISTANCES = 2**20
"""Most entries of the table of powers of weights."""


def plasticity(network: DiehlCook, formats: NumberFormats) -> Plasticity:
    """The rule of learning. ConfigError, naming the field, where a format does not hold a bound."""
    rule, form, steps = network.rule, formats.weights, network.trains.steps
    left, quarters = decay(network.dt, rule.tau), round(4 * rule.mu)
    if form is None:
        return Plasticity(
            gain_pre=np.float32(rule.post) * trace(left, steps),
            gain_post=np.float32(rule.pre) * trace(left, steps),
            low=np.float32(rule.low),
            high=np.float32(rule.high),
            quarters=quarters,
            powers=None,
            total=float(rule.total or 0),
            shift=None,
            update=None,
            scale=None,
        )
    rounding, shift = str(formats.rounding), min(FINE, WIDE - form.bits)
    total = whole_number(rule.total or 0, form.fraction)
    low = constant(rule.low, form, rounding, "STDP.low")
    high = constant(rule.high, form, rounding, "STDP.high")
    return Plasticity(
        gain_pre=gains(rule.post, left, steps, shift),
        gain_post=gains(rule.pre, left, steps, shift),
        low=low,
        high=high,
        quarters=quarters,
        powers=_powers(high - low, quarters, form),
        total=total,
        shift=shift,
        update=grid(shift, form, rounding),
        scale=grid(min(FINE, WIDE + 1 - total.bit_length()), form, rounding),
    )


def trace(left: Decimal, steps: int) -> npt.NDArray[np.float32]:
    """A trace by the age of its spike, decaying in float32 step by step."""
    trace = np.ones(steps, np.float32)
    for age in range(1, steps):
        trace[age] = trace[age - 1] * np.float32(left)
    return trace


def gains(rate: float, left: Decimal, steps: int, bits: int) -> npt.NDArray[np.int64]:
    """`rate * left**age` with so many fraction bits, each rounded to nearest."""
    exact = Decimal(repr(float(rate)))
    return np.array([whole_number(exact * left**age, bits) for age in range(steps)], np.int64)


def _powers(distances: int, quarters: int, form: FixedPoint) -> npt.NDArray[np.int64]:
    """`distance**(quarters/4)` of 0..distances with f fraction bits, rounded to nearest; empty for the power 1."""
    if quarters == 4:
        return np.empty(0, np.int64)
    if distances > MOST_DISTANCES:
        want = f"1, or weights with at most {MOST_DISTANCES} steps between their bounds"
        raise ConfigError(expected("STDP.mu", want, quarters / 4))
    exact = np.arange(distances + 1) * form.step
    result = np.ones(distances + 1)
    for _ in range(quarters // 4):
        result = result * exact
    if quarters % 4 >= 2:
        result = result * np.sqrt(exact)
    if quarters % 2:
        result = result * np.sqrt(np.sqrt(exact))
    codes: npt.NDArray[np.int64] = np.floor(result * 2.0**form.fraction + 0.5).astype(np.int64)
    return codes
