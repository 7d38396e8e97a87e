"""How high the membranes of a trained network can get, whatever its images; from it, the layers that can never fire.

Values are in real units: a spike is 1, an image `x` its scaled integers. A channel that can never fire gives nothing
to the layers behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.dead_layers import DeadLayer, Reach, dead_layers, warn_dead_layers
from qpsnn_core.common.elementary import sum_of_powers
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.types import Doubles
from qpsnn_core.engine.folded import folded
from qpsnn_core.kernels.linalg.sums import sum_down
from qpsnn_core.kernels.neurons.learned import leaks, real_thresholds
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.membranes import quantized
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Node, Readout, Sum, Upsample
from qpsnn_core.network.synapses import Conv, Linear, Shortcut

ROUNDING = 1e-5
"""By what share sums in float32 may exceed these bounds."""

REAL_INPUT = 1.0
"""The magnitude that real-valued images are taken to have, as their network states none."""


LARGE = 1e30
"""What stands for the ends of a membrane that another node reads."""


class Ends(NamedTuple):
    """The lowest (at most 0) and the highest (at least 0) value of each channel; of a current, its true ends. [C]."""

    low: Doubles
    high: Doubles


def reaches(model: Model) -> Iterator[Reach]:
    """The highest membrane of each LIF before it first fires, within T steps, [C].

    Without a spike there is no reset: `U~[t] = drive * (1 + beta + ... + beta**(t-1))` at most, drive the sum of the
    currents' high ends. A negative drive is highest at the first step. Levels of membranes are followed step by step.
    """
    network = model.network
    real = network.input.peak is None
    given = f", given inputs of magnitude up to {REAL_INPUT:g} (the network states no peak)" if real else ""
    found: dict[str, Ends] = {}
    for node in network:
        ends = ENDS[node](model, node, [found[source] for source in node.sources])
        if isinstance(node, LIF):
            threshold = real_thresholds(node, model.params.get(node.name, {}), len(ends.high))
            yield Reach(node.name, ends.high, threshold, network.steps, given)
            ends = Ends(np.zeros(len(ends.high)), (ends.high >= threshold).astype(np.float64))
        found[node.name] = ends


def dead_in_model(model: Model, fired: Mapping[str, int] | None = None, seen: str = "") -> list[DeadLayer]:
    """The LIFs that cannot fire; given the spikes of a run, also those that did not. Arguments as in `dead_layers`."""
    return dead_layers(reaches(model), fired, seen)


def warn_dead_in_model(place: str, model: Model) -> None:
    """A DeadLayerWarning for each LIF that cannot fire."""
    warn_dead_layers(place, dead_in_model(model))


def _input(model: Model, node: Input, sources: list[Ends]) -> Ends:
    channels = node.shape[2]
    if node.peak is None:
        return Ends(np.full(channels, -REAL_INPUT), np.full(channels, REAL_INPUT))
    return Ends(np.full(channels, node.low * node.scale), np.full(channels, node.peak * node.scale))


def _synapse(model: Model, node: Conv | Linear, sources: list[Ends]) -> Ends:
    """Each weight takes the end that suits it; what padding leaves out is 0, which lies between the ends."""
    source = sources[0]  # the others are its gates: what they close is 0, which lies between the ends, too
    weight, bias = folded(model, node)
    groups = getattr(node, "groups", 1)
    rows = weight.reshape(-1, len(source.low) // groups, groups, weight.shape[-1] // groups)
    ends = [rows * end.reshape(groups, -1).T[..., None] for end in (source.high, source.low)]
    low, high = (sum_down(pick(*ends).reshape(-1, weight.shape[-1])) for pick in (np.minimum, np.maximum))
    return Ends(low + bias, high + bias)


def _current_readout(model: Model, node: CurrentReadout, sources: list[Ends]) -> Ends:
    """Of the sum of its currents, as of a synapse."""
    total = _sum(model, node, sources)
    weight, bias = folded(model, node)
    ends = [weight * end[:, None] for end in (total.high, total.low)]
    low, high = (sum_down(pick(*ends)) for pick in (np.minimum, np.maximum))
    return Ends(low + bias, high + bias)


def _shortcut(model: Model, node: Shortcut, sources: list[Ends]) -> Ends:
    (source,) = sources
    mapped = np.array(node.mapping(len(source.low)))
    low, high = (np.where(mapped >= 0, end[mapped], 0.0) for end in source)
    return Ends(low, high)


def _membrane(model: Model, node: LIF, sources: list[Ends]) -> Ends:
    high = np.sum([source.high for source in sources], axis=0)
    low = np.sum([source.low for source in sources], axis=0)
    steps, own = model.network.steps, model.params.get(node.name, {})
    beta = float(leaks(node, own).max()) if "leak" in node.learn else node.beta
    if node.membrane is not None:
        return Ends(low, _highest(node, beta, real_thresholds(node, own, len(high)), high, steps))
    total = sum_of_powers(beta, steps)
    return Ends(low, np.where(high > 0, high * total * (1 + ROUNDING), high))


def _highest(node: LIF, beta: float, threshold: Doubles, drive: Doubles, steps: int) -> Doubles:
    """Of membranes that go to levels, which rise by one at least in a step, or no more."""
    how: Any = node.membrane
    step, highest = threshold / how.parts, drive + ROUNDING * np.abs(drive)
    for _ in range(min(steps - 1, how.levels)):
        left = step * np.maximum(quantized(how, highest / step), 0)
        highest = np.maximum(highest, (drive + beta * left) + ROUNDING * (np.abs(drive) + left))
    return highest


def _same(model: Model, node: Node, sources: list[Ends]) -> Ends:
    """The largest, or the mean, of values between two ends is between them."""
    return sources[0]


def _sum(model: Model, node: Sum | CurrentReadout, sources: list[Ends]) -> Ends:
    low, high = (np.sum([source[end] for source in sources], axis=0) for end in (0, 1))
    return Ends(low, high)


def _concat(model: Model, node: Concat, sources: list[Ends]) -> Ends:
    low, high = (np.concatenate([source[end] for source in sources]) for end in (0, 1))
    return Ends(low, high)


def _mask(model: Model, node: ChannelGate | SpatialGate, sources: list[Ends]) -> Ends:
    channels = model.network.shape(node.name)[2]
    return Ends(np.zeros(channels), np.ones(channels))


def _prior(model: Model, node: Membrane, sources: list[Ends]) -> Ends:
    """A membrane's ends are not computed: a gate's predictor reads them, and a mask is 0 or 1 whatever they are."""
    channels = model.network.shape(node.name)[2]
    return Ends(np.full(channels, -LARGE), np.full(channels, LARGE))


def _attention(model: Model, node: SelfAttention, sources: list[Ends]) -> Ends:
    """Every token matches in every channel of its head that can fire in q and in k."""
    query, key, value = (source.high for source in sources)
    height, width, _ = model.network.shape(node.name)
    channels = (query * key).reshape(node.heads, -1)
    matches = sum_down(np.ascontiguousarray(channels.T)) * (height * width * node.scale)
    high = np.repeat(matches, len(value) // node.heads) * value
    return Ends(np.zeros(len(high)), high)


ENDS: KindTable[Callable[[Model, Any, list[Ends]], Ends]] = KindTable(
    "the reach of membranes",
    {
        Input: _input,
        Conv: _synapse,
        Linear: _synapse,
        Shortcut: _shortcut,
        LIF: _membrane,
        MaxPool: _same,
        AvgPool: _same,
        Sum: _sum,
        Concat: _concat,
        Upsample: _same,
        Dropout: _same,
        ChannelGate: _mask,
        SpatialGate: _mask,
        Membrane: _prior,
        SelfAttention: _attention,
        Readout: _same,
        CurrentReadout: _current_readout,
    },
)
"""From the kind of node to the ends of what it gives, of a LIF of its membrane."""
