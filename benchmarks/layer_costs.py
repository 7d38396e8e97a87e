"""What signed images cost against unsigned ones, and depthwise convolutions against whole ones; in turns.

    python -m benchmarks.layer_costs [--seconds 3] [--out benchmarks/layer_costs.json]

One thread, the processor's own clock; each figure is a ratio of the least of many calls in one process. It writes the
file and the two tables, in docs/own_data.md and docs/own_network.md, between their markers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

import qpsnn_core as qp
from benchmarks import measure, processor
from benchmarks.c_export import library
from benchmarks.roofline.page import fill, table
from qpsnn_backends.c.memory import memory
from qpsnn_backends.c.plan import plan
from qpsnn_backends.c.source import header, source
from qpsnn_core.common.input_range import SIGNED, InputRange
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.layers import LIF, AvgPool, Conv, Linear

PAGES = {"signed": Path("docs/own_data.md"), "depthwise": Path("docs/own_network.md")}
MARKERS = {
    name: (f"<!-- {name}: written by `python -m benchmarks.layer_costs` -->", f"<!-- end of {name} -->")
    for name in PAGES
}
HEADS = ("", "training step", "exact simulator", "C")
BATCH, STEPS, SIDE = 16, 4, 32
LEVEL = "-O2"

Works = dict[str, Callable[[], Any]]
Record = dict[str, Any]


def works(network: qp.Network, images: np.ndarray[Any, Any], folder: Path) -> Works:
    """A training step, the exact simulator and the C of one network, by name."""
    model = qp.recalibrate(qp.initialise(network, 0), images)
    gradient = np.random.default_rng(1).normal(0, 1, (STEPS, len(images), network.classes)).astype(np.float32)
    integers = qp.lower(model).network

    def step() -> None:
        done = qp.forward(model, images, train=True, save_for_backward=True)
        qp.backward(model, done, gradient)

    folder.mkdir()
    planned = plan(integers)
    found = memory(planned)
    (folder / "network.h").write_text(header(planned, found, "network"), encoding="ascii")
    (folder / "network.c").write_text(source(planned, found, "network"), encoding="ascii")
    answers = simulate(integers, images).readout.argmax(1).tolist()
    in_c = library(folder, LEVEL, images)
    if in_c() != answers:
        raise SystemExit("the C differs from the exact simulator")
    return {HEADS[1]: step, HEADS[2]: lambda: simulate(integers, images, count=False), HEADS[3]: in_c}


def signed(folder: Path) -> dict[str, tuple[Works, Works]]:
    """A whole network, and a first layer with little behind it: signed images against unsigned ones."""
    rng = np.random.default_rng(0)
    unsigned = rng.integers(0, 256, (BATCH, SIDE, SIDE, 3)).astype(np.uint8)
    negative = (unsigned.astype(np.int16) - 128).astype(np.int8)
    span = InputRange(*SIGNED, 1 / 128)
    first = [Conv(64), LIF(), AvgPool(None), Linear(10)]
    pairs = {}
    for name in ("vgg_small", "its first layer"):
        made = []
        for kind, images, own in (("unsigned", unsigned, None), ("signed", negative, span)):
            if name == "vgg_small":
                network = qp.build(name, (SIDE, SIDE, 3), 10, steps=STEPS, input_range=own)
            else:
                network = qp.sequential((SIDE, SIDE, 3), first, steps=STEPS, input_range=own)
            made.append(works(network, images, folder / f"{name} {kind}"))
        pairs[name] = (made[1], made[0])
    return pairs


def depthwise(folder: Path) -> dict[str, tuple[Works, Works]]:
    """Behind a first layer: depthwise, or depthwise and 1 x 1, against a whole convolution of as many channels."""
    images = np.random.default_rng(0).integers(0, 256, (BATCH, 16, 16, 3)).astype(np.uint8)
    pairs = {}
    for channels in (64, 128):
        middles = {
            "whole": [Conv(channels)],
            "depthwise": [Conv(channels, groups=channels)],
            "depthwise, then 1 x 1": [Conv(channels, groups=channels), LIF(), Conv(channels, kernel=1)],
        }
        made = {}
        for name, middle in middles.items():
            layers = [Conv(channels), LIF(), *middle, LIF(), AvgPool(None), Linear(10)]
            network = qp.sequential((16, 16, 3), layers, steps=STEPS)
            made[name] = works(network, images, folder / f"{name} {channels}")
        for name in ("depthwise", "depthwise, then 1 x 1"):
            pairs[f"{name}, {channels} channels"] = (made[name], made["whole"])
    return pairs


def ratios(ours: Works, theirs: Works, seconds: float) -> dict[str, float]:
    """How many times longer each work takes than the other's."""
    found = {}
    for name in ours:
        calls = {"ours": ours[name], "theirs": theirs[name]}
        times = measure.alternate(calls, measure.Effort(seconds), clock=process_time)
        found[name] = min(times["ours"]) / min(times["theirs"])
    return found


def page_table(record: Record, kind: str) -> str:
    """A row for each comparison."""
    rows = [[name, *(f"{one[head]:.2f}" for head in HEADS[1:])] for name, one in record["ratios"][kind].items()]
    return f"{processor.words(record['machine'])}:\n\n{table(list(HEADS), rows)}"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Costs of signed images and of depthwise convolutions")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each contestant")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/layer_costs.json"))
    options = parser.parse_args()
    qp.set_threads(1)
    record: Record = {"machine": processor.describe(), "ratios": {}}
    with tempfile.TemporaryDirectory() as name:
        for kind, pairs_of in (("signed", signed), ("depthwise", depthwise)):
            (Path(name) / kind).mkdir()
            pairs = pairs_of(Path(name) / kind)
            record["ratios"][kind] = {row: ratios(*pair, options.seconds) for row, pair in pairs.items()}
            block = page_table(record, kind)
            fill(PAGES[kind], {MARKERS[kind]: block})
            print(block)
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
