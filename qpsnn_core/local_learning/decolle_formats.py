"""Formats of a DECOLLE network: weights and stored variables, their memory, and the constants of its integers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.validation import check_choice, check_kind, check_kinds
from qpsnn_core.kernels.neurons.decolle_layout import Dynamics, Fixed
from qpsnn_core.local_learning.decolle import Decolle
from qpsnn_core.local_learning.formats import FLOAT_BITS
from qpsnn_core.quantization.fixed_point import ROUNDINGS, FixedPoint, constant

MOST_BITS = 62
"""Of sums of integers, their sign apart."""


@dataclass(frozen=True)
class LocalNeuronFormats:
    """Of V, the traces P, Q and R, and the constants alpha, beta, gamma and `inhibition`."""

    membrane: FixedPoint
    p: FixedPoint
    q: FixedPoint
    r: FixedPoint
    alpha: FixedPoint
    beta: FixedPoint
    gamma: FixedPoint
    inhibition: FixedPoint

    def __post_init__(self) -> None:
        for field in fields(self):
            check_kind(f"LocalNeuronFormats.{field.name}", getattr(self, field.name), FixedPoint)


@dataclass(frozen=True)
class DecolleFormats:
    """weights (and biases), neurons: fixed point, or both None: float32. rounding: as in NumberFormats."""

    weights: FixedPoint | None
    neurons: LocalNeuronFormats | None
    rounding: str | None

    def __post_init__(self) -> None:
        check_kinds("DecolleFormats", FixedPoint, weights=self.weights)
        check_kinds("DecolleFormats", LocalNeuronFormats, neurons=self.neurons)
        if (self.weights is None) != (self.neurons is None):
            raise ConfigError(expected("DecolleFormats", "formats of weights and neurons, or neither", str(self)))
        if self.rounding is not None:
            check_choice("DecolleFormats.rounding", self.rounding, tuple(ROUNDINGS))
        if (self.rounding is None) != (self.weights is None):
            want = f"one of {', '.join(ROUNDINGS)} for formats in fixed point, None for none"
            raise ConfigError(expected("DecolleFormats.rounding", want, self.rounding))

    def __str__(self) -> str:
        neurons = f"Qi.{self.neurons.membrane.fraction}" if self.neurons else "FP32"
        return f"W({self.weights or 'FP32'})-N({neurons})"


DECOLLE_FLOAT = DecolleFormats(None, None, None)
"""All in float32."""


def decolle_memory_bits(network: Decolle, formats: DecolleFormats) -> int:
    """The bits of weights and biases, of P and Q of each input, of R and V of each neuron (Eqs. 6, 7), and of alpha,
    beta, gamma and `inhibition`, once a layer. Readouts, which only learning needs but for the last, are not counted.
    """
    w = formats.weights.bits if formats.weights else FLOAT_BITS
    n = formats.neurons
    bits = {f.name: getattr(n, f.name).bits if n else FLOAT_BITS for f in fields(LocalNeuronFormats)}
    total = 0
    for one in network.maps:
        inputs, outputs = (int(np.prod(shape)) for shape in (one.inputs, one.outputs))
        total += (one.fan_in + 1) * one.outputs[2] * w
        total += inputs * (bits["p"] + bits["q"]) + outputs * (bits["r"] + bits["membrane"])
        total += bits["alpha"] + bits["beta"] + bits["gamma"] + bits["inhibition"]
    return total


@lru_cache(maxsize=32)
def dynamics(network: Decolle, formats: DecolleFormats, seed: int) -> Dynamics:
    """The neuron's constants in these formats. ConfigError where a format does not hold one, or sums could overflow."""
    n = network.neuron
    normalised = n.dynamics == "normalised"
    if formats.neurons is None or formats.weights is None:
        one = np.float32(1)
        alpha, beta, gamma = (np.float32(x) for x in (n.alpha, n.beta, n.gamma))
        q_in, p_in, r_in = (one - beta, one - alpha, one - gamma) if normalised else (one, one, one)
        rho, threshold = np.float32(n.inhibition), np.float32(n.threshold)
        return Dynamics(alpha, beta, gamma, q_in, p_in, r_in, rho, threshold, not normalised, False, None)
    form, w, mode = formats.neurons, formats.weights, str(formats.rounding)
    a, b, c, inhibition = (
        constant(getattr(n, name), getattr(form, name), mode, f"LocalNeuron.{name}")
        for name in ("alpha", "beta", "gamma", "inhibition")
    )
    q_one, p_one, r_one = (1 << one.fraction for one in (form.beta, form.alpha, form.gamma))
    ins = (q_one - b, p_one - a, r_one - c) if normalised else (q_one, p_one, r_one)
    trace = max(form.p.fraction, form.q.fraction)
    products, resets = w.fraction + form.p.fraction, form.inhibition.fraction + form.r.fraction
    total = max(products, resets, form.membrane.fraction)
    terms = max(one.fan_in for one in network.maps) + 1
    needed = max(
        (terms * w.high * form.p.high).bit_length() + total - products,
        (form.inhibition.high * form.r.high).bit_length() + total - resets,
        form.alpha.fraction + max(form.p.bits + trace - form.p.fraction, form.q.bits + trace - form.q.fraction) + 1,
    )
    if needed >= MOST_BITS:
        want = f"sums of at most {MOST_BITS} bits: fewer bits of weights or traces"
        raise ConfigError(expected("DecolleFormats", want, f"{needed}"))
    fixed = Fixed(
        one=1 << form.q.fraction,
        unit=1 << form.r.fraction,
        p_up=trace - form.p.fraction,
        q_up=trace - form.q.fraction,
        q_down=form.beta.fraction,
        p_down=form.alpha.fraction + trace - form.p.fraction,
        r_down=form.gamma.fraction,
        v_down=total - form.membrane.fraction,
        bias_up=total - w.fraction,
        sum_up=total - products,
        r_up=total - resets,
        q_high=form.q.high,
        p_high=form.p.high,
        r_high=form.r.high,
        v_high=form.membrane.high,
        mode=ROUNDINGS[mode],
        p_step=np.float32(form.p.step),
        v_step=np.float32(form.membrane.step),
        seed=np.uint64(seed),
    )
    level = constant(n.threshold, form.membrane, mode, "LocalNeuron.threshold")
    return Dynamics(a, b, c, ins[0], ins[1], ins[2], inhibition, level, not normalised, False, fixed)
