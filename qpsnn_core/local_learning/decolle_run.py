"""DECOLLE networks learn from windows of frames, an update at each step, and respond to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Doubles, Floats, Images, Ints, Labels, Longs
from qpsnn_core.common.validation import check_kind, described
from qpsnn_core.integer.local.decolle_maps import flat_biases, flat_weights, layout_of, new_state, parted
from qpsnn_core.integer.local.networks import TESTED
from qpsnn_core.kernels.counter_random import sample_key
from qpsnn_core.kernels.neurons.decolle_layout import WEIGHT_DRAWS, State
from qpsnn_core.kernels.neurons.decolle_learning import Gradients, Lesson, Parameters, adamax, advance, move_codes
from qpsnn_core.kernels.threads import chunks, parallel_for, parallel_map
from qpsnn_core.local_learning.decolle import Decolle, LocalTraining
from qpsnn_core.local_learning.decolle_formats import DECOLLE_FLOAT, dynamics
from qpsnn_core.local_learning.decolle_model import DecolleModel
from qpsnn_core.quantization.fixed_point import ROUNDINGS

CHUNKS = 8
"""Most parts of a batch: gradients are added in their order, whatever the number of threads."""

SMALL = 1e-8
MIN_CHUNK_PARAMS = 2**14


class Moments(NamedTuple):
    """Adamax: the largest gradients of weights and of biases, as flat as those, and the updates so far."""

    weights: Floats
    biases: Floats
    updates: int


@dataclass(frozen=True)
class Answers:
    """steps: int32 `[samples, steps, layers]`, the class of the highest readout. lost: int64 `[samples, 4]`, how often
    Q, P, R and V left their ranges. seen: float32 `[8]`, lowest and highest Q, P, R, V, if asked for.
    """

    steps: Ints
    lost: Longs
    seen: Floats | None = None

    def votes(self, classes: int) -> Labels:
        """For each layer the class that its readout gives most often: int64 `[samples, layers]`; of equal ones the
        lowest.
        """
        counts = np.stack([(self.steps == k).sum(1) for k in range(classes)], -1)
        found: Labels = counts.argmax(-1).astype(np.int64)
        return found


def first_moments(network: Decolle) -> Moments:
    """Before the first update."""
    at = layout_of(network.maps)
    return Moments(np.zeros(at.weights, np.float32), np.zeros(at.biases, np.float32), 0)


def parameters_of(model: DecolleModel) -> Parameters:
    """The model's arrays, flat; copies."""
    readouts = np.concatenate(model.readouts)
    biases = np.stack(model.readout_biases)
    maps = model.network.maps
    weights, own = flat_weights(model.weights, maps), flat_biases(model.biases, maps)
    return Parameters(weights, own, readouts, biases)


def learn_windows(
    model: DecolleModel,
    moments: Moments,
    windows: Images,
    labels: Labels,
    training: LocalTraining,
    rate: float,
) -> tuple[DecolleModel, Moments, Doubles]:
    """The model after one batch of windows, an update at each step that counts; the losses `[steps, layers]` of those.

    windows: uint8 `[samples, steps, height, width, channels]`, counts of events. labels: int64 `[samples]`. rate: of
    Adamax. A loss is the smooth L1 of a layer's readouts, the mean over samples and classes. The same bits on any
    number of threads. Raises DataError, ShapeError.
    """
    check_kind("model", model, DecolleModel)
    frames = frames_of(model.network, windows)
    network, samples = model.network, len(frames)
    if labels.shape != (samples,) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DataError(expected("labels", f"classes [{samples}]", Unquoted(described(labels))))
    if labels.max() >= network.classes:
        raise DataError(expected("labels", f"0 to {network.classes - 1}", int(labels.max())))
    at, values = layout_of(network.maps), dynamics(network, model.formats, model.seed)
    parameters, size = parameters_of(model), -(-samples // CHUNKS)
    ranges = chunks(samples, size)
    state = new_state(network.maps, samples, parameters.weights.dtype.type)
    lesson = _lesson(model, labels, samples)
    grads = Gradients(
        np.zeros((len(ranges), at.weights), np.float32),
        np.zeros((len(ranges), at.biases), np.float32),
        np.zeros((len(ranges), len(network.maps))),
        np.zeros((samples, at.neurons), np.float32),
    )
    silent = grads._replace(losses=np.zeros((0, 1)))
    winners, answers = np.zeros((samples, at.features), np.int32), np.zeros((0, 0, 0), np.int32)
    numbers = np.arange(model.seen, model.seen + samples, dtype=np.int64)
    fixed, updates, losses = values.fixed, moments.updates, []
    real = True if fixed is None else None
    highest = (moments.weights.copy(), moments.biases.copy())
    for t, counts in training.plan(frames.shape[1]):
        steps = (t, t + 1)
        own = grads if counts else silent
        given = (
            size,
            steps,
            at.table,
            values,
            fixed,
            real,
            parameters,
            frames,
            numbers,
            state,
            winners,
            lesson,
            own,
            answers,
        )
        parallel_map(advance, ranges, *given)
        if counts:
            _update(model, parameters, grads, highest, rate, training.decay, updates)
            losses.append([math.fsum(column) * float(lesson.share) for column in grads.losses.T.tolist()])
            updates += 1
    weights, biases = parted(parameters.weights, parameters.biases, network.maps)
    done = replace(model, weights=weights, biases=biases, seen=model.seen + samples)
    return done, Moments(*highest, updates), np.array(losses).reshape(-1, len(network.maps))


def _lesson(model: DecolleModel, labels: Labels, samples: int) -> Lesson:
    n = model.network.neuron
    return Lesson(
        labels=labels.astype(np.int64),
        dropped=int(256 * model.network.dropout),
        share=np.float32(1 / (samples * model.network.classes)),
        slope=np.float32(n.slope),
        threshold=np.float32(n.threshold),
        seed=np.uint64(model.seed),
    )


def _update(
    model: DecolleModel,
    parameters: Parameters,
    grads: Gradients,
    highest: tuple[Floats, Floats],
    rate: float,
    decay: float,
    updates: int,
) -> None:
    """Adamax of weights and biases, in place."""
    form = model.formats.weights
    pairs = ((parameters.weights, grads.weights, highest[0]), (parameters.biases, grads.biases, highest[1]))
    for which, (values, gradient, largest) in enumerate(pairs):
        moves = np.empty(len(values), np.float32)
        factors = (np.float32(rate), np.float32(decay), np.float32(SMALL))
        parallel_for(adamax, len(values), MIN_CHUNK_PARAMS, gradient, largest, moves, *factors)
        if form is None:
            values += moves
        else:
            key = np.uint64(sample_key(np.uint64(model.seed), WEIGHT_DRAWS + which, updates))
            rounding = ROUNDINGS[str(model.formats.rounding)]
            scale = 2.0**form.fraction
            parallel_for(
                move_codes, len(values), MIN_CHUNK_PARAMS, values, moves, scale, form.high, rounding, updates, key
            )


def respond_windows(
    model: DecolleModel,
    windows: Images,
    training: LocalTraining,
    *,
    observe: bool = False,
    filtered: bool = False,
    first: int = TESTED,
) -> Answers:
    """The classes that the readouts give at each step that counts, while nothing is learnt.

    windows: as for `learn_windows`. observe: also the ranges of variables. filtered: spikes are convolved and then
    filtered, which equals what learning computes but for rounding, and is faster where few neurons spike. first: the
    number of the first sample, on which its draws depend. Raises
    ConfigError (filtered integers, or observed), DataError, ShapeError.
    """
    check_kind("model", model, DecolleModel)
    frames = frames_of(model.network, windows)
    if filtered and (observe or model.formats != DECOLLE_FLOAT):
        want = "False, as P and Q are kept" if observe else "False for fixed point, whose traces are rounded"
        raise ConfigError(expected("filtered", want, filtered))
    plan = training.plan(frames.shape[1])
    state, answers = present_windows(model, frames, plan, observe=observe, filtered=filtered, first=first)
    counted = [t for t, counts in training.plan(frames.shape[1]) if counts]
    seen = None
    if observe:
        seen = np.where(np.arange(8) % 2 == 0, state.seen.min(0), state.seen.max(0)).astype(np.float32)
    return Answers(answers[:, counted], state.lost, seen)


def present_windows(
    model: DecolleModel,
    frames: Images,
    plan: Sequence[tuple[int, bool]],
    *,
    observe: bool = False,
    filtered: bool = False,
    first: int = TESTED,
) -> tuple[State, Ints]:
    """The state after all steps of a plan, and the answers of all steps `[samples, steps, layers]`.

    frames: as from `frames_of`. observe, filtered, first: as for `respond_windows`.
    """
    network, samples = model.network, len(frames)
    at, values = layout_of(network.maps), dynamics(network, model.formats, model.seed)._replace(filtered=filtered)
    parameters = parameters_of(model)
    state = new_state(network.maps, samples, parameters.weights.dtype.type, observe=observe, filtered=filtered)
    silent = Gradients(*(np.zeros((0, 1), kind) for kind in (np.float32, np.float32, np.float64, np.float32)))
    answers = np.zeros((samples, frames.shape[1], len(network.maps)), np.int32)
    winners = np.zeros((samples, 0), np.int32)
    numbers = np.arange(first, first + samples, dtype=np.int64)
    lesson = _lesson(model, np.zeros(samples, np.int64), samples)
    ranges = chunks(samples, 1, 2 * CHUNKS)
    size, real = ranges[0][1], True if values.fixed is None else None
    for first, last in _spans(plan):
        given = (
            at.table,
            values,
            values.fixed,
            real,
            parameters,
            frames,
            numbers,
            state,
            winners,
            lesson,
            silent,
            answers,
        )
        parallel_map(advance, ranges, size, (first, last), *given)
    return state, answers


def _spans(plan: Sequence[tuple[int, bool]]) -> list[tuple[int, int]]:
    """Steps that follow each other, as one range."""
    found: list[tuple[int, int]] = []
    for t, _ in plan:
        if found and found[-1][1] == t:
            found[-1] = (found[-1][0], t + 1)
        else:
            found.append((t, t + 1))
    return found


def frames_of(network: Decolle, windows: Images) -> Images:
    """`[samples, steps, height * width * channels]`."""
    if not isinstance(windows, np.ndarray) or windows.dtype != np.uint8 or windows.ndim != 5 or not windows.size:
        raise DataError(
            expected("windows", "an array of uint8 [samples, steps, H, W, C]", Unquoted(described(windows)))
        )
    if windows.shape[2:] != tuple(network.inputs):
        raise ShapeError(expected("windows", f"frames {list(network.inputs)}", list(windows.shape[2:])))
    return np.ascontiguousarray(windows.reshape(*windows.shape[:2], -1))
