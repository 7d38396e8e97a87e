"""What augmentation adds to a training step: the same steps on images at hand, augmented in turn, and made ahead.

    python -m benchmarks.feeding [--batch 128] [--repeats 8] [--threads 1 2] [--out benchmarks/feeding.json]

The three ways take turns, a forward and backward pass of `vgg_small` each, after the batch has been fetched. Images are
random bytes of 32x32x3: neither crop, flip and cutout nor the gathering of a batch looks at what is in them. Ratios are
to "at hand", of minima and of medians.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.passes import backward, forward, initialise
from qpsnn_core.kernels import threads as parallel
from qpsnn_core.network.zoo.vgg import vgg_small
from qpsnn_core.optim.losses import LOSSES
from qpsnn_datasets import Augment, Dataset, batches, prefetch

AUGMENT = Augment(crop=4, flip=True, cutout=16)
AT_HAND, IN_TURN, AHEAD = "at hand", "augmented in turn", "augmented ahead"


def endless(data: Dataset, batch: int, augment: Augment | None) -> Iterator[Any]:
    """Batch after batch, epoch after epoch."""
    for epoch in itertools.count():
        yield from batches(data, batch, seed=0, epoch=epoch, augment=augment, drop_last=True)


def measure(batch: int, steps: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of every step, by the way in which it is fed; and of the augmentation of a batch alone."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8 * batch, 32, 32, 3)).astype(np.uint8)
    data = Dataset(images, np.arange(len(images)) % 10, tuple("0123456789"), "random")
    model = initialise(vgg_small((32, 32, 3), 10, steps=steps), 0)
    seconds: dict[str, list[float]] = {AT_HAND: [], IN_TURN: [], AHEAD: [], "augmentation alone": []}
    with ExitStack() as stack:
        ahead = stack.enter_context(closing(prefetch(endless(data, batch, AUGMENT))))
        feeds = {
            AT_HAND: itertools.repeat(next(endless(data, batch, None))),
            IN_TURN: endless(data, batch, AUGMENT),
            AHEAD: ahead,
        }
        for repeat in range(repeats + 1):
            for name, feed in feeds.items():
                began = time.perf_counter()
                fed, labels = next(feed)
                done = forward(model, steps_first(fed), train=True, save_for_backward=True)
                backward(model, done, LOSSES["mean"](done.logits, labels)[1])
                if repeat:
                    seconds[name].append(time.perf_counter() - began)
        for _ in range(20):
            began = time.perf_counter()
            next(feeds[IN_TURN])
            seconds["augmentation alone"].append(time.perf_counter() - began)
    return seconds


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="the cost of augmentation in a training step")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=4, help="T")
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/feeding.json"))
    options = parser.parse_args()
    records = []
    for threads in options.threads:
        parallel.set_threads(threads)
        seconds = measure(options.batch, options.steps, options.repeats)
        least = {name: min(taken) for name, taken in seconds.items()}
        median = {name: statistics.median(taken) for name, taken in seconds.items()}
        for name in seconds:
            ratio, middle = least[name] / least[AT_HAND], median[name] / median[AT_HAND]
            case = {"threads": threads, "fed": name, "min_s": least[name], "median_s": median[name]}
            records.append({**case, "ratio": ratio, "ratio_of_medians": middle})
            print(f"{threads} threads  {name:18} {1e3 * least[name]:9.2f} ms  {ratio:6.3f}  (medians {middle:6.3f})")
    result = {
        "command": f"python -m benchmarks.feeding --batch {options.batch} --steps {options.steps}",
        "network": "vgg_small 32x32x3",
        "python": platform.python_version(),
        "records": records,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
