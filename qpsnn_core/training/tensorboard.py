"""The history of a run as TensorBoard reads it: scalars of each epoch, written by tensorboardX."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qpsnn_core.common.atomic import writable_folder
from qpsnn_core.common.install import missing_extra
from qpsnn_core.training.history import Epoch

PathLike = str | os.PathLike[str]

TAGS = {
    "loss": "loss/train",
    "validation_loss": "loss/validation",
    "accuracy": "accuracy/train",
    "validation": "accuracy/validation",
    "lr": "lr",
    "firing_rate": "firing_rate",
    "seconds": "seconds",
}
"""The tag of each figure of an Epoch; TensorBoard draws those with one word before the slash side by side."""


class EpochWriter:
    """Writes each epoch once it is over. past: epochs of the run that are done; what was written after them is purged.

    Raises DataError (tensorboardX is missing), FileError (no folder that can be written).
    """

    def __init__(self, place: str, folder: PathLike, past: int) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise missing_extra(place, "tensorboardX, which writes the logs", "tensorboard", error) from error
        self.folder: Path = writable_folder(folder)
        self._writer: Any = SummaryWriter(logdir=str(self.folder), purge_step=past + 1 if past else None)

    def write(self, epoch: Epoch) -> None:
        """The figures that there are, at the step of the epoch's number."""
        for name, value in asdict(epoch).items():
            if name in TAGS and value is not None:
                self._writer.add_scalar(TAGS[name], value, epoch.epoch)
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()


@contextmanager
def epoch_writer(place: str, folder: PathLike | None, past: int) -> Iterator[EpochWriter | None]:
    """A writer while the block runs; None where no folder was named."""
    if folder is None:
        yield None
        return
    writer = EpochWriter(place, folder, past)
    try:
        yield writer
    finally:
        writer.close()
