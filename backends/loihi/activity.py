"""Spikes per step and estimated energy, from what was counted while the exact simulator ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from qpsnn_backends.loihi.limits import MESSAGE_PJ, SYNAPSE_PJ, UPDATE_PJ, Chip
from qpsnn_backends.loihi.mapping import Placed
from qpsnn_backends.loihi.projections import Population
from qpsnn_core.common.errors import ConfigError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Longs


class Activity(NamedTuple):
    """Of one image. spikes: of each population on the chip (or sent to it), per step; the others: in all.

    Synaptic operations are additions; messages go from a neuron to a core; every neuron is updated at every step.
    energy_uj: `23.6 pJ * synapses + 1.7 pJ * messages + 81 pJ * updates`, hops between tiles and idle power left out.
    """

    spikes: dict[str, float]
    synapses: float
    messages: float
    updates: int
    energy_uj: float


def activity(
    sources: tuple[Population, ...],
    placed: tuple[Placed, ...],
    reach: Mapping[str, Longs],
    counts: Mapping[str, Longs],
    images: int,
    steps: int,
    chip: Chip,
) -> Activity:
    """What the chip does for one image.

    sources: populations whose spikes reach the chip. reach: of each, [H, W, C], on how many cores a spike arrives.
    counts: of each, sums over all images and steps, as the exact simulator counts. An input of graded values counts as
    one spike for each element at each step. Raises ConfigError (a count that is missing, no images), ShapeError.
    """
    if images < 1:
        raise ConfigError(expected("images", "at least 1", images))
    fanout: dict[str, Longs] = {}
    for place in placed:
        for projection in place.population.projections:
            fanout[projection.source] = fanout.get(projection.source, 0) + projection.fanout
    spikes: dict[str, float] = {}
    synapses = messages = 0.0
    for source in sources:
        fired = _fired(source, counts, images, steps)
        spikes[source.name] = float(fired.sum()) / images / steps
        synapses += float((fired * fanout[source.name]).sum()) / images
        messages += float((fired * reach[source.name]).sum()) / images
    updates = steps * sum(place.population.neurons for place in placed)
    energy = (SYNAPSE_PJ * synapses + MESSAGE_PJ * messages + UPDATE_PJ * updates) * 1e-6
    return Activity(spikes, synapses, messages, updates, energy)


def _fired(source: Population, counts: Mapping[str, Longs], images: int, steps: int) -> Longs:
    graded = source.kind == "input" and (source.node.peak > 1 or source.node.low < 0)
    if graded and source.node.low:  # signed images are not counted: each carries a number at every step
        return np.full(source.shape, images * steps, np.int64)
    if source.name not in counts:
        raise ConfigError(expected(f"counts.{source.name}", "counted spikes", Unquoted("nothing")))
    found = np.asarray(counts[source.name], np.int64)
    if found.shape != source.shape:
        raise ShapeError(expected(f"counts.{source.name}", f"an array {source.shape}", Unquoted(f"{found.shape}")))
    if graded:
        return np.full(source.shape, images * steps, np.int64)
    return found
