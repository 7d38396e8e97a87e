"""Spiking transformers and readouts of currents: trained network, twin, exact simulator, file, C and Lava agree."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from alike import assert_equal
from compiled import UNOPTIMIZED, needs_cc
from generators.transformers import STREAMS, random_stream, random_transformer

import qpsnn_backends
import qpsnn_core as qp
from naive import integer as naive
from naive import trained
from qpsnn_backends.lava import stock
from qpsnn_backends.lava.plan import plan
from qpsnn_backends.loihi.report import report
from qpsnn_core.common.errors import LoweringError, NodeKindError, NumericsError, ShapeError, UnsupportedError
from qpsnn_core.engine.passes import forward
from qpsnn_core.exchange.lift import LIFTS
from qpsnn_core.exchange.netx import save_netx
from qpsnn_core.inference.agreement import agreement
from qpsnn_core.integer.backends import Run
from qpsnn_core.integer.file import load_integer, save_integer
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.integer.lowering.streams import with_stored_sums
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntAttention,
    IntConv,
    IntCurrentReadout,
    IntInput,
    IntLIF,
    IntMaxPool,
    IntReadout,
    IntShortcut,
    IntSum,
)
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.integer.stateful import StatefulSimulator
from qpsnn_core.network import LIF, CurrentReadout, SelfAttention

SEEDS = range(12)
ON_C, ON_LAVA = SEEDS[:6], SEEDS[:3]
PLACES = ("mean", "each")
HEADS = [(kind,) for kind in STREAMS] + [
    ("conv", "shortcut"),
    ("image", "conv"),
    ("conv", "max_pool", "real"),
    ("image",) * 2,
]


@cache
def transformer(seed):
    """(model, images, what lowering gives), every third with a readout of each place."""
    model, images = random_transformer(seed, PLACES[seed % 3 == 2])
    return model, images, lower(model)


def places_of(kinds):
    """A Linear's current has one place; every second other readout is one of each place."""
    return PLACES[len(kinds) % 2] if "linear" not in kinds else "mean"


@cache
def stream(kinds):
    model, images = random_stream(kinds, places_of(kinds), read=len(kinds) if "linear" not in kinds else 0)
    return model, images, lower(model)


def twin(network, images):
    readouts, spikes, membranes = naive.run_all(network, images)
    kinds = (spikes, np.uint8), (membranes, np.int32)
    return Run(readouts, *({name: array.astype(kind) for name, array in found.items()} for found, kind in kinds))


def check_trained(model, images, lowered):
    """Spikes are the trained network's, and logits within what the report says."""
    run = simulate(lowered.network, images, record="spikes")
    ours = forward(model, images, save_for_backward=True)
    for node in model.network.of(LIF):
        np.testing.assert_array_equal(run.spikes[node.name], ours.values[node.name], node.name)
    found = run.readout * lowered.network.readout.unit(model.network.steps)
    answer, _, _ = trained.run(model, images, run.spikes)
    np.testing.assert_allclose(found, ours.logits.mean(0), rtol=0, atol=lowered.report.readout.rounding)
    np.testing.assert_allclose(found, answer, rtol=0, atol=lowered.report.readout.rounding)
    assert lowered.report.readout.rounding < 0.1 * np.abs(answer).max()
    return run


@pytest.mark.parametrize("seed", SEEDS)
def test_integers_are_the_twins_and_fire_as_the_trained_network_does(seed):
    model, images, lowered = transformer(seed)
    check_trained(model, images, lowered)
    assert_equal(twin(lowered.network, images), qpsnn_backends.get("exact").run(lowered.network, images, record="all"))


def test_the_transformers_fire_and_have_every_option():
    found = [transformer(seed) for seed in SEEDS]
    rates = [simulate(one.network, x, record="spikes").spikes for _, x, one in found]
    assert 0.1 < np.mean([spikes.mean() for some in rates for spikes in some.values()]) < 0.7
    attended = [s.mean() for some in rates for name, s in some.items() if name.endswith(".a.lif")]
    assert np.mean([0 < rate < 1 for rate in attended]) > 0.6
    networks = [model.network for model, _, _ in found]
    assert {node.heads for net in networks for node in net.of(SelfAttention)} == {1, 2, 4}
    assert {net.readout.places for net in networks} == set(PLACES)
    assert {net.input.spikes for net in networks} == {True, False}
    assert len({net.shape("pool")[0] * net.shape("pool")[1] for net in networks}) > 3


@pytest.mark.parametrize("kinds", HEADS, ids="-".join)
def test_currents_of_every_kind_are_read_out(kinds):
    model, images, lowered = stream(kinds)
    network = lowered.network
    run = simulate(network, images, record="all")
    assert_equal(twin(network, images), run)
    found = run.readout * network.readout.unit(model.network.steps)
    answer, _, _ = trained.run(model, images, run.spikes)
    if "real" not in kinds:
        check_trained(model, images, lowered)
    np.testing.assert_allclose(found, answer, rtol=0, atol=lowered.report.readout.rounding)


def test_a_stream_of_nine_currents_lowers_within_its_margin():
    model, images = random_stream(("conv",) * 9, read=9, seed=3)
    for index in range(9):
        own = model.params[f"conv{index}"]
        own["bn_weight"] /= 3
        own["bn_bias"] /= 9
    lowered = lower(model)
    run = check_trained(model, images, lowered)
    assert 0.05 < run.spikes["reads"].mean() < 0.95
    part = lowered.report["reads"]
    assert part.rounding < 1e-4
    _, _, before = trained.run(model, images, run.spikes)
    integers = simulate(lowered.network, images, record="all")
    stored = np.where(integers.spikes["reads"], 0, integers.membranes["reads"]) * part.unit
    want = np.where(integers.spikes["reads"], 0, before["reads"])
    assert (np.abs(stored - want) <= part.margin).all()
    assert min(lowered.network.arrays[f"conv{index}"]["gain"].max() for index in range(9)) > 2**16


def test_neurons_behind_attention_are_small_integers():
    """`U = (U >> 1) + A, fire at U >= 8`: scale 1/8, threshold 1, leak 1/2."""
    model, images = random_transformer(0, depth=1)
    network = model.network.change("block0.a", scale=0.125).change("block0.a.lif", threshold=1.0, beta=0.5)
    lowered = lower(model._replace(network=network))
    arrays, node = lowered.network.arrays, lowered.network["block0.a.lif"]
    assert set(arrays["block0.a"]["gain"].tolist()) == {1}
    assert set(arrays["block0.a.lif"]["threshold"].tolist()) == {8}
    assert not arrays["block0.a.lif"]["bias"].any()
    assert (node.multiplier, node.shift) == (1, 1)
    assert lowered.report["block0.a.lif"].exact.all()
    assert lowered.report["block0.a.lif"].fraction_bits == (0, 0)
    assert "block0.a.lif: no fraction bits" not in str(lowered.report)
    check_trained(model._replace(network=network), images, lowered)


def test_a_stream_is_added_up_once_and_nothing_changes(monkeypatch):
    """No neuron reads more than a sum and a current; without those sums the same numbers come out."""
    some = [transformer(seed) for seed in SEEDS[:6]]
    for _, _, lowered in some:
        assert max(len(node.sources) for node in lowered.network.of(IntLIF, IntCurrentReadout)) <= 2
        assert lowered.network.of(IntSum)
        for node in lowered.network.of(IntConv, IntShortcut):
            assert len(lowered.network.consumers(node.name)) <= 2
    monkeypatch.setattr("qpsnn_core.integer.lowering.lower.with_stored_sums", lambda nodes: nodes)
    for model, images, lowered in some:
        plain = lower(model).network
        assert not plain.of(IntSum)
        assert_equal(simulate(plain, images, record="all"), simulate(lowered.network, images, record="all"))


def test_sums_are_stored_before_readouts_of_currents_alone():
    """What has no sums of currents, such as Loihi, takes a network as it is trained."""
    neurons = IntLIF("l1", ("a", "b")), IntLIF("l2", ("a", "b", "c")), IntLIF("l3", ("a", "b"))
    assert with_stored_sums((*neurons, IntReadout("out", "d"))) == (*neurons, IntReadout("out", "d"))
    head = IntCurrentReadout("out", ("a", "b", "c", "d"), 3)
    found = with_stored_sums((IntInput("l1.stream", (1, 1, 1), 1), *neurons, head))
    assert found[1:] == (
        IntSum("l1.stream_", ("a", "b")),
        IntLIF("l1", ("l1.stream_",)),
        IntSum("l2.stream", ("l1.stream_", "c")),
        IntLIF("l2", ("l2.stream",)),
        IntLIF("l3", ("l1.stream_",)),
        IntCurrentReadout("out", ("l2.stream", "d"), 3),
    )


def test_units_without_idle_digits_change_no_spike(monkeypatch):
    """The same networks with the finest units: membranes are the finer ones, shifted."""
    small = [transformer(seed) for seed in SEEDS[:6]]
    monkeypatch.setattr("qpsnn_core.integer.lowering.units.smallest", lambda lifs, currents, rounded, steps: rounded)
    smaller = 0
    for model, images, lowered in small:
        fine = lower(model)
        ours, theirs = (simulate(one.network, images, record="all") for one in (lowered, fine))
        np.testing.assert_array_equal(ours.readout, theirs.readout)
        for name, spikes in ours.spikes.items():
            np.testing.assert_array_equal(spikes, theirs.spikes[name])
            ratio = fine.network.arrays[name]["threshold"] // lowered.network.arrays[name]["threshold"]
            np.testing.assert_array_equal(ours.membranes[name], theirs.membranes[name] // ratio)
            smaller += int((ratio > 1).sum())
    assert smaller > 10


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_a_file_holds_all_of_it(tmp_path, seed):
    _, _, lowered = transformer(seed)
    save_integer(tmp_path / "network.h5", lowered.network)
    assert load_integer(tmp_path / "network.h5").digest() == lowered.network.digest()


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize("seed", ON_C)
def test_c_is_exact(seed):
    _, images, lowered = transformer(seed)
    run = qpsnn_backends.get("c", flags=UNOPTIMIZED).run(lowered.network, images, record="all")
    assert_equal(simulate(lowered.network, images, record="all"), run)


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize("kinds", HEADS[-3:], ids="-".join)
def test_c_reads_out_currents(kinds):
    _, images, lowered = stream(kinds)
    run = qpsnn_backends.get("c", flags=UNOPTIMIZED).run(lowered.network, images, record="all")
    assert_equal(simulate(lowered.network, images, record="all"), run)


@pytest.mark.lava
@pytest.mark.parametrize("seed", ON_LAVA)
def test_lava_is_exact(seed):
    _, images, lowered = transformer(seed)
    run = qpsnn_backends.get("lava").run(lowered.network, images, record="all")
    assert_equal(simulate(lowered.network, images, record="all"), run)


def test_what_other_rooms_refuse_they_refuse_by_name(tmp_path):
    _, _, lowered = transformer(0)
    with pytest.raises(NodeKindError, match="a synapse multiplies a spike with a weight that is stored"):
        report(lowered.network)
    with pytest.raises(LoweringError, match=r"block0.a: the lift takes no IntAttention: .* has one scale"):
        LIFTS[lowered.network["block0.a"]]
    for refuses in (
        lambda: save_netx(tmp_path / "file.net", lowered.network),
        lambda: stock.plan(lowered.network),
    ):
        with pytest.raises(UnsupportedError, match="pool"):
            refuses()
    _, _, headed = stream(("conv", "shortcut"))
    with pytest.raises(NodeKindError, match="head: the Loihi mapping takes no IntCurrentReadout: a current is summed"):
        report(headed.network)
    assert not list(tmp_path.iterdir())


@pytest.mark.exchange
def test_nir_refuses_attention_and_streams_by_name(tmp_path):
    from qpsnn_core.exchange.nir_export import save_nir

    model, _, lowered = transformer(0)
    with pytest.raises(UnsupportedError, match=r"block0.a: .* takes no SelfAttention"):
        save_nir(tmp_path / "model.nir", model)
    for exact in (False, True):
        with pytest.raises(UnsupportedError, match=r"block0.a: the NIR graph of integers takes no IntAttention"):
            save_nir(tmp_path / "model.nir", lowered.network, exact=exact)


def test_sums_beyond_their_bits_are_refused_by_name():
    _, _, lowered = stream(("conv", "shortcut"))
    network = lowered.network
    head = network.readout
    arrays = {name: dict(own) for name, own in network.arrays.items()}
    arrays["head"]["factor"] = np.full_like(arrays["head"]["factor"], 2**31 - 1)
    nodes = tuple(IntCurrentReadout(n.name, n.sources, n.channels, n.places) if n is head else n for n in network)
    with pytest.raises(NumericsError, match=r"head: expected sums over 3 steps of at most 9223372036854775807, got"):
        IntegerNetwork(nodes, arrays, network.steps)


def attends(shape=(2, 3, 4), peak=1, heads=2, keys=4):
    """Integer attention of an input to itself, its shortcut's channels as keys, and its own as values."""
    rng = np.random.default_rng(0)
    nodes = (
        IntInput("in", shape, peak),
        IntMaxPool("same", "in", 1, 1),
        IntShortcut("short", "in", keys, 1, (0,) * keys),
        IntLIF("keys", ("short",)),
        IntAttention("a", "in", "keys", "same", heads),
        IntCurrentReadout("head", ("a",), 3),
    )
    codes = rng.integers(-7, 8, (shape[2], 3)).astype(np.int8)
    arrays = {
        "short": {"gain": np.ones(keys, np.int32)},
        "keys": {"threshold": np.ones(keys, np.int32), "bias": np.zeros(keys, np.int32)},
        "a": {"gain": np.arange(shape[2], dtype=np.int32) - 1},
        "head": {
            "codes": codes,
            "factor": np.arange(shape[2], dtype=np.int32),
            "gain": np.array([1, 2, 0], np.int32),
            "bias": np.array([-5, 7, 0], np.int32),
        },
    }
    return IntegerNetwork(nodes, arrays, 2)


def test_integer_attention_of_an_input_is_the_twins():
    """Of events that no neuron has made."""
    network = attends()
    frames = np.random.default_rng(1).integers(0, 2, (2, 3, 2, 3, 4)).astype(np.uint8)
    run = simulate(network, frames, record="all")
    assert_equal(twin(network, frames), run)
    assert len(set(run.readout.reshape(-1).tolist())) > 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peak": 2}, r"^a \(from in\): expected counts of 0 and 1, got counts up to 2$"),
        ({"heads": 3}, r"^a \(from in\): expected channels in 3 heads of equal size, got 4$"),
        ({"keys": 6}, r"^a \(from keys\): expected 4 channels \(from in\), got 6$"),
        ({"shape": (46341, 23171, 4)}, r"^a: expected sums of matches of at most 2147483647, got up to 2147534622"),
    ],
)
def test_integer_attention_takes_spikes_alone(changes, message):
    with pytest.raises((ShapeError, NumericsError), match=message):
        attends(**changes)


def test_currents_of_a_stream_wait_as_one_on_lava():
    """Each neuron that reads it has the sum for the one before it, and one more: no InPort meets an OutPort twice."""
    for seed in SEEDS:
        model, _, lowered = transformer(seed)
        wiring = plan(lowered.network).wiring
        readers = [node for node in model.network.of(LIF, CurrentReadout) if len(node.sources) > 1]
        assert len(wiring.of("delay")) <= len(readers) + 1
        assert all(len(set(part.sources)) == len(part.sources) for part in wiring)
        for part in wiring:
            sent = {one.name: one.latency for one in wiring}
            wait = 1 if part.kind in ("conv", "dense") else part.settings.get("delay", 0)
            assert {sent[name] + wait for name in part.sources} <= {part.latency}


def test_a_stream_of_events_runs_on():
    """Two pieces with kept membranes are one long run; sums of 64 bits hold any number of pieces."""
    seed = next(seed for seed in SEEDS if transformer(seed)[0].network.input.spikes)
    _, images, lowered = transformer(seed)
    steps = len(images)
    frames = np.concatenate((images, images[::-1]))
    long = simulate(IntegerNetwork(lowered.network.nodes, lowered.network.arrays, 2 * steps), frames, record="spikes")
    running = StatefulSimulator(lowered.network, steps, keep=True)
    pieces = [running.run(frames[:steps]), running.run(frames[steps:])]
    np.testing.assert_array_equal(pieces[0].readout + pieces[1].readout, long.readout)
    for name, spikes in long.spikes.items():
        np.testing.assert_array_equal(np.concatenate([piece.spikes[name] for piece in pieces]), spikes)


@pytest.mark.parametrize(("task", "loss"), [("classification", "mean"), ("multilabel", "bce"), ("regression", "mse")])
def test_a_readout_of_currents_serves_every_task(task, loss):
    """From training to figures of a backend, as a Readout does."""
    model, images = random_stream(("conv", "shortcut"))
    rng = np.random.default_rng(2)
    labels = {
        "classification": np.array([0, 1, 2, 0]),
        "multilabel": rng.integers(0, 2, (4, 3)),
        "regression": rng.normal(0, 1, (4, 3)),
    }[task]
    data = qp.Dataset(images, labels, tuple("abc"), "some", task=task)
    trained_on = qp.train(model.network, data, qp.TrainConfig(epochs=1, batch=2, loss=loss), progress=False).model
    lowered = lower(trained_on)
    found, deployed = (qp.evaluate(one, data) for one in (trained_on, lowered.network))
    assert list(found.figures) == list(deployed.figures)
    off = lowered.report.readout.rounding
    theirs = qp.predict(trained_on, images, task=task).logits
    np.testing.assert_allclose(qp.predict(lowered.network, images, task=task).logits, theirs, atol=off)
    figures, again = agreement(lowered.network, data, "exact")
    assert (figures.spike_mismatches, figures.readout_mismatches) == (0, 0)
    for name, figure in deployed.figures.items():
        np.testing.assert_allclose(again.figures[name], figure, rtol=1e-9)


def test_answers_do_not_depend_on_the_batch():
    model, images, lowered = transformer(1)
    together = simulate(lowered.network, images).readout
    for index in range(images.shape[-4]):
        alone = simulate(lowered.network, images[..., index : index + 1, :, :, :]).readout
        np.testing.assert_array_equal(alone[0], together[index])
    assert isinstance(model.network.readout, CurrentReadout)
