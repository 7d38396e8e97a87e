"""The benchmark on an emulated Cortex-M: its figures are those of make, and a failed check ends it."""

from __future__ import annotations

import json

import pytest
from compiled import needs_arm
from generators import pair_network

from benched import FOLDER
from benchmarks import cortex_m

PRINTED = """\
stack: 96 bytes
instructions an image: 11135 on average, 11175 at most
   text\t   data\t    bss\t    dec\t    hex\tfilename
   1288\t      4\t    424\t   1716\t    6b4\tbuild/m4/network.o
"""


def test_figures_are_read():
    found = cortex_m.figures(PRINTED)
    assert found == {
        **{"text": 1288, "data": 4, "bss": 424, "stack": 96},
        **{"instructions": 11135, "instructions at most": 11175},
    }
    with pytest.raises(SystemExit, match="make printed no figures: nothing"):
        cortex_m.figures("nothing")


@needs_arm
def test_a_small_network_is_measured(monkeypatch):
    net, images = pair_network("lif-conv", "map")
    found = cortex_m.measured(net, images)
    assert set(found["processors"]) == {"Cortex-M4", "Cortex-M0"}
    header = found["header"]
    for one in found["processors"].values():
        assert one["instructions at most"] >= one["instructions"] > 100
        assert one["text"] > header["constants"]
        assert one["bss"] >= header["state"] + header["scratch"]
    monkeypatch.setenv("MAKEFLAGS", "QEMU=false")
    with pytest.raises(SystemExit, match="make m4: "):
        cortex_m.measured(net, images)


def test_the_published_figures_are_whole():
    published = json.loads((FOLDER / "cortex_m.json").read_text(encoding="utf-8"))
    network = published["network"]
    assert network["images"] == 100
    assert published["accuracy"] > 0.9
    for one in network["processors"].values():
        assert one["bss"] == network["header"]["state"] + network["header"]["scratch"]
        assert one["text"] < 32 * 1024
        assert one["stack"] < 512
