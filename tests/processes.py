"""What /proc tells of running processes."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Use(NamedTuple):
    """What processes hold. resident: KiB, of all together; segments: names of files in shared memory, in order."""

    resident: int
    descriptors: int
    segments: tuple[str, ...]


def running(folder: Path) -> dict[int, str]:
    """The command of each process whose working folder is in `folder`, by its number; not those only to be reaped."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cwd").readlink().is_relative_to(folder):
                found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def use(numbers: Iterable[int]) -> Use:
    """Of those of these processes that still run."""
    resident, descriptors, segments = 0, 0, set()
    for number in numbers:
        path = Path("/proc") / str(number)
        try:
            status, maps, files = (path / "status").read_text(), (path / "maps").read_text(), os.listdir(path / "fd")
        except OSError:
            continue
        resident += sum(map(int, re.findall(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)))
        descriptors += len(files)
        segments.update(re.findall(r" /dev/shm/(\S+)", maps))
    return Use(resident, descriptors, tuple(sorted(segments)))


def until(condition, seconds=60.0):
    """Wait for the condition; its value, or the last one after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value
