"""What this machine must have to run a wiring: refused with figures before anything starts, not found out by a hang."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from qpsnn_backends.lava.wiring import Wiring
from qpsnn_core.common.errors import MissingError, Unquoted, UnsupportedError, expected
from qpsnn_core.common.install import requirement
from qpsnn_core.common.types import NamedArrays
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv

DISTRIBUTION = "lava-nc"
PYTHON = (3, 10)
"""The only Python that Lava's last release runs on; elsewhere the extra installs nothing."""

FOLDER = ".venv-lava"
"""Of the environment that the advice makes; with the command line, and the digits that it runs by default."""

THREADS = 2 if sys.platform == "linux" else 7
"""Of each Lava process, itself included, with our channels or Lava's; measured on lava-nc 0.10.0, as the next two."""

OWN_THREADS = 20
"""Of the child, its runtime service and the two keepers of shared memory."""

DESCRIPTORS = (32, 2, 10)
"""That the process forked last has open: always, for each channel, for each part."""

CHANNEL_BYTES = 2 * 4
"""Shared memory for each value that a channel carries: two messages of int32."""

PAGE = 4096

STOCK_CURRENT = 2**23 - 1
"""The largest current of Lava's own Conv model: beyond it, it wraps."""

SHARED_MEMORY = Path("/dev/shm")
PID_LIMITS = (Path("/sys/fs/cgroup/pids.max"), Path("/sys/fs/cgroup/pids/pids.max"))


def check_installed() -> None:
    """MissingError, with the command that installs it, where Lava is not; UnsupportedError where it cannot be."""
    if os.name != "posix":
        raise UnsupportedError(expected("lava", "a POSIX system (the simulator forks)", os.name))
    try:
        importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        got = Unquoted(f"Python {platform.python_version()} ({sys.executable}) without it")
        raise MissingError(expected("lava", f"the [lava] extra on Python 3.10 ({advice()})", got)) from None


def advice() -> str:
    """The command that installs Lava: here, or in an environment of its own on the Python that it needs."""
    if sys.version_info[:2] == PYTHON:
        return f"run `{shlex.quote(sys.executable)} -m pip install {shlex.quote(requirement('lava'))}`"
    wanted = shlex.quote(requirement("lava", "cli", "data"))
    if shutil.which("uv"):
        command = f"uv venv --python 3.10 {FOLDER} && uv pip install --python {FOLDER} {wanted}"
    else:
        command = f"python3.10 -m venv {FOLDER} && {FOLDER}/bin/pip install {wanted}"
    return f"run `{command}`, then `{FOLDER}/bin/qpsnn`"


def check_wiring(wiring: Wiring) -> None:
    """UnsupportedError where the processes, descriptors or shared memory do not suffice."""
    parts = len(wiring.parts)
    base, per_channel, per_part = DESCRIPTORS
    _at_most("threads and processes", THREADS * parts + OWN_THREADS, pids_limit(), f"{parts} Lava processes")
    descriptors = base + per_channel * wiring.channels + per_part * parts
    _at_most("open files", descriptors, descriptors_limit(), f"{parts} Lava processes")
    if SHARED_MEMORY.is_dir():
        sizes = {part.name: part.outputs[0] * part.outputs[1] * part.outputs[2] for part in wiring}
        channels = [sizes[source] * CHANNEL_BYTES for part in wiring for source in part.sources]
        memory = sum(-(-size // PAGE) * PAGE for size in channels) + PAGE * (2 * parts + 2)
        _at_most(f"bytes in {SHARED_MEMORY}", memory, shutil.disk_usage(SHARED_MEMORY).free, f"{parts} Lava processes")


def check_stock_conv(network: IntegerNetwork) -> None:
    """UnsupportedError where a convolution can give a current that Lava's own model wraps."""
    for node in network.of(IntConv):
        largest = network.values[node.name].max_count
        _at_most(f"{node.name}: currents of Lava's own Conv model", largest, STOCK_CURRENT, "24 bits with their sign")


def check_disk(wiring: Wiring, arrays: NamedArrays, images: int, records: int = 0) -> None:
    """UnsupportedError where the records do not fit in the temporary folder. images, records (but of LIF): bytes."""
    neurons = sum(part.inputs[0] * part.inputs[1] * part.inputs[2] for part in wiring.of("lif"))
    record = neurons * (wiring.spikes + 4 * wiring.membranes) * wiring.steps * wiring.samples
    need = record + records + images + sum(array.nbytes for array in arrays.values())
    folder = tempfile.gettempdir()
    _at_most(f"bytes in {folder}", need, shutil.disk_usage(folder).free, f"{wiring.samples} samples")


def pids_limit() -> int | None:
    """How many processes and threads there may be, None for any number."""
    import resource

    limits = [resource.getrlimit(resource.RLIMIT_NPROC)[0]]
    for path in PID_LIMITS:
        text = path.read_text().strip() if path.exists() else ""
        limits += [int(text)] if text.isdigit() else []
    return min((limit for limit in limits if limit >= 0), default=None)


def descriptors_limit() -> int | None:
    """How many files a process may open: the hard limit, to which the child raises its own."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return hard if hard >= 0 else None


def _at_most(what: str, need: int, limit: int | None, why: str) -> None:
    if limit is not None and need > limit:
        raise UnsupportedError(expected(f"lava: {what} ({why})", f"at most {limit}", need))
