"""The sizes of cameras that files name, by their makers' data sheets."""

from __future__ import annotations

from qpsnn_datasets.events.formats.aedat3 import SENSORS


def test_sizes_by_name():
    """(rows, columns)."""
    sizes = {"DVS128": (128, 128), "DAVIS128": (128, 128), "DAVIS240": (180, 240), "DAVIS346": (260, 346)}
    assert {name.rstrip("ABC").removesuffix("BSI") for name in SENSORS} == set(sizes)
    for name, size in SENSORS.items():
        assert size == next(own for kind, own in sizes.items() if name.startswith(kind))
