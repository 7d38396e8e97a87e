"""What a Network chooses for nodes whose quantizer or gain was left to it, by the place of the node.

| place of the node | quantizer | gain |
|---|---|---|
| feeds the readout | INTEGER_LAST | 0: the paper's initial weights |
| reads the input, also through pools | INTEGER_FIRST | as below |
| between, with batch norm | the paper's: gamma "mean" | 0: batch norm sets the scale |
| between, without | gamma "max", which clips nothing | GAIN times the threshold of the neurons it feeds |

A neuron without batch norm fires, and passes gradients (Eq. 14), only if its membrane comes near the threshold: so its
current needs a standard deviation of about the threshold. Gamma "mean" cuts off 42% of normally distributed weights,
which batch norm rescales and nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from qpsnn_core.network.ordered_graph import sources_of
from qpsnn_core.network.values import ValueSpec
from qpsnn_core.quantization.formats import AUTO, Quantizer

INTEGER_FIRST = Quantizer(8, gamma="max")
INTEGER_LAST = Quantizer(8, gamma="max", granularity="layer")

GAIN = 2.0
"""Of inputs whose mean square is 0.25, the current's standard deviation is then the threshold."""


def resolve(nodes: tuple[Any, ...], values: Mapping[str, ValueSpec]) -> tuple[Any, ...]:
    """The nodes, with a quantizer in place of each gamma "auto", and a number in place of each gain that is None.

    values: what each node gives. The `bits` of an "auto" are those between the ends; `ste`, `percentile` and `zero`
    stay.
    """
    return tuple(replace(node, **_choices(node, nodes, values)) if _open(node) else node for node in nodes)


def _open(node: Any) -> bool:
    quantizer = getattr(node, "quantizer", None)
    return (quantizer is not None and quantizer.gamma == AUTO) or getattr(node, "gain", 0.0) is None


def _choices(node: Any, nodes: tuple[Any, ...], values: Mapping[str, ValueSpec]) -> dict[str, Any]:
    readers = [reader for reader in nodes if node.name in sources_of(reader)]
    last = nodes[-1] in readers
    thresholds = [reader.threshold for reader in readers if hasattr(reader, "threshold")]
    chosen: dict[str, Any] = {}
    if node.quantizer is not None and node.quantizer.gamma == AUTO:
        first = _reads_input(node, nodes)
        chosen["quantizer"] = _quantizer(node.quantizer, last, first, node.batch_norm, node.sparse)
    if node.gain is None:
        plain = last or node.batch_norm or not thresholds
        chosen["gain"] = 0.0 if plain else GAIN * min(thresholds) / _largest(values[node.source])
    return chosen


def _quantizer(own: Quantizer, last: bool, first: bool, batch_norm: bool, sparse: bool) -> Quantizer:
    zero = own.zero or sparse
    if last or first:
        return replace(INTEGER_LAST if last else INTEGER_FIRST, ste=own.ste, percentile=own.percentile, zero=zero)
    return replace(own, gamma="mean" if batch_norm else "max", zero=zero)


def _reads_input(node: Any, nodes: tuple[Any, ...]) -> bool:
    """Whether no weights and no neurons lie between the input and the node."""
    names = {one.name: one for one in nodes}
    before = [names[source] for source in sources_of(node)]
    return all(
        one is nodes[0] or (not hasattr(one, "gain") and not hasattr(one, "threshold") and _reads_input(one, nodes))
        for one in before
    )


def _largest(value: ValueSpec) -> float:
    """Of images, the largest value of a pixel; 1 of spikes, and of real numbers, whose largest is not known."""
    return value.max_count * value.scale if value.kind == "analog" and value.max_count else 1.0
