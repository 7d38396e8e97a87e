"""Runs a network of local learning as the C that an export gives, compiled for this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from qpsnn_backends.c.compiler import called, command, compiled
from qpsnn_backends.c.local.decolle import plan_decolle
from qpsnn_backends.c.local.diehl_cook import plan_diehl_cook
from qpsnn_backends.c.local.driver import RUN
from qpsnn_backends.c.local.plan import CLocalPlan
from qpsnn_backends.c.local.source import header, source
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.types import Images
from qpsnn_core.integer.local.backends import LocalRecord, LocalRun, check_samples, parted_variables
from qpsnn_core.integer.local.networks import TESTED, IntDecolle, IntDiehlCook, IntLocal

PLANS: KindTable[Callable[[Any], CLocalPlan]] = KindTable(
    "the C export of local learning", {IntDiehlCook: plan_diehl_cook, IntDecolle: plan_decolle}
)


@dataclass(frozen=True)
class CLocalBackend:
    """The exported C file in a program of its own, in a temporary folder. compiler, flags, timeout: as of CBackend."""

    compiler: str = ""
    flags: tuple[str, ...] = ("-O2",)
    timeout: float = 600.0
    name: ClassVar[str] = "c"

    def check(self, network: IntLocal) -> None:
        """Raises UnsupportedError where this machine has no C compiler."""
        command(self.compiler)

    def run(self, network: IntLocal, samples: Images, record: LocalRecord = "none", first: int = TESTED) -> LocalRun:
        """As `LocalBackend.run`; raises also BackendError with what the compiler or the program said."""
        samples = check_samples(network, samples, record, first)
        self.check(network)
        planned, watched = PLANS[network](network), record == "all"
        texts = {"network.h": header(network, planned, "network"), "network.c": source(network, planned, "network")}
        with tempfile.TemporaryDirectory(prefix="qpsnn-c-") as name:
            folder = Path(name)
            for file, text in {**texts, "run.c": RUN}.items():
                (folder / file).write_text(text, encoding="ascii")
            flags = (*self.flags, "-DNETWORK_OBSERVE") if watched else self.flags
            program = compiled(folder, ("network.c", "run.c"), flags, self.compiler, self.timeout)
            samples.tofile(folder / "inputs")
            words = [str(program), "inputs", str(len(samples)), str(network.steps), str(first), "answers", "variables"]
            called(words, folder, self.timeout, "program")
            answers = np.fromfile(folder / "answers", np.uint32).astype(np.int64).reshape(len(samples), -1)
            told = np.fromfile(folder / "variables", np.int32) if watched else None
        return LocalRun(answers, {} if told is None else parted_variables(network, told, len(samples)))
