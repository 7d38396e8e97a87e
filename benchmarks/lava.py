"""Lava's simulator with our model of its convolution against its own: `vgg_small` at T = 4, the same spikes.

    python -m benchmarks.lava [--images 96] [--stock 3] [--rounds 3] [--data CIFAR] [--out benchmarks/lava.json]

Both run the same integer network in the same Lava processes and channels; only the model behind `Conv` differs. (No
network of these sizes runs exactly on Lava's own LIF alone: it has pools, and conv1's currents leave the 17 bits that
LIFReset has left after scaling by 2**(T-1).) Steady: seconds per image between the first image's answer and the last's.
Whole: from the call to the result, Lava's start included, for as many images as the stock model gets. Before anything
is timed, every layer's spikes and membranes and the readout are compared, and with the exact simulator's. Contestants
take turns; each has all processors, as every Lava process is one of the system's.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import qpsnn_backends
from qpsnn_core.engine.calibration import recalibrate
from qpsnn_core.engine.passes import initialise
from qpsnn_core.integer.backends import Run
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.network.zoo.vgg import vgg_small
from qpsnn_datasets import load_cifar10, load_digits

STEPS = 4
FRACTION_BITS = 4
"""As many as keep conv1's currents within the 24 bits of Lava's own Conv."""
SEED = 0


def lowered(images: np.ndarray) -> IntegerNetwork:
    """vgg_small for these images: fresh weights; batch norm's statistics are the images', so that rates are real."""
    network = vgg_small(images.shape[1:], 10, steps=STEPS)
    return lower(recalibrate(initialise(network, SEED), images[:64]), fraction_bits=FRACTION_BITS).network


def cifar_like(count: int, path: Path | None) -> np.ndarray:
    """CIFAR-10's first images, or smooth random ones of that size where there is no file."""
    if path is not None:
        return load_cifar10(path, limit=count).test.images[:count]
    coarse = np.random.default_rng(SEED).integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def same(ref: Run, comp: Run, whose: str) -> None:
    """SystemExit unless all spikes, membranes and readouts are equal."""
    pairs = [("readout", ref.readout, comp.readout)]
    pairs += [(f"spikes of {name}", ref.spikes[name], comp.spikes[name]) for name in ref.spikes]
    pairs += [(f"membranes of {name}", ref.membranes[name], comp.membranes[name]) for name in ref.membranes]
    for what, left, right in pairs:
        if not np.array_equal(left, right):
            raise SystemExit(f"{whose}: {what} differ")


def timed(network: IntegerNetwork, images: np.ndarray, stock: bool) -> tuple[float, float]:
    """Seconds of the whole run, and per image once the first has been answered (nan for a single one)."""
    done: list[tuple[int, float]] = []
    backend = qpsnn_backends.get(
        "lava", stock_conv=stock, timeout=1800.0, progress=lambda count, _: done.append((count, time.perf_counter()))
    )
    began = time.perf_counter()
    backend.run(network, images, record="none")
    whole = time.perf_counter() - began
    (first, start), (last, end) = done[0], done[-1]
    return whole, (end - start) / (last - first) if last > first else float("nan")


def measure(name: str, images: np.ndarray, stock: int, rounds: int) -> dict[str, Any]:
    """Compare, then time in turns; prints and returns the figures of one size."""
    network = lowered(images)
    ref = qpsnn_backends.get("exact").run(network, images[:2], record="all")
    for own in (False, True):
        run = qpsnn_backends.get("lava", stock_conv=own, timeout=1800.0).run(network, images[:2], record="all")
        same(ref, run, "Lava's own Conv" if own else "our Conv")
    rates = {layer: round(float(spikes.mean()), 4) for layer, spikes in ref.spikes.items()}
    whole: dict[str, list[float]] = {"ours": [], "stock": []}
    steady: dict[str, list[float]] = {"ours": [], "stock": []}
    for _ in range(rounds):
        taken, each = timed(network, images[:stock], stock=True)
        whole["stock"].append(taken)
        steady["stock"].append(each)
        whole["ours"].append(timed(network, images[:stock], stock=False)[0])
        steady["ours"].append(timed(network, images, stock=False)[1])
    result = {
        "images": name,
        "shape": list(images.shape[1:]),
        "T": STEPS,
        "rates": rates,
        "same_spikes": True,
        "images_steady": {"stock": stock, "ours": len(images)},
        "steady_s": {who: min(times) for who, times in steady.items()},
        "steady_all_s": steady,
        "steady_ratio": min(steady["stock"]) / min(steady["ours"]),
        "images_whole": stock,
        "whole_s": {who: min(times) for who, times in whole.items()},
        "whole_ratio": min(whole["stock"]) / min(whole["ours"]),
    }
    print(f"{name} {result['shape']}, T = {STEPS}, firing rates {rates}: all spikes and membranes are the same")
    for figure, unit in (("steady", "s per image"), ("whole", f"s for {stock} images, with Lava's start")):
        times = result[f"{figure}_s"]
        print(f"  stock {times['stock']:8.3f}  ours {times['ours']:8.4f} {unit}: {result[f'{figure}_ratio']:.1f} times")
    return result


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Lava: our model of Conv against its own")
    parser.add_argument("--images", type=int, default=96, help="for our steady state")
    parser.add_argument("--stock", type=int, default=3, help="images that the stock model gets, at least 2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, help="CIFAR-10, a folder or file; without it, made-up images of its size")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/lava.json"))
    options = parser.parse_args()
    cases = {
        "CIFAR-10" if options.data else "made up": cifar_like(options.images, options.data),
        "digits": load_digits().test.images[: options.images],
    }
    results = [measure(name, images, options.stock, options.rounds) for name, images in cases.items()]
    record = {
        "command": f"python -m benchmarks.lava --images {options.images} --stock {options.stock}",
        "python": platform.python_version(),
        "lava": version("lava-nc"),
        "numpy": np.__version__,
        "network": "vgg_small, 4 bits",
        "fraction_bits": FRACTION_BITS,
        "seed": SEED,
        "results": results,
    }
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
