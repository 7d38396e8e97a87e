"""A process model that reports its exceptions; without it Lava waits forever for a model that failed."""

from __future__ import annotations

import contextlib
import os
import traceback
from abc import abstractmethod
from pathlib import Path

from lava.magma.core.model.py.model import PyLoihiProcessModel

FAILURE = Path("failure.txt")
"""Where the first traceback goes: the child and all its processes run in the job's folder."""


def tell_failure(text: str) -> None:
    """Write the first failure, whole: the parent waits for this file and then ends everything."""
    draft = FAILURE.with_suffix(f".{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    with contextlib.suppress(FileExistsError):
        os.link(draft, FAILURE)


class GuardedModel(PyLoihiProcessModel):
    """Does `step` in each spiking phase. Subclasses name nothing `phase`, `start` or `time_step`: those are Lava's."""

    @abstractmethod
    def step(self) -> None:
        """Receive, compute, send."""

    def run_spk(self) -> None:
        """Lava's spiking phase: one `step`, its exception written to a file."""
        try:
            self.step()
        except BaseException:
            tell_failure(traceback.format_exc())
            raise
