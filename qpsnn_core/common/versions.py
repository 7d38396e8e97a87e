"""What is running: the versions that files of results and networks name."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version


def library_versions() -> dict[str, str]:
    """What is running: Python, and the libraries on which the bits of a run may depend."""
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in ("qpsnn", "numpy", "numba", "h5py")},
    }


@cache
def _version(name: str) -> str:
    """Looked up once: each time takes a millisecond, and every epoch makes a checkpoint."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
