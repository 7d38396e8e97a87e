"""Three exact products of spikes and codes, rows of weights, bytes times bytes, and tables: by layer, and in networks.

    python -m benchmarks.products [--seconds 0.5] [--networks vgg_small vgg9] [--out benchmarks/products.json]

One thread; calls take turns, and each figure is the least of many by the thread's own clock. It writes the file and the
tables of docs/performance.md between its markers. Sums are compared: all products give the same.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import qpsnn_core as qp
from benchmarks import processor
from benchmarks.roofline.page import fill, table
from benchmarks.roofline.peaks import fastest
from qpsnn_core.kernels.conv.byte_products import dense_forward
from qpsnn_core.kernels.conv.forward import conv_forward
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.image import image_forward, panels
from qpsnn_core.kernels.conv.integers import AUTO, DENSE, GATHER, PRODUCT, TABLE, Product
from qpsnn_core.kernels.conv.table_products import table_forward
from qpsnn_core.kernels.conv.tables import images_together
from qpsnn_core.kernels.exact_types import sum_type
from qpsnn_core.kernels.threads import set_threads
from qpsnn_core.network.nodes import LIF

RATES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6)
SHOWN = (0.05, 0.1, 0.2, 0.4, 0.6)
CHOICES = (GATHER, DENSE, TABLE, AUTO)
NETWORKS = ("vgg_small", "vgg9", "resnet20")
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
WORK = 2e8
"""Products of a call, about."""

Record = dict[str, Any]


class Layer(NamedTuple):
    """A convolution, 3 x 3 with padding, or a linear layer, whose kernel is 1 and side is 1."""

    inputs: int
    outputs: int
    side: int
    kernel: int = 3
    bits: int = 4
    max_count: int = 1


LAYERS = (
    *(Layer(width, width, side) for width, side in ((16, 32), (32, 32), (64, 16), (128, 16), (256, 8), (512, 4))),
    *(Layer(width, width, side, bits=8) for width, side in ((16, 32), (64, 16), (256, 8))),
    *(Layer(width, width, side, max_count=4) for width, side in ((16, 32), (64, 16), (256, 8))),
    Layer(512, 10, 1, 1, 8),
    Layer(4096, 512, 1, 1),
)
IMAGES = tuple(Layer(3, outputs, 32, bits=bits, max_count=255) for outputs in (16, 64, 128) for bits in (4, 8))


def of_layer(layer: Layer, seconds: float) -> Record:
    """Multiply-accumulates per second of all products; of an image, of the float32 kernel instead of the gather."""
    rng = np.random.default_rng(0)
    inputs, outputs, side, kernel, bits, max_count = layer
    geometry = ConvGeometry.of((side, side, inputs), outputs, kernel, 1, kernel // 2)
    levels = 2**bits - 1
    codes = (2 * rng.integers(0, levels + 1, (kernel, kernel, inputs, outputs)) - levels).astype(np.int16)
    codes = codes.astype(np.int8) if bits < 8 else codes
    each = geometry.out_height * geometry.out_width * codes.size
    together = images_together(geometry)
    images = -(-(int(WORK // each) + 1) // together) * together
    product = Product(codes, max_count, geometry, levels)
    largest = int(np.abs(codes.reshape(-1, outputs).astype(np.int64)).sum(0).max()) * max_count
    total = np.zeros(images * geometry.out_height * geometry.out_width * outputs, sum_type(largest))
    other, size = total.copy(), images * side**2 * inputs
    dense = product.bytes()
    calls: dict[Any, Callable[[], Any]] = {}
    if max_count == 255:
        counts, real, whole = rng.integers(0, 256, size).astype(np.uint8), panels(codes), total.astype(np.int32)
        calls["float32"] = lambda: image_forward(0, images, counts, real, whole, geometry)
        other = whole
    else:
        rows = product.rows()
        for rate in RATES:
            counts = rng.binomial(max_count, rate, size).astype(np.uint8)
            calls[rate] = lambda counts=counts: conv_forward(0, images, counts, max_count, rows, other, geometry)
    calls["dense"] = lambda: dense_forward(0, images, counts, max_count, dense, total, geometry)
    if product.looked_up:
        tables, third = product.tables(), total.copy()
        calls["table"] = lambda: table_forward(0, images, counts, max_count, tables, third, geometry)
    best = fastest(calls, seconds)
    if product.looked_up and not np.array_equal(total, third):
        raise ArithmeticError(f"{layer}: bytes and tables differ")
    calls["float32" if max_count == 255 else RATES[-1]]()
    if not np.array_equal(total, other):
        raise ArithmeticError(f"{layer}: the two products differ")
    return {**layer._asdict(), **{str(key): images * each / one / 1e9 for key, one in best.items()}}


def of_network(name: str, steps: int, seconds: float) -> list[Record]:
    """Seconds of integer inference and of a forward pass in training, by what QPSNN_PRODUCT says."""
    rng = np.random.default_rng(0)
    batch = 8 if name == "resnet20" else 16
    images = rng.integers(0, 256, (batch, 8, 8, 3)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    network = qp.build(name, (32, 32, 3), 10, steps=steps)
    model = qp.recalibrate(qp.initialise(network, 0), images, batches=1, batch=batch)
    done = qp.forward(model, images, train=True, save_for_backward=True)
    spikes = [done.values[node.name] for node in network.of(LIF)]
    rate = sum(np.count_nonzero(one) for one in spikes) / sum(one.size for one in spikes)
    lowered = qp.lower(model).network
    works: dict[str, Callable[[], Any]] = {
        "integer inference": lambda: qp.simulate(lowered, images, count=False).readout,
        "training, forward": lambda: qp.forward(model, images, train=True, save_for_backward=True).logits,
    }
    records = []
    for work, call in works.items():
        calls = {choice: _forced(choice, call) for choice in CHOICES}
        if len({one().tobytes() for one in calls.values()}) != 1:
            raise ArithmeticError(f"{name}, {work}: the products differ")
        best = fastest(calls, seconds)
        records.append({"network": name, "work": work, "steps": steps, "batch": batch, "rate": float(rate), **best})
    return records


def _forced(choice: str, call: Callable[[], Any]) -> Callable[[], Any]:
    def forced() -> Any:
        os.environ[PRODUCT] = choice
        return np.asarray(call())

    return forced


def blocks(results: Record) -> dict[str, str]:
    """The tables of the page by name."""
    rows = []
    for one in results["layers"]:
        gather = [one[str(rate)] for rate in RATES]
        name = "linear" if one["side"] == 1 else f"{one['side']} x {one['side']}"
        cells = [f"{one['inputs']} to {one['outputs']}", name, one["bits"], one["max_count"]]
        steady = [f"{one[name]:.0f}" if name in one else "" for name in ("dense", "table")]
        rows.append([*cells, *(f"{one[str(rate)]:.0f}" for rate in SHOWN), *steady, _won(gather, one)])
    head = ["channels", "map", "bits", "counts to", *(f"rows, {rate:.0%}" for rate in SHOWN)]
    layers = table([*head, "bytes", "tables", "the faster of these wins from"], rows)
    pictures = [
        [f"3 to {one['outputs']}", one["bits"], f"{one['float32']:.0f}", f"{one['dense']:.0f}"]
        for one in results["images"]
    ]
    networks = [
        [
            one["network"],
            one["work"],
            f"{one['rate']:.0%}",
            *(f"{one[kind] * 1e3:.1f}" for kind in CHOICES),
        ]
        for one in results["networks"]
    ]
    return {
        "products": f"{processor.words(results['machine'])}:\n\n{layers}",
        "images": table(["channels", "bits", "float32", "bytes"], pictures),
        "networks": table(
            ["network", "work", "rate", "rows, ms", "bytes, ms", "tables, ms", "the fastest of each layer, ms"],
            networks,
        ),
    }


def _won(gather: list[float], one: Record) -> str:
    steady = max(one["dense"], one.get("table", 0.0))
    if steady < gather[-1]:
        return "not below 60%"
    if steady > gather[0]:
        return "2%"
    return f"{float(np.interp(-steady, [-speed for speed in gather], RATES)):.0%}"


def write(results: Record, page: Path) -> None:
    """Replace every table of the page. Raises ValueError as `fill`."""
    fill(page, {markers(name): block for name, block in blocks(results).items()})


def markers(name: str) -> tuple[str, str]:
    """The comments around a table."""
    return f"<!-- {name}: written by `python -m benchmarks.products` -->", f"<!-- end of {name} -->"


def measure(seconds: float, networks: Sequence[str], layers: Sequence[Layer] = LAYERS, steps: int = 2) -> Record:
    """Everything, as the file keeps it."""
    set_threads(1)
    return {
        "machine": processor.describe(),
        "layers": [of_layer(layer, seconds) for layer in layers],
        "images": [of_layer(layer, seconds) for layer in IMAGES],
        "networks": [one for name in networks for one in of_network(name, steps, 10 * seconds)],
    }


def main() -> None:
    """Measure, keep, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--networks", nargs="*", default=NETWORKS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "products.json")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    if given.out.exists():
        known = json.loads(given.out.read_text(encoding="utf-8"))["machine"]
        if processor.slug(known) != processor.slug(processor.describe()):
            parser.error(
                f"{given.out}: expected figures of this processor, got those of {processor.words(known)}: --out"
            )
    results = measure(given.seconds, given.networks)
    given.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    write(results, given.page)


if __name__ == "__main__":
    main()
