"""What long work tells while it runs, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Told after every batch: `batch` of `batches` are done in this epoch (counted from 1) of this stage.

    stage: "train", "learn", "finetune", "validate", "evaluate", "predict", "score", "recalibrate", "calibrate",
    "prune" (by rows) or "find_learning_rate" (whose batches are updates).
    loss: nats, of this batch. accuracy: 0 to 1, of this stage and epoch so far.
    """

    stage: str
    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float | None
    accuracy: float | None


Listener = Callable[[Progress], object]
