"""Write trajectory.json: ten training losses, and every gradient of step one, of a small fixed run.

Run it in `tests/` after a deliberate change of the arithmetic, and say why: `python -m golden.make_trajectory`.

A change of the order of sums changes their last bits, and a spike or a weight's code that lies that near to its
threshold would flip: `training_bits.py` keeps the bits, this the figures. So the seed is the one, of the first SEEDS,
whose nearest membrane or weight is farthest from flipping; that distance is in the file, and the test's tolerances lie
between it and the rounding.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import small

from qpsnn_core.engine.layers.lif import potentials
from qpsnn_core.engine.passes import backward, forward
from qpsnn_core.network import LIF, Conv, Linear
from qpsnn_core.network.model import Model
from qpsnn_core.optim.losses import LOSSES
from qpsnn_core.optim.optimizers import sgd
from qpsnn_core.quantization.rescaw import gamma
from qpsnn_datasets import batches

STEPS = 10
BATCH = 4
RATE = 0.1
SEEDS = 200
FILE = Path(__file__).with_name("trajectory.json")


def run(seed: int) -> dict[str, Any]:
    """Losses [10]; gradients of step one by node and name; margin: the nearest that anything came to flipping."""
    model = small.model(seed)
    optimizer = sgd(0.9, 1e-4)
    state = optimizer.init(model.params)
    losses: list[float] = []
    first: dict[str, dict[str, list[float]]] = {}
    margin = np.inf
    for images, labels in batches(small.dataset(STEPS * BATCH), BATCH, seed=seed):
        done = forward(model, images, train=True, save_for_backward=True)
        loss, slope = LOSSES["mean"](done.logits, labels)
        gradients = backward(model, done, slope)
        if not losses:
            first = {
                node: {name: array.ravel().tolist() for name, array in inner.items()}
                for node, inner in gradients.items()
            }
        losses.append(loss)
        margin = min(margin, nearest(model, done.caches))
        params, state = optimizer.update(gradients, state, model.params, RATE)
        model = Model(model.network, params, done.state)
    return {"seed": seed, "margin": margin, "losses": losses, "gradients": first}


def nearest(model: Model, caches: dict[str, Any]) -> float:
    """The smallest distance of a membrane from its threshold, or of a quantized weight from the edges of its code.

    Where gamma is a mean, the straight-through mask has its edge at |W/gamma| = 1; the largest weight cannot cross it.
    """
    membranes = [
        float(np.abs(potentials(node, caches[node.name]) - node.threshold).min()) for node in model.network.of(LIF)
    ]
    edges = []
    for node in model.network.of(Conv, Linear):
        weight = model.params[node.name]["weight"].astype(np.float64)
        scaled = weight / gamma(model.params[node.name]["weight"], node.quantizer)
        place = (np.clip(scaled, -1, 1) + 1) * node.quantizer.levels / 2
        edges.append(float(np.abs(place - np.floor(place) - 0.5).min()))
        if node.quantizer.gamma == "mean":
            edges.append(float(np.abs(np.abs(scaled) - 1).min()))
    return min(*membranes, *edges)


def text(found: dict[str, Any]) -> str:
    """JSON with each list on one line."""
    indented = json.dumps(found, indent=1)
    return re.sub(r"\[[^\]]*\]", lambda part: re.sub(r"\s+", " ", part.group()), indented) + "\n"


if __name__ == "__main__":
    best = max((run(seed) for seed in range(SEEDS)), key=lambda found: found["margin"])
    FILE.write_text(text(best), encoding="utf-8")
