"""What would make a network fit: fewer bits, fewer fraction bits, pruning, more chips; and what nothing makes fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qpsnn_backends.loihi.limits import LOIHI1, WEIGHT_BITS, Chip
from qpsnn_backends.loihi.projections import Population
from qpsnn_backends.loihi.ranges import Need
from qpsnn_core.common.kind_table import OptionTable
from qpsnn_core.integer.network import IntegerNetwork

RESETS: OptionTable[Mapping[str, str]] = OptionTable(
    "the Loihi report",
    "reset",
    {
        "zero": {},
        "subtract": {
            LOIHI1.name: "its neuron is set to zero by a spike, and cannot keep what is above the threshold "
            '(nengo-loihi, pull request 276): train with reset = "zero", or take loihi2, whose neuron is a program'
        },
    },
)
"""By reset, the chips whose neuron has none of the kind: why, and what would make it fit."""


WHOLE = (
    f"rounds its membrane to levels; {LOIHI1.name}: its neuron keeps its membrane whole: train with membrane = None, "
    "or take loihi2, whose neuron is a program"
)


def chip_remedy(use: Any) -> str:
    """One sentence for a resource of the whole chip that there is not enough of."""
    chips, share = -(-use.used // use.maximum), _share(use)
    return f"spread it over {chips} chips, or prune {share} of its {use.resource}"


def core_remedy(use: Any) -> str:
    """One sentence for a resource of a core that not even a single neuron leaves enough of."""
    share = _share(use)
    what = "reaches" if use.resource.startswith("out") else "reads"
    return f"even a single neuron takes too much: prune {share} of the channels that it {what}"


def _share(use: Any) -> str:
    """How much of it is too much, rounded up."""
    return f"{-(-100 * (use.used - use.maximum) // use.used)}%"


def value_remedy(need: Need, steps: bool, readout: bool) -> str:
    """One sentence for integers that are too large. steps: whether fewer time steps would help."""
    if need.fraction is None:
        return f"quantize {need.place} to {WEIGHT_BITS - 1} bits: codes are odd, and need one bit more for the sign"
    if need.fraction >= 0:
        return f"lower with at most {need.fraction} {'readout' if readout else 'fraction'} bits"
    fewer = "fewer bits of its weights, fewer inputs" + (", fewer time steps" if steps else "")
    return f"{-need.fraction} bits too many even without fraction bits: {fewer}"


def unsupported(every: tuple[Population, ...], host: set[str], network: IntegerNetwork, chip: Chip) -> Iterator[str]:
    """What cannot run on the chip at all, whatever the figures."""
    for population in every:
        name = population.name
        if population.kind == "neurons":
            lacking = RESETS[population.node]
            if chip.name in lacking and name not in host:
                yield f"{name}: resets by subtraction; {chip.name}: {lacking[chip.name]}"
            if chip.name == LOIHI1.name and name not in host and population.node.membrane is not None:
                yield f"{name}: {WHOLE}"
        if population.kind == "pool" and name not in host:
            max_count = network.values[population.node.source].max_count
            if max_count > 1:
                yield f"{name}: the largest of counts up to {max_count}: a neuron can only tell that some spike came"
        sources = {p.source for p in population.projections}
        inside = sources - host
        if name in host and population.kind != "input" and inside:
            range_ = f"integers {network.input.low}..{network.input.peak}"
            want = f"{network.input.name}, {range_}, more than a spike of {chip.name} carries"
            yield f"{name}: reads {want}, and {', '.join(sorted(inside))} on the chip: split it in two"
