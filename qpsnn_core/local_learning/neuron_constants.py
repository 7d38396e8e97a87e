"""The constants of leaky neurons as their kernels take them, in float32 or in integers.

Exponentials are taken in decimal arithmetic and rounded once, so that they are the same bits on every machine.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.kernels.fixed_point import Grid
from qpsnn_core.kernels.neurons.adaptive_lif import NeuronConstants
from qpsnn_core.local_learning.formats import NeuronFormats, NumberFormats
from qpsnn_core.local_learning.network import DiehlCook, InhibitoryLIF
from qpsnn_core.quantization.fixed_point import FixedPoint, constant

WIDE = 60
"""Bits of wide numbers, their sign and one for the sum of two apart."""

FINE = 30
"""Most fraction bits of factors: leaks, traces times rates, the factor of normalisation."""

MOST_NEURON_BITS = 31
"""Of membranes and thresholds: the difference of two is an int32."""


def decay(dt: float, tau: float) -> Decimal:
    """`exp(-dt/tau)`, to forty digits."""
    with localcontext() as context:
        context.prec = 40
        return (-Decimal(repr(float(dt))) / Decimal(repr(float(tau)))).exp()


def whole_number(value: Decimal | float, bits: int) -> int:
    """`value * 2**bits`, rounded to the nearest integer (half to even)."""
    with localcontext() as context:
        context.prec = 60
        exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
        return int((exact * 2**bits).to_integral_value("ROUND_HALF_EVEN"))


def grid(shift: int, form: FixedPoint, rounding: str) -> Grid:
    """What drops `shift` bits of a number to store it in a format."""
    offset = 1 << (shift - 1) if rounding == "nearest" and shift > 0 else 0
    return Grid(shift, offset, form.low, form.high, True if rounding == "stochastic" else None)


def fraction_bits(network: DiehlCook, formats: NeuronFormats) -> int:
    """F: the fraction bits of wide numbers, of which none overflows 63 bits."""
    drive = network.inputs * network.rule.high
    brake = network.inhibition * (1 if network.form == "single" else network.neurons)
    largest = max(drive, brake, network.inhibitory.excitation if network.inhibitory else 0)
    bits = WIDE - 1 - max(formats.membrane.integer, formats.threshold.integer, math.ceil(math.log2(largest + 1)))
    for name in ("membrane", "threshold"):
        form = getattr(formats, name)
        if form.bits > MOST_NEURON_BITS:
            raise ConfigError(expected(f"NeuronFormats.{name}", f"at most {MOST_NEURON_BITS} bits", form))
        bits = min(bits, form.fraction + FINE)
    fractions = [formats.membrane.fraction, formats.threshold.fraction, formats.reset.fraction]
    if bits < max(*fractions, formats.increment.fraction):
        raise ConfigError(
            expected("NumberFormats.neurons", f"at most {bits} fraction bits for this range", max(fractions))
        )
    return bits


def excitatory_constants(network: DiehlCook, formats: NumberFormats) -> NeuronConstants:
    """The excitatory layer. ConfigError, naming the field, where a format does not hold a constant."""
    n, form = network.neuron, formats.neurons
    leak = decay(network.dt, n.tau)
    slow = Decimal(1) if n.theta_tau is None else decay(network.dt, n.theta_tau)
    if form is None:
        unit = None if formats.weights is None else np.float32(formats.weights.step)
        return _real(n.rest, leak, n.reset, n.increment, network.inhibition, n.threshold, slow, n.refractory, unit)
    rounding, bits = str(formats.rounding), fraction_bits(network, form)
    if formats.weights is not None and formats.weights.fraction > bits:
        raise ConfigError(expected("NumberFormats.weights", f"at most {bits} fraction bits", formats.weights))
    v_shift, th_shift = bits - form.membrane.fraction, bits - form.threshold.fraction
    slow_bits = whole_number(slow, th_shift)
    reset = constant(n.reset, form.reset, rounding, "AdaptiveLIF.reset")
    increment = constant(n.increment, form.increment, rounding, "AdaptiveLIF.increment")
    return NeuronConstants(
        rest=np.int32(constant(n.rest, form.membrane, rounding, "AdaptiveLIF.rest")),
        leak=np.int32(whole_number(leak, v_shift)),
        reset=reset << (bits - form.reset.fraction),
        increment=increment << (bits - form.increment.fraction),
        inhibition=whole_number(network.inhibition, form.membrane.fraction) << v_shift,
        base=0,
        adaptation_rest=np.int32(constant(n.threshold, form.threshold, rounding, "AdaptiveLIF.threshold")),
        adaptation_leak=np.int32(slow_bits),
        adapts=n.theta_tau is not None and not _is_lost(2**th_shift - slow_bits, th_shift, form.threshold, rounding),
        refractory=n.refractory,
        membrane_shift=v_shift,
        adaptation_shift=th_shift,
        charge_unit=float(2**bits) if formats.weights is None else None,
        charge_shift=bits - formats.weights.fraction if formats.weights else 0,
        membrane=grid(v_shift, form.membrane, rounding),
        threshold=grid(th_shift, form.threshold, rounding),
    )


def _is_lost(loss: int, shift: int, form: FixedPoint, rounding: str) -> bool:
    """Whether rounding to nearest undoes a leak of `loss * 2**-shift` a step, whatever the adaptation."""
    return rounding == "nearest" and 2 * loss * 2 * (form.high + 1) < 2**shift


def _real(
    rest: float,
    leak: Decimal,
    reset: float,
    increment: float,
    inhibition: float,
    base: float,
    slow: Decimal,
    refractory: int,
    unit: np.float32 | None,
) -> NeuronConstants:
    return NeuronConstants(
        rest=np.float32(rest),
        leak=np.float32(leak),
        reset=np.float32(reset),
        increment=np.float32(increment),
        inhibition=np.float32(inhibition),
        base=np.float32(base),
        adaptation_rest=np.float32(0),
        adaptation_leak=np.float32(slow),
        adapts=slow != 1,
        refractory=refractory,
        membrane_shift=None,
        adaptation_shift=None,
        charge_unit=unit,
        charge_shift=None,
        membrane=None,
        threshold=None,
    )


def inhibitory_constants(network: DiehlCook, formats: NumberFormats) -> NeuronConstants:
    """The inhibitory layer; where there is none, constants of the same types with -1 steps of refractoriness."""
    n = network.inhibitory or InhibitoryLIF()
    refractory = -1 if network.inhibitory is None else n.refractory
    leak = decay(network.dt, n.tau)
    if formats.neurons is None:
        return _real(n.rest, leak, n.reset, n.excitation, 0, n.threshold, Decimal(1), refractory, None)
    excitatory, form = excitatory_constants(network, formats), formats.neurons.membrane
    shift = excitatory.membrane_shift
    codes = {
        name: constant(getattr(n, name), form, str(formats.rounding), f"InhibitoryLIF.{name}")
        for name in ("rest", "reset", "threshold", "excitation")
        if network.inhibitory is not None
    } or dict.fromkeys(("rest", "reset", "threshold", "excitation"), 0)
    return excitatory._replace(
        rest=np.int32(codes["rest"]),
        leak=np.int32(whole_number(leak, shift)),
        reset=codes["reset"] << shift,
        increment=codes["excitation"] << shift,
        base=codes["threshold"] << shift,
        refractory=refractory,
        membrane=grid(shift, form, "nearest"),
    )
