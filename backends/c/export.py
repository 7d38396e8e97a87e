"""Writes an integer network as C99, with its test: one self-contained C file and its header."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_backends.c.cortex import LINKER, MEASURE, START
from qpsnn_backends.c.driver import CHECK
from qpsnn_backends.c.folder import check_folder, write_folder
from qpsnn_backends.c.makefile import MAKEFILE
from qpsnn_backends.c.memory import memory, total
from qpsnn_backends.c.plan import plan
from qpsnn_backends.c.source import header, source
from qpsnn_backends.c.vectors import noise, vectors
from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.integer.dead import warn_dead_integers
from qpsnn_core.integer.network import IntegerNetwork

VECTORS = 100
"""Inputs that an export is checked with, where nothing else is said."""


TAKEN = ("check", "cortex_m", "measure")
"""Other C files of an export."""


@dataclass(frozen=True)
class Exported:
    """What was written. Bytes: constants (flash, besides the code), state and scratch (RAM); vectors: inputs."""

    folder: str
    files: tuple[str, ...]
    constants: int
    state: int
    scratch: int
    vectors: int


def export(
    network: IntegerNetwork,
    folder: str | os.PathLike[str],
    name: str = "network",
    images: npt.NDArray[Any] | None = None,
) -> Exported:
    """Write `name`.c, `name`.h, check.c, vectors.bin and a Makefile whose `make check` compares them.

    And what `make m4` and `make m0` need to run them on an emulated Cortex-M: cortex_m.c, cortex_m.ld, measure.c.

    name: what its functions begin with. images: test inputs, [B, H, W, C] or frames [T, B, H, W, C]; else noise.
    Raises ConfigError (name), FileError (a folder that holds something else, or cannot be written), and what is wrong
    with the images.
    """
    check_identifier(name)
    target = Path(folder)
    check_folder(target)
    planned = plan(network)
    warn_dead_integers("c", network)
    found = memory(planned)
    tested = noise(network, VECTORS) if images is None else np.asarray(images)
    sizes = (total(found.constants), total(found.state), total(found.scratch))
    words = {"name": name, "upper": name.upper()}
    files = {
        f"{name}.h": header(planned, found, name).encode("ascii"),
        f"{name}.c": source(planned, found, name).encode("ascii"),
        "check.c": CHECK.substitute(words).encode("ascii"),
        "cortex_m.c": START.encode("ascii"),
        "cortex_m.ld": LINKER.encode("ascii"),
        "measure.c": MEASURE.substitute(words).encode("ascii"),
        "vectors.bin": vectors(network, tested),
        "Makefile": MAKEFILE.substitute(words, ram=sizes[1] + sizes[2]).encode("ascii"),
    }
    write_folder(target, files)
    return Exported(str(target), tuple(files), *sizes, tested.shape[-4])


def check_identifier(name: str) -> None:
    """ConfigError unless the name can begin an identifier, a macro and a file's name, and is no other file's."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", name, re.ASCII) or name.lower() in TAKEN:
        others = ", ".join(f"'{one}'" for one in TAKEN)
        raise ConfigError(expected("name", f"a letter, then at most 30 letters, digits or '_', none of {others}", name))
