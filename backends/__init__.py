"""Backends: what integer networks run on. `get(name)` makes one; nothing is imported before it is asked for."""

from qpsnn_core.integer.backends import BACKENDS, get

__all__ = ["BACKENDS", "get"]
