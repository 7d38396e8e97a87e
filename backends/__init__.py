"""Backends: what integer networks run on. `get(name)` makes one; nothing is imported before it is asked for."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qpsnn_backends.base import Backend

BACKENDS = {
    "exact": ("qpsnn_backends.exact", "ExactBackend"),
    "lava": ("qpsnn_backends.lava.backend", "LavaBackend"),
    "c": ("qpsnn_backends.c.backend", "CBackend"),
}
"""The module and class of each backend, by name."""


def get(name: str, **options: Any) -> Backend:
    """The backend of that name, made with its own options. ConfigError for a name or an option that it has not."""
    from qpsnn_core.errors import ConfigError, expected

    if name not in BACKENDS:
        raise ConfigError(expected("backend", f"one of {', '.join(BACKENDS)}", name) + _nearest(name, list(BACKENDS)))
    module, kind = BACKENDS[name]
    made = getattr(import_module(module), kind)
    known = list(signature(made).parameters)
    for option in options:
        if option not in known:
            want = f"one of {', '.join(known)}" if known else "no options"
            raise ConfigError(expected(f"backend.{name}", want, option) + _nearest(option, known))
    backend: Backend = made(**options)
    return backend


def _nearest(word: str, valid: list[str]) -> str:
    close = get_close_matches(word, valid, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
