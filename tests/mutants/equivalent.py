"""The committed list of mutants that no test can kill, each with its reason."""

from __future__ import annotations

import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LIST = Path(__file__).with_name("equivalent.toml")
FIELDS = ("file", "function", "line", "mutated")


def equivalents() -> dict[tuple[str, ...], str]:
    """The reason of each, by its file, function, line and changed line: line numbers do not count."""
    with LIST.open("rb") as file:
        listed = tomllib.load(file).get("mutant", [])
    return {tuple(entry[field] for field in FIELDS): entry["reason"] for entry in listed}
