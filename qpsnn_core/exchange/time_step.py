"""What one time step makes of a NIR file's neurons: NIR has no field for it, and each exporter its own convention.

NIR's equations are continuous: `tau*dv/dt = v_leak - v + r*I` (LIF), `dv/dt = r*I` (IF). What a step makes of them is
decided by what the user says, by the file's metadata, or by the values of tau and r; where these fit two conventions
that differ, or none, the file is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import nir
import numpy as np

from qpsnn_core.common.elementary import exp, expm1, log
from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.types import Doubles
from qpsnn_core.common.validation import check_choice

FLOAT32_ERROR = 1e-5
"""By what share a quotient of two of the file's numbers may be off."""


class Units(NamedTuple):
    """How a step of dt is computed.

    exponential: a LIF keeps `exp(-dt/tau)` of its membrane, else `1 - dt/tau` (Euler). gain: what a LIF's input is
    times, besides `r`: "euler" `dt/tau`, "decayed" `1 - exp(-dt/tau)`, "whole" so that Rockpool's r becomes 1.
    per_step: an IF adds `r*I` at each step, else `r*dt*I`. reset: of neurons that say none; inclusive: they fire at
    their threshold, too. said: how all this was decided.
    """

    exporter: str
    dt: float
    exponential: bool = False
    gain: str = "euler"
    per_step: bool = False
    reset: str = "zero"
    inclusive: bool = False
    said: str = ""

    def leak(self, tau: Doubles) -> Doubles:
        """The share of a LIF's membrane that a step leaves."""
        left: Doubles = exp(-self.dt / tau) if self.exponential else 1 - self.dt / tau
        return left

    def lif_gain(self, r: Doubles, tau: Doubles) -> Doubles:
        """What a LIF's input is times."""
        factor: Doubles = {
            "euler": self.dt / tau,
            "decayed": -expm1(-self.dt / tau),
            "whole": self.dt / tau * exp(self.dt / tau),
        }[self.gain]
        found: Doubles = r * factor
        return found

    def if_gain(self, r: Doubles) -> Doubles:
        """What an IF's input is times."""
        return r if self.per_step else r * self.dt


EXPORTERS: dict[str, Units] = {
    "snntorch": Units("snntorch", 1e-4),
    "spikingjelly": Units("spikingjelly", 1e-4, inclusive=True),
    "norse": Units("norse", 1e-3, per_step=True),
    "sinabs": Units("sinabs", 1.0, True, "decayed", True, "subtract", True),
    "rockpool": Units("rockpool", 0.0, True, "whole", False, "subtract", True),
}
"""By the name of the exporter, with its usual step: tau of Sinabs is in steps; Rockpool's r tells the step (dt 0)."""


class Seen(NamedTuple):
    """A neuron of the file: its kind and its numbers."""

    name: str
    kind: type[Any]
    tau: Doubles
    r: Doubles


def units_of(nodes: Mapping[str, Any], exporter: str, dt: float, stated: float | None) -> Units:
    """The convention of a file. exporter, dt: what the user says, "" and 0 for nothing. stated: dt of its metadata.

    Raises ConfigError (the remedy: --dt or --exporter) where nothing decides.
    """
    if exporter:
        return _of_exporter(nodes, exporter, dt)
    if dt or stated is not None:
        step = dt or float(stated or 0)
        said = "as given" if dt else "as the file's metadata say"
        return Units("nir", step, said=f"NIR's equations with dt {step:g}, {said}")
    seen = [neuron for name, node in nodes.items() for neuron in _numbers(name, node)]
    if not seen:
        return Units("nir", 1.0, said="no neurons")
    found = _distinct([units for units in _candidates(seen) if all(_fits(units, neuron) for neuron in seen)], seen)
    if len(found) != 1:
        raise ConfigError(_refusal(seen, found))
    return found[0]


def _of_exporter(nodes: Mapping[str, Any], exporter: str, dt: float) -> Units:
    check_choice("nir: exporter", exporter, tuple(EXPORTERS))
    units = EXPORTERS[exporter]
    if dt or units.dt:
        step = dt or units.dt
        return units._replace(dt=step, said=f"as {exporter} exports with dt {step:g}, as given")
    for neuron in (one for name, node in nodes.items() for one in _numbers(name, node) if one.kind is nir.LIF):
        step = _rockpool_step(neuron)
        if step:
            said = f"as {exporter} exports with dt {step:g}, which {neuron.name}.r tells"
            return units._replace(dt=step, said=said)
    raise ConfigError(expected("nir: dt", f"--dt, as no LIF tells the step of {exporter}", Unquoted("none")))


def _numbers(name: str, node: Any) -> Iterator[Seen]:
    """A LIF or IF whose numbers are numbers; what is wrong with others is for the reader of nodes to say."""
    if type(node) not in (nir.LIF, nir.IF):
        return
    try:
        r = np.unique(np.asarray(node.r, np.float64))
        tau = np.unique(np.asarray(getattr(node, "tau", 1.0), np.float64))
    except (TypeError, ValueError):
        return
    if r.size and tau.size and np.isfinite(r).all() and np.isfinite(tau).all():
        yield Seen(name, type(node), tau, r)


def _candidates(seen: list[Seen]) -> Iterator[Units]:
    """Conventions that are known, and Euler steps that the quotients of the file's numbers suggest."""
    yield EXPORTERS["snntorch"]
    yield EXPORTERS["spikingjelly"]._replace(inclusive=False)
    yield EXPORTERS["norse"]
    yield EXPORTERS["sinabs"]._replace(reset="zero", inclusive=False)
    yield Units("nir", 1.0)
    for neuron in seen:
        for step in _steps_of(neuron):
            yield Units("nir", step)
        step = _rockpool_step(neuron)
        if step:
            yield EXPORTERS["rockpool"]._replace(dt=step)


def _steps_of(neuron: Seen) -> Iterator[float]:
    """`tau/r` of a LIF, `1/r` of an IF: dt where an input of 1 per step is exported; an r of 1 tells nothing."""
    if neuron.r.min() <= 0 or _near(neuron.r, 1.0):
        return
    quotient = float(neuron.tau[0] / neuron.r[0])
    if _is_step(quotient):
        yield quotient


def _is_step(dt: float) -> bool:
    """One significant digit, and at most 10 ms: so steps are chosen."""
    if not 1e-7 < dt <= 0.01 * (1 + FLOAT32_ERROR):
        return False
    digit = dt / float(f"1e{Decimal(dt * (1 + FLOAT32_ERROR)).adjusted()}")
    return bool(abs(digit - round(digit)) < digit * FLOAT32_ERROR)


def _rockpool_step(neuron: Seen) -> float:
    """dt of `r = tau*exp(-dt/tau)/dt`, where it is such a step; else 0."""
    if neuron.kind is not nir.LIF or neuron.r.size > 1 or neuron.tau.size > 1 or not neuron.r[0] > 0:
        return 0.0
    share, of_r = 1 / float(neuron.r[0]), float(log(neuron.r[0]))
    for _ in range(60):  # exp(-x)/x = r by Newton's method, in log(x)
        share *= float(exp(-(float(log(share)) + share + of_r) / (1 + share)))
    step = share * float(neuron.tau[0])
    return float(step) if _is_step(step) else 0.0


def _near(value: Doubles, want: Any) -> bool:
    return bool(np.allclose(value, want, rtol=FLOAT32_ERROR, atol=0))


def _fits(units: Units, neuron: Seen) -> bool:
    """Whether that exporter writes such numbers with that step."""
    if neuron.kind is nir.IF:
        return (
            units.gain != "whole"
            and units.exporter != "snntorch"
            and _near(neuron.r, 1.0 if units.per_step else 1 / units.dt)
        )
    if units.gain == "whole":
        return bool(neuron.tau.min() > 0) and _near(units.lif_gain(neuron.r, neuron.tau), 1.0)
    if neuron.tau.min() < units.dt * (1 - FLOAT32_ERROR):
        return False
    whole = neuron.tau.size == neuron.r.size and _near(neuron.r * units.dt, neuron.tau)
    if units.per_step:
        return _near(neuron.r, 1.0)
    if units.exporter == "snntorch":
        return whole
    return whole or (_near(neuron.r, 1.0) and units.dt in (1.0, EXPORTERS["spikingjelly"].dt))


def _distinct(found: list[Units], seen: list[Seen]) -> list[Units]:
    """Those that make something else of the neurons."""
    effects: dict[str, list[Units]] = {}
    for units in found:
        effect = [
            (f"{units.leak(tau):.4g}", f"{units.lif_gain(np.array(r), tau):.4g}")
            if neuron.kind is nir.LIF
            else f"{units.if_gain(np.array(r)):.4g}"
            for neuron in seen
            for tau, r in ((neuron.tau[0], neuron.r[0]), (neuron.tau[-1], neuron.r[-1]))
        ]
        effects.setdefault(str(effect), []).append(units)
    return [same[0]._replace(said=f"as tau and r fit {_all_of(same)}") for same in effects.values()]


def _all_of(same: list[Units]) -> str:
    named = {units.dt for units in same if units.exporter != "nir"}
    told = [_described(units) for units in same if units.exporter != "nir" or units.dt not in named]
    return ", or ".join(dict.fromkeys(told))


def _described(units: Units) -> str:
    name = "" if units.exporter == "nir" else f" ({units.exporter})"
    return f"dt {units.dt:g}{name}"


def _refusal(seen: list[Seen], found: list[Units]) -> str:
    def numbers(neuron: Seen) -> str:
        tau = f"tau {neuron.tau[0]:g}, " if neuron.kind is nir.LIF else ""
        return f"{neuron.name}: {neuron.kind.__name__}, {tau}r {neuron.r[0]:g}"

    fits = ", and ".join(units.said.removeprefix("as tau and r fit ") for units in found) or "no exporter's step"
    want = f"--dt STEP (the unit of tau), or --exporter {', '.join(EXPORTERS)}: the file does not say its time step"
    return expected("nir: dt", want, Unquoted(f"{'; '.join(numbers(neuron) for neuron in seen[:3])}; fits {fits}"))
