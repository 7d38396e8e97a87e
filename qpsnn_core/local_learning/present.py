"""Present samples to the network: learn from them, or record the spikes with which it responds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qpsnn_core.common.errors import DataError, ShapeError, Unquoted, expected
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.types import Array, Doubles, Images, Ints, Longs
from qpsnn_core.common.validation import check_kind, described
from qpsnn_core.integer.local.networks import TESTED
from qpsnn_core.kernels.neurons.diehl_cook import history_for, present_all, present_one
from qpsnn_core.kernels.neurons.diehl_cook_original import present_original_all, present_original_one
from qpsnn_core.kernels.threads import parallel_for
from qpsnn_core.local_learning.arithmetic import arithmetic, check_learnable
from qpsnn_core.local_learning.model import LocalModel
from qpsnn_core.local_learning.trains import intervals, repeated_intervals

AT_ONCE = 250
"""Samples between two reports of progress."""

UNSEEN = (np.inf, -np.inf, np.inf, -np.inf)
"""The range of variables that were never there."""

VARIABLES = ("membranes", "thresholds", "weights")


@dataclass(frozen=True)
class Responses:
    """counts: int64 `[samples, neurons]`, spikes. winners: int32 `[samples, steps]`. saturated: int64 `[samples, 3]`:
    how often a membrane, a threshold and a weight left the range of its format. seen: as of `Spikes`, if asked for.
    """

    counts: Longs
    winners: Ints
    saturated: Longs
    seen: Doubles | None = None


@dataclass(frozen=True)
class Spikes:
    """What one sample gave: `winners` `[steps]`, `counts` `[neurons]`, `saturated` `[3]`, the model after it, and
    `seen` `[4]`: the lowest and highest membrane and adaptation, in stored numbers.
    """

    winners: Ints
    counts: Longs
    saturated: Longs
    seen: Doubles
    model: LocalModel


def learn(
    model: LocalModel, images: Images, on_progress: Listener | None = None, *, observe: bool = False
) -> tuple[LocalModel, Responses]:
    """The model after it has learnt from each image in turn (STDP, adaptive thresholds), and its spikes meanwhile.

    images: uint8 `[samples, ...]`, as many numbers each as the network has inputs. To learn from two parts, one after
    the other, gives the same bits as from both at once. observe: also the range of its variables. Raises ConfigError
    (formats that cannot learn), DataError, ShapeError.
    """
    check_kind("model", model, LocalModel)
    check_learnable(model.network, model.formats)
    pixels = check_images(model, images)
    if model.seen + len(pixels) > TESTED:
        raise DataError(expected("images", f"at most {TESTED} samples in all", model.seen + len(pixels)))
    weights, adaptation = model.weights.copy(), model.adaptation.copy()
    found = _run(model, pixels, weights, adaptation, True, model.seen, "learn", on_progress, observe)
    return replace(model, weights=weights, adaptation=adaptation, seen=model.seen + len(pixels)), found


def respond(
    model: LocalModel,
    images: Images,
    on_progress: Listener | None = None,
    *,
    observe: bool = False,
    first: int = TESTED,
) -> Responses:
    """The spikes of a model that does not learn: weights and thresholds stay, nothing is normalised.

    images, observe: as for `learn`. first: the number of the first image, on which its draws depend. The same bits on
    any number of threads. Raises DataError, ShapeError.
    """
    check_kind("model", model, LocalModel)
    pixels = check_images(model, images)
    return _run(model, pixels, model.weights, model.adaptation, False, first, "evaluate", on_progress, observe)


def _run(
    model: LocalModel,
    pixels: Images,
    weights: Array,
    adaptation: Array,
    learning: bool,
    before: int,
    stage: str,
    on_progress: Listener | None,
    observe: bool,
) -> Responses:
    network = model.network
    layers, like = arithmetic(network, model.formats, model.seed)
    original = network.conductances is not None
    table = (repeated_intervals if original else intervals)(network.trains, network.dt)
    present = present_original_all if original else present_all
    seen: Doubles = np.array(UNSEEN if observe else [])
    winners: Ints = np.empty((len(pixels), network.trains.steps), np.int32)
    counts: Longs = np.empty((len(pixels), network.neurons), np.int64)
    lost: Longs = np.empty((len(pixels), 3), np.int64)
    batches = -(-len(pixels) // AT_ONCE)
    for batch in range(batches):
        part = slice(batch * AT_ONCE, (batch + 1) * AT_ONCE)
        images, first = pixels[part], before + part.start
        ranged = (images, table, weights, adaptation, layers, like, learning, first)
        rest = (winners[part], counts[part], seen, lost[part])
        if learning or observe:  # one array of ranges
            present(0, len(images), *ranged, *rest)
        else:
            parallel_for(present, len(images), 8, *ranged, *rest)
        if on_progress is not None:
            on_progress(Progress(stage, 1, 1, batch + 1, batches, None, None))
    return Responses(counts, winners, lost, seen if observe else None)


def check_images(model: LocalModel, images: Images) -> Images:
    """The images as `[samples, inputs]`. DataError, ShapeError: not those of the network's inputs."""
    inputs = model.network.inputs
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim < 2:
        raise DataError(expected("images", "an array of uint8 [samples, ...]", Unquoted(described(images))))
    if images[:1].size != inputs * len(images[:1]) or not len(images):
        raise ShapeError(
            expected("images", f"samples of {inputs} numbers, as the network's inputs", list(images.shape))
        )
    return np.ascontiguousarray(images.reshape(len(images), inputs))


def present_spikes(
    model: LocalModel, spikes: Array, *, learning: bool, winners: Ints | None = None, sample: int = 0
) -> Spikes:
    """One sample of given input spikes; with `learning`, the model that comes of it.

    spikes: 0 and 1, or truth values, `[steps, inputs]`. winners: int32 `[steps]`, who spikes at each step, or -1; None:
    drawn by the model's seed and the number `sample`. Raises DataError (a winner that did not cross its threshold),
    ShapeError.
    """
    check_kind("model", model, LocalModel)
    network = model.network
    if learning:
        check_learnable(network, model.formats)
    _check_spikes(spikes, (network.trains.steps, network.inputs))
    times, inputs = np.nonzero(spikes)
    first = np.searchsorted(times, np.arange(network.trains.steps + 1)).astype(np.int32)
    given = _given(winners, network.trains.steps, network.neurons)
    layers, like = arithmetic(network, model.formats, model.seed)
    weights, adaptation = model.weights.copy(), model.adaptation.copy()
    fired: Ints = np.empty(network.trains.steps, np.int32)
    counts, lost = np.empty(network.neurons, np.int64), np.zeros(3, np.int64)
    seen: Doubles = np.array(UNSEEN)
    network_arrays = (weights, adaptation, layers, like)
    if network.conductances is not None:
        if winners is not None:
            raise DataError(expected("winners", "None: with conductances, all neurons that cross spike", "winners"))
        out = (fired, counts, seen, lost)
        present_original_one(first, inputs.astype(np.int32), *network_arrays, learning, sample, *out)
        return Spikes(fired, counts, lost, seen, _after(model, weights, adaptation, learning))
    strange = present_one(
        first,
        inputs.astype(np.int32),
        given,
        *network_arrays,
        learning,
        sample,
        fired,
        counts,
        seen,
        lost,
        history_for(0, adaptation),
    )
    if strange:
        raise DataError(expected("winners", "neurons that reach their thresholds", Unquoted(f"{strange} that did not")))
    return Spikes(fired, counts, lost, seen, _after(model, weights, adaptation, learning))


def _after(model: LocalModel, weights: Array, adaptation: Array, learning: bool) -> LocalModel:
    return replace(model, weights=weights, adaptation=adaptation, seen=model.seen + int(learning))


def _check_spikes(spikes: Array, shape: tuple[int, int]) -> None:
    if not isinstance(spikes, np.ndarray) or spikes.dtype.kind not in "bu" or (spikes > 1).any():
        raise DataError(
            expected("spikes", "an array of 0 and 1, unsigned or truth values", Unquoted(described(spikes)))
        )
    if spikes.shape != shape:
        raise ShapeError(expected("spikes", f"[steps, inputs] = {list(shape)}", list(spikes.shape)))


def _given(winners: Ints | None, steps: int, neurons: int) -> Ints:
    if winners is None:
        return np.zeros(0, np.int32)
    if not isinstance(winners, np.ndarray) or winners.dtype.kind not in "iu" or winners.shape != (steps,):
        raise DataError(expected("winners", f"integers [{steps}]", Unquoted(described(winners))))
    if winners.min() < -1 or winners.max() >= neurons:
        raise DataError(expected("winners", f"-1 to {neurons - 1}", Unquoted(f"{winners.min()} to {winners.max()}")))
    return winners.astype(np.int32)
