"""Structured pruning: of every LIF the channels with the highest scores stay, the others leave the network."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.callers import users_level
from qpsnn_core.common.errors import (
    ConfigError,
    NothingPrunedWarning,
    NumericsError,
    ShapeError,
    Unquoted,
    expected,
)
from qpsnn_core.common.plain import plain
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.types import Arrays, Doubles, Longs
from qpsnn_core.common.validation import check_at_least, check_choice, check_kind
from qpsnn_core.compression.channels.heads import best_within, channels_of, clusters, heads_of, score_of_heads
from qpsnn_core.compression.channels.rates import Rates, kept_count, prunable, resolve
from qpsnn_core.compression.channels.remove import coupled_groups, remove_channels, segments, unprunable
from qpsnn_core.compression.channels.score import Scores
from qpsnn_core.engine.checks import check_model
from qpsnn_core.engine.passes import initialise
from qpsnn_core.engine.reach import warn_dead_in_model
from qpsnn_core.network import Conv, Network
from qpsnn_core.network.model import Model
from qpsnn_core.recipes.pruning import HEADS, REINITS, RESIDUALS

TIES = ("index", "sca")


@dataclass(frozen=True)
class LayerReport:
    """What pruning did to one LIF. parameters: of the synapses that feed it; the scores' means are None of nothing."""

    name: str
    rate: float
    channels_before: int
    channels_after: int
    parameters_before: int
    parameters_after: int
    score_kept: float | None
    score_removed: float | None


@dataclass(frozen=True)
class PruneReport:
    """What pruning did: layer by layer in the network's order, and the parameters of the whole model."""

    layers: tuple[LayerReport, ...]
    parameters_before: int
    parameters_after: int

    def __repr__(self) -> str:
        before, after = (
            sum(getattr(one, name) for one in self.layers) for name in ("channels_before", "channels_after")
        )
        return (
            f"PruneReport({len(self.layers)} LIF, channels {before:,} to {after:,}, "
            f"parameters {self.parameters_before:,} to {self.parameters_after:,})"
        )


class Pruned(NamedTuple):
    """The pruned model, the channels that each LIF kept (rising, numbered as before), and the report."""

    model: Model
    kept: dict[str, Longs]
    report: PruneReport

    def __repr__(self) -> str:
        return f"Pruned({self.model!r}, {self.report!r})"


def prune(
    model: Model,
    scores: Scores | Mapping[str, npt.ArrayLike],
    rates: Rates = 0.5,
    *,
    reinit: str = "carry",
    residual: str = "map",
    ties: str = "index",
    prune_last: bool = False,
    seed: int = 0,
    heads: str = "within",
) -> Pruned:
    """Remove the share `rates` of each LIF's channels, those with the lowest scores (Algorithm 1, step 2), at once.

    scores: of `score`, or any finite numbers [C] by LIF. rates: 0 to below 1: a number, a list, or a table by LIF,
    synapse or stage (`resolve`); a LIF of C channels keeps `C - ceil(rate*C)` of them, at least one. The LIF that
    the classifier reads loses none unless `prune_last`.
    reinit: "carry" keeps every array of what is left, batch norm and classifier included; "paper" only the weights
    of convolutions: the rest is drawn anew from `seed`.
    residual: "map" lets each LIF choose its own channels, and shortcuts map what is left of one to the other;
    "together" lets LIFs that a shortcut joins channel by channel keep the same. Where spikes meet in a Sum they must
    be the same. LIFs that keep the same channels go by the mean of their scores, and need the same rate.
    ties: among equal scores the lower index stays ("index"), or first the larger SCA of `scores` ("sca").
    heads: of attention, "within" takes the share of each head, so that `C/heads - ceil(rate*C/heads)` channels of it
    stay; "whole" takes the share of the heads, those with the lowest mean scores, from queries, keys and values, which
    then need the same rate.
    An optimizer's state does not fit the pruned model: fine-tuning starts a fresh one.
    Warns of layers that can never fire (DeadLayerWarning), and where no layer can lose channels (NothingPrunedWarning).
    Raises ConfigError (an argument), ShapeError, NumericsError (scores or model).
    """
    rates = plain(rates.tolist() if isinstance(rates, np.ndarray) else rates)
    reinit, residual, ties, prune_last, seed, heads = plain((reinit, residual, ties, prune_last, seed, heads))
    check_model(model, "prune.model")
    check_kind("prune.scores", scores, Scores, Mapping)
    check_kind("prune.prune_last", prune_last, bool)
    check_choice("prune.reinit", reinit, REINITS)
    check_choice("prune.residual", residual, RESIDUALS)
    check_choice("prune.ties", ties, TIES)
    check_choice("prune.heads", heads, HEADS)
    check_at_least("prune.seed", seed, 0)
    network = model.network
    together = residual == "together"
    chosen = prunable(network, prune_last=prune_last, together=together)
    rate = resolve(network, rates, chosen)
    if not chosen and isinstance(rates, float | int) and rates > 0:
        text = f"prune: rates of {rates:g} remove nothing: no layer can lose channels (the last only with prune_last)"
        warnings.warn(NothingPrunedWarning(text), stacklevel=users_level())
    check_coupled(network, rate, together=together, heads=heads)
    values = _checked("scores", network, scores.values if isinstance(scores, Scores) else scores)
    second = _second(network, scores, ties)
    kept: dict[str, Longs] = {}
    fixed, found = unprunable(network), segments(network)
    groups = coupled_groups(network, together=together)
    if heads == "whole":
        kept.update(_whole(network, groups, rate, values, second))
    for group in groups:
        channels = network.shape(group[0])[2]
        if not fixed.isdisjoint(group):
            kept.update({name: np.arange(network.shape(name)[2]) for name in group})
        elif group[0] not in kept:
            each = heads_of(network, found, group)
            count = kept_count(channels // each, rate[group[0]])
            own, other = _mean(values, group), _mean(second, group)
            best = best_within(lambda run: _best(own[run], other[run], count), channels, each)  # noqa: B023 - used at once
            kept.update(dict.fromkeys(group, best))
    kept = {node.name: kept[node.name] for node in network.neurons}
    pruned = remove_channels(model, kept)
    if reinit == "paper":
        pruned = _reinitialised(pruned, seed)
    warn_dead_in_model("prune", pruned)
    return Pruned(pruned, kept, _report(model, pruned, rate, values, kept))


def check_coupled(network: Network, rate: Mapping[str, float], *, together: bool, heads: str = "within") -> None:
    """ConfigError unless LIFs that keep the same channels, or of "whole" heads the same heads, have the same rate."""
    groups = coupled_groups(network, together=together)
    same = [(group, "channels") for group in groups]
    if heads == "whole":
        joined = clusters(network, segments(network), groups)
        same += [(tuple(name for group in own for name in group), "heads") for _, own in joined]
    for group, what in same:
        for name in group[1:]:
            if rate[name] != rate[group[0]]:
                want = f"{rate[group[0]]}, as {group[0]} keeps the same {what}"
                raise ConfigError(expected(f"rates.{name}", want, rate[name]))


def _whole(
    network: Network,
    groups: Sequence[tuple[str, ...]],
    rate: Mapping[str, float],
    values: Mapping[str, Doubles],
    second: Mapping[str, Doubles],
) -> dict[str, Longs]:
    """What stays where heads go as a whole."""
    kept: dict[str, Longs] = {}
    for heads, own in clusters(network, segments(network), groups):
        scores, others = (
            np.mean([score_of_heads(_mean(one, group), heads) for group in own], 0) for one in (values, second)
        )
        best = _best(scores, others, kept_count(heads, rate[own[0][0]]))
        for group in own:
            kept.update(dict.fromkeys(group, channels_of(best, heads, network.shape(group[0])[2])))
    return kept


def _best(scores: Doubles, second: Doubles, count: int) -> Longs:
    """The `count` channels with the highest scores, rising; of equal ones the higher `second`, then the lower index."""
    order = np.lexsort((np.arange(len(scores)), -second, -scores))
    return np.sort(order[:count])


def _mean(values: Mapping[str, Doubles], group: tuple[str, ...]) -> Doubles:
    total: Doubles = sum((values[name] for name in group), start=np.zeros(())) / len(group)
    return total


def _second(network: Network, scores: Any, ties: str) -> dict[str, Doubles]:
    if ties == "index":
        return {node.name: np.zeros(network.shape(node.name)[2]) for node in network.neurons}
    if not isinstance(scores, Scores):
        raise ConfigError(expected("prune.ties", "'index' for scores that are not of `score`", ties))
    return _checked("scores.sca", network, scores.sca)


def _checked(place: str, network: Network, scores: Mapping[str, npt.ArrayLike]) -> dict[str, Doubles]:
    """One finite number for each channel of every LIF; names that are no LIF's are refused."""
    sizes = {node.name: network.shape(node.name)[2] for node in network.neurons}
    for name in scores:
        if name not in sizes:
            raise ConfigError(expected(place, "the name of a LIF" + did_you_mean(name, sizes), name))
    found = {}
    for name, size in sizes.items():
        if name not in scores:
            raise ConfigError(expected(f"{place}.{name}", f"{size} scores", Unquoted("nothing")))
        found[name] = np.asarray(scores[name], np.float64)
        if found[name].shape != (size,):
            raise ShapeError(expected(f"{place}.{name}", f"[{size}]", list(found[name].shape)))
        if not np.isfinite(found[name]).all():
            raise NumericsError(expected(f"{place}.{name}", "finite numbers", Unquoted("NaN or infinity")))
    return found


def _reinitialised(model: Model, seed: int) -> Model:
    """Convolution weights, and gammas that are kept, as they are; all else as a new model of `seed` has it."""
    fresh = initialise(model.network, seed)
    params: Arrays = {name: dict(arrays) for name, arrays in fresh.params.items()}
    for node in model.network.of(Conv):
        params[node.name]["weight"] = model.params[node.name]["weight"]
    kept = {name: {"gamma": own["gamma"]} for name, own in model.state.items() if "gamma" in own}
    state: Arrays = {name: own | kept.get(name, {}) for name, own in fresh.state.items()}
    return fresh._replace(params=params, state=state)


def _report(
    before: Model,
    after: Model,
    rate: Mapping[str, float],
    values: Mapping[str, Doubles],
    kept: Mapping[str, Longs],
) -> PruneReport:
    layers = []
    for node in before.network.neurons:
        own = values[node.name]
        removed = np.delete(own, kept[node.name])
        layers.append(
            LayerReport(
                node.name,
                rate[node.name],
                len(own),
                len(kept[node.name]),
                _parameters(before, node.sources),
                _parameters(after, node.sources),
                math.fsum(own[kept[node.name]]) / len(kept[node.name]),
                math.fsum(removed) / len(removed) if removed.size else None,
            )
        )
    return PruneReport(tuple(layers), _parameters(before, before.params), _parameters(after, after.params))


def _parameters(model: Model, names: Any) -> int:
    return sum(array.size for name in names for array in model.params.get(name, {}).values())
