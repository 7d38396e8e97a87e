"""What convolutions of a shape cost here, measured once and kept in the user's cache folder.

Nothing but speed depends on it. A file holds the figures of one processor, with some set of instructions, and of one
version of the kernels: a digest of these is in its name. A shape whose figures cannot be read is measured again; where
they cannot be written, every process measures.
"""

from __future__ import annotations

import json
import math
import os
import platform
import tempfile
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from qpsnn_core.kernels.machine_code import stamp
from qpsnn_core.kernels.simd.llvm import host_features

FOLDER = "QPSNN_CACHE"
"""The variable that names the folder; empty: nothing is written. Without it: the user's cache folder."""


class Cost(NamedTuple):
    """Seconds of one thread. For one image: gather with no spikes, rise for one spike per number, dense, table.

    For the weights: gather_pack, dense_pack and table_pack. Infinite for what the kernel does not do.
    """

    gather: float
    rise: float
    dense: float
    table: float
    gather_pack: float
    dense_pack: float
    table_pack: float

    def steady(self, images: int, pack: bool) -> tuple[float, float]:
        """What so many images take through the dense product and through tables, at any rate. pack: weights too."""
        return images * self.dense + pack * self.dense_pack, images * self.table + pack * self.table_pack

    def crossing(self, images: int, pack: bool) -> float:
        """The counts per number above which the faster of these two takes less time than the gather; likewise."""
        more = min(self.steady(images, pack)) - images * self.gather - pack * self.gather_pack
        return more / (images * self.rise) if self.rise > 0 else math.copysign(math.inf, more)


_known: dict[str, Cost] = {}


def known(key: str) -> Cost | None:
    """What was measured of the shape with this key, by this process or an earlier one."""
    if not _known:
        _known.update(_read())
    return _known.get(key)


def remember(key: str, cost: Cost) -> None:
    """Keep what was measured; written beside what other processes have written in the meantime."""
    _known[key] = cost
    path = file()
    if path is None:
        return
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        merged = {name: list(one) for name, one in {**_read(), **_known}.items()}
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                json.dump(merged, out)
            os.replace(name, path)
        except OSError:
            os.unlink(name)


def forget() -> None:
    """What this process has measured or read; files stay."""
    _known.clear()


def file() -> Path | None:
    """The file of this processor; None where nothing is to be written, or the user has no home."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        folder = os.path.join(cache, "qpsnn") if os.path.isabs(cache) else ""
    return Path(folder) / f"products-{_processor()}.json" if folder else None


def _read() -> dict[str, Cost]:
    path = file()
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path else {}
        return {str(key): Cost(*map(float, numbers)) for key, numbers in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


@cache
def _processor() -> str:
    """Sixteen letters of a digest of the processor's name, what it can do, and the kernels that were measured."""
    names = ("forward.py", "byte_products.py", "table_products.py", "tables.py", "packing.py")
    kernels = [stamp(Path(__file__).parent / name) for name in names]
    return sha256("\0".join([_name(), host_features, *kernels]).encode()).hexdigest()[:16]


def _name() -> str:
    """The processor's name as the system gives it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
