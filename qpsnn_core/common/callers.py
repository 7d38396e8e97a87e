"""Who called a verb: the place that a warning is of."""

from __future__ import annotations

import sys

OURS = ("qpsnn_core", "qpsnn_backends", "qpsnn_datasets")


def users_level() -> int:
    """The `stacklevel` of the first caller outside these packages, for a warning of the function that asks."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in OURS:
        level, frame = level + 1, frame.f_back
    return level
