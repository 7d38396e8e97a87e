"""What is running: the versions that files of results and networks name."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version


def library_versions() -> dict[str, str]:
    """What is running: Python, and the libraries on which the bits of a run may depend."""
    versions = {"python": platform.python_version()}
    for name in ("qpsnn", "numpy", "numba", "h5py"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions
