"""The exact simulator of deployed networks of local learning: the kernels that trained them, step by step if asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.types import Array, Images, Longs
from qpsnn_core.common.validation import check_kind
from qpsnn_core.integer.local.backends import LocalRecord, LocalRun, check_samples
from qpsnn_core.integer.local.decolle_maps import flat_biases, flat_weights, layout_of, new_state
from qpsnn_core.integer.local.networks import TESTED, IntDecolle, IntDiehlCook, IntLocal
from qpsnn_core.kernels.neurons.decolle_layout import State
from qpsnn_core.kernels.neurons.decolle_learning import Gradients, Lesson, Parameters, advance
from qpsnn_core.kernels.neurons.diehl_cook import History, history_for, present_one
from qpsnn_core.kernels.threads import parallel_map


class Learnt(NamedTuple):
    """A network that went on learning, what it did meanwhile, and how often thresholds and weights saturated."""

    network: IntDiehlCook
    run: LocalRun
    saturated: Longs


def simulate_local(
    network: IntLocal, samples: Images, *, record: LocalRecord = "none", first: int = TESTED
) -> LocalRun:
    """Run samples; the reference for every backend. As `LocalBackend.run`."""
    samples = check_samples(network, samples, record, first)
    return SIMULATED[network](network, samples, record == "all", first)


def learn_local(network: IntDiehlCook, samples: Images, *, record: LocalRecord = "none", first: int = 0) -> Learnt:
    """Go on learning by STDP after deployment, in integers, from each sample in turn.

    first: the number of the first sample, as training counts them: `learn` with the same state gives the same bits.
    Raises as `simulate_local`, ConfigError (rounding that undoes what is learnt).
    """
    check_kind("network", network, IntDiehlCook)
    samples = check_samples(network, samples, record, first)
    grid = network.layers.excitatory.threshold
    if network.layers.excitatory.adapts and grid.random is None and grid.offset == 0:
        want = "thresholds that do not leak, with truncation: floor takes a whole 2**-f mV in each step"
        raise ConfigError(expected("AdaptiveLIF.theta_tau", want, "a leak"))
    weights, thresholds = network.weights.copy(), network.thresholds.copy()
    run, saturated = _presented(network, samples, record == "all", first, weights, thresholds, learning=True)
    return Learnt(replace(network, weights=weights, thresholds=thresholds), run, saturated)


def _diehl_cook(network: IntDiehlCook, samples: Images, watched: bool, first: int) -> LocalRun:
    return _presented(network, samples, watched, first, network.weights, network.thresholds, learning=False)[0]


def _presented(
    network: IntDiehlCook,
    samples: Images,
    watched: bool,
    first: int,
    weights: Array,
    thresholds: Array,
    *,
    learning: bool,
) -> tuple[LocalRun, Longs]:
    """weights, thresholds: changed, if the network learns."""
    count, steps, neurons = len(samples), network.steps, network.neurons
    bound = network.inputs * (network.weight.high + 1)
    like = (np.empty(0, np.int32 if bound < 2**31 else np.int64), np.empty(0, np.int64), np.empty(0, np.int64))
    answers: Longs = np.empty((count, neurons), np.int64)
    winners = np.empty((count, steps), np.int32)
    lost: Longs = np.zeros((count, 3), np.int64)
    nobody, unseen = np.zeros(0, np.int32), np.zeros(0)
    histories = []
    for n, spikes in enumerate(samples):
        times, events = np.nonzero(spikes)
        at = np.searchsorted(times, np.arange(steps + 1)).astype(np.int32)
        history = history_for(steps if watched else 0, thresholds)
        arrays = (weights, thresholds, network.layers, like, learning, first + n)
        out = (winners[n], answers[n], unseen, lost[n], history)
        present_one(at, events.astype(np.int32), nobody, *arrays, *out)
        histories.append(history)
    return LocalRun(answers, _variables(network, winners, histories) if watched else {}), lost.sum(0)


def _variables(network: IntDiehlCook, winners: Array, histories: list[History]) -> dict[str, Array]:
    spikes = (winners[:, :, None] == np.arange(network.neurons)).astype(np.int32)
    kept = {name: np.stack([getattr(one, name) for one in histories]).astype(np.int32) for name in History._fields}
    found = {
        "membranes": kept["v"],
        "thresholds": kept["v_th"],
        "refractory": kept["ready"],
        "spikes": spikes,
        "counts": spikes.cumsum(1, dtype=np.int32),
        "inhibitory.membranes": kept["i_v"],
        "inhibitory.refractory": kept["i_ready"],
        "inhibitory.spikes": kept["i_spikes"],
    }
    return {one.name: found[one.name] for one in network.variables}


def _decolle(network: IntDecolle, samples: Images, watched: bool, first: int) -> LocalRun:
    count, steps, classes = len(samples), network.steps, network.answers
    frames = samples.reshape(count, steps, -1)
    at, values = layout_of(network.maps), network.dynamics
    weights, biases = flat_weights(network.weights, network.maps), flat_biases(network.biases, network.maps)
    parameters = Parameters(weights, biases, np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32))
    state = new_state(network.maps, count, np.int32)
    winners = np.zeros((count, 0), np.int32)
    numbers = np.arange(first, first + count, dtype=np.int64)
    silent = Gradients(*(np.zeros((0, 1), kind) for kind in (np.float32, np.float32, np.float64, np.float32)))
    lesson = Lesson(np.zeros(count, np.int64), 0, np.float32(0), np.float32(0), np.float32(0), np.uint64(0))
    none = np.zeros((0, 0, 0), np.int32)
    fixed = (values, values.fixed, None, parameters, frames, numbers, state, winners, lesson, silent, none)
    votes: Longs = np.zeros((count, classes), np.int64)
    kept: dict[str, list[Array]] = {one.name: [] for one in network.variables if watched}
    features = network.maps[-1].features
    for t in range(steps):
        parallel_map(advance, [(n, n + 1) for n in range(count)], 1, (t, t + 1), at.table, *fixed)
        if t >= network.burnin:
            emitted = state.emitted[:, at.features - features :].astype(np.int64)
            readouts = emitted @ network.readout.astype(np.int64) + network.readout_bias
            votes[np.arange(count), readouts.argmax(1)] += 1
        if watched:
            for name, array in _stored(network, state, votes).items():
                kept[name].append(array)
    return LocalRun(votes, {name: np.stack(parts, 1) for name, parts in kept.items()})


def _stored(network: IntDecolle, state: State, votes: Longs) -> dict[str, Array]:
    """Copies of all variables, without the zeros that fill maps up."""
    found: dict[str, Array] = {}
    at = layout_of(network.maps)
    places = zip(network.maps, at.table[:, 0].tolist(), at.table[:, 1].tolist(), strict=True)
    for k, (one, inputs, neurons) in enumerate(places):
        (height, width, channels), pad = one.inputs, one.padding
        padded = (height + 2 * pad, width + 2 * pad, channels)
        lanes = (*one.outputs[:2], one.lanes)
        for name, array in (("q", state.q), ("p", state.p)):
            part = array[:, inputs : inputs + int(np.prod(padded))].reshape(-1, *padded)
            found[f"layer{k}.{name}"] = part[:, pad : pad + height, pad : pad + width].astype(np.int32)
        for name, array in (("r", state.r), ("membranes", state.v), ("spikes", state.s)):
            part = array[:, neurons : neurons + int(np.prod(lanes))].reshape(-1, *lanes)
            found[f"layer{k}.{name}"] = part[..., : one.outputs[2]].astype(np.int32)
    found["votes"] = votes.astype(np.int32)
    return found


SIMULATED: KindTable[Callable[[Any, Images, bool, int], LocalRun]] = KindTable(
    "the exact simulator of local learning", {IntDiehlCook: _diehl_cook, IntDecolle: _decolle}
)
