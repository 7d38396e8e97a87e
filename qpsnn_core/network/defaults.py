"""What a Network chooses for nodes whose quantizer, gamma or gain was left to it, by the place of the node.

| place of the node | no quantizer given | a quantizer's gamma "auto" | gain |
|---|---|---|---|
| feeds the Readout, or is the CurrentReadout | INTEGER_LAST | "max" | 0: the paper's initial weights |
| feeds neurons that the readout counts | INTEGER_LAST | "max" | as below |
| reads the input, also through pools | INTEGER_FIRST | "max" | as below |
| between, with batch norm | `Quantizer(4, "mean")`, the paper's | "mean" | 0: batch norm sets the scale |
| between, without | `Quantizer(4, "max")` | "max" | GAIN times the threshold of the neurons it feeds |

A neuron without batch norm fires, and passes gradients (Eq. 14), only if its membrane comes near the threshold: so its
current needs a standard deviation of about the threshold. Gamma "mean" cuts off 42% of normally distributed weights,
which batch norm rescales and nothing else does; "max" cuts off none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from qpsnn_core.network.nodes import READOUTS
from qpsnn_core.network.ordered_graph import sources_of
from qpsnn_core.network.roles import NEITHER, NEURONS, ROLES, WEIGHTS
from qpsnn_core.network.values import ValueSpec
from qpsnn_core.quantization.formats import AUTO, PlaceQuantizer, Quantizer

INTEGER_FIRST = Quantizer(8, gamma="max")
INTEGER_LAST = Quantizer(8, gamma="max", granularity="layer")

GAIN = 2.0
"""Of inputs whose mean square is 0.25, the current's standard deviation is then the threshold."""


def resolve(nodes: tuple[Any, ...], values: Mapping[str, ValueSpec]) -> tuple[Any, ...]:
    """The nodes, with a gamma in place of each "auto", and a number in place of each gain that is None.

    values: what each node gives. Whatever else a quantizer was given stays; only that of a node that was given none is
    chosen as a whole.
    """
    return tuple(replace(node, **_choices(node, nodes, values)) if _open(node) else node for node in nodes)


def _open(node: Any) -> bool:
    return _role(node) == WEIGHTS and (_left_open(node.quantizer) or node.gain is None)


def _left_open(quantizer: Quantizer | None) -> bool:
    return quantizer is not None and quantizer.gamma == AUTO


def _role(node: Any) -> str:
    """Of ROLES; a kind that is not of `Node` is left to the parts of the code that refuse it by name."""
    return ROLES[node] if type(node) in ROLES.entries else NEITHER


def _choices(node: Any, nodes: tuple[Any, ...], values: Mapping[str, ValueSpec]) -> dict[str, Any]:
    readers = _readers(node, nodes, values)
    last = isinstance(node, READOUTS) or any(isinstance(one, READOUTS) and _role(one) != WEIGHTS for one in readers)
    thresholds = [reader.threshold for reader in readers if _role(reader) == NEURONS]
    chosen: dict[str, Any] = {}
    if _left_open(node.quantizer):
        first = _reads_input(node, nodes)
        ends = isinstance(node, READOUTS) or _before_readout(node, nodes)
        chosen["quantizer"] = _quantizer(node.quantizer, ends, first, node.batch_norm, node.sparse)
    if node.gain is None:
        plain = last or node.batch_norm or not thresholds
        chosen["gain"] = 0.0 if plain else GAIN * min(thresholds) / _largest(values[sources_of(node)[0]])
    return chosen


def _quantizer(own: Quantizer, last: bool, first: bool, batch_norm: bool, sparse: bool) -> Quantizer:
    bits, granularity = own.bits, own.granularity
    if isinstance(own, PlaceQuantizer) and (last or first):
        chosen = INTEGER_LAST if last else INTEGER_FIRST
        bits, granularity = chosen.bits, chosen.granularity
    gamma = "mean" if batch_norm and not (last or first) else "max"
    return Quantizer(bits, gamma, granularity, own.ste, own.percentile, own.zero or sparse)


def _reads_input(node: Any, nodes: tuple[Any, ...]) -> bool:
    """Whether no weights and no neurons lie between the input and the node."""
    names = {one.name: one for one in nodes}
    read = sources_of(node)[:1] if _role(node) == WEIGHTS else sources_of(node)  # the others of a synapse are its gates
    before = [names[source] for source in read]
    return all(one is nodes[0] or (_role(one) == NEITHER and _reads_input(one, nodes)) for one in before)


def _readers(node: Any, nodes: tuple[Any, ...], values: Mapping[str, ValueSpec]) -> list[Any]:
    """What a current drives, also through what is made of it without weights: pools, sums, concatenations."""
    found: list[Any] = []
    way = [node]
    for one in way:
        for reader in nodes:
            if one.name in sources_of(reader):
                through = values[reader.name].kind == "current" and _role(reader) == NEITHER
                kept = way if through else found
                kept += [reader] if reader not in kept else []
    return found


def _before_readout(node: Any, nodes: tuple[Any, ...]) -> bool:
    """Whether a readout reads what it gives, or what it drives, with no other weights between."""
    way = [node]
    for one in way:
        further = [reader for reader in nodes if one.name in sources_of(reader) and _role(reader) != WEIGHTS]
        way += [reader for reader in further if reader not in way]
    return any(isinstance(one, READOUTS) for one in way[1:])


def _largest(value: ValueSpec) -> float:
    """Of images, the largest magnitude of a pixel; 1 of spikes, and of real numbers, whose largest is not known."""
    return value.magnitude * value.scale if value.kind == "analog" and value.magnitude else 1.0
