"""Exported C against the exact simulator: milliseconds an image on one thread, and bytes of flash and RAM.

    python -m benchmarks.c_export [--data CIFAR] [--train 60] [--seconds 5] [--out benchmarks/c_export.json]

Two networks at 4 bits and T = 4: `vgg_small` after a short training on CIFAR-10, and one of three eighths of its
channels on scikit-learn's digits, which with its code takes less than 32 kB of flash. Before anything is timed, the C
backend's spikes, membranes and readouts are compared with the exact simulator's. The C is called from Python as a
shared library, an image at a time; the simulator gets the same images one at a time, and all at once. Contestants take
turns; minima of the processor's time, which others on the machine hardly change. Flash is what `size` says of the C
file with -Os, for this machine.
"""

from __future__ import annotations

import argparse
import ctypes
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

import qpsnn_backends
import qpsnn_core as qp
from benchmarks import measure, networks, results, training
from qpsnn_backends.c.compiler import command
from qpsnn_backends.c.memory import memory, total
from qpsnn_backends.c.plan import plan
from qpsnn_backends.c.source import header, source
from qpsnn_core.experiments.demo import DIGITS
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.simulate import simulate
from qpsnn_datasets import Dataset

STEPS = 4
WIDTH = 0.375
"""Of the small network's channels."""
TIMED = 32
"""Images that are timed together."""
LEVELS = ("-O2", "-O3")


def digits() -> tuple[IntegerNetwork, Dataset]:
    """The small network, trained as the demo's, and its test images."""
    data = qp.load_data("digits")
    network = qp.build("vgg_small", data.train.sample_shape, len(data.train.classes), steps=STEPS, width=WIDTH)
    return qp.lower(qp.train(network, data.train, DIGITS.train).model).network, data.test


def cifar(path: Path | None, seconds: float, folder: Path) -> tuple[IntegerNetwork, Dataset, dict[str, Any]]:
    """vgg_small as `make bench` trains it, its test images, and what the training was."""
    found = training.trained("vgg_small", lambda: training.images(path), seconds, folder, print)
    case = networks.case("vgg_small", found.model, STEPS, found.images[: networks.BATCH], found.labels)
    model = networks.calibrated(case, found.images).model
    test = Dataset(found.images, found.labels, tuple(map(str, range(found.model.network.classes))), "test")
    return qp.lower(model).network, test, found.note


def same(network: IntegerNetwork, images: np.ndarray[Any, Any]) -> float:
    """SystemExit unless C gives what the simulator gives; the firing rate."""
    ref = simulate(network, images, record="all")
    run = qpsnn_backends.get("c").run(network, images, record="all")
    pairs = [(run.readout, ref.readout)]
    pairs += [(run.spikes[name], ref.spikes[name]) for name in ref.spikes]
    pairs += [(run.membranes[name], ref.membranes[name]) for name in ref.spikes]
    if not all(np.array_equal(ours, theirs) for ours, theirs in pairs):
        raise SystemExit("the C backend differs from the exact simulator")
    fired = sum(int(spikes.sum()) for spikes in ref.spikes.values())
    return fired / sum(spikes.size for spikes in ref.spikes.values())


def library(folder: Path, level: str, images: np.ndarray[Any, Any]) -> Callable[[], list[int]]:
    """A function that predicts every image with the C file compiled at that level."""
    made = folder / f"network{level}.so"
    words = [*command(), "-std=c99", level, "-shared", "-fPIC", "network.c", "-o", made.name]
    subprocess.run(words, cwd=folder, check=True)
    predict = ctypes.CDLL(str(made)).network_predict
    pointers = [ctypes.c_void_p(image.ctypes.data) for image in images]
    return lambda: [predict(pointer) for pointer in pointers]


def code_bytes(folder: Path) -> int:
    """Bytes of the C file's code and constants with -Os."""
    words = [*command(), "-std=c99", "-Os", "-fno-asynchronous-unwind-tables", "-c", "network.c", "-o", "network.o"]
    subprocess.run(words, cwd=folder, check=True)
    listed = subprocess.run(["size", "network.o"], cwd=folder, check=True, capture_output=True, text=True).stdout
    found = re.match(r"\s*(\d+)", listed.splitlines()[1])
    assert found is not None, listed  # noqa: S101 - size prints its table
    return int(found[1])


def measured(network: IntegerNetwork, data: Dataset, effort: measure.Effort) -> dict[str, Any]:
    """Compare, then time in turns."""
    images = np.ascontiguousarray(data.images[:TIMED])
    rate, planned = same(network, images[:8]), plan(network)
    found = memory(planned)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "network.h").write_text(header(planned, found, "network"), encoding="ascii")
        (folder / "network.c").write_text(source(planned, found, "network"), encoding="ascii")
        calls: dict[str, Callable[[], Any]] = {
            "exact, an image at a time": lambda: [simulate(network, one[None], count=False) for one in images],
            "exact, all at once": lambda: simulate(network, images, count=False),
            **{f"C {level}": library(folder, level, images) for level in LEVELS},
        }
        answers = simulate(network, images).readout.argmax(1).tolist()
        for level in LEVELS:
            if calls[f"C {level}"]() != answers:
                raise SystemExit(f"C {level}: other answers")
        times = measure.alternate(calls, effort, clock=process_time)
        return {
            "accuracy": qp.evaluate(network, data).accuracy,
            "images": len(data.images),
            "firing_rate": rate,
            "input": list(network.input.shape),
            "T": network.steps,
            "flash_bytes": {"constants": total(found.constants), "with code, -Os": code_bytes(folder)},
            "ram_bytes": {"state": total(found.state), "scratch": total(found.scratch)},
            "ms_per_image": {who: 1000 * min(seconds) / len(images) for who, seconds in times.items()},
            "repeats": len(times["C -O2"]),
        }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Exported C against the exact simulator")
    parser.add_argument("--data", type=Path, help="CIFAR-10, a folder or file; without it, digits enlarged")
    parser.add_argument("--train", type=float, default=60.0, help="seconds of training of vgg_small")
    parser.add_argument("--seconds", type=float, default=5.0, help="of measuring for each contestant")
    parser.add_argument("--weights", type=Path, default=Path("build/bench/weights"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/c_export.json"))
    options = parser.parse_args()
    qp.set_threads(1)
    effort = measure.Effort(options.seconds)
    network, test, note = cifar(options.data, options.train, options.weights)
    found = {"vgg_small": {**measured(network, test, effort), "training": note}}
    found["vgg_small, 3/8"] = measured(*digits(), effort)
    compiler = subprocess.run([*command(), "--version"], check=True, capture_output=True, text=True).stdout
    record = {
        "command": results.command(sys.argv[1:]).replace("-m benchmarks", "-m benchmarks.c_export"),
        "machine": results.machine(),
        "compiler": compiler.splitlines()[0],
        "networks": found,
    }
    results.save(record, options.out)
    for name, one in found.items():
        flash, ram = one["flash_bytes"]["with code, -Os"], sum(one["ram_bytes"].values())
        print(f"{name}: {flash:,} bytes of flash, {ram:,} of RAM, {one['accuracy']:.1%} of {one['images']} images")
        for who, milliseconds in one["ms_per_image"].items():
            print(f"  {who:<28}{milliseconds:8.3f} ms an image")


if __name__ == "__main__":
    main()
