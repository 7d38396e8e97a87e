"""The constants of the original network (conductances, triplet STDP) as its kernels take them."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.kernels.neurons.conductance import ConductanceConstants
from qpsnn_core.kernels.neurons.diehl_cook_original import OriginalLayers
from qpsnn_core.local_learning.formats import NeuronFormats, NumberFormats
from qpsnn_core.local_learning.network import AdaptiveLIF, Conductances, DiehlCook, InhibitoryLIF
from qpsnn_core.local_learning.neuron_constants import decay, excitatory_constants, grid, whole_number
from qpsnn_core.local_learning.synapse_constants import gains, plasticity, trace
from qpsnn_core.quantization.fixed_point import FixedPoint, constant, values_of

KEEP_BITS, MOST_RATE_BITS, LEAST_RATE_BITS = 15, 20, 12
"""Fraction bits of what is left of a conductance after a step, and of `dt/tau`."""

REAL_BITS = 8
"""Fraction bits that a wide conductance has beyond a stored one where weights are float32."""

MOST_BITS = 61


class Wide(NamedTuple):
    """Fraction bits: of a wide conductance, of `dt/tau`, and how many more a wide V has than a stored one."""

    g: int
    rate: int

    @property
    def v_up(self) -> int:
        """Of a wide V beyond V."""
        return self.g + self.rate


def original_layers(network: DiehlCook, formats: NumberFormats, seed: int) -> OriginalLayers:
    """The constants of a network with `conductances`. ConfigError, naming the field, where a format lacks or fails."""
    rule, steps = network.rule, network.trains.steps
    learnt = plasticity(network, formats)
    left = decay(network.dt, float(rule.slow or 1))
    slow = trace(left, steps) if formats.weights is None else gains(1.0, left, steps, int(learnt.shift))
    excitatory, inhibitory = _both(network, formats)
    return OriginalLayers(
        thresholds=excitatory_constants(network, formats),
        excitatory=excitatory,
        inhibitory=inhibitory,
        rule=learnt,
        slow=slow,
        least=network.trains.least,
        seed=np.uint64(seed),
    )


def _both(network: DiehlCook, formats: NumberFormats) -> tuple[ConductanceConstants, ConductanceConstants]:
    g, form = network.conductances, formats.neurons
    e, i = network.neuron, network.inhibitory
    if g is None or i is None:
        raise ConfigError(expected("DiehlCook.conductances", "Conductances and an inhibitory layer", None))
    if form is None:
        unit = None if formats.weights is None else np.float32(formats.weights.step)
        return (
            _real(network, e, g.inhibitory, network.inhibition, unit),
            _real(network, i, g.relayed, i.excitation, unit),
        )
    if form.conductance is None:
        want = "a format for a network with conductances"
        raise ConfigError(expected("NeuronFormats.conductance", want, None))
    wide = wide_bits(network, formats, form, form.conductance)
    return (
        _codes(network, formats, wide, e, g.inhibitory, network.inhibition, None),
        _codes(network, formats, wide, i, g.relayed, i.excitation, i.threshold),
    )


def wide_bits(network: DiehlCook, formats: NumberFormats, form: NeuronFormats, conductance: FixedPoint) -> Wide:
    """Fraction bits with which no sum of a step leaves 62 bits. ConfigError where fewer than 12 are left for rates."""
    drive = network.inputs * network.rule.high + 2.0**conductance.integer
    brake = network.inhibition * network.neurons + 2.0**conductance.integer
    largest = math.ceil(math.log2(max(drive, brake, network.inhibitory.excitation if network.inhibitory else 0) + 1))
    weights = formats.weights
    g = conductance.fraction + REAL_BITS if weights is None else max(conductance.fraction, weights.fraction)
    used = largest + g + max(form.membrane.integer + 3, form.threshold.integer) + form.membrane.fraction
    rate = min(MOST_RATE_BITS, MOST_BITS - used)
    if rate < LEAST_RATE_BITS or largest + g + KEEP_BITS > MOST_BITS:
        want = f"{LEAST_RATE_BITS - rate} bits fewer, of membranes, weights or conductances"
        raise ConfigError(expected("NumberFormats.neurons", want, str(formats)))
    if form.threshold.fraction > form.membrane.fraction + g + rate:
        want = f"at most {form.membrane.fraction + g + rate} fraction bits"
        raise ConfigError(expected("NeuronFormats.threshold", want, form.threshold))
    return Wide(g, rate)


def _left(network: DiehlCook) -> tuple[Decimal, Decimal]:
    """What Euler's method leaves of ge and gi after a step."""
    g, dt = network.conductances or Conductances(), Decimal(repr(float(network.dt)))
    found = [1 - dt / Decimal(repr(float(tau))) for tau in (g.tau_excitatory, g.tau_inhibitory)]
    return found[0], found[1]


def _real(
    network: DiehlCook,
    n: AdaptiveLIF | InhibitoryLIF,
    inhibitory: float,
    added: float,
    unit: np.float32 | None,
) -> ConductanceConstants:
    keep = _left(network)
    return ConductanceConstants(
        rest=np.float32(n.rest),
        reset=np.float32(n.reset),
        excitatory=np.float32(network.conductances.excitatory if network.conductances else 0),
        inhibitory=np.float32(inhibitory),
        rate=np.float32(Decimal(repr(float(network.dt))) / Decimal(repr(float(n.tau)))),
        keep_e=np.float32(keep[0]),
        keep_i=np.float32(keep[1]),
        added=np.float32(added),
        base=np.float32(n.threshold),
        refractory=n.refractory,
        g_up=None,
        g_bits=None,
        v_up=None,
        th_up=None,
        charge_unit=unit,
        charge_shift=None,
        membrane=None,
        conductance=None,
    )


def _codes(
    network: DiehlCook,
    formats: NumberFormats,
    wide: Wide,
    n: AdaptiveLIF | InhibitoryLIF,
    inhibitory: float,
    added: float,
    threshold: float | None,
) -> ConductanceConstants:
    form, g, rounding = formats.neurons, network.conductances or Conductances(), str(formats.rounding)
    if form is None or form.conductance is None:
        raise ConfigError(expected("NeuronFormats.conductance", "a format", None))
    name, v, c = type(n).__name__, form.membrane, form.conductance
    resting = constant(n.reset, form.reset, rounding, f"{name}.reset")
    reset = float(values_of(np.array([resting]), form.reset)[0])
    keep = [whole_number(one, KEEP_BITS) for one in _left(network)]
    rate = Decimal(repr(float(network.dt))) / Decimal(repr(float(n.tau)))
    weights = formats.weights
    base = 0 if threshold is None else constant(threshold, v, rounding, f"{name}.threshold") << wide.v_up
    return ConductanceConstants(
        rest=constant(n.rest, v, rounding, f"{name}.rest"),
        reset=constant(reset, v, rounding, f"{name}.reset"),
        excitatory=constant(g.excitatory, v, rounding, "Conductances.excitatory"),
        inhibitory=constant(inhibitory, v, rounding, "Conductances.inhibitory"),
        rate=whole_number(rate, wide.rate),
        keep_e=keep[0],
        keep_i=keep[1],
        added=whole_number(added, wide.g),
        base=base,
        refractory=n.refractory,
        g_up=wide.g - c.fraction,
        g_bits=wide.g,
        v_up=wide.v_up,
        th_up=v.fraction + wide.v_up - form.threshold.fraction,
        charge_unit=float(2**wide.g) if weights is None else None,
        charge_shift=0 if weights is None else wide.g - weights.fraction,
        membrane=grid(wide.v_up, v, rounding),
        conductance=grid(wide.g - c.fraction + KEEP_BITS, c, rounding),
    )
