"""The kinds of files that commands read and write, and which command makes the right one of a wrong one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from qpsnn_core.common.errors import FormatError, Unquoted, expected

RECIPE, CHECKPOINT, INTEGERS, STORE = "recipe", "qpsnn-checkpoint", "qpsnn-integer", "qpsnn-events"
DATASET, LOCAL = "qpsnn-dataset", "qpsnn-local"
NIR, NETX, HDF5, ZIP, TORCH, JSON = "nir", "netx", "hdf5", "zip", "torch", "json"


class FileKind(NamedTuple):
    """words: what messages call it. made_by: what makes one where there is none, "" for files of others."""

    words: str
    made_by: str = ""


KINDS: Mapping[str, FileKind] = {
    RECIPE: FileKind("a recipe in TOML", "examples/digits.toml is one to begin with"),
    CHECKPOINT: FileKind("a checkpoint", "`qpsnn train RECIPE --out CHECKPOINT` makes one"),
    INTEGERS: FileKind("an integer network", "`qpsnn lower CHECKPOINT --out NETWORK` makes one"),
    LOCAL: FileKind("a network that learns locally", "`qpsnn learn RECIPE --out FILE` makes one"),
    STORE: FileKind("a store of recordings", "`qpsnn events import FILES --out STORE` makes one"),
    DATASET: FileKind("a data set", "`Split.save(path)` of Python makes one"),
    NIR: FileKind("a NIR file", "`qpsnn export CHECKPOINT --nir FILE` makes one"),
    NETX: FileKind("a NetX file"),
    HDF5: FileKind("an HDF5 file that qpsnn did not write"),
    ZIP: FileKind("a zip or .npz file"),
    TORCH: FileKind("a PyTorch file"),
    JSON: FileKind("a JSON file", "`qpsnn_core.save_network(path, network)` writes a network's"),
}

REMEDIES: Mapping[tuple[str, str], str] = {
    (RECIPE, CHECKPOINT): "`qpsnn train {path} --out CHECKPOINT` makes one of it",
    (RECIPE, INTEGERS): "`qpsnn train {path} --out CHECKPOINT`, then `qpsnn lower CHECKPOINT --out NETWORK` make one",
    (RECIPE, LOCAL): "`qpsnn learn {path} --out FILE` makes one of it",
    (CHECKPOINT, INTEGERS): "`qpsnn lower {path} --out NETWORK` makes one of it",
    (CHECKPOINT, NIR): "`qpsnn export {path} --nir FILE` makes one of it",
    (INTEGERS, CHECKPOINT): "`qpsnn import {path} --recipe RECIPE --out CHECKPOINT` makes one of it",
    (INTEGERS, NIR): "`qpsnn export {path} --nir FILE` makes one of it",
    (NIR, CHECKPOINT): "`qpsnn import {path} --out CHECKPOINT` makes one of it",
    (NIR, INTEGERS): "`qpsnn import {path} --out CHECKPOINT`, then `qpsnn lower CHECKPOINT --out NETWORK` make one",
    (CHECKPOINT, JSON): "save_network(path, load_checkpoint('{path}').model.network) writes its network",
    (STORE, RECIPE): 'it is data: name = "events", path = "{path}" in the table [data] of a recipe',
    (DATASET, RECIPE): 'it is data: name = "saved", path = "{path}" in the table [data] of a recipe',
    (ZIP, RECIPE): 'it is data: name = "arrays", path = "{path}" in the table [data] of a recipe',
}
"""What helps where a file of the first kind is given for one of the second; else what makes the second."""

USES: Mapping[str, str] = {
    STORE: "it is data: --data events:{path}",
    DATASET: "it is data: --data {path}",
    ZIP: "it is data: --data {path}",
    TORCH: "qpsnn reads no pickles of PyTorch; networks come in NIR files: `qpsnn import FILE.nir --out CHECKPOINT`",
}
"""What a file of these kinds is good for, which no network can be made of."""


def wrong_kind(path: str | os.PathLike[str], came: str, *wanted: str) -> FormatError:
    """The error for a file of the kind `came` where one of the kinds `wanted` is read, with the command that helps."""
    place = os.fspath(path)
    if HDF5 in wanted:  # whatever others write images and recordings in
        words, wanted = "recordings or images", (STORE,)
    else:
        words = " or ".join(KINDS[kind].words for kind in wanted)
    helps = [REMEDIES[came, kind].format(path=place) for kind in wanted if (came, kind) in REMEDIES]
    if not helps:
        uses = [USES[came].format(path=place)] if came in USES else []
        helps = [*uses, *(KINDS[kind].made_by for kind in wanted)]
    got = KINDS[came].words if came in KINDS else f"a {came} file"
    return FormatError(f"{expected(place, words, Unquoted(got))} ({'; '.join(dict.fromkeys(helps))})")
