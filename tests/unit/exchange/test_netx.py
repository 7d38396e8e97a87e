"""NetX files: their layout, the same spikes by the stock neuron's rule, and refusals with figures."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
from generators.chains import chain
from generators.integer_networks import random_integer_network

import naive.netx as naive
from qpsnn_core.common.errors import UnsupportedError
from qpsnn_core.exchange.netx import save_netx
from qpsnn_core.integer.file import save_integer
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.simulate import simulate


@pytest.mark.parametrize(
    ("steps", "peak", "leak"), [(1, 1, (1, 1)), (3, 1, (1, 1)), (3, 15, (1, 1)), (4, 1, (1, 0)), (4, 1, (0, 0))]
)
def test_the_stock_neuron_gives_the_same_spikes(tmp_path, steps, peak, leak):
    fired = 0
    for seed in range(4):
        network = chain(seed, steps, peak, leak)
        save_netx(tmp_path / "a.net", network)
        images = np.random.default_rng(seed).integers(0, peak + 1, (steps, 1, 5, 6, 2)).astype(np.uint8)
        ref = simulate(network, images, record="spikes")
        comp, state = naive.run(tmp_path / "a.net", images[:, 0].transpose(0, 3, 1, 2))
        for name, spikes in zip(("lif1", "lif2", "lif3"), comp, strict=False):
            want = ref.spikes[name][:, 0].transpose(0, 3, 1, 2)
            assert (spikes.reshape(want.shape) == want).all(), name
            fired += want.sum()
        assert not comp[3].any()
        assert (state * 4 == ref.readout[0]).all()
    assert fired > 50


def test_without_the_first_layer_its_spikes_are_the_input(tmp_path):
    network = chain(1, 3, 15)
    layers = save_netx(tmp_path / "a.net", network, host_first=True)
    assert [layer.name for layer in layers] == ["conv2", "fc", "last"]
    images = np.random.default_rng(0).integers(0, 16, (3, 1, 5, 6, 2)).astype(np.uint8)
    ref = simulate(network, images, record="spikes")
    comp, state = naive.run(tmp_path / "a.net", ref.spikes["lif1"][:, 0].transpose(0, 3, 1, 2))
    for name, spikes in zip(("lif2", "lif3"), comp, strict=False):
        want = ref.spikes[name][:, 0].transpose(0, 3, 1, 2)
        assert (spikes.reshape(want.shape) == want).all()
        assert want.any()
    assert (state * 4 == ref.readout[0]).all()
    assert naive.layers(tmp_path / "a.net")[0]["shape"].tolist() == [4, 5, 6]


def test_unscaled_leaks_would_round(tmp_path):
    """The negative control of the test above: with the integers as they are, spikes differ."""
    differ = 0
    for seed in range(6):
        network = chain(seed, 3)
        save_netx(tmp_path / "a.net", network)
        with h5py.File(tmp_path / "a.net", "r+") as file:
            for index in (1, 2, 4):
                layer = file[f"layer/{index}"]
                layer["weight"][...] //= 4
                layer["bias"][...] //= 4
                layer["neuron/vThMant"][...] = (layer["neuron/vThMant"][...] + 1) // 4 - 1
        images = np.random.default_rng(seed).integers(0, 2, (3, 1, 5, 6, 2)).astype(np.uint8)
        ref = simulate(network, images, record="spikes")
        comp, _ = naive.run(tmp_path / "a.net", images[:, 0].transpose(0, 3, 1, 2))
        differ += (comp[0] != ref.spikes["lif1"][:, 0].transpose(0, 3, 1, 2)).sum()
    assert differ


def test_the_layout_is_lava_dls(tmp_path):
    layers = save_netx(tmp_path / "a.net", chain(one=True))
    found = naive.layers(tmp_path / "a.net")
    assert [layer["type"][0] for layer in found] == [b"input", b"conv", b"conv", b"flatten", b"dense", b"dense"]
    assert found[0]["shape"].tolist() == [2, 5, 6]
    conv = found[2]
    assert conv["weight"].shape == (5, 4, 3, 3)
    assert [conv[name].tolist() for name in ("shape", "stride", "padding", "dilation", "groups")] == [
        [5, 2, 2],
        [2, 2],
        [0, 0],
        [1, 1],
        1,
    ]
    assert {name: conv["neuron"][name].tolist() for name in ("iDecay", "vDecay", "vThMant")} == {
        "iDecay": 4096,
        "vDecay": 2048,
        "vThMant": 20 * 4 - 1,
    }
    assert found[4]["weight"].dtype == np.int32
    assert [layer.thresholds for layer in layers] == [1, 1, 1, 1]
    assert [layer.scale for layer in layers] == [2, 2, 2, 0]


def test_a_bias_that_the_gain_does_not_divide_is_told(tmp_path):
    (*_, last) = save_netx(tmp_path / "a.net", chain(readout__bias=np.array([4, -7, 1], np.int32)))
    assert last.rounding == 0.25


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lif1__threshold": np.full(4, 2**15 + 1, np.int32)}, r"lif1.threshold: expected at most 131071 .* 131075"),
        ({"lif2__bias": np.full(5, 1024, np.int32)}, r"lif2.bias: expected at most 4095 .*2\*\*2.* 4096"),
        ({"fc__gain": np.full(7, 5, np.int32)}, r"fc.weight: expected weights from -256 to 254.*, got -300 to 300"),
        ({"conv1__gain": np.full(4, 400, np.int32)}, r"lif1.state: expected at most 131071"),
        ({"last__gain": np.array([1, 2, 3], np.int32)}, r"last.weight: expected weights from -128 to 127"),
        ({"last__codes": np.zeros((7, 3), np.int8)}, r"last.weight: expected weights .* not all 0"),
    ],
)
def test_integers_out_of_range_are_refused_by_name(tmp_path, changes, message):
    with pytest.raises(UnsupportedError, match=message):
        save_netx(tmp_path / "a.net", chain(**changes))
    assert list(tmp_path.iterdir()) == []


def test_thresholds_and_biases_at_their_limit_are_written(tmp_path):
    save_netx(tmp_path / "a.net", chain(lif1__threshold=np.full(4, 2**15, np.int32)))
    save_netx(tmp_path / "a.net", chain(lif2__bias=np.full(5, 1023, np.int32)))


def test_pools_sums_and_branches_are_refused_by_name(tmp_path):
    refused = set()
    for seed in range(60):
        network, _ = random_integer_network(seed)
        kinds = {type(node).__name__ for node in network.nodes}
        if kinds & {"IntMaxPool", "IntSumPool", "IntShortcut", "IntSum"}:
            with pytest.raises(UnsupportedError, match="netx: ") as error:
                save_netx(tmp_path / "a.net", network)
            refused |= {kind for kind in kinds if f" takes no {kind}: " in str(error.value)}
    assert {"IntMaxPool", "IntSumPool", "IntShortcut"} <= refused
    assert list(tmp_path.iterdir()) == []


def test_a_reset_by_subtraction_is_refused_where_something_is_left_of_a_membrane(tmp_path):
    """lava-dl's loader makes Lava's LIF or LIFReset of every layer; both set it to 0."""
    network = chain()
    nodes = tuple(replace(node, reset="subtract") if node.name == "lif2" else node for node in network.nodes)
    want = r"netx: lif2.reset: expected \"zero\": Lava's own LIF .*, got 'subtract'"
    with pytest.raises(UnsupportedError, match=want):
        save_netx(tmp_path / "a.net", IntegerNetwork(nodes, network.arrays, network.steps))
    assert list(tmp_path.iterdir()) == []
    network = chain(leak=(0, 0))
    save_netx(tmp_path / "a.net", network)
    nodes = tuple(replace(node, reset="subtract") if node.name == "lif2" else node for node in network.nodes)
    save_netx(tmp_path / "b.net", IntegerNetwork(nodes, network.arrays, network.steps))
    assert (tmp_path / "a.net").stat().st_size == (tmp_path / "b.net").stat().st_size


def test_the_command_writes_it_and_says_what(tmp_path, monkeypatch, capsys):
    pytest.importorskip("typer")
    pytest.importorskip("rich")
    from qpsnn_core.cli import main

    def command(*words):
        monkeypatch.setattr("sys.argv", ["qpsnn", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code or 0, capsys.readouterr()

    save_integer(tmp_path / "n.h5", chain())
    code, said = command("export", tmp_path / "n.h5", "--netx", tmp_path / "a.net", "--json")
    assert code == 0
    assert [layer["kind"] for layer in json.loads(said.out)["layers"]] == ["conv", "conv", "dense", "dense"]
    assert len(naive.layers(tmp_path / "a.net")) == 6
    assert command("export", tmp_path / "n.h5", "--netx", tmp_path / "a.net")[0] == 0
    network = chain()
    many = IntegerNetwork(
        (*network.nodes[:2], replace(network.nodes[2], multiplier=3481, shift=12), *network.nodes[3:]),
        network.arrays,
        3,
    )
    save_integer(tmp_path / "n.h5", many)
    code, said = command("export", tmp_path / "n.h5", "--netx", tmp_path / "b.net")
    assert code == 2
    assert said.err.startswith("error: netx: lif1")
    assert not (tmp_path / "b.net").exists()


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("peak", [1, 15])
def test_lavas_own_neurons_give_the_same_spikes(root, tmp_path, peak):
    network = chain(1, 3, peak)
    save_netx(tmp_path / "a.net", network)
    images = np.random.default_rng(2).integers(0, peak + 1, (3, 4, 5, 6, 2)).astype(np.uint8)
    ref = simulate(network, images, record="spikes")
    stream = images.swapaxes(0, 1).reshape(12, 5, 6, 2).transpose(0, 3, 1, 2)
    late = np.concatenate([stream, np.zeros((4, *stream.shape[1:]), np.uint8)])
    np.savez(tmp_path / "in.npz", stream=late, interval=3, bits=8 if peak > 1 else 0)
    script = root / "tests" / "scripts" / "netx_lava.py"
    files = (tmp_path / "a.net", tmp_path / "in.npz", tmp_path / "out.npz")
    done = subprocess.run([sys.executable, script, *files], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "out.npz")
    for index, name in enumerate(("lif1", "lif2", "lif3")):
        want = ref.spikes[name].swapaxes(0, 1).reshape(12, *ref.spikes[name].shape[2:]).swapaxes(1, 2)
        comp = found[f"s{index}"][index + 1 : index + 13]
        assert (comp.reshape(want.shape) == want).all(), name
        assert want.any()
    assert not found["s3"].any()
