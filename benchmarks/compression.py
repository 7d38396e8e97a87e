"""OSBC against OBC, magnitude and rounding to nearest: a perceptron, and MNIST as a moving event camera sees it.

    python -m benchmarks.compression FOLDER [--size 28] [--steps 30] [--train 5000] [--seeds 1] [--out build/osbc]

FOLDER holds MNIST's four IDX files. An image that stands still gives the first layer the same currents at every step,
and there membranes are currents times a constant: OSBC and OBC are then the same. So each image moves along a triangle,
as N-MNIST's do, and a pixel that has become brighter or darker by a threshold sends an event of one of two polarities.
Stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import ndimage

import qpsnn_core as qp
from benchmarks.table import log, show
from qpsnn_core.experiments import compression_sweep
from qpsnn_core.recipes.data import DataConfig
from qpsnn_core.recipes.network import NetworkConfig
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_datasets import Dataset, Split

THRESHOLD = 0.2
"""Of the brightest pixel: the change that sends an event."""

CORNERS = ((0.0, 0.0), (1.0, 0.5), (1.0, -0.5), (0.0, 0.0))
"""Of the path (rows, columns), times the reach: a fifth of the image."""


def path(steps: int, reach: float) -> np.ndarray:
    """Where the image is before the first step and after each, [T + 1, 2], in pixels."""
    at = np.linspace(0, len(CORNERS) - 1, steps + 1)
    corners = np.array(CORNERS) * reach
    return np.stack([np.interp(at, range(len(corners)), corners[:, axis]) for axis in (0, 1)], 1)


def events(data: Dataset, size: int, steps: int) -> Dataset:
    """Frames [N, T, size, size, 2] of events, 0 or 1: what moving images [N, H, W, 1] do, brighter and darker."""
    factor = data.images.shape[1] // size
    images = data.images[..., 0].reshape(len(data), size, factor, size, factor).mean((2, 4)) / 255
    seen = images.copy()
    frames = np.zeros((len(data), steps, size, size, 2), np.uint8)
    for t, offset in enumerate(path(steps, size / 5)[1:]):
        change = ndimage.shift(images, (0, *offset), order=1) - seen
        frames[:, t, ..., 0], frames[:, t, ..., 1] = change >= THRESHOLD, change <= -THRESHOLD
        seen += THRESHOLD * (frames[:, t, ..., 0].astype(np.int8) - frames[:, t, ..., 1])
    return Dataset(frames, data.labels, data.classes, f"moving {data.name}")


def main() -> None:
    """Train, compress to every target, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=28, choices=(28, 14, 7))
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--train", type=int, default=5000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--beta", type=float, default=0.5)
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--scale", default="max")
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--out", type=Path, default=Path("build/osbc"))
    args = parser.parse_args()
    whole = qp.load_data("mnist", args.folder)
    parts = (part.limited(count) for part, count in zip(whole, (args.train, args.test), strict=True))
    data = Split(*(events(part, args.size, args.steps) for part in parts))
    recipe = Recipe(
        network=NetworkConfig("mlp", width=args.hidden / 256, bits=32, steps=args.steps, beta=args.beta),
        data=DataConfig("mnist", str(args.folder.name)),
        train=TrainConfig(epochs=args.epochs, optimizer="adam", lr=args.lr),
    )
    print(f"{data.train.images.mean():.2%} of the inputs are events")
    settings = compression_sweep.Settings(scale=args.scale, images=args.images)
    results = compression_sweep.run_compression_sweep(recipe, data, args.out, settings, seeds=args.seeds, log=log)
    rows = compression_sweep.table(results)
    show(f"moving MNIST, dense {np.mean([one.dense for one in results]):.2%}", compression_sweep.Row._fields, rows)
    print(f"an epoch of training: {np.mean([one.epoch_seconds for one in results]):.2f} s")


if __name__ == "__main__":
    main()
