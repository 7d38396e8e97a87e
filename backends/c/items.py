"""One object of the C file: its declaration, and its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LINE = 110
"""Characters of a line of numbers, at most."""


@dataclass(frozen=True)
class Item:
    """One object of the C file. owner: the layer that it belongs to, "" for what layers share."""

    owner: str
    text: str
    bytes: int


def record(owner: str, name: str, numbers: tuple[int, ...]) -> Item:
    """A struct of 32-bit numbers; name: with its type."""
    return Item(owner, f"static const {name} = {{{', '.join(map(str, numbers))}}};", 4 * len(numbers))


def table(owner: str, name: str, kind: str, array: npt.NDArray[Any]) -> Item:
    """A table of numbers: words of codes in hexadecimal, the rest in decimal."""
    flat = array.reshape(-1)
    words = array.dtype == np.uint32 and name.endswith("_codes")
    numbers = [f"0x{value:08X}" for value in flat.tolist()] if words else [str(value) for value in flat.tolist()]
    each = max(1, LINE // (max(map(len, numbers)) + 2))
    lines = [", ".join(numbers[start : start + each]) for start in range(0, len(numbers), each)]
    body = ",\n    ".join(lines)
    rows = f"{array.shape[0]} * {array.shape[1]}" if array.ndim == 2 else str(len(flat))
    return Item(owner, f"static const {kind} {name}[{rows}] = {{\n    {body}\n}};", flat.nbytes)
