"""`qpsnn report`: what a network costs, layer by layer."""

from __future__ import annotations

from typing import Any

from qpsnn_core.cli import show
from qpsnn_core.engine.evaluation import Evaluation
from qpsnn_core.engine.pricing import measured_cost
from qpsnn_core.experiments.data_choice import DataChoice
from qpsnn_core.network.model import Model


def show_cost(title: str, model: Model, measured: Evaluation, choice: DataChoice, as_json: bool) -> None:
    """Print parameters, bits, size, operations and energy; `measured` gives the spikes, on `choice`."""
    network = model.network
    price = measured_cost(model, measured)
    rates = measured.firing_rates
    nodes = [node for node in price.nodes if node.bits or node.sops or node.name in rates]
    totals: dict[str, Any] = {
        "parameters": price.parameters,
        "quantized_parameters": price.quantized,
        "size_mb": price.size_mb,
        "saved_mb": price.saved_mb,
        "membranes_mb": price.membranes_mb,
        "memory_mb": price.memory_mb,
        "sops": price.sops,
        "sops_per_step": price.sops_per_step,
        "image_macs": price.image_macs,
        "energy_mj": price.energy_mj,
        "firing_rate": measured.firing_rate,
        **measured.figures,
        "images": measured.images,
    }
    if as_json:
        layers = [{**node._asdict(), "firing_rate": rates.get(node.name)} for node in nodes]
        show.print_json({"data": choice.figures, **totals, "layers": layers})
        return
    heads = ("layer", "kind", "shape", "parameters", "size, kB", "MACs/step", "SOPs/image", "firing rate")
    rows = [
        (
            node.name,
            node.kind,
            "×".join(map(str, network.shape(node.name))),
            node.quantized + node.real,
            node.bits / 8e3,
            node.macs,
            node.sops,
            rates.get(node.name),
        )
        for node in nodes
    ]
    show.table(title, heads, rows)
    show.table("in all", ("figure", "value"), list(totals.items()), choice)
