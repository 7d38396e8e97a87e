"""How many images a second boxes are decoded, suppressed and matched for, on one core: the targets are 300 each.

    python -m benchmarks.suppression [--repeats 30] [--out benchmarks/suppression.json]

An image has 1,500 cells and anchors (320 pixels, strides 16 and 32, three anchors). In suppression all are candidates,
of ten classes, drawn around twenty places. Matching and the loss are those of 8 images with 20 boxes each.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.measure import Effort, alternate
from qpsnn_core.common.detection import BoxTargets, DetectionHead
from qpsnn_core.engine.detection import DetectionLimits, detect
from qpsnn_core.kernels.boxes import suppress
from qpsnn_core.kernels.threads import set_threads
from qpsnn_core.optim.anchor_matching import match_anchors
from qpsnn_core.optim.detection_losses import DetectionGains, detection_loss

CANDIDATES, PLACES, CLASSES, BATCH, SIZE = 1500, 20, 10, 8, 320
TARGET = 300
"""Images a second, of suppression and of matching."""


def candidates(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes around a few places, in the order of their scores, and their classes."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(40, SIZE - 40, (PLACES, 2))[rng.integers(0, PLACES, CANDIDATES)]
    centres, sides = centres + rng.normal(0, 8, centres.shape), rng.uniform(20, 60, (CANDIDATES, 2))
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    return boxes, rng.integers(0, CLASSES, CANDIDATES)


def main() -> None:
    """Measure, print, write; status 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    set_threads(1)
    boxes, classes = candidates(0)
    kept = np.zeros(CANDIDATES, np.int64)
    head = DetectionHead(CLASSES).scaled(SIZE)
    rng = np.random.default_rng(1)
    maps = [
        rng.normal(size=(BATCH, SIZE // s, SIZE // s, head.channels(k))).astype(np.float32)
        for k, s in enumerate(head.strides)
    ]
    corner, sides = rng.uniform(0, 260, (BATCH * 20, 2)), rng.uniform(8, 60, (BATCH * 20, 2))
    edges = np.concatenate([corner, corner + sides], axis=1).astype(np.float32)
    targets = BoxTargets(edges, rng.integers(0, CLASSES, len(edges)), np.arange(BATCH + 1) * 20)
    gains = DetectionGains().scaled(head, SIZE)
    work = {
        "suppression": (1, lambda: suppress(boxes, classes, 0.6, CANDIDATES, kept)),
        "matching": (BATCH, lambda: [match_anchors(targets, head, k, *maps[k].shape[1:3]) for k in (0, 1)]),
        "decoding and suppression": (BATCH, lambda: detect(maps, head, limits=DetectionLimits(0.05))),
        "loss and gradient": (BATCH, lambda: detection_loss(maps, targets, head, gains)),
    }
    times = alternate({name: call for name, (_, call) in work.items()}, Effort(seconds=1e9, most=given.repeats))
    rates = {name: images / min(times[name]) for name, (images, _) in work.items()}
    for name, rate in rates.items():
        print(f"{name:26} {rate:8.0f} images/s")
    print(f"{'boxes that stay':26} {suppress(boxes, classes, 0.6, CANDIDATES, kept):8}")
    if given.out:
        given.out.write_text(json.dumps({"images_per_second": rates}, indent=1) + "\n", encoding="utf-8")
    for name in ("suppression", "matching"):
        if rates[name] < TARGET:
            raise SystemExit(f"{name}: expected at least {TARGET} images a second, got {rates[name]:.0f}")


if __name__ == "__main__":
    main()
