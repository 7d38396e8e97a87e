"""Every check of agreement of a case, each in a process of its own, as many at a time as there are processors.

Most of their time PyTorch compiles, and what it compiles is kept on disk, where the process that times it finds it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import fresh
from benchmarks.networks import Case

MOST = 4
"""Processes at a time: ResNet20's takes two gigabytes."""


def check_all(case: Case, wanted: Sequence[tuple[str, str]], weights: Path) -> list[dict[str, Any]]:
    """A record for each contestant and form. RuntimeError says what disagrees."""

    def one(pair: tuple[str, str]) -> dict[str, Any]:
        contestant, form = pair
        size = (case.steps, len(case.images))
        found = fresh.run("-m", "benchmarks.agreement", contestant, form, case.name, *size, weights)
        return {"network": case.name, "T": case.steps, "contestant": contestant, "form": form, **found}

    with ThreadPoolExecutor(min(os.cpu_count() or 1, MOST)) as pool:
        return list(pool.map(one, wanted))
