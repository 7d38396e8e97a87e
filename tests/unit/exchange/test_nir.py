"""NIR files: what NIR's own equations make of them, there and back, and what is refused, by the node's name."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("nir")

import nir
import small
from generators.integer_networks import random_integer_network

import qpsnn_core as qp
from naive import nir as naive
from qpsnn_core.common.errors import (
    ConfigError,
    FileError,
    FormatError,
    NetworkError,
    NumericsError,
    ShapeError,
    UnsupportedError,
)
from qpsnn_core.exchange.nir_export import save_nir
from qpsnn_core.exchange.nir_import import load_nir
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntInput, IntLIF, IntLinear, IntMaxPool, IntReadout
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, Network, Quantizer, Readout, Shortcut, Sum
from qpsnn_core.network.nodes import RESETS
from qpsnn_core.network.zoo.blocks import Neuron

pytestmark = pytest.mark.exchange


def network(steps=3, peak=15, beta=0.5, threshold=1.0, reset="zero") -> Network:
    """As `small.network`, without the max-pool."""
    neuron = LIF("like", ("x",), threshold, beta, reset=reset)
    nodes = (
        Input("image", (6, 6, 2), peak, 1 / peak),
        Conv("conv1", "image", 6, quantizer=Quantizer(8, gamma="max"), bias=True),
        neuron.like("block.lif1", "conv1"),
        Conv("conv2", "block.lif1", 6, quantizer=Quantizer(4, "mean")),
        Shortcut("short", "block.lif1", 6),
        neuron.like("lif2", "conv2", "short"),
        Sum("sum", ("block.lif1", "lif2")),
        AvgPool("pool", "sum", 2),
        Conv("conv3", "pool", 8, stride=2, quantizer=None),
        neuron.like("lif3", "conv3"),
        Linear("fc", "lif3", 5, quantizer=Quantizer(4, "mean")),
        neuron.like("lif4", "fc"),
        Linear("linear", "lif4", 3),
        Readout("readout", "linear"),
    )
    return Network(nodes, steps)


def model(**options):
    """Weights of a uniform draw, batch norm that has seen something."""
    made = qp.initialise(network(**options))
    for index, (name, arrays) in enumerate(made.params.items()):
        for key, array in arrays.items():
            drift = small.uniform(array.shape, index, len(key)) * np.float32(0.3)
            arrays[key] = array + drift + np.float32(0.5 * key.endswith("bias"))  # so that all layers fire
        for key, array in made.state.get(name, {}).items():
            made.state[name][key] = array + np.abs(small.uniform(array.shape, index, 7)) * np.float32(0.3)
    return made


def images(steps=3, peak=15, batch=4):
    return np.random.default_rng(1).integers(0, peak + 1, (steps, batch, 6, 6, 2)).astype(np.uint8)


def spikes_of(made, frames):
    """{name: [T, B, H, W, C]} of all LIF in floating point, and the logits."""
    done = qp.forward(made, frames, save_for_backward=True)
    return {node.name: done.values[node.name] for node in made.network.of(LIF)}, done.logits


def channels_first(values, like):
    return values.transpose(0, 3, 1, 2).reshape(like.shape)


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize(("beta", "threshold"), [(0.5, 0.6), (0.5, 0.8), (0.25, 0.7), (0.0, 0.6), (1.0, 1.0)])
def test_nirs_equations_give_the_trained_spikes(tmp_path, beta, threshold, reset):
    made = model(beta=beta, threshold=threshold, reset=reset)
    written = save_nir(tmp_path / "a.nir", made)
    graph, frames = nir.read(tmp_path / "a.nir"), images()
    ref, logits = spikes_of(made, frames)
    for b in range(4):
        comp = naive.run(graph, frames[:, b].transpose(0, 3, 1, 2) / 15, written.dt, inclusive=b % 2 == 0)
        for name, spikes in ref.items():
            got = comp[name.replace(".", "_")]
            assert (got == channels_first(spikes[:, b], got)).all(), name
        assert np.allclose(comp["readout"], logits[:, b], atol=1e-4)
    busy = sum(0.01 < spikes.mean() < 0.99 for spikes in ref.values())
    assert busy >= (4 if reset == "zero" else 3)  # lif4 is five neurons, and loses less


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("beta", [0.5, 0.25, 0.0, 1.0])
def test_there_and_back_gives_the_same_spikes(tmp_path, beta, reset):
    made = model(beta=beta, threshold=0.8, reset=reset)
    save_nir(tmp_path / "a.nir", made)
    back = load_nir(tmp_path / "a.nir")
    frames = images()
    ref, logits = spikes_of(made, frames)
    comp, again = spikes_of(back, frames)
    for name, spikes in ref.items():
        assert (comp[name.replace(".", "_")] == spikes).all(), name
    assert np.allclose(again, logits, atol=1e-4)
    assert [(lif.beta, lif.reset) for lif in back.network.of(LIF)] == [(beta, reset)] * 4
    assert (back.network.steps, back.network.input.peak) == (3, 15)


@pytest.mark.parametrize("reset", RESETS)
def test_a_network_of_the_zoo_goes_there_and_back(tmp_path, reset):
    """The neurons of its max-pools are reset to zero all the same."""
    made = qp.initialise(qp.build("vgg_small", (8, 8, 1), 10, width=0.25, steps=3, neuron=Neuron(reset=reset)))
    for arrays in made.params.values():
        for key in arrays:
            arrays[key] = arrays[key] + np.float32(0.5 * (key == "bn_bias"))
    save_nir(tmp_path / "a.nir", made)
    back, frames = (
        load_nir(tmp_path / "a.nir"),
        np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype(np.uint8),
    )
    assert [type(node) for node in back.network] == [type(node) for node in made.network]
    assert {lif.reset for lif in back.network.of(LIF)} == {reset}
    (ref, logits), (comp, again) = spikes_of(made, frames), spikes_of(back, frames)
    assert all((comp[name] == spikes).all() for name, spikes in ref.items())
    assert np.allclose(again, logits, atol=1e-4)
    assert all(spikes.any() for spikes in ref.values())
    graph = nir.read(tmp_path / "a.nir")
    for b, inclusive in ((0, False), (1, True)):
        found = naive.run(graph, np.repeat(frames[b].transpose(2, 0, 1)[None] / 255, 3, 0), 1e-4, inclusive)
        assert all((found[name] == channels_first(spikes[:, b], found[name])).all() for name, spikes in ref.items())


def test_foreign_files_fire_above_their_threshold_only(tmp_path):
    for level, rule, fires in ((1.0, ">=", True), (1.0, "", False), (0.75, "", True)):
        nodes = {
            "input": nir.Input(np.array([1])),
            "0": nir.Linear(weight=np.ones((1, 1), np.float32)),
            "1": lif(1, level, r=2.0),
            "output": nir.Output(np.array([1])),
        }
        edges = [("input", "0"), ("0", "1"), ("1", "output")]
        graph = nir.NIRGraph(nodes, edges, metadata={"qpsnn": json.dumps({"rule": rule})})
        nir.write(tmp_path / "a.nir", graph)
        back = load_nir(tmp_path / "a.nir", steps=1)
        assert spikes_of(back, np.ones((1, 1, 1, 1), np.float32))[0]["n1"].any() == fires


@pytest.mark.parametrize("resets", [("zero",), ("zero", "subtract")], ids=str)
@pytest.mark.parametrize("seed", range(40))
def test_exact_graphs_give_the_integers_by_either_rule(tmp_path, seed, resets):
    made, frames = random_integer_network(seed, resets)
    arrays, nodes = made.arrays, []
    for node in made.nodes:
        if isinstance(node, IntMaxPool) and made.values[node.source].max_count > 1:
            with pytest.raises(UnsupportedError, match=f"nir: {node.name}: .*of counts, no max-pool"):
                save_nir(tmp_path / "a.nir", made, exact=False)
            return
        nodes.append(replace(node, multiplier=1) if isinstance(node, IntLIF) and node.multiplier > 1 else node)
    made = type(made)(tuple(nodes), arrays, made.steps)
    if any(node.shift * (made.steps - 1) > 24 for node in made.of(IntLIF)):
        return  # more digits than the sums of a float64 have, beside their integers
    written = save_nir(tmp_path / "a.nir", made, exact=True)
    graph = nir.read(tmp_path / "a.nir")
    frames = frames if frames.ndim == 5 else np.repeat(frames[None], made.steps, 0)
    ref = simulate(made, frames, record="spikes")
    for b in range(2):
        comp = naive.run(graph, frames[:, b].transpose(0, 3, 1, 2).astype(float), 1.0, inclusive=b == 0)
        for name, spikes in ref.spikes.items():
            assert (comp[name] == channels_first(spikes[:, b], comp[name])).all(), name
        for pool in made.of(IntMaxPool):
            assert np.isin(comp[pool.name], (0, 1)).all()
        assert (comp["readout"].sum(0) == ref.readout[b]).all()
    assert written.bits > 0


def test_half_below_the_threshold_would_be_wrong(tmp_path):
    """Why `v_threshold` is not theta - 0.5: a membrane that is halved lies between."""
    made = hand(threshold=7, bias=0, currents=(3, 0, 6))
    save_nir(tmp_path / "a.nir", made, exact=True)
    graph = nir.read(tmp_path / "a.nir")
    frames = np.array([3, 0, 6]).reshape(3, 1, 1, 1)
    ref = simulate(made, frames[..., None].astype(np.uint8), record="spikes").spikes["lif"].reshape(-1)
    assert (naive.run(graph, frames, 1.0)["lif"].reshape(-1) == ref).all()
    lif_node = graph.nodes["lif"]
    assert lif_node.v_threshold.item() == 7 - 2.0**-3
    assert (lif_node.tau.item(), lif_node.r.item(), lif_node.v_leak.item()) == (2, 2, 0)
    lif_node.v_threshold = np.array([6.5])
    assert (naive.run(graph, frames, 1.0)["lif"].reshape(-1) != ref).any()


@pytest.mark.parametrize("leak", [(1, 0), (1, 1), (1, 2), (0, 0)], ids=str)
def test_what_resets_by_subtraction_leave_does_not_reach_the_threshold(tmp_path, leak):
    """Neurons driven next to their threshold, by both rules; half below it they would fire too often."""
    rng, wrong = np.random.default_rng(0), 0
    for steps in (2, 3, 7, 8):
        made = hand(7, 0, range(steps), IntLIF("lif", ("fc",), *leak, "subtract"))
        save_nir(tmp_path / "a.nir", made, exact=True)
        graph = nir.read(tmp_path / "a.nir")
        threshold = graph.nodes["lif"].v_threshold
        for _ in range(10):
            frames = rng.integers(5, 9, steps).reshape(steps, 1, 1, 1)
            ref = simulate(made, frames[..., None].astype(np.uint8), record="spikes").spikes["lif"].reshape(-1)
            graph.nodes["lif"].v_threshold = threshold
            for inclusive in (False, True):
                assert (naive.run(graph, frames, 1.0, inclusive)["lif"].reshape(-1) == ref).all()
            graph.nodes["lif"].v_threshold = np.array([6.5])
            wrong += (naive.run(graph, frames, 1.0)["lif"].reshape(-1) != ref).sum()
    assert wrong > 0 or leak == (0, 0)


def test_the_metadata_say_the_reset_and_the_reader_can_be_told(tmp_path):
    """Foreign files do not say: snnTorch's exporter writes v_reset 0 for either. What a file says holds."""
    frames = np.array([2.5, 0, 0, 0], np.float32).reshape(4, 1, 1, 1, 1)  # of a neuron without a leak
    for said, told, found in (
        ({}, "zero", "zero"),
        ({}, "subtract", "subtract"),
        ({"reset": "zero"}, "subtract", "zero"),
        ({"reset": "subtract"}, "zero", "subtract"),
    ):
        neuron = nir.IF(r=np.full(1, 1e4), v_threshold=np.ones(1), v_reset=np.zeros(1), metadata=said)
        nir.write(tmp_path / "a.nir", chain(dense_one(), neuron, shape=(1,)))
        back = load_nir(tmp_path / "a.nir", steps=4, reset=told)
        assert back.network["n1"].reset == found
        fired = spikes_of(back, frames)[0]["n1"].reshape(-1).tolist()
        assert fired == {"zero": [1, 0, 0, 0], "subtract": [1, 1, 0, 0]}[found]
    with pytest.raises(ConfigError, match="nir: reset: expected"):
        load_nir(tmp_path / "a.nir", reset="soft")
    for wrong in ("soft", 1, np.zeros(2)):
        neuron.metadata = {"reset": wrong}
        nir.write(tmp_path / "a.nir", chain(dense_one(), neuron, shape=(1,)))
        with pytest.raises((ConfigError, FormatError), match="nir: n1: "):
            load_nir(tmp_path / "a.nir")


def dense_one():
    return nir.Linear(weight=np.ones((1, 1), np.float32))


def hand(threshold, bias, currents, neuron=None):
    nodes = (
        IntInput("input", (1, 1, 1), 15),
        IntLinear("fc", "input", 1),
        neuron or IntLIF("lif", ("fc",)),
        IntLinear("last", "lif", 1),
        IntReadout("readout", "last"),
    )
    one = {"codes": np.ones((1, 1), np.int8), "gain": np.ones(1, np.int32)}
    arrays = {
        "fc": one,
        "lif": {"threshold": np.array([threshold], np.int32), "bias": np.array([bias], np.int32)},
        "last": one,
        "readout": {"bias": np.zeros(1, np.int32)},
    }
    return IntegerNetwork(nodes, arrays, len(currents))


def test_a_lowered_network_goes_out_both_ways(tmp_path):
    lowered = qp.lower(model()).network
    exact = save_nir(tmp_path / "exact.nir", lowered, exact=True)
    assert (exact.variant, exact.dt, exact.steps) == ("exact", 1.0, 3)
    about = json.loads(nir.read(tmp_path / "exact.nir").metadata["qpsnn"])
    assert about["rule"] == ">="
    assert about["bits"]["conv2"] == 4
    floats = save_nir(tmp_path / "float.nir", lowered)
    assert (floats.variant, floats.bits, floats.float32) == ("float", 0, False)
    graph, frames = nir.read(tmp_path / "float.nir"), images()
    levels = {name: np.unique(node.v_threshold) for name, node in graph.nodes.items() if isinstance(node, nir.LIF)}
    assert all(level.tolist() == [1.0] for level in levels.values())
    ref = simulate(lowered, frames, record="spikes")
    differ = total = 0
    for b in range(4):
        comp = naive.run(graph, frames[:, b].transpose(0, 3, 1, 2).astype(float), floats.dt)
        for name, spikes in ref.spikes.items():
            got = comp[name.replace(".", "_")]
            differ += (got != channels_first(spikes[:, b], got)).sum()
            total += got.size
    assert differ <= total / 1000


def lif(size, threshold=1.0, tau=2e-4, r=1.0, **others):
    shape = (size,) if isinstance(size, int) else size
    full = {"tau": tau, "r": r, "v_leak": 0.0, "v_threshold": threshold, "v_reset": 0.0, **others}
    return nir.LIF(**{key: np.broadcast_to(np.float32(value), shape).copy() for key, value in full.items()})


def chain(*layers, shape=(4,)):
    nodes = {"input": nir.Input(np.array(shape)), **{f"n{i}": layer for i, layer in enumerate(layers)}}
    out = layers[-1].output_type["output"]
    nodes["output"] = nir.Output(None if out is None else np.array(out))
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)), type_check=False)


def dense(inputs=4, outputs=3):
    weight = small.uniform((outputs, inputs), 5)
    return nir.Affine(weight=weight, bias=np.full(outputs, 0.25, np.float32))


def conv(**changes):
    options = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1, **changes}
    weight = options.pop("weight", small.uniform((3, 2, 3, 3), 6))
    return nir.Conv2d(input_shape=(6, 6), weight=weight, bias=np.zeros(len(weight), np.float32), **options)


POOL = nir.AvgPool2d(kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([0, 0]))
FLAT = nir.Flatten(np.array([3, 3, 3]), 0, -1)


def test_a_neuron_that_one_spike_makes_fire_is_a_max_pool(tmp_path):
    for threshold, fires in ((0.2, True), (0.25, False), (0.3, False)):  # one spike of four gives 0.25
        neuron = lif((3, 3, 3), threshold=threshold, r=2.0)
        graph = chain(conv(), lif((3, 6, 6)), POOL, neuron, FLAT, dense(27, 2), shape=(2, 6, 6))
        nir.write(tmp_path / "a.nir", graph)
        if fires:
            assert type(load_nir(tmp_path / "a.nir").network["n3"]).__name__ == "MaxPool"
            continue
        with pytest.raises(NetworkError, match="nir: n3"):
            load_nir(tmp_path / "a.nir")


def test_thresholds_leaks_and_resistances_of_others_are_folded(tmp_path):
    first = lif(3, threshold=[0.5, 1.0, 2.0], tau=4e-4, r=[1.0, 2.0, 3.0], v_leak=[0.0, 0.5, -0.5])
    graph = chain(dense(), first, nir.Linear(weight=small.uniform((2, 3), 8)))
    nir.write(tmp_path / "a.nir", graph)
    back = load_nir(tmp_path / "a.nir", steps=20, dt=1e-4)
    frames = np.abs(small.uniform((20, 3, 1, 1, 4), 9)) * 4
    (spikes,), logits = spikes_of(back, frames)[0].values(), qp.forward(back, frames).logits
    for b in range(3):
        comp = naive.run(graph, frames[:, b].reshape(20, 4), 1e-4)
        assert (comp["n1"] == spikes[:, b].reshape(20, 3)).all()
        assert np.allclose(comp["output"], logits[:, b], atol=1e-5)
    assert 0 < spikes.mean() < 1


def test_sum_pools_if_and_words_for_padding(tmp_path):
    shape = (3, 6, 6)
    spiking = nir.IF(r=np.full(shape, 1e4), v_threshold=np.full(shape, 0.8), v_reset=np.zeros(shape))
    size = np.array([2, 2])
    pool = nir.SumPool2d(kernel_size=size, stride=size, padding=np.zeros(2, int))
    flat = nir.Flatten(np.array([3, 3, 3]), 0, -1)
    for padding in (1, "same"):
        graph = chain(conv(padding=padding), spiking, pool, flat, dense(27, 4), shape=(2, 6, 6))
        path = tmp_path / f"{padding}.nir"
        nir.write(path, chain(conv(padding=1), spiking, pool, flat, dense(27, 4), shape=(2, 6, 6)))
        nir.write(path, graph)
        back = load_nir(path, steps=3)
        frames = small.uniform((3, 2, 6, 6, 2), 9)
        spikes, logits = spikes_of(back, frames)
        reference = chain(conv(padding=1), spiking, pool, flat, dense(27, 4), shape=(2, 6, 6))
        for b in range(2):
            comp = naive.run(reference, frames[:, b].transpose(0, 3, 1, 2), 1e-4)
            assert (comp["n1"] == channels_first(spikes["n1"][:, b], comp["n1"])).all()
            assert np.allclose(comp["output"], logits[:, b], atol=1e-4)
        assert spikes["n1"].any()


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        ((dense(), lif(3, v_reset=0.5), dense(3, 2)), (4,), r"nir: n1.v_reset: expected 0, got 0.5"),
        ((dense(), lif(3, tau=[2e-4, 3e-4, 2e-4]), dense(3, 2)), (4,), r"nir: n1.tau: expected one of at least dt"),
        (
            (dense(), lif(3, tau=1e-5), dense(3, 2)),
            (4,),
            r"nir: dt: .* got n1: LIF, tau 1e-05, r 1; fits no exporter's step",
        ),
        ((dense(), lif(3, threshold=-1), dense(3, 2)), (4,), r"nir: n1.v_threshold: expected positive numbers"),
        ((dense(), lif(3), lif(3), dense(3, 2)), (4,), r"nir: n2: expected to read convolutions or linear"),
        (
            (conv(), lif((3, 6, 6)), POOL, lif((3, 3, 3), threshold=0.6, r=2.0), FLAT, dense(27, 2)),
            (2, 6, 6),
            r"nir: n3: expected to read convolutions or linear layers, got 'n2'",
        ),
        ((dense(), dense(3, 2)), (4,), r"nir: n1: expected to read neurons, pools or the input"),
        ((nir.Scale(np.ones(4)), dense()), (4,), r"nir: n0: expected a kind of node .*Affine, .*, got Scale"),
        ((conv(dilation=2), lif((3, 6, 6))), (2, 6, 6), r"nir: n0.dilation: expected 1, got \[2, 2\]"),
        ((conv(padding=3), lif((3, 10, 10))), (2, 6, 6), r"nir: n0: n0.padding: expected less than the kernel"),
        ((conv(), lif((3, 6, 6)), dense(108, 2)), (2, 6, 6), r"nir: n2 \(from n1\): expected 108 inputs in a vector"),
        (
            (conv(), lif((3, 6, 6), threshold=np.arange(1, 109).reshape(3, 6, 6))),
            (2, 6, 6),
            r"nir: n1.v_threshold: exp",
        ),
        ((dense(5, 3), lif(3), dense(3, 2)), (4,), r"nir: n0 \(from input\): expected 5 inputs in a vector, got 4"),
    ],
)
def test_what_we_have_not_is_refused_by_the_nodes_name(tmp_path, layers, shape, message):
    path = tmp_path / "a.nir"
    nir.write(path, chain(*layers, shape=shape))
    with pytest.raises((NetworkError, ConfigError), match=message):
        load_nir(path)


def test_recurrent_graphs_are_refused(tmp_path):
    nodes = {
        "input": nir.Input(np.array([3])),
        "fc": dense(3, 3),
        "lif": lif(3),
        "back": dense(3, 3),
        "output": nir.Output(np.array([3])),
    }
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "output")]
    nir.write(tmp_path / "a.nir", nir.NIRGraph(nodes, edges))
    with pytest.raises(NetworkError, match="nir: expected a feed-forward graph, got a cycle through back, lif"):
        load_nir(tmp_path / "a.nir")


def test_files_that_are_no_nir_are_told(tmp_path):
    with pytest.raises(FileError, match="expected a NIR file, got no such file"):
        load_nir(tmp_path / "none.nir")
    (tmp_path / "noise.nir").write_bytes(b"noise")
    with pytest.raises(FormatError, match="not a NIR file"):
        load_nir(tmp_path / "noise.nir")
    qp.save_checkpoint(tmp_path / "c.h5", qp.Checkpoint(model()))
    with pytest.raises(FormatError, match="not a NIR file"):
        load_nir(tmp_path / "c.h5")
    nir.write(tmp_path / "a.nir", dense())
    with pytest.raises(FormatError, match="not a NIR file"):
        load_nir(tmp_path / "a.nir")


@pytest.mark.parametrize("text", ["{", "[]", '{"steps": "many"}', '{"input": 3}', '{"dt": null, "steps": []}'])
def test_metadata_that_is_not_ours_is_told(tmp_path, text):
    graph = chain(dense(), lif(3))
    graph.metadata["qpsnn"] = text
    nir.write(tmp_path / "a.nir", graph)
    with pytest.raises(FormatError, match=r"nir: metadata.qpsnn"):
        load_nir(tmp_path / "a.nir")


def test_damaged_nodes_and_edges_are_told(tmp_path):
    graph = chain(dense(), lif(3))
    graph.edges.append(("n1", "nowhere"))
    nir.write(tmp_path / "a.nir", graph)
    with pytest.raises(NetworkError, match=r"nir: edges: expected names of nodes.*, got 'nowhere'"):
        load_nir(tmp_path / "a.nir")
    graph = chain(dense(), lif(3))
    graph.nodes["n0"].weight = np.full((3, 4), np.nan)
    nir.write(tmp_path / "a.nir", graph)
    with pytest.raises(NumericsError, match=r"nir: n0.weight: expected finite numbers"):
        load_nir(tmp_path / "a.nir")
    graph.nodes["n0"].weight = np.array([[b"a"]])
    nir.write(tmp_path / "a.nir", graph)
    with pytest.raises(FormatError, match="nir: n0: not a whole Affine"):
        load_nir(tmp_path / "a.nir")


def test_bad_wishes_are_told(tmp_path):
    with pytest.raises(ConfigError, match="nir: exact: expected an integer network"):
        save_nir(tmp_path / "a.nir", model(), exact=True)
    with pytest.raises(ConfigError, match="nir: dt: expected a positive number"):
        save_nir(tmp_path / "a.nir", model(), dt=-1)
    with pytest.raises(UnsupportedError, match="nir: pool: expected a kind that NIR can express"):
        save_nir(tmp_path / "a.nir", small.model())
    with pytest.raises(FileError):
        save_nir(tmp_path / "none" / "a.nir", model())
    assert list(tmp_path.iterdir()) == []


def test_two_names_that_become_one_are_refused(tmp_path):
    nodes = (
        Input("input", (1, 1, 2)),
        Linear("a.b", "input", 2),
        LIF("a_b", ("a.b",)),
        Linear("last", "a_b", 2),
        Readout("readout", "last"),
    )
    with pytest.raises(NetworkError, match="nir: a_b: expected a name of its own"):
        save_nir(tmp_path / "a.nir", qp.initialise(Network(nodes)))


def test_shapes_that_do_not_meet_are_refused(tmp_path):
    nodes = {
        "input": nir.Input(np.array([4])),
        "a": dense(4, 3),
        "b": dense(4, 2),
        "lif": lif(3),
        "output": nir.Output(np.array([3])),
    }
    edges = [("input", "a"), ("input", "b"), ("a", "lif"), ("b", "lif"), ("lif", "output")]
    nir.write(tmp_path / "a.nir", nir.NIRGraph(nodes, edges, type_check=False))
    with pytest.raises((ShapeError, FormatError)):
        load_nir(tmp_path / "a.nir")


def test_what_is_read_can_be_quantized_trained_and_lowered(tmp_path):
    graph = chain(
        conv(), lif((3, 6, 6), r=2.0), nir.Flatten(np.array([3, 6, 6]), 0, -1), dense(108, 3), shape=(2, 6, 6)
    )
    nir.write(tmp_path / "a.nir", graph)
    back = load_nir(tmp_path / "a.nir", peak=15, bits=4)
    assert back.network.input.scale == 1 / 15
    tuned = qp.finetune(back, small.split(), qp.FinetuneConfig(epochs=1, batch=8))
    lowered = qp.lower(tuned.model).network
    assert simulate(lowered, small.dataset().images[:4]).readout.shape == (4, 3)


def test_a_compressed_network_gives_the_same_spikes(tmp_path):
    """Its scales are kept in its state, and most of its weights are 0."""
    few = qp.compress(model(), small.dataset().images, sparsity=0.5, bits=4, batches=1, batch=8).model
    save_nir(tmp_path / "few.nir", few)
    back = load_nir(tmp_path / "few.nir")
    images = small.dataset().images[:4]
    for ours, theirs in zip(spikes_of(few, images)[0].values(), spikes_of(back, images)[0].values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.any()


def test_the_commands(tmp_path, monkeypatch, capsys):
    pytest.importorskip("typer")
    pytest.importorskip("rich")
    from qpsnn_core.cli import main

    def command(*words):
        monkeypatch.setattr("sys.argv", ["qpsnn", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code or 0, capsys.readouterr()

    qp.save_checkpoint(tmp_path / "c.h5", qp.Checkpoint(model()))
    qp.save_integer(tmp_path / "n.h5", qp.lower(model(), fraction_bits=4).network)
    code, said = command("export", tmp_path / "c.h5", "--nir", tmp_path / "a.nir", "--json")
    assert (code, json.loads(said.out)["variant"]) == (0, "float")
    code, said = command("export", tmp_path / "n.h5", "--exact", "--nir", tmp_path / "b.nir", "--json")
    assert (code, json.loads(said.out)["variant"]) == (0, "exact")
    assert command("export", tmp_path / "n.h5", "--nir", tmp_path / "b.nir")[0] == 0
    code, said = command("import", tmp_path / "a.nir", "--out", tmp_path / "d.h5", "--bits", 4, "--json")
    assert (code, json.loads(said.out)["steps"]) == (0, 3)
    assert {row["bits"] for row in json.loads(said.out)["quantized"]} == {4}
    assert all(row["clipped"] < 0.2 for row in json.loads(said.out)["quantized"])
    assert qp.load_model(tmp_path / "d.h5").network["conv1"].quantizer.bits == 4
    assert command("import", tmp_path / "a.nir", "--out", tmp_path / "d.h5")[0] == 0
    graph = nir.read(tmp_path / "a.nir")
    for node in graph.nodes.values():
        node.metadata.pop("reset", None)
    nir.write(tmp_path / "unsaid.nir", graph)
    assert command("import", tmp_path / "unsaid.nir", "--out", tmp_path / "r.h5", "--reset", "subtract")[0] == 0
    assert {lif.reset for lif in qp.load_model(tmp_path / "r.h5").network.of(LIF)} == {"subtract"}
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[finetune]\nepochs = 3\n", encoding="utf-8")
    assert command("import", tmp_path / "a.nir", "--recipe", recipe, "--out", tmp_path / "d.h5")[0] == 0
    assert qp.load_checkpoint(tmp_path / "d.h5").recipe["finetune"]["epochs"] == 3
    code, said = command("import", tmp_path / "c.h5", "--out", tmp_path / "no.h5")
    assert code == 2
    assert "c.h5: expected a NIR file or an integer network, got a checkpoint" in said.err
    code, said = command("import", recipe, "--recipe", recipe, "--out", tmp_path / "no.h5")
    assert code == 2
    assert "recipe.toml" in said.err
    code, said = command("export", tmp_path / "c.h5", "--exact", "--nir", tmp_path / "x.nir")
    assert code == 2
    assert said.err.startswith("error: nir: exact: expected an integer network")
    assert not (tmp_path / "x.nir").exists()


@pytest.mark.parametrize(
    ("name", "reset"), [("snntorch", "zero"), ("spikingjelly", "zero"), ("snntorch_subtract", "subtract")]
)
def test_files_of_other_simulators_give_their_spikes(root, name, reset):
    folder = root / "tests" / "golden" / "nir"
    answers = np.load(folder / f"{name}.npz")
    frames = answers["images"]
    back = load_nir(folder / f"{name}.nir", steps=len(frames), reset=reset)
    frames = frames[:, :, None, None] if frames.ndim == 3 else np.moveaxis(frames, 2, -1)
    spikes, logits = spikes_of(back, np.ascontiguousarray(frames))
    for key, got in zip(("first", "second"), spikes.values(), strict=True):
        want = answers[key]
        assert (np.moveaxis(got, -1, 2).reshape(want.shape) == want).all(), key
        assert 0 < want.mean() < 1
    assert np.allclose(logits.mean(0), answers["last"], atol=1e-6)
    other = load_nir(folder / f"{name}.nir", steps=len(frames), reset={"zero": "subtract", "subtract": "zero"}[reset])
    assert any((a != b).any() for a, b in zip(spikes_of(other, frames)[0].values(), spikes.values(), strict=True))


@pytest.mark.parametrize("simulator", ["snntorch", "spikingjelly"])
def test_other_simulators_give_the_spikes_of_our_file_with_resets_by_subtraction(root, simulator):
    """tests/golden/make_resets.py wrote it, and let their readers load it; see there and docs/exchange.md."""
    folder = root / "tests" / "golden" / "nir"
    answers = np.load(folder / "subtract.npz")
    assert answers["left_above"] == 0
    back = load_nir(folder / "subtract.nir")
    assert {(node.name, node.beta, node.reset) for node in back.network.of(LIF)} == {
        ("lif1", 0.5, "subtract"),
        ("lif2", 0.75, "subtract"),
    }
    spikes, _ = spikes_of(back, np.ascontiguousarray(np.moveaxis(answers["images"], 2, -1)))
    for name, found in spikes.items():
        want = answers[f"{simulator}/{name}"]
        assert (np.moveaxis(found, -1, 2).reshape(want.shape) == want).all(), name
        assert 0.05 < want.mean() < 0.95
