"""Digests of scoring, pruning, compression and lowering, from weights and images of integers: same_bits.json.

Every processor, number of threads, NumPy and Numba must give them; nothing here is trained. Run it in `tests/` after
a deliberate change of the arithmetic, and say why: `python -m golden.same_bits write`; without a word it prints them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import small

import qpsnn_core as qp
from qpsnn_core.common.serialization import ADDED_LATER
from qpsnn_core.compression.channels.score import count_significant_singular_values, stability
from qpsnn_core.compression.weights import hessian
from qpsnn_core.network import LIF, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout
from qpsnn_core.network.model import Model

RECORDED = ("reset",)
"""Fields of integer nodes that files did not always have, but had when the run was recorded."""

FILE = Path(__file__).with_name("same_bits.json")


def wide() -> Model:
    """Layers of 12, 20 and 24 channels, leaks that are no powers of two, T = 5; forward, all sums are of integers."""
    nodes = (
        Input("image", (12, 12, 1), 15, 1 / 15),
        Conv("conv1", "image", 12, quantizer=Quantizer(8, gamma="max")),
        LIF("lif1", ("conv1",), beta=0.9),
        Conv("conv2", "lif1", 20, quantizer=Quantizer(4, gamma="mean")),
        LIF("lif2", ("conv2",), beta=0.7),
        MaxPool("pool", "lif2"),
        Linear("hidden", "pool", 24, quantizer=Quantizer(5, gamma="percentile")),
        LIF("lif3", ("hidden",), beta=0.3),
        Linear("linear", "lif3", 3, quantizer=Quantizer(8, gamma="mean", granularity="layer")),
        Readout("readout", "linear"),
    )
    network = Network(nodes, 5)
    params: dict[str, Any] = {}
    state: dict[str, Any] = {}
    for index, node in enumerate(network.of(Conv, Linear), 50):
        shape = node.weight_shape(network.inputs_of(node)[0])
        fan = int(np.prod(shape[:-1]))
        own = params[node.name] = {"weight": small.uniform(shape, index) * np.float32(np.sqrt(6 / fan))}
        if node.batch_norm:
            own["bn_weight"] = 1 + small.uniform((node.channels,), index, 1) / 2
            own["bn_bias"] = small.uniform((node.channels,), index, 2) / 4
            spread = 1 + small.uniform((node.channels,), index, 4) / 2
            state[node.name] = {"mean": small.uniform((node.channels,), index, 3) / 8, "var": spread}
        elif node.bias:
            own["bias"] = small.uniform((node.channels,), index, 5) / 8
    return Model(network, params, state)


def frames(samples: int = 48, steps: int = 5) -> np.ndarray[Any, Any]:
    """Frames [N, T, 12, 12, 1] of integers 0..15, a third of them above 0."""
    noise = small.uniform((samples, steps, 12, 12, 1), 90)
    return np.maximum(np.floor((noise - 1 / 3) * 24), 0).astype(np.uint8)


def digest(*parts: Any) -> str:
    """Of arrays (types, shapes, little-endian bytes) and of other values, in tables by the order of their names."""
    total = sha256()

    def add(part: Any) -> None:
        if isinstance(part, dict):
            for name in sorted(part):
                total.update(f"{name}:".encode())
                add(part[name])
        elif isinstance(part, tuple | list):
            for one in part:
                add(one)
        elif isinstance(part, np.ndarray):
            total.update(f"{part.dtype.name} {part.shape}\n".encode())
            total.update(np.ascontiguousarray(part).astype(part.dtype.newbyteorder("<"), copy=False).tobytes())
        elif is_dataclass(part):
            total.update(type(part).__name__.encode())
            add({field.name: getattr(part, field.name) for field in fields(part) if not _added(field, part)})
        elif isinstance(part, float | np.floating):
            total.update(float(part).hex().encode())
        elif isinstance(part, np.integer | np.bool_):
            total.update(repr(part.item()).encode())
        else:
            total.update(repr(part).encode())

    add(parts)
    return total.hexdigest()[:16]


def of_model(model: Model) -> tuple[Any, ...]:
    """A model's arrays."""
    return model.params, model.state


def _added(field: Any, part: Any) -> bool:
    """Whether a field came after the run was recorded, and says nothing here."""
    later = field.metadata.keys() & ADDED_LATER.keys() and field.name not in RECORDED
    return bool(later) and getattr(part, field.name) == field.default


@dataclass
class LoweringReport:
    """The report as it was when the run was recorded: of one readout."""

    fraction_bits: int
    synapses: Any
    neurons: Any
    readout: Any


def of_lowered(model: Model, **options: Any) -> tuple[Any, ...]:
    """The integer network's nodes and arrays, and its report."""
    found = qp.lower(model, **options)
    own = found.report
    report = LoweringReport(own.fraction_bits, own.synapses, own.neurons, own.readout)
    return found.network.nodes, found.network.arrays, report


def scored(name: str, model: Model, images: Any) -> Iterator[tuple[str, str]]:
    """Scores by each criterion, what they say of stability, and the network that pruning leaves."""
    for criterion, epsilon in (("svs", 1e-6), ("svs", 0.25), ("svs", 0.0), ("sca", 1e-6)):
        found = qp.score(model, images, criterion=criterion, epsilon=epsilon, batches=3, batch=8)
        place = f"{name} score {criterion} {epsilon:g}"
        yield place, digest(found.values, found.batches, found.sca)
        yield f"{place} stability", digest(stability(found))
        pruned = qp.prune(model, found, 0.4, ties="sca")
        yield f"{place} pruned", digest(pruned.kept, of_model(pruned.model), pruned.report)


def compressed(name: str, model: Model, images: Any) -> Iterator[tuple[str, str]]:
    """Hessians, compressed weights with their report, and their integers."""
    for objective in hessian.OBJECTIVES:
        parts = [images[:20], images[20:40]]
        yield f"{name} hessians {objective}", digest(hessian.hessians(model, parts, objective))
    for method, sparsity, bits, scale in (
        ("osbc", 0.6, None, "max"),
        ("osbc", 0.0, 4, "search"),
        ("osbc", 0.6, 4, "max"),
        ("obc", 0.5, 3, "search"),
        ("magnitude", 0.5, 3, "search"),
    ):
        target = {"sparsity": sparsity, "bits": bits, "method": method, "scale": scale}
        done = qp.compress(model, images, batches=3, batch=16, **target)
        place = f"{name} {method} {sparsity:g} {bits} {scale}"
        yield place, digest(of_model(done.model))
        yield f"{place} report", digest([layer._asdict() for layer in done.layers])
    yield f"{name} osbc lowered", digest(of_lowered(done.model))


def lowered(name: str, model: Model) -> Iterator[tuple[str, str]]:
    """Integers of several fraction bits, and of weights that are quantized by their error."""
    fitted = qp.requantize(model, 4)
    yield f"{name} requantized", digest(of_model(fitted.model), [layer._asdict() for layer in fitted.layers])
    for bits in (4, 16):
        yield f"{name} lowered {bits}", digest(of_lowered(fitted.model, fraction_bits=bits))


def singular_values() -> Iterator[tuple[str, str]]:
    """Counts of maps that the proof leaves undecided, or that have more columns than it takes."""
    for rows, columns, threshold in ((9, 7, 0.0), (16, 16, 1.0), (12, 80, 1e-6), (70, 72, 2.0)):
        maps = np.maximum(np.floor(small.uniform((2, rows, columns, 3), 95, rows) * 4), 0).astype(np.uint8)
        maps[:, 1] = maps[:, 0]
        found = count_significant_singular_values(maps, 1, threshold)
        yield f"singular values {rows}x{columns} above {threshold:g}", digest(found)


def digests() -> dict[str, str]:
    """Stage by stage."""
    found: dict[str, str] = dict(singular_values())
    data = small.dataset(48, frames=3).images
    for name, model, images in (("small", small.model(), data), ("wide", wide(), frames())):
        for part in (scored(name, model, images), compressed(name, model, images), lowered(name, model)):
            found.update(part)
    return found


if __name__ == "__main__":
    text = json.dumps(digests(), indent=1) + "\n"
    if sys.argv[1:] == ["write"]:
        FILE.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
