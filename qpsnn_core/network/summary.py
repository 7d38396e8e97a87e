"""What `print(network)` shows: a table of layers, with shapes, parameters and bits."""

from __future__ import annotations

from qpsnn_core.common.text_table import aligned
from qpsnn_core.network.cost import FLOAT_BITS, cost
from qpsnn_core.network.graph import Network

HEADS = ("name", "kind", "reads", "gives", "parameters", "bits")
NUMBERS = (4, 5)
"""The columns of numbers."""


def summary(network: Network) -> str:
    """A line for each node, then the sums. gives: (H, W, C); parameters: codes, biases and batch norm; bits: of a
    weight, 32 in floating point.
    """
    counted = cost(network)
    rows = [HEADS]
    for node, price in zip(network, counted.nodes, strict=True):
        count = price.quantized + price.real
        quantizer = getattr(node, "quantizer", None)
        bits = str(quantizer.bits) if quantizer is not None else str(FLOAT_BITS) if count else ""
        shape = "x".join(map(str, network.shape(node.name)))
        rows.append((node.name, price.kind, ", ".join(node.sources), shape, f"{count:,}" if count else "", bits))
    total = f"{counted.parameters:,} parameters, {counted.quantized:,} of them quantized"
    size = f"{counted.size_mb:.4g} MB (Eq. 16), membranes {counted.membranes_mb:.4g} MB"
    return "\n".join([*aligned(rows, NUMBERS), f"{total}; {size}; T = {network.steps}"])
