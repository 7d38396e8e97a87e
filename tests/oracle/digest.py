"""One number for all that the engine computes on the small networks: `python digest.py` prints it.

Two runs that differ in a single bit of a spike, logit, gradient or running statistic print different numbers.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle import networks
from qpsnn_core.engine import passes
from qpsnn_core.network.nodes import RESETS
from qpsnn_core.network.surrogates import SURROGATES
from qpsnn_core.optim.losses import mean_logits_cross_entropy


def arrays(name, index, train):
    """Every array of a pass forward and backward, with a name; surrogates take turns, and so do images and frames."""
    neuron = {"surrogate": tuple(SURROGATES)[index % 4], "detach_reset": index % 3 == 0, "width": 1.3, "beta": 0.9}
    neuron["reset"] = RESETS[index // 2 % 2]
    net = networks.network(name, 3, neuron=neuron)
    model, labels = networks.model(net), networks.labels(net)
    done = passes.forward(model, networks.images(net, frames=index % 2 == 1), train=train, save_for_backward=True)
    _, gradient = mean_logits_cross_entropy(done.logits, labels)
    yield "logits", done.logits
    for node, value in done.values.items():
        yield from (
            (f"{node}.{part}", array) for part, array in enumerate(value if isinstance(value, tuple) else [value])
        )
    for kind, tree in (("state", done.state), ("gradient", passes.backward(model, done, gradient))):
        for node, own in sorted(tree.items()):
            yield from ((f"{kind}.{node}.{key}", array) for key, array in sorted(own.items()))


def digest():
    """SHA-256 of names, types, shapes and bytes."""
    found = hashlib.sha256()
    for index, name in enumerate(networks.NETWORKS):
        for train in (False, True):
            for place, array in arrays(name, index + train, train):
                found.update(f"{name} {train} {place} {array.dtype} {array.shape}".encode())
                found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    print(digest())  # noqa: T201 - what the process is started for
