"""The files of a run, its best checkpoint among them: what is checked before it starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from qpsnn_core.common.errors import ConfigError, FileError, Unquoted, expected
from qpsnn_core.common.tasks import REGRESSION
from qpsnn_core.training.history import Epoch, best_epoch
from qpsnn_core.training.loop import RunSetup

PathLike = str | os.PathLike[str]


def check_place(path: PathLike) -> None:
    """FileError already before a run where a file could not be written after it."""
    folder = Path(path).parent
    faults = {
        "a folder": Path(path).is_dir(),
        f"no such folder ({folder})": not folder.is_dir(),
        f"a folder without the right to write ({folder})": not os.access(folder, os.W_OK),
    }
    for got, there in faults.items():
        if there:
            raise FileError(expected(f"{path}", "a file in a folder that can be written", Unquoted(got)))


def check_best(
    place: str, best: PathLike, checkpoint: PathLike | None, setup: RunSetup, history: Sequence[Epoch]
) -> None:
    """ConfigError, FileError: a file for the best checkpoint that cannot be written, or that a resumed run lacks."""
    if setup.validation is None:
        raise ConfigError(expected(place, "none, as there is no validation to choose by", Unquoted(f"{best}")))
    if setup.data.task == REGRESSION and setup.config.monitor == "accuracy":
        want = '"loss" to choose the best epoch by, as real numbers have no accuracy'
        raise ConfigError(expected(f"{setup.stage}.monitor", want, setup.config.monitor))
    if checkpoint is not None and Path(best).absolute() == Path(checkpoint).absolute():
        raise ConfigError(expected(place, "another file than the run's checkpoint", Unquoted(f"{best}")))
    check_place(best)
    epoch = best_epoch(history, setup.config.monitor)
    if epoch and not Path(best).is_file():
        want = f"the checkpoint of epoch {epoch}, the best so far of the run that is resumed"
        raise FileError(expected(f"{best}", want, Unquoted("no such file")))
