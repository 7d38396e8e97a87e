"""The Lava backend's parts that need no Lava: the plan of a network, its JSON, the limits, what is refused."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from qpsnn_backends.lava import limits
from qpsnn_backends.lava.backend import LavaBackend
from qpsnn_backends.lava.plan import plan, to_lava
from qpsnn_backends.lava.wiring import Pool, wiring_from_json
from qpsnn_core.common import install
from qpsnn_core.common.errors import ConfigError, DataError, ShapeError, UnsupportedError
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntConv,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
)

CHANNELS = 2


def arrays_of(node, shape=(4, 4)):
    ones = np.ones(CHANNELS, np.int32)
    return {
        IntConv: lambda: {"codes": np.ones((node.kernel, node.kernel, CHANNELS, CHANNELS), np.int8), "gain": ones},
        IntLinear: lambda: {"codes": np.ones((shape[0] * shape[1] * CHANNELS, CHANNELS), np.int8), "gain": ones},
        IntShortcut: lambda: {"gain": ones},
        IntLIF: lambda: {"threshold": ones * 3, "bias": ones},
        IntReadout: lambda: {"bias": ones},
    }.get(type(node), dict)()


def network(*nodes, last, shape=(4, 4), peak=1):
    """nodes between an input of 4x4x2 and a readout of the value `last`, whose map is `shape`."""
    nodes = (IntInput("in", (4, 4, CHANNELS), peak), *nodes, IntLinear("fc", last, CHANNELS), IntReadout("out", "fc"))
    return IntegerNetwork(nodes, {node.name: arrays_of(node, shape) for node in nodes}, steps=3)


def conv(name, source, kernel=3):
    return IntConv(name, source, CHANNELS, kernel, 1, kernel // 2)


def skip(name, source):
    return IntShortcut(name, source, CHANNELS, 1, (0, 1))


def parts(net):
    return {part.name: part for part in plan(net).wiring}


def test_a_shortcut_waits_for_the_synapses_on_the_main_path():
    found = parts(
        network(
            *(conv("c1", "in"), IntLIF("l1", ("c1",)), conv("c2", "l1"), IntLIF("l2", ("c2",)), conv("c3", "l2")),
            *(skip("s", "l1"), IntLIF("l3", ("c3", "s"))),
            last="l3",
        )
    )
    assert [found[name].latency for name in ("in", "c1", "l1", "c2", "l2", "c3", "s", "l3", "fc", "out")] == [
        *(0, 1, 1, 2, 2, 3, 3, 3, 4, 4)
    ]
    assert found["s"].settings["delay"] == 2
    assert found["l3"].reads == ("c3", "s")


def test_a_shortcut_that_another_layer_reads_too_gets_a_delay_of_its_own():
    found = parts(
        network(
            *(conv("c1", "in"), IntLIF("l1", ("c1",)), conv("c2", "l1"), skip("s", "in"), IntLIF("l2", ("c2", "s"))),
            *(IntLIF("l3", ("s",)), IntSum("sum", ("l2", "l3"))),
            last="sum",
        )
    )
    assert found["l2"].reads == ("c2", "s+1")
    assert found["l3"].reads == ("s",)
    assert found["fc"].reads == ("l2", "l3+1")
    assert (found["s"].settings["delay"], found["s+1"].settings["delay"], found["l3+1"].latency) == (1, 1, 2)


def test_a_value_that_one_sum_meets_twice_is_repeated_by_a_part_of_its_own():
    found = parts(
        network(
            *(conv("c1", "in"), IntLIF("l1", ("c1",)), conv("c2", "l1"), IntLIF("l2", ("c2",))),
            *(IntSum("a", ("l1", "l2")), IntSum("b", ("a", "l1"))),
            last="b",
        )
    )
    assert found["fc"].reads == ("l1+1", "l2", "l1+1#1")
    assert found["fc"].settings["message_bits"] == 2


def test_a_lif_pools_what_only_the_pool_reads():
    lif = (conv("c1", "in"), IntLIF("l1", ("c1",)), IntSumPool("p1", "l1", 2))
    found = parts(network(*lif, last="p1", shape=(2, 2)))
    assert "p1" not in found
    assert found["l1"].pool == Pool(largest=False, size=(2, 2), stride=(2, 2), padding=(0, 0))
    assert (found["l1"].inputs, found["l1"].outputs) == ((4, 4, 2), (2, 2, 2))
    assert found["fc"].settings["message_bits"] == 3

    both = (*lif, IntMaxPool("p2", "l1", 3, 2, 1), IntSum("sum", ("p1", "p2")))
    found = parts(network(*both, last="sum", shape=(2, 2)))
    assert (found["p1"].kind, found["p2"].kind, found["l1"].pool) == ("pool", "pool", None)


def test_weights_and_images_are_laid_out_for_lava():
    net = network(conv("c1", "in"), IntLIF("l1", ("c1",)), last="l1")
    codes = np.arange(36, dtype=np.int8).reshape(3, 3, 2, 2)
    gain = np.array([2, -3], np.int32)
    net = replace(net, arrays={**net.arrays, "c1": {"codes": codes, "gain": gain}})
    weight = plan(net).arrays["c1.weight"]
    assert weight.shape == (2, 3, 3, 2)
    assert weight[1, 2, 0, 0] == -3 * codes[2, 0, 0, 1]
    image = np.arange(32).reshape(1, 4, 4, 2)
    assert to_lava(image)[0, 3, 1, 0] == image[0, 1, 3, 0]


def test_a_wiring_survives_json():
    wiring = plan(network(conv("c1", "in"), IntLIF("l1", ("c1",)), IntSumPool("p", "l1", 4), last="p", shape=(1, 1)))
    wiring = replace(wiring.wiring, samples=7, membranes=True)
    assert wiring_from_json(wiring.json()) == wiring
    assert wiring.duration == 7 * 3 + 2


def nearly_full(free):
    return SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=free))


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(limits, "check_installed", lambda: None)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("descriptors_limit", lambda: 80, r"open files \(5 Lava processes\): expected at most 80, got 90"),
        ("pids_limit", lambda: 9, rf"threads and processes .*: expected at most 9, got {5 * limits.THREADS + 20}"),
        (
            "shutil",
            SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=9)),
            r"bytes in .* \(5 Lava processes\): .* at most 9, got 65536",
        ),
    ],
)
def test_a_machine_too_small_is_told_with_figures(monkeypatch, tmp_path, name, value, message):
    monkeypatch.setattr(limits, name, value)
    monkeypatch.setattr(limits, "SHARED_MEMORY", tmp_path)
    with pytest.raises(UnsupportedError, match=message):
        LavaBackend().check(network(conv("c1", "in"), IntLIF("l1", ("c1",)), last="l1"))


@pytest.mark.usefixtures("installed")
def test_records_that_fill_the_disk_are_refused(monkeypatch):
    monkeypatch.setattr(limits, "check_wiring", lambda _: None)
    monkeypatch.setattr(limits, "shutil", nearly_full(1000))
    net = network(conv("c1", "in"), IntLIF("l1", ("c1",)), last="l1")
    with pytest.raises(UnsupportedError, match=r"2 samples\): expected at most 1000, got 1\d\d\d"):
        LavaBackend().run(net, np.zeros((2, 4, 4, 2), np.uint8), record="all")


@pytest.mark.usefixtures("installed")
def test_currents_that_lavas_own_convolution_wraps_are_refused():
    net = network(conv("c1", "in"), IntLIF("l1", ("c1",)), last="l1", peak=2**16 - 1)
    gain = np.full(CHANNELS, 10, np.int32)
    net = replace(net, arrays={**net.arrays, "c1": {**net.arrays["c1"], "gain": gain}})
    LavaBackend().check(net)
    with pytest.raises(UnsupportedError, match=r"c1: .* own Conv model .*: expected at most 8388607, got 11796300"):
        LavaBackend(stock_conv=True).check(net)


@pytest.fixture
def hidden(monkeypatch):
    """No Lava; returns a function that says which Python this is, and whether there is uv."""

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    def pretend(version, uv):
        monkeypatch.setattr(limits, "sys", SimpleNamespace(version_info=(*version, 4), executable="/a b/python"))
        monkeypatch.setattr(limits.platform, "python_version", lambda: ".".join(map(str, (*version, 4))))
        monkeypatch.setattr(install, "checkout", lambda: Path("/q p"))
        monkeypatch.setattr(limits.shutil, "which", lambda name: f"/bin/{name}" if uv else None)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    return pretend


VENV = "python3.10 -m venv .venv-lava && .venv-lava/bin/pip install '/q p[lava,cli,data]'"
UV = "uv venv --python 3.10 .venv-lava && uv pip install --python .venv-lava '/q p[lava,cli,data]'"


@pytest.mark.parametrize(
    ("version", "uv", "advice"),
    [
        ((3, 10), True, "run `'/a b/python' -m pip install '/q p[lava]'`"),
        ((3, 14), True, f"run `{UV}`, then `.venv-lava/bin/qpsnn`"),
        ((3, 9), False, f"run `{VENV}`, then `.venv-lava/bin/qpsnn`"),
    ],
)
def test_without_lava_the_python_and_the_command_are_named(hidden, version, uv, advice):
    hidden(version, uv)
    found = f"Python {version[0]}.{version[1]}.4 (/a b/python) without it"
    message = f"lava: expected the [lava] extra on Python 3.10 ({advice}), got {found}"
    net = network(conv("c1", "in"), IntLIF("l1", ("c1",)), last="l1")
    for call in (LavaBackend().check, LavaBackend(stock=True).check):
        with pytest.raises(UnsupportedError) as error:
            call(net)
        assert str(error.value) == message
    with pytest.raises(UnsupportedError):
        LavaBackend().run(net, np.zeros((1, 4, 4, 2), np.uint8))


def test_a_system_that_cannot_fork_is_not_told_to_install(hidden, monkeypatch):
    hidden((3, 10), uv=False)
    monkeypatch.setattr(limits, "os", SimpleNamespace(name="nt"))
    with pytest.raises(UnsupportedError, match=r"lava: expected a POSIX system .*, got 'nt'"):
        limits.check_installed()


@pytest.mark.usefixtures("installed")
def test_wrong_images_and_records_are_refused_before_anything_starts(monkeypatch):
    monkeypatch.setattr(limits, "check_disk", None)
    net = network(conv("c1", "in"), IntLIF("l1", ("c1",)), last="l1")
    with pytest.raises(ShapeError, match="images"):
        LavaBackend().run(net, np.zeros((1, 4, 4, 3), np.uint8))
    with pytest.raises(DataError, match=r"integers 0\.\.1, got"):
        LavaBackend().run(net, np.full((1, 4, 4, 2), 2, np.uint8) * np.arange(2, dtype=np.uint8))
    with pytest.raises(ConfigError, match="record"):
        LavaBackend().run(net, np.zeros((1, 4, 4, 2), np.uint8), record="spike")
