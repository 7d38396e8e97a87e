"""What takes memory at the least, compared with what the machine has before any of it is taken."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from qpsnn_core.common.errors import ConfigError, QpsnnError, Unquoted, expected
from qpsnn_core.common.foreign import VARIABLE, raised_bytes

CGROUP = Path("/sys/fs/cgroup/memory.max")
"""The limit of a container on Linux."""

GIGA = 10**9


def machine_bytes() -> int | None:
    """The memory of this machine, or of the container that this process runs in; None where neither is known."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
    try:
        limit = CGROUP.read_text(encoding="ascii").strip()
    except OSError:
        limit = ""
    return min(total, int(limit)) if limit.isdigit() else total


def check_fits(place: str, parts: Mapping[str, int], error: type[QpsnnError] = ConfigError) -> None:
    """The error, with the largest part, where the sum of these bytes is more than the machine has.

    The variable of the environment that raises what files may unpack to raises this, too.
    """
    there, total = machine_bytes(), sum(parts.values())
    if there is not None and total > max(there, raised_bytes()):
        name = max(parts, key=lambda name: parts[name])
        got = f"at least {total / GIGA:,.1f} GB, {parts[name] / GIGA:,.1f} GB of it for {name}"
        want = f"at most the {there / GIGA:,.1f} GB that this machine has ({VARIABLE} raises it)"
        raise error(expected(place, want, Unquoted(got)))
