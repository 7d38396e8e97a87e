"""Names of nodes as identifiers of C."""

from __future__ import annotations

import re


def identifiers(names: list[str]) -> dict[str, str]:
    """An identifier of its own for each name: letters, digits, '_'; a letter first, and short enough for C99."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)[:32]
        plain = plain if plain[0].isalpha() else f"n{plain}"
        chosen, count = plain, 1
        while chosen in found.values():
            count += 1
            chosen = f"{plain}_{count}"
        found[name] = chosen
    return found
