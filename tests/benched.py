"""The benchmarks of the checkout, importable: they are not installed, and the checkout is not on the search path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np

import qpsnn_core as qp
from qpsnn_core.network.zoo.spikingformer import spikingformer_4_384
from qpsnn_core.network.zoo.vgg import resnet20, vgg_small

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"

TINY = {
    "vgg": lambda steps: vgg_small((8, 8, 3), 5, steps=steps, width=0.25),
    "resnet": lambda steps: resnet20((16, 16, 3), 5, steps=steps, widths=[4] + [6] * 6 + [8] * 6 + [10] * 6),
}


TRANSFORMER = {"widths": (4, 4, 6, 8, 12, 10), "depth": 2, "heads": 3}


def _load():
    if "benchmarks" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "benchmarks", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
        )
        sys.modules["benchmarks"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["benchmarks"])


_load()


def tiny(name, steps, batch=3):
    """A network so wide awake that every layer spikes."""
    from benchmarks import networks

    if name == "transformer":
        network = spikingformer_4_384((16, 16, 3), 5, steps=steps, **TRANSFORMER)
    else:
        network = TINY[name](steps)
    model = qp.initialise(network, 1)
    for own in model.params.values():
        if "bn_bias" in own:
            own["bn_bias"] += 0.3
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch, *network.input.shape)).astype(np.uint8)
    return networks.measured(networks.Case(name, model, images, rng.integers(0, 5, batch)))
