"""A layer that can never fire is a DeadLayerWarning in every room that meets it, with the node and both figures."""

from __future__ import annotations

import json
import warnings
from shutil import which

import numpy as np
import pytest
import small

import qpsnn_core as qp
from qpsnn_backends.c.backend import CBackend
from qpsnn_backends.c.export import export
from qpsnn_backends.loihi.report import report
from qpsnn_core.common.errors import DeadLayerWarning, QpsnnWarning
from qpsnn_core.exchange.netx import save_netx
from qpsnn_core.integer.dead import dead_integers
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntInput, IntLIF, IntLinear, IntReadout
from qpsnn_core.network.model import Model
from qpsnn_datasets.events import Recording


def dead_model() -> Model:
    """Batch norm of `conv3` gives 0.1 whatever comes: U < 0.2, the threshold is 1."""
    made = small.model()
    params = {name: dict(own) for name, own in made.params.items()}
    params["conv3"]["bn_weight"] = np.zeros(8, np.float32)
    params["conv3"]["bn_bias"] = np.full(8, 0.1, np.float32)
    return made._replace(params=params)


SENSOR = ("--sensor", "1x1")


def chain(threshold: int, leak: tuple[int, int] = (1, 1)) -> IntegerNetwork:
    """Events of 2 pixels, two neurons that reach at most 2 per step, one of them below any threshold."""
    nodes = (
        IntInput("in", (1, 1, 2), 1),
        IntLinear("fc", "in", 2),
        IntLIF("lif", ("fc",), *leak),
        IntLinear("last", "lif", 2),
        IntReadout("out", "last"),
    )
    ones = {"codes": np.ones((2, 2), np.int8), "gain": np.ones(2, np.int32)}
    arrays = {
        "fc": ones,
        "lif": {"threshold": np.array([threshold, 100], np.int32), "bias": np.zeros(2, np.int32)},
        "last": ones,
        "out": {"bias": np.zeros(2, np.int32)},
    }
    return IntegerNetwork(nodes, arrays, 3)


def lowered() -> IntegerNetwork:
    with pytest.warns(DeadLayerWarning, match=r"^lower: lif3: can never fire"):
        return qp.lower(dead_model()).network


NEVER = (
    r": lif3: can never fire within 3 steps: its membrane is at most [\d.e+]+ and never reaches the threshold [\d.]+"
)


@pytest.mark.parametrize(
    ("room", "work"),
    [
        ("lower", lambda model: qp.lower(model)),
        ("score", lambda model: qp.score(model, small.dataset().images, batches=1)),
        ("prune", lambda model: qp.prune(model, {n.name: np.arange(c) for n, c in neurons(model)}, 0.5)),
        ("compress", lambda model: qp.compress(model, small.dataset().images, bits=4, method="rtn", batches=1)),
        ("requantize", lambda model: qp.requantize(model, 4)),
        ("evaluate", lambda model: qp.evaluate(model, small.dataset())),
        ("epoch 1", lambda model: qp.train(model, small.split(), qp.TrainConfig(epochs=1, batch=8, lr=1e-9))),
    ],
)
def test_rooms_of_trained_networks(room, work):
    with pytest.warns(DeadLayerWarning, match=f"^{room}{NEVER}"):
        work(dead_model())
    with warnings.catch_warnings():
        warnings.simplefilter("error", QpsnnWarning)
        work(small.model(1))


def neurons(model):
    return [(node, model.network.shape(node.name)[2]) for node in model.network.neurons]


@pytest.mark.parametrize(
    ("room", "work"),
    [
        ("simulate", lambda net, folder: qp.simulate(net, small.dataset().images[:2])),
        ("evaluate", lambda net, folder: qp.evaluate(net, small.dataset())),
        ("c", lambda net, folder: export(net, folder / "c")),
        ("loihi", lambda net, folder: report(net)),
    ],
)
def test_rooms_of_integer_networks(tmp_path, room, work):
    with pytest.warns(DeadLayerWarning, match=f"^{room}{NEVER}"):
        work(lowered(), tmp_path)
    alive = qp.lower(small.model(1)).network
    with warnings.catch_warnings():
        warnings.simplefilter("error", QpsnnWarning)
        work(alive, tmp_path / "alive")


def test_the_lift_and_netx():
    for name, network in (("dead", chain(10)), ("alive", chain(2))):
        images = np.ones((4, 1, 1, 2), np.uint8)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DeadLayerWarning)
            qp.lift(network, images)
        assert any(str(one.message).startswith("lift: lif: can never fire") for one in caught) == (name == "dead")


def test_netx(tmp_path):
    with pytest.warns(
        DeadLayerWarning, match=r"^netx: lif: can never fire within 3 steps: .* at most 3 .* threshold 10"
    ):
        save_netx(tmp_path / "a.net", chain(10))


@pytest.mark.exchange
def test_nir(tmp_path):
    pytest.importorskip("nir")
    from qpsnn_core.exchange.nir_export import save_nir
    from qpsnn_core.exchange.nir_import import load_nir

    with pytest.warns(DeadLayerWarning, match=r"^nir: lif: can never fire"):
        save_nir(tmp_path / "a.nir", chain(10))
    with pytest.warns(DeadLayerWarning, match=r"^nir: lif: can never fire"):
        load_nir(tmp_path / "a.nir")
    trained = qp.lift(chain(10), np.ones((4, 1, 1, 2), np.uint8))
    with pytest.warns(DeadLayerWarning, match=r"^nir: lif: can never fire"):
        save_nir(tmp_path / "b.nir", trained)


def test_a_stream_that_keeps_its_membranes_may_fire_later():
    """Within 3 steps at most 3 (2 + 1/2 of what was there, rounded down); kept they reach no more than 4."""
    recording = Recording(*(np.zeros(1, kind) for kind in ("u2", "u2", "i8", "u1")), (1, 1), -1, "one")
    for threshold, keep, dead in ((10, False, True), (10, True, True), (2, False, False)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DeadLayerWarning)
            list(qp.stream(chain(threshold), [recording], 1000, keep=keep))
        assert any(str(one.message).startswith("stream: lif: can never fire") for one in caught) == dead


def test_integers_are_dead_only_in_all_channels():
    assert dead_integers(chain(2)) == []
    ((name, high, threshold, _),) = dead_integers(chain(4))
    assert (name, high, threshold) == ("lif", 3.0, 4.0)
    assert [layer.name for layer in dead_integers(chain(2), {"lif": 0}, "3 images")] == ["lif"]


def test_a_layer_that_could_fire_and_did_not_is_told_by_the_set():
    made = small.model(1)
    quiet = small.dataset(6)
    quiet = type(quiet)(np.zeros_like(quiet.images), quiet.labels, quiet.classes, "black")
    with pytest.warns(DeadLayerWarning, match=r"^evaluate: lif1: did not fire once in 6 images: .*could reach"):
        qp.evaluate(made, quiet)


def test_the_history_names_silent_layers_and_survives_the_file(tmp_path):
    config = qp.TrainConfig(epochs=2, batch=8, lr=1e-9)
    with pytest.warns(DeadLayerWarning, match=r"^epoch 2: lif3: can never fire"):
        done = qp.train(dead_model(), small.split(), config, checkpoint=tmp_path / "a.h5")
    assert [epoch.silent for epoch in done.history] == [("lif3",), ("lif3",)]
    assert qp.load_checkpoint(tmp_path / "a.h5").history == done.history
    assert all(epoch.silent == () for epoch in qp.train(small.model(1), small.split(), config).history)


@pytest.mark.skipif(not which("cc"), reason="no C compiler")
def test_a_backend_says_it_before_it_runs():
    with pytest.warns(DeadLayerWarning, match=f"^c{NEVER}"):
        CBackend().run(lowered(), small.dataset(2).images)


@pytest.mark.lava
def test_lava_says_it_before_it_runs():
    from qpsnn_backends.lava.backend import LavaBackend

    with pytest.warns(DeadLayerWarning, match=r"^lava: lif: can never fire"):
        LavaBackend().run(chain(10), np.ones((1, 1, 1, 2), np.uint8))


@pytest.mark.cli
def test_a_prediction_says_which_layer_did_not_fire(tmp_path, qpsnn):
    pytest.importorskip("typer")
    pytest.importorskip("rich")
    events = np.zeros(3, [(name, "<i8") for name in "xytp"])
    events["t"] = [0, 5, 9]
    np.save(tmp_path / "one.npy", events)
    for name, network, said in (
        ("dead", chain(10), "can never fire within 3 steps"),
        ("quiet", chain(2), "did not fire once in 1 recordings"),
    ):
        qp.save_integer(tmp_path / f"{name}.h5", network)
        code, _, err = qpsnn("predict", tmp_path / f"{name}.h5", tmp_path / "one.npy", "--format", "numpy", *SENSOR)
        assert code == 0, err
        assert f"lif: {said}" in err
        assert err.count("warning: ") == 1


@pytest.mark.cli
def test_commands_print_each_warning_once_on_standard_error(tmp_path, qpsnn):
    pytest.importorskip("typer")
    pytest.importorskip("rich")
    qp.save_checkpoint(tmp_path / "a.h5", qp.Checkpoint(dead_model()))
    code, out, err = qpsnn("lower", tmp_path / "a.h5", "--out", tmp_path / "n.h5")
    assert code == 0
    assert "lif3: WARNING: no channel can ever fire" in out
    assert err.count("warning: lower: lif3: can never fire") == 1
    code, out, err = qpsnn("export", tmp_path / "n.h5", "--c", tmp_path / "c", "--vectors", 2, "--json")
    assert (code, err.count("lif3: can never fire")) == (0, 1)
    json.loads(out)
