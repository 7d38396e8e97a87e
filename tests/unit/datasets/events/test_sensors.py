"""The sizes of cameras that files name, by their makers' data sheets."""

from __future__ import annotations

import pytest

from qpsnn_core.common.errors import FormatError
from qpsnn_datasets.events.formats.aedat3 import SENSORS
from qpsnn_datasets.events.formats.percent import named_sensor


def test_sizes_by_name():
    """(rows, columns)."""
    sizes = {"DVS128": (128, 128), "DAVIS128": (128, 128), "DAVIS240": (180, 240), "DAVIS346": (260, 346)}
    assert {name.rstrip("ABC").removesuffix("BSI") for name in SENSORS} == set(sizes)
    for name, size in SENSORS.items():
        assert size == next(own for kind, own in sizes.items() if name.startswith(kind))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"geometry": "99999999x99999999"}, "a sensor of 1 to 65,536 pixels a side, got 99999999x99999999"),
        ({"geometry": "9" * 5000 + "x10"}, f"pixels a side, got {'9' * 20}x10"),
        ({"geometry": "0x480"}, "pixels a side, got 0x480"),
        ({"height": "100000", "width": "640"}, "pixels a side, got 640x100000"),
        ({"geometry": "large"}, "expected the sensor's size in the header, or given: --sensor WIDTHxHEIGHT"),
        ({}, "expected the sensor's size in the header, or given: --sensor WIDTHxHEIGHT, got nothing"),
    ],
    ids=str,
)
def test_a_header_with_no_size_that_a_sensor_has(fields, said):
    with pytest.raises(FormatError) as error:
        named_sensor(fields, "a.raw")
    assert said in str(error.value)
    assert str(error.value).startswith("a.raw: header: expected ")
    assert len(str(error.value)) < 200
