"""`qpsnn simulate`: a backend's run beside the exact simulator's."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from qpsnn_core.agreement import agreement
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_datasets import Dataset


def compare(network: IntegerNetwork, data: Dataset, backend: str, stock: bool = False) -> dict[str, Any]:
    """Accuracy on the backend, and how many of its spikes, membranes and readouts differ from the exact ones.

    stock: Lava's own processes alone, which tell no membranes.
    """
    begun = time.perf_counter()
    figures, measured = agreement(network, data, backend, membranes=not stock, **({"stock": True} if stock else {}))
    return {
        "backend": backend,
        "accuracy": measured.accuracy,
        "firing_rate": measured.firing_rate,
        **asdict(figures),
        "seconds": time.perf_counter() - begun,
    }
