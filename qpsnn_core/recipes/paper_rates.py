"""The paper's pruning rates (Tables 9 to 11), layer by layer."""

from __future__ import annotations

from collections.abc import Mapping

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.plain import plain
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.validation import check_kind

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


def paper_rates(name: str, *rates: float) -> dict[str, float]:
    """The paper's rates over a network of the zoo, for `prune`: a column of Tables 9 to 11, or its layout of others.

    name: of PAPER_SETS, such as "cifar10-0.51", without rates; or of a network, with rates: "vgg16", two, of
    convolutions 1 to 7, and 8 to 12; "vggsnn", two, of 1 to 3, and 4 to 7; "resnet20", three, of conv0, of the outputs
    of the first two stages and the first block's middle, and of the other middles.
    Raises ConfigError: another name, or number of rates.
    """
    rates = plain(rates)
    check_kind("paper_rates.name", name, str)
    layouts = PAPER_LAYOUTS
    if name in PAPER_SETS and not rates:
        name, rates = PAPER_SETS[name]
    if name not in layouts:
        known = (*layouts, *PAPER_SETS)
        raise ConfigError(expected("paper_rates.name", f"one of {', '.join(known)}", name) + did_you_mean(name, known))
    if len(rates) != len(layouts[name]):
        raise ConfigError(expected("paper_rates.rates", f"{len(layouts[name])} rates for {name}", len(rates)))
    checked = [checked_rate(f"paper_rates.rates[{index}]", rate) for index, rate in enumerate(rates)]
    if name == "resnet20":
        outputs = [f"layer{stage}.{block}.lif2" for stage in (1, 2) for block in range(3)]
        middles = [f"layer{stage}.{block}.lif1" for stage in (1, 2, 3) for block in range(3)]
        names = [["lif0"], [*outputs, middles[0]], middles[1:]]
    else:
        first, second = layouts[name]
        names = [[f"lif{i + 1}" for i in range(first)], [f"lif{first + i + 1}" for i in range(second)]]
    return {lif: rate for group, rate in zip(names, checked, strict=True) for lif in group}


def checked_rate(place: str, rate: object) -> float:
    """The share of channels to remove; ConfigError, naming the place, unless it is from 0 to below 1."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
        raise ConfigError(expected(place, "a number from 0 to below 1", rate))
    return float(rate)
