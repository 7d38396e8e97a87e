"""DECOLLE beside its PyTorch form on the same shapes, one thread, in turns: `python -m benchmarks.local_losses`.

Each learns from the same windows (traces, convolutions, spikes, pools, readouts, losses, gradients and Adamax, with an
update at each step), or responds to them. PyTorch's form has modules, autograd and `max_pool2d` of membranes, as that
of DECOLLE's authors.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.table import show
from qpsnn_core.kernels.threads import set_threads
from qpsnn_core.local_learning.decolle import Decolle, LocalConv, LocalNeuron, LocalTraining
from qpsnn_core.local_learning.decolle_lsuv import lsuv
from qpsnn_core.local_learning.decolle_model import initialise_decolle
from qpsnn_core.local_learning.decolle_run import first_moments, learn_windows, respond_windows

CLASSES, RATE = 11, 3.6e-4

SHAPES = {
    "narrow": (LocalConv(16, 7, 3, 2), LocalConv(32, 7, 3), LocalConv(32, 7, 3, 2)),
    "wide": (LocalConv(64, 7, 3, 2), LocalConv(128, 7, 3), LocalConv(128, 7, 3, 2)),
}
"""On 2x32x32: the authors' network, and one with a quarter of its channels."""

CALMER = 1.5
"""What biases lose after LSUV, so that a tenth of the neurons spike, as in networks that have learnt, not half."""

TARGETS = {"learning": 1.0, "responding, filtered": 5.0}
"""How many times faster than PyTorch."""


def windows(samples: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Blobs of events that move, a few percent of all places a step, and labels."""
    rng = np.random.default_rng(0)
    frames = (rng.random((samples, steps, 32, 32, 2)) < 0.01).astype(np.uint8)
    for sample in range(samples):
        for t in range(steps):
            y, x = (t + 3 * sample) % 24, (2 * t + 5 * sample) % 24
            frames[sample, t, y : y + 6, x : x + 6] |= rng.random((6, 6, 2)) < 0.4
    return frames, rng.integers(0, CLASSES, samples)


def ours(name: str, frames: np.ndarray, labels: np.ndarray) -> dict[str, Callable[[], Any]]:
    """One window of our network, learning and responding."""
    steps = frames.shape[1]
    network = Decolle((32, 32, 2), CLASSES, SHAPES[name], LocalNeuron("normalised", 0.0))
    training = LocalTraining(steps, steps, 0, 1, len(frames), lsuv=4)
    fresh = lsuv(initialise_decolle(network, 1), frames, training)
    model = replace(fresh, biases=tuple(one - np.float32(CALMER) for one in fresh.biases))
    moments = first_moments(network)
    return {
        "learning": lambda: learn_windows(model, moments, frames, labels, training, RATE),
        "responding": lambda: respond_windows(model, frames, training),
        "responding, filtered": lambda: respond_windows(model, frames, training, filtered=True),
    }


def theirs(name: str, frames: np.ndarray, labels: np.ndarray) -> dict[str, Callable[[], Any]]:
    """The same of PyTorch; its weights are drawn anew."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    spikes = torch.from_numpy(frames.astype(np.float32)).permute(1, 0, 4, 2, 3).contiguous()
    target = functional.one_hot(torch.from_numpy(labels), CLASSES).float()

    class Step(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, x: Any) -> Any:
            context.save_for_backward(x)
            return (x > 0).float()

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            (x,) = context.saved_tensors
            return gradient / (10 * x.abs() + 1) ** 2

    layers, channels, side = [], 2, 32
    for one in SHAPES[name]:
        conv = torch.nn.Conv2d(channels, one.channels, one.kernel, padding=one.padding)
        torch.nn.init.orthogonal_(conv.weight, 8.0)
        read = torch.nn.Linear(one.channels * (side // one.pool) ** 2, CLASSES).requires_grad_(False)
        layers.append((conv, one.pool, read, (channels, side), (one.channels, side)))
        channels, side = one.channels, side // one.pool
    optimizer = torch.optim.Adamax([p for conv, *_ in layers for p in conv.parameters()], lr=RATE, betas=(0.0, 0.95))

    def run(learns: bool) -> None:
        samples = spikes.shape[1]
        state = [[torch.zeros(samples, c, s, s) for c, s in (low, low, high, high)] for *_, low, high in layers]
        for x in spikes:
            losses = []
            for (conv, pool, read, _, _), own in zip(layers, state, strict=True):
                q, p, r, s = own
                own[1] = 0.97 * p + 0.03 * q
                own[0] = 0.92 * q + 0.08 * x
                own[2] = 0.65 * r - 0.35 * s
                u = conv(own[1]) + own[2]
                own[3] = Step.apply(u).detach()
                high = functional.max_pool2d(u, pool) if pool > 1 else u
                out = Step.apply(high)
                seen = functional.dropout(out, 0.5, training=learns)
                losses.append(functional.smooth_l1_loss(read(seen.flatten(1)), target))
                x = out.detach()
            if learns:
                optimizer.zero_grad()
                sum(losses).backward()
                optimizer.step()

    def responding() -> None:
        with torch.no_grad():
            run(False)

    return {"learning": lambda: run(True), "responding": responding}


def measure(contestants: dict[tuple[str, str], Callable[[], Any]], rounds: int) -> dict[tuple[str, str], float]:
    """Milliseconds of the processor per window: the least of so many rounds, in turns."""
    least = dict.fromkeys(contestants, float("inf"))
    for call in contestants.values():
        call()
    for _ in range(rounds):
        for key, call in contestants.items():
            begin = time.thread_time()
            call()
            least[key] = min(least[key], 1e3 * (time.thread_time() - begin))
    return least


def main(arguments: list[str] | None = None) -> int:
    """Print the table; status 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(SHAPES), default="narrow")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="without PyTorch")
    options = parser.parse_args(arguments)
    set_threads(1)
    frames, labels = windows(options.samples, options.steps)
    found = {("qpsnn", work): call for work, call in ours(options.network, frames, labels).items()}
    if not options.alone:
        found |= {("PyTorch", work): call for work, call in theirs(options.network, frames, labels).items()}
    took = measure(found, options.rounds)
    rows, missed = [], 0
    for (name, work), milliseconds in took.items():
        other = took.get(("PyTorch", work.partition(",")[0]))
        ratio = "" if other is None or name == "PyTorch" else f"{other / milliseconds:.2f}"
        missed += bool(ratio) and float(ratio) < TARGETS.get(work, 0)
        rows.append([name, work, f"{milliseconds / options.samples / options.steps:.3f}", ratio])
    show(f"{options.network}: per sample and step", ["network", "", "ms", "times PyTorch"], rows)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
