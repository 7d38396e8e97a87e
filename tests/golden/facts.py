"""What a reader must recover from a file of each format, as plain data; all through `qp` and the readers of events."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

import qpsnn_core as qp
from qpsnn_datasets.events import load_events

FOLDER = Path(__file__).with_name("formats")
PACKED = (".h5", ".nir", ".netx")
IMAGES = 4


def unpack(folder: Path) -> None:
    """The files of formats/, unpacked, into a folder."""
    for path in FOLDER.rglob("*"):
        target = folder / path.relative_to(FOLDER)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            packed = path.suffix == ".gz"
            content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
            (target.with_suffix("") if packed else target).write_bytes(content)


def images(count: int = IMAGES) -> np.ndarray[Any, Any]:
    """Images [count, 6, 6, 2] of integers 0..15, by a formula."""
    index = np.arange(count * 72, dtype=np.int64)
    return ((index * index * 7 + index * 13 + index // 72) % 31 % 16).astype(np.uint8).reshape(count, 6, 6, 2)


def digest(*arrays: Any) -> str:
    """The first digits of the SHA-256 of types, shapes and little-endian bytes."""
    total = sha256()
    for array in map(np.ascontiguousarray, arrays):
        total.update(f"{array.dtype.name} {array.shape}\n".encode())
        total.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return total.hexdigest()[:16]


def together(nested: Any) -> dict[str, str]:
    """One digest for each node's arrays, in the order of their names."""
    return {node: digest(*(own[name] for name in sorted(own))) for node, own in sorted(nested.items()) if own}


def of_network(path: Path) -> dict[str, Any]:
    """A network in JSON: the shape that each node gives."""
    network = qp.Network.from_json(path.read_text(encoding="utf-8"))
    return {"steps": network.steps, "shapes": {node.name: list(network.shape(node.name)) for node in network}}


def of_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint: its arrays, and where its training stands."""
    found = qp.load_checkpoint(path)
    optimizer, position = found.optimizer, found.position
    return {
        "params": together(found.model.params),
        "state": together(found.model.state),
        "optimizer": {slot: together(own) for slot, own in optimizer.slots.items()} if optimizer else None,
        "updates": optimizer.step if optimizer else None,
        "position": [position.epochs, position.batches, position.samples, position.correct] if position else None,
        "history": [asdict(epoch) for epoch in found.history],
        "recipe": sorted(found.recipe),
        "notes": sorted(found.notes),
    }


def of_integer(path: Path) -> dict[str, Any]:
    """An integer network: its arrays, and what it makes of images, or frames of events."""
    network = qp.load_integer(path)
    shape = network.input.shape
    frames = () if shape == (6, 6, 2) else (network.steps,)
    given = np.resize(images(), (*frames, IMAGES, *shape)) % (min(network.input.peak, 15) + 1)
    done = qp.simulate(network, given, record="spikes")
    return {
        "steps": network.steps,
        "arrays": together(network.arrays),
        "spikes": {name: int(np.count_nonzero(spikes)) for name, spikes in done.spikes.items()},
        "readout": np.asarray(done.readout).tolist(),
    }


def of_store(path: Path) -> dict[str, Any]:
    """A store of events: its table, every event, and a window."""
    table = ("labels", "counts", "splits", "on", "first", "last", "heights", "widths")
    with load_events(path) as store:
        return {
            "classes": list(store.classes),
            "notes": json.loads(json.dumps(store.notes)),
            "names": [store.name(index) for index in range(len(store))],
            **{name: getattr(store, name).tolist() for name in table},
            "events": [digest(one.x, one.y, one.t, one.p) for one in store],
            "window": store.window(0, 300, 500).t.tolist(),
        }


def of_recipe(path: Path) -> dict[str, Any]:
    """A recipe: every field."""
    return qp.load_recipe(path).to_dict()


def reader(name: str) -> Any:
    """What reads the file of that name; None for what only commands read or write."""
    if name.endswith(".toml"):
        return of_recipe
    if name.startswith("network") and name.endswith(".json"):
        return of_network
    if name == "events.h5":
        return of_store
    if name.startswith(("integer", "front/4-", "folds/fold-")):
        return of_integer
    return None if name.endswith((".json", ".nir", ".netx")) or "first-pass" in name else of_checkpoint
