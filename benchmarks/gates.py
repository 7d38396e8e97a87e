"""What gates save: convolutions with 60% of the input channels, the places or the output channels closed, against all.

    python -m benchmarks.gates [--seconds 0.3] [--out benchmarks/gates.json] [--page docs/gates.md]

One thread; calls take turns, and each figure is the least of many by the thread's own clock. The sums are compared:
what is open is what the whole convolution gives. It writes the file and the table of docs/gates.md between its markers.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import processor
from benchmarks.roofline.page import fill, table
from benchmarks.roofline.peaks import fastest
from qpsnn_core.kernels.conv.forward import conv_forward
from qpsnn_core.kernels.conv.gates import gated_conv, open_masks
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.integers import Product, integer_conv, route_of
from qpsnn_core.kernels.exact_types import sum_type
from qpsnn_core.kernels.threads import set_threads

RATES = (0.05, 0.1, 0.2, 0.3)
CLOSED = 0.6
"""Of the input channels and of the places of each image; of the blocks of output channels, as many as come nearest."""

WORK = 1e9
"""Products of a call, about."""

MARKERS = "<!-- gates: written by `python -m benchmarks.gates` -->", "<!-- end of gates -->"

Record = dict[str, Any]


class Layer(NamedTuple):
    """A convolution, 3 x 3 with padding, of spikes with codes; block: output channels that the kernel can skip."""

    channels: int
    side: int
    bits: int
    block: int


LAYERS = (
    Layer(64, 32, 4, 64),
    Layer(64, 32, 8, 64),
    Layer(128, 16, 4, 128),
    Layer(256, 8, 4, 128),
    Layer(256, 8, 8, 64),
)


def of_layer(layer: Layer, rate: float, seconds: float) -> Record:
    """Seconds of the whole convolution, and of each kind of gate, the making of its masks included."""
    rng, (channels, side, bits, block) = np.random.default_rng(0), layer
    geometry, levels = ConvGeometry.of((side, side, channels), channels, 3, 1, 1), 2**bits - 1
    codes = (2 * rng.integers(0, levels + 1, (3, 3, channels, channels)) - levels).astype(np.int16)
    codes = codes.astype(np.int8) if bits < 8 else codes
    images = int(WORK // (side**2 * codes.size)) + 1
    product = Product(codes, 1, geometry, levels)
    largest = int(np.abs(codes.astype(np.int64)).sum((0, 1, 2)).max())
    counts = (rng.random((1, images, side, side, channels)) < rate).astype(np.uint8)
    whole, some = (np.zeros((1, images, side, side, channels), sum_type(largest)) for _ in range(2))
    inputs, outputs = _drawn(rng, images, channels, 1), _drawn(rng, images, channels, block)
    places = np.repeat(np.repeat(_drawn(rng, images, side**2 // 4, 1).reshape(images, side // 2, -1), 2, 1), 2, 2)
    grouped = _drawn(rng, images, channels, 16)
    masks = {
        "inputs": (None, (inputs[None, :, None, None], True)),
        "groups": (None, (grouped[None, :, None, None], True)),
        "places": ((places[None, ..., None], False), None),
        "outputs": ((outputs[None, :, None, None], True), None),
    }
    kept: Record = {}
    rows = product.rows()

    def gated(kind: str) -> Callable[[], None]:
        return lambda: gated_conv(product, counts.reshape(-1), some.reshape(-1), open_masks(1, *masks[kind]), kept)

    calls: dict[str, Callable[[], None]] = {
        "all": lambda: integer_conv(product, counts.reshape(-1), whole.reshape(-1), kept),
        "rows": lambda: conv_forward(0, images, counts.reshape(-1), 1, rows, some.reshape(-1), geometry),
        **{kind: gated(kind) for kind in masks},
    }
    calls["all"]()
    for kind, (given, read) in masks.items():
        calls[kind]()
        ref = np.zeros_like(whole)
        let = counts if read is None else counts * read[0]
        integer_conv(product, let.reshape(-1), ref.reshape(-1), kept)
        if not np.array_equal(some, ref if given is None else ref * given[0]):
            raise ArithmeticError(f"{layer}, {kind}: the gated sums differ")
    route = route_of(product, counts.reshape(-1), images, whole.dtype, kept)
    share = {"inputs": inputs, "groups": grouped, "places": places, "outputs": outputs}
    closed = {kind: float(1 - mask.mean()) for kind, mask in share.items()}
    times = fastest(calls, seconds)
    return {**layer._asdict(), "rate": rate, "images": images, "route": route, "closed": closed, "seconds": times}


def _drawn(rng: np.random.Generator, images: int, count: int, block: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Masks [images, count] that close CLOSED of the blocks of each image, at least one, and never all."""
    groups = count // block
    closed = min(groups - 1, max(1, round(CLOSED * groups))) if groups > 1 else 0
    order = rng.permuted(np.tile(np.arange(groups), (images, 1)), axis=1)
    return np.repeat((order >= closed).astype(np.uint8), block, axis=1)


def page_table(results: Record) -> str:
    """Each kind of gate as a share of the time of the whole convolution: by the fastest product, and by rows alone."""
    rows = []
    for one in results["layers"]:
        times, closed = one["seconds"], one["closed"]
        shares = [
            f"{times[kind] / times['all']:.2f}, {times[kind] / times['rows']:.2f} ({closed[kind]:.0%})"
            if closed[kind]
            else "-"
            for kind in ("inputs", "groups", "places", "outputs")
        ]
        name = f"{one['channels']} to {one['channels']}, {one['side']} x {one['side']}, {one['bits']} bits"
        rows.append([name, f"{one['rate']:.0%}", one["route"], *shares])
    head = ["layer", "spikes", "fastest product", "input channels", "in groups of 16", "places", "output channels"]
    return f"{processor.words(results['machine'])}:\n\n{table(head, rows)}"


def measure(seconds: float, layers: Sequence[Layer] = LAYERS, rates: Sequence[float] = RATES) -> Record:
    """Everything, as the file keeps it."""
    set_threads(1)
    found = [of_layer(layer, rate, seconds) for layer in layers for rate in rates]
    return {"machine": processor.describe(), "layers": found}


def main() -> None:
    """Measure, keep, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "gates.json")
    parser.add_argument("--page", type=Path, default=Path(__file__).parent.parent / "docs" / "gates.md")
    given = parser.parse_args()
    results = measure(given.seconds)
    given.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    fill(given.page, {MARKERS: page_table(results)})


if __name__ == "__main__":
    main()
