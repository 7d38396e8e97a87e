"""The exact simulator: an integer network on images, bit for bit what every backend must give."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from math import prod
from typing import Any, get_args
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import ConfigError, ShapeError, Unquoted, expected
from qpsnn_core.common.input_range import image_type
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.plain import plain
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.types import Array
from qpsnn_core.common.validation import check_kind, numbers_of
from qpsnn_core.integer.backends import Record, Run
from qpsnn_core.integer.dead import warn_dead_integers
from qpsnn_core.integer.gates import additions, adds_itself
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv
from qpsnn_core.integer.plan import Key, plan_for, prepared
from qpsnn_core.integer.step import Fired
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.neurons.integer_lif import add_counts
from qpsnn_core.kernels.threads import parallel_for
from qpsnn_core.network.images import check_images

MEMORY = 2**27
"""Bytes that one batch of images may take on its way through the network, records aside."""

_fitting: WeakKeyDictionary[IntegerNetwork, tuple[int, frozenset[str], frozenset[str]]] = WeakKeyDictionary()
"""Of each network, what its last run recorded, of how many images: that fitted, and fits again."""


def simulate(
    network: IntegerNetwork,
    images: Array,
    *,
    record: Record | Collection[str] = "none",
    count: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Run images, integers of the input's range: [B, H, W, C], or frames [T, B, H, W, C].

    record: "none", "spikes" of all LIF, "all" their spikes and membranes, or the names of the LIF to record (both).
    count: whether to count what fires, for SOPs. The plan of the run is kept for the network's next one.
    progress: called with (images done, images). Results depend neither on threads nor on batches.
    Warns of layers that can never fire (DeadLayerWarning).
    Raises ShapeError, DataError (dtype, range, no images), NumericsError (NaN, infinity), ConfigError (record).
    """
    record, count = plain((record, count))
    check_kind("simulate.network", network, IntegerNetwork)
    check_kind("simulate.count", count, bool)
    warn_dead_integers("simulate", network)
    return simulate_from(network, images, {}, record=record, count=count, progress=progress)


def simulate_from(
    network: IntegerNetwork,
    images: Array,
    initial: Mapping[str, Array],
    *,
    record: Record | Collection[str] = "none",
    count: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """`simulate`, with membranes of LIF before the first step, int32 [B, H, W, C], as an earlier run left them.

    That no membrane leaves int32 on the way is proven for those that begin at 0: see `stateful`. Raises also
    ShapeError (membranes).
    """
    images = integer_images(network, images)
    spiking, moving = _recorded(network, record)
    total = images.shape[-4]
    for name, array in initial.items():
        want = (total, *network.shape(name))
        if array.dtype != np.int32 or array.shape != want:
            got = Unquoted(f"{array.dtype} {list(array.shape)}")
            raise ShapeError(expected(f"{name}: membranes to begin with", f"int32 {list(want)}", got))
    wanted = total, frozenset(spiking), frozenset(moving)
    if _fitting.get(network) != wanted:
        check_fits("simulate: one image", {name: network.steps * prod(v.shape) for name, v in network.values.items()})
        check_fits(f"simulate: what is recorded of {total} images", _recorded_bytes(network, total, spiking, moving))
        _fitting[network] = wanted
    size = max(1, min(total, MEMORY // _bytes(network)))
    run = _empty(network, total, spiking, moving, count)
    for start in range(0, total, size):
        part = slice(start, min(start + size, total))
        _walk(network, images[..., part, :, :, :], run, part, initial)
        if progress is not None:
            progress(part.stop, total)
    return run


def predict(network: IntegerNetwork, images: Array) -> npt.NDArray[np.int64]:
    """The class of each image, int64 [B]: the largest readout, the first of equal ones.

    Raises as `simulate`, and NetworkError of a network whose readouts are no classes.
    """
    check_kind("predict.network", network, IntegerNetwork)
    network.classes  # noqa: B018 - refuses several readouts, and maps
    best: npt.NDArray[np.int64] = simulate(network, images, count=False).readout.argmax(1)
    return best


def integer_images(network: IntegerNetwork, images: Array) -> Array:
    """The images as an array, if the network takes them; truth values are integers. Raises as `check_images`."""
    return check_images(network.input, numbers_of(f"{network.input.name}: images", images), network.steps, kinds="uib")


def _recorded(network: IntegerNetwork, record: Record | Collection[str]) -> tuple[set[str], set[str]]:
    """The LIF whose spikes, and those whose membranes are recorded."""
    names = {name for name, value in network.values.items() if value.membrane is not None}
    if isinstance(record, str):
        if record not in get_args(Record):
            want = f"one of {', '.join(get_args(Record))}, or the names of LIF nodes"
            raise ConfigError(expected("record", want, record) + did_you_mean(record, get_args(Record)))
        return (names if record != "none" else set()), (names if record == "all" else set())
    check_kind("record", record, Collection)
    for name in record:
        if not isinstance(name, str) or name not in names:
            raise ConfigError(expected("record", "the name of a LIF" + did_you_mean(name, names), name))
    return set(record), set(record)


def _recorded_bytes(network: IntegerNetwork, total: int, spiking: set[str], moving: set[str]) -> dict[str, int]:
    """What `_empty` takes, without what does not grow with the images."""
    whole = {name: network.steps * total * prod(network.shape(name)) for name in spiking | moving}
    found = {name: size * (4 * (name in moving) + (name in spiking)) for name, size in whole.items()}
    return {**{node.name: 8 * total * prod(network.shape(node.name)) for node in network.readouts}, **found}


def _empty(network: IntegerNetwork, total: int, spiking: set[str], moving: set[str], count: bool) -> Run:
    def room(names: set[str], dtype: Any) -> dict[str, Array]:
        ordered = [node.name for node in network if node.name in names]
        return {name: np.empty((network.steps, total, *network.shape(name)), dtype) for name in ordered}

    counted = {name: value.shape for name, value in network.values.items() if count and value.kind == "counts"}
    counted |= {
        node.name: network.shape(node.name) for node in network.of(IntConv) if count and adds_itself(network, node)
    }
    counts = {name: np.zeros(shape, np.int64) for name, shape in counted.items()}
    shapes = {node.name: (total, *network.answer_shape(node.name)) for node in network.readouts}
    readouts = {name: np.empty(shape, np.int64) for name, shape in shapes.items()}
    return Run(readouts, room(spiking, np.uint8), room(moving, np.int32), counts)


def each_value(
    network: IntegerNetwork, images: Array, initial: Mapping[str, Array], keep: Collection[str] = ()
) -> Iterator[tuple[str, Any]]:
    """Run a batch of checked images through all nodes: each node's name and what it gives, in order.

    keep: the LIF whose membranes are wanted. A value is dropped after its last reader; one that the caller keeps stays
    as it is, whatever runs later.
    """
    own = np.ascontiguousarray(
        images if images.ndim == 5 else images[None], image_type(network.input.low, network.input.peak)
    )
    membranes = {name: np.ascontiguousarray(array) for name, array in initial.items()}
    for name, value, run in prepared(network, own, membranes, keep, empty):
        run()
        yield name, value


def _walk(network: IntegerNetwork, images: Array, run: Run, part: slice, initial: Mapping[str, Array]) -> None:
    """Run one batch through all nodes and write what is recorded."""
    begin = {name: membranes[part] for name, membranes in initial.items()}
    frames = images if images.ndim == 5 else images[None]
    given: dict[str, Any] = {}
    with plan_for(network, Key(frames.shape, frozenset(run.membranes), frozenset(begin))) as plan:
        for name, value in plan.run(frames, begin):
            counts = given[name] = _write(run, name, part, value) if isinstance(value, Fired) else value
            node = network[name]
            if isinstance(node, IntConv) and name in run.counts:
                run.counts[name] += additions(network, node, given)
            elif name in run.counts:
                most, times = network.values[name].max_count, network.steps // len(counts)
                _count(counts, most, times, run.counts[name])
            if name in run.readouts:
                run.readouts[name][part] = counts.reshape(run.readouts[name][part].shape)


def _count(value: Array, most: int, times: int, sums: Array) -> None:
    """Add what each neuron counts over all steps and images, `most` at a time, to `sums`, int64 [H, W, C]."""
    flat = value.reshape(len(value) * value.shape[1], -1)
    frames = _frames_per_sum(value.dtype, most)
    parallel_for(add_counts, flat.shape[1], 256, flat, frames, times, sums.reshape(-1))


@cache
def _frames_per_sum(dtype: Any, most: int) -> int:
    """Of so many counts up to `most`, the type holds the sum."""
    return int(np.iinfo(dtype).max) // max(1, most)


def _write(run: Run, name: str, part: slice, fired: Fired) -> Array:
    if name in run.spikes:
        run.spikes[name][:, part] = fired.spikes
    if fired.membranes is not None and name in run.membranes:
        run.membranes[name][:, part] = fired.membranes
    return fired.spikes


def _bytes(network: IntegerNetwork) -> int:
    """About the most that one image takes: its largest current and what it is made from."""
    return 8 * network.steps * max(prod(value.shape) for value in network.values.values())
