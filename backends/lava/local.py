"""Runs deployed networks of local learning on Intel's Lava simulator, all samples one after another in one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from qpsnn_backends.lava import limits
from qpsnn_backends.lava.job import Job, Progress
from qpsnn_backends.lava.planner import LavaPlan
from qpsnn_backends.lava.wiring import Kind, LavaProcessSpec, Settings, Wiring
from qpsnn_core.common.errors import UnsupportedError, expected
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.types import Images, NamedArrays
from qpsnn_core.integer.local.backends import LocalRecord, LocalRun, check_samples
from qpsnn_core.integer.local.networks import TESTED, Codes, IntDecolle, IntDiehlCook, IntLocal

MOST_CURRENT = 2**31 - 1
"""Of a message between Lava's processes."""

EXACT_IN_FLOAT64 = 2**53


@dataclass(frozen=True)
class LavaLocalBackend:
    """Lava's own Dense as synapses, ours as neurons and layers with integer state, in a process of its own.

    timeout: seconds that one run may take, starting Lava included. progress: called with (samples done, samples).
    """

    timeout: float = 300.0
    progress: Progress | None = None
    name: ClassVar[str] = "lava"

    def check(self, network: IntLocal) -> None:
        """Raises UnsupportedError, with figures, where Lava or this machine cannot run the network."""
        limits.check_installed()
        limits.check_wiring(PLANNED[network](network, TESTED).wiring)

    def run(self, network: IntLocal, samples: Images, record: LocalRecord = "none", first: int = TESTED) -> LocalRun:
        """As `LocalBackend.run`; raises also BackendTimeout, or BackendError with the child's traceback."""
        samples = check_samples(network, samples, record, first)
        self.check(network)
        planned, watched = PLANNED[network](network, first), record == "all"
        wiring = replace(planned.wiring, samples=len(samples), membranes=watched)
        stored = {one.name: one.shape for one in network.variables} if watched else {}
        records = 4 * len(samples) * network.steps * sum(int(np.prod(shape)) for shape in stored.values())
        limits.check_disk(wiring, planned.arrays, samples.nbytes, records)
        frames = samples.reshape(len(samples), network.steps, 1, 1, -1).swapaxes(0, 1)
        with Job(self.timeout) as job:
            job.run(wiring, planned.arrays, frames, self.progress)
            (last,) = wiring.readouts
            answers = job.result(f"{last.name}.readout", "int64", (len(samples), network.answers))
            variables = {
                name: job.result(FILES[network](name), "int32", (len(samples), network.steps, *shape))
                for name, shape in stored.items()
            }
        return LocalRun(answers, variables)


def _part(
    name: str,
    kind: Kind,
    reads: tuple[str, ...],
    sizes: tuple[int, int],
    latency: int = 0,
    settings: Settings | None = None,
) -> LavaProcessSpec:
    """A part that reads and sends flat arrays of these sizes."""
    return LavaProcessSpec(name, kind, reads, (1, 1, sizes[0]), (1, 1, sizes[1]), latency, settings or {})


def _grid(codes: Codes, shift: int, offset: int, random: bool) -> Settings:
    return {"shift": int(shift), "offset": int(offset), "low": codes.low, "high": codes.high, "random": random}


def _check_current(place: str, reach: int) -> None:
    if reach > MOST_CURRENT:
        raise UnsupportedError(expected(f"lava: {place}", f"sums of at most {MOST_CURRENT}", reach))


def plan_diehl_cook(network: IntDiehlCook, first: int) -> LavaPlan:
    """Inputs, their synapses (Lava's Dense, which delays by one step, as the network does), neurons, and their counts.

    first: the number of the first sample. UnsupportedError where a sum of weights leaves 32 bits.
    """
    e, i, n = network.layers.excitatory, network.layers.inhibitory, network.neurons
    _check_current("synapses", network.inputs * max(network.weight.high, -network.weight.low))
    settings: Settings = {
        "first": first,
        "seed": int(network.layers.seed),
        "streams": network.streams,
        "rest": int(e.rest),
        "leak": int(e.leak),
        "reset": int(e.reset),
        "inhibition": int(e.inhibition),
        "refractory": int(e.refractory),
        "charge_shift": int(e.charge_shift),
        "threshold_shift": int(e.adaptation_shift),
        "membrane": _grid(network.membrane, e.membrane_shift, e.membrane.offset, bool(e.membrane.random)),
        "inhibitory": None,
    }
    if not network.direct:
        settings["inhibitory"] = {
            "rest": int(i.rest),
            "leak": int(i.leak),
            "reset": int(i.reset),
            "threshold": int(i.base),
            "excitation": int(i.increment),
            "refractory": int(i.refractory),
            "membrane": _grid(network.membrane, i.membrane_shift, i.membrane.offset, False),
        }
    parts = (
        _part("input", "source", (), (network.inputs, network.inputs)),
        _part("synapses", "dense", ("input",), (network.inputs, n), 1, {"message_bits": 0}),
        _part("neurons", "adaptive", ("synapses",), (n, n), 0, settings),
        _part("readout", "readout", ("neurons",), (n, n), 0, {"mode": "mean", "multiplier": 0, "shift": 0}),
    )
    arrays: NamedArrays = {
        "synapses.weight": np.ascontiguousarray(network.weights.T.astype(np.int32)),
        "neurons.thresholds": network.thresholds,
        "readout.bias": np.zeros((1, 1, n), np.int64),
    }
    return LavaPlan(Wiring(parts, network.steps), arrays)


def plan_decolle(network: IntDecolle, first: int) -> LavaPlan:
    """Inputs, one process a layer, the readout's synapses (Lava's Dense), and votes."""
    d, f = network.dynamics, network.dynamics.fixed
    reach = int((abs(network.readout.astype(np.int64)).sum(0) + abs(network.readout_bias)).max())
    _check_current("readout", reach)
    mode = int(f.mode)
    shifts = {"q": f.q_down, "p": f.p_down, "r": f.r_down, "membranes": f.v_down}
    grids = {
        name: _grid(network.codes[name], n, (1 << (int(n) - 1)) if mode == 1 and n else 0, mode == 2 and bool(n))
        for name, n in shifts.items()
    }
    shared: Settings = {
        **grids,
        "first": first,
        "seed": int(f.seed),
        "streams": {name: 8 + k for k, name in enumerate(shifts)},
        "beta": int(d.beta),
        "q_in": int(d.q_in) * int(f.one),
        "alpha": int(d.alpha) << int(f.p_up),
        "p_in": int(d.p_in) << int(f.q_up),
        "gamma": int(d.gamma),
        "r_in": int(d.r_in) * int(f.unit),
        "rho": int(d.rho) << int(f.r_up),
        "sum_up": int(f.sum_up),
        "bias_up": int(f.bias_up),
        "threshold": int(d.threshold),
        "inclusive": bool(d.inclusive),
    }
    size = int(np.prod(network.maps[0].inputs))
    parts = [_part("input", "source", (), (size, size))]
    arrays: NamedArrays = {}
    inputs = neurons = 0
    for k, one in enumerate(network.maps):
        weights = network.weights[k]
        largest = -network.codes["p"].low * int(abs(weights.astype(np.int64)).sum((0, 1, 2)).max())
        own = {
            "inputs": one.inputs,
            "outputs": one.outputs,
            "padding": one.padding,
            "pool": one.pool,
            "lanes": one.lanes,
            "first_input": inputs,
            "first_neuron": neurons,
            "exact_in_float64": largest < EXACT_IN_FLOAT64,
        }
        sizes = (int(np.prod(one.inputs)), one.features)
        parts.append(_part(f"layer{k}", "local", (parts[-1].name,), sizes, 0, {**shared, **own}))
        arrays |= {f"layer{k}.weights": weights, f"layer{k}.biases": network.biases[k]}
        (height, width, channels), pad = one.inputs, one.padding
        inputs += (height + 2 * pad) * (width + 2 * pad) * channels
        neurons += one.outputs[0] * one.outputs[1] * one.lanes
    features, classes = network.maps[-1].features, network.answers
    settings = {"burnin": network.burnin}
    parts.append(_part("readout", "dense", (parts[-1].name,), (features, classes), 1, {"message_bits": 0}))
    parts.append(_part("votes", "votes", ("readout",), (classes, classes), 1, settings))
    arrays |= {
        "readout.weight": np.ascontiguousarray(network.readout.T),
        "votes.bias": network.readout_bias.reshape(1, 1, classes),
    }
    return LavaPlan(Wiring(tuple(parts), network.steps), arrays)


PLANNED: KindTable[Callable[[Any, int], LavaPlan]] = KindTable(
    "the Lava backend of local learning", {IntDiehlCook: plan_diehl_cook, IntDecolle: plan_decolle}
)

FILES: KindTable[Callable[[str], str]] = KindTable(
    "the records of local learning on Lava",
    {IntDiehlCook: lambda name: f"neurons.{name}", IntDecolle: lambda name: "votes.votes" if name == "votes" else name},
)
