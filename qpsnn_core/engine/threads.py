"""How many threads the kernels use, checked."""

from __future__ import annotations

from qpsnn_core.common.validation import whole
from qpsnn_core.kernels import threads


def set_threads(count: int) -> None:
    """Use `count` threads from now on; results do not depend on it. Raises ConfigError unless it is at least 1."""
    threads.set_threads(whole("set_threads.count", count, 1))
