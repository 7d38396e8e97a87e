"""Which share of the channels each LIF loses: from one number, a list, or a table by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from qpsnn_core.channels import fixed, origins, tied
from qpsnn_core.errors import ConfigError, expected
from qpsnn_core.network import Network
from qpsnn_core.structure import nearest

Rates = float | Sequence[float] | Mapping[str, float]

PAPER_LAYOUTS = {"vgg16": (7, 5), "vggsnn": (3, 4), "resnet20": (1, 7, 8)}
"""How many LIFs share each of the paper's rates."""

PAPER_SETS: Mapping[str, tuple[str, tuple[float, ...]]] = {
    "cifar10-0.51": ("vgg16", (0.45, 0.51)),
    "cifar10-0.8": ("vgg16", (0.49, 0.8)),
    "cifar10-0.6": ("resnet20", (0.1, 0.3, 0.6)),
    "cifar10-0.75": ("resnet20", (0.1, 0.35, 0.75)),
    "cifar100-0.7": ("vgg16", (0.45, 0.7)),
    "cifar100-0.78": ("vgg16", (0.45, 0.78)),
    "cifar100-0.6": ("resnet20", (0.1, 0.3, 0.6)),
    "cifar100-0.75": ("resnet20", (0.1, 0.35, 0.75)),
    "tinyimagenet-0.51": ("vgg16", (0.45, 0.51)),
    "tinyimagenet-0.62": ("vgg16", (0.45, 0.62)),
    "dvs-cifar10-0.7": ("vggsnn", (0.5, 0.7)),
    "dvs-cifar10-0.8": ("vggsnn", (0.5, 0.8)),
    "dvs-cifar10-0.93": ("vggsnn", (0.82, 0.93)),
}
"""The columns of Tables 9 to 11, by dataset and largest rate: the network, and its rates."""


def prunable(network: Network, *, prune_last: bool = False, together: bool = False) -> tuple[str, ...]:
    """The LIFs that can lose channels, in order.

    Not those that are `fixed`, and unless `prune_last` not the `last`, nor any that keeps the same channels as one of
    these (`tied`, with the same `together`).
    """
    excluded = fixed(network) | (frozenset() if prune_last else frozenset(last(network)))
    free = {name for group in tied(network, together=together) if not excluded & set(group) for name in group}
    return tuple(node.name for node in network.neurons if node.name in free)


def last(network: Network) -> tuple[str, ...]:
    """The LIFs that the classifier reads: the synapse of the Readout."""
    origin = origins(network)
    current = network[network.readout.source]
    return tuple(node.name for node in network.neurons if any(node.name in origin[name] for name in current.sources))


def resolve(network: Network, rates: Rates, chosen: Sequence[str]) -> dict[str, float]:
    """The rate of every LIF, in order; 0 for one that is not `chosen` (`prunable`) or not named.

    rates: one number for all chosen LIFs; a list with one for each, in order; or a table, whose keys are a LIF, a
    synapse that feeds one, or a stage, which is what their names begin with ("layer1", "layer1.0"); of several that
    fit, the longest counts. Raises ConfigError, naming the place: a rate that is not from 0 to below 1, a length, a
    name, a rate above 0 for what is not chosen at all.
    """
    found = dict.fromkeys((node.name for node in network.neurons), 0.0)
    if isinstance(rates, Mapping):
        found.update(_by_name(network, {key: _rate(f"rates.{key}", rate) for key, rate in rates.items()}, chosen))
    elif isinstance(rates, Sequence) and not isinstance(rates, str):
        if len(rates) != len(chosen):
            want = f"{len(chosen)} numbers, one for each of {', '.join(chosen)}"
            raise ConfigError(expected("rates", want, len(rates)))
        found.update((name, _rate(f"rates[{i}]", rates[i])) for i, name in enumerate(chosen))
    else:
        found.update(dict.fromkeys(chosen, _rate("rates", rates)))
    return found


def kept_count(channels: int, rate: float) -> int:
    """`channels - ceil(rate * channels)` (Algorithm 1), at least 1; the rate is the decimal number it prints as."""
    return max(1, channels - math.ceil(Fraction(repr(float(rate))) * channels))


def paper_rates(name: str, *rates: float) -> dict[str, float]:
    """The paper's rates over a network of the zoo, for `prune`: a column of Tables 9 to 11, or its layout of others.

    name: of PAPER_SETS, such as "cifar10-0.51", without rates; or of a network, with rates: "vgg16", two, of
    convolutions 1 to 7, and 8 to 12; "vggsnn", two, of 1 to 3, and 4 to 7; "resnet20", three, of conv0, of the outputs
    of the first two stages and the first block's middle, and of the other middles.
    Raises ConfigError: another name, or number of rates.
    """
    layouts = PAPER_LAYOUTS
    if name in PAPER_SETS and not rates:
        name, rates = PAPER_SETS[name]
    if name not in layouts:
        known = (*layouts, *PAPER_SETS)
        raise ConfigError(expected("paper_rates.name", f"one of {', '.join(known)}", name) + nearest(name, known))
    if len(rates) != len(layouts[name]):
        raise ConfigError(expected("paper_rates.rates", f"{len(layouts[name])} rates for {name}", len(rates)))
    checked = [_rate(f"paper_rates.rates[{index}]", rate) for index, rate in enumerate(rates)]
    if name == "resnet20":
        outputs = [f"layer{stage}.{block}.lif2" for stage in (1, 2) for block in range(3)]
        middles = [f"layer{stage}.{block}.lif1" for stage in (1, 2, 3) for block in range(3)]
        names = [["lif0"], [*outputs, middles[0]], middles[1:]]
    else:
        first, second = layouts[name]
        names = [[f"lif{i + 1}" for i in range(first)], [f"lif{first + i + 1}" for i in range(second)]]
    return {lif: rate for group, rate in zip(names, checked, strict=True) for lif in group}


def _by_name(network: Network, rates: dict[str, float], chosen: Sequence[str]) -> dict[str, float]:
    """The rates of chosen LIFs by a table."""
    found: dict[str, float] = {}
    names: dict[str, list[str]] = {}
    for node in network.neurons:
        exact = (node.name, *node.sources)
        stages = sorted({stage for name in exact for stage in _stages(name)}, key=len, reverse=True)
        for key in (*exact, *stages):
            names.setdefault(key, []).append(node.name)
        fit = [key for key in exact if key in rates] or [key for key in stages if key in rates][:1]
        for key in fit[1:]:
            if rates[key] != rates[fit[0]]:
                want = f"{rates[fit[0]]} (rates.{fit[0]} is of the same channels)"
                raise ConfigError(expected(f"rates.{key}", want, rates[key]))
        if fit and node.name in chosen:
            found[node.name] = rates[fit[0]]
    for key, rate in rates.items():
        if key not in names:
            raise ConfigError(expected("rates", "the name of a LIF, a synapse or a stage" + nearest(key, names), key))
        if rate > 0 and not set(names[key]) & set(chosen):
            want = f"0 ({', '.join(names[key])} keeps all channels; the last layer loses some only with prune_last)"
            raise ConfigError(expected(f"rates.{key}", want, rate))
    return found


def _stages(name: str) -> list[str]:
    """What a dotted name begins with: "layer1.0.conv1" gives "layer1", "layer1.0"."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _rate(place: str, rate: object) -> float:
    if isinstance(rate, bool) or not isinstance(rate, (int, float, np.floating)) or not 0 <= rate < 1:
        raise ConfigError(expected(place, "a number from 0 to below 1", rate))
    return float(rate)
