"""The time step of NIR files: decided from the file as its exporter means it, or refused with the remedy."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("nir")

import nir

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, DeadLayerWarning, NetworkError
from qpsnn_core.exchange.nir_import import import_nir
from qpsnn_core.exchange.time_step import EXPORTERS

pytestmark = pytest.mark.exchange


def neuron(tau=None, r=1.0, threshold=1.0, size=1):
    """A LIF, or without tau an IF."""
    fields = {"r": np.full(size, r), "v_threshold": np.full(size, threshold), "v_reset": np.zeros(size)}
    if tau is None:
        return nir.IF(**fields)
    return nir.LIF(tau=np.full(size, tau), v_leak=np.zeros(size), **fields)


def write(path, *neurons, weight=None, metadata=None):
    """A file of these neurons one behind the other, each behind a linear layer of ones or, the first, of `weight`."""
    first = np.ones((1, 1)) if weight is None else weight
    nodes = {"input": nir.Input(np.array([first.shape[1]]))}
    for index, each in enumerate(neurons):
        nodes[f"w{index}"] = nir.Linear(weight=first if index == 0 else np.ones((1, 1)))
        nodes[f"n{index}"] = each
    nodes["output"] = nir.Output(np.array([len(neurons[-1].r)]))
    names = list(nodes)
    edges = list(pairwise(names))
    nir.write(path, nir.NIRGraph(nodes, edges, metadata=metadata or {}))
    return path


def fires(model, value, steps):
    """When the first neuron fires for a constant input, counted from 0."""
    image = np.full((1, 1, 1, 1), value, np.float32)
    done = qp.forward(model, image, save_for_backward=True)
    assert model.network.steps == steps
    return np.flatnonzero(done.values[model.network.neurons[0].name]).tolist()


def test_an_if_of_r_1_adds_its_input_once_a_step(tmp_path):
    """As Norse, Sinabs, and snnTorch's importer have it: 0.3 reaches more than 1 at the fourth step."""
    found = import_nir(write(tmp_path / "a.nir", neuron()), steps=8)
    assert fires(found.model, 0.3, 8) == [3, 7]
    assert "norse" in found.units.said
    assert "sinabs" in found.units.said


@pytest.mark.parametrize("dt", [1e-4, 1e-3, 2e-3, 5e-4])
def test_an_if_of_r_1_over_dt_tells_dt(tmp_path, dt):
    """As SpikingJelly exports it, with any step."""
    found = import_nir(write(tmp_path / "a.nir", neuron(r=1 / dt)), steps=8)
    assert found.units.dt == pytest.approx(dt)
    assert fires(found.model, 0.3, 8) == [3, 7]


@pytest.mark.parametrize("dt", [1e-4, 1e-3])
@pytest.mark.parametrize("beta", [0.5, 0.9, 0.999])
def test_a_lif_whose_input_is_whole_tells_dt(tmp_path, dt, beta):
    """`tau = dt/(1 - beta)`, `r = tau/dt`: snnTorch, and SpikingJelly without decay_input."""
    tau = np.float32(dt / (1 - beta))
    found = import_nir(write(tmp_path / "a.nir", neuron(tau, np.float32(tau / dt), 2.5)), steps=8)
    (made,) = found.model.network.neurons
    assert made.beta == pytest.approx(beta, abs=1e-6)
    weight = found.model.params[found.model.network.synapses[0].name]["weight"].item()
    assert weight == pytest.approx(1 / 2.5, rel=1e-5)
    assert ("snntorch" in found.units.said) == (dt == 1e-4)


def test_a_lif_of_r_1_shorter_than_a_millisecond_has_the_step_of_spikingjelly(tmp_path):
    found = import_nir(write(tmp_path / "a.nir", neuron(2e-4)))
    assert (found.units.dt, found.model.network.neurons[0].beta) == (1e-4, 0.5)


@pytest.mark.parametrize(
    ("tau", "fits"),
    [(0.01, ["0.0001 (spikingjelly)", "0.001 (norse)"]), (5.0, ["spikingjelly", "norse", "1 (sinabs)"])],
)
def test_a_lif_that_fits_several_exporters_is_refused_with_the_remedy(tmp_path, tau, fits):
    path = write(tmp_path / "a.nir", neuron(tau))
    with pytest.raises(ConfigError, match=r"nir: dt: expected --dt .*--exporter .*got n0: LIF, tau") as told:
        import_nir(path)
    assert all(name in str(told.value) for name in fits)
    betas = {name: import_nir(path, exporter=name).model.network.neurons[0].beta for name in ("spikingjelly", "norse")}
    assert betas == pytest.approx({"spikingjelly": 1 - 1e-4 / tau, "norse": 1 - 1e-3 / tau}, abs=1e-6)
    assert import_nir(path, dt=2e-3).model.network.neurons[0].beta == pytest.approx(1 - 2e-3 / tau, abs=1e-6)


def test_another_neuron_of_the_file_decides(tmp_path):
    """A LIF alone fits two exporters; beside an IF it fits one."""
    spikingjelly = import_nir(write(tmp_path / "a.nir", neuron(0.01), neuron(r=1e4)))
    assert [node.beta for node in spikingjelly.model.network.neurons] == pytest.approx([0.99, 1.0])
    with pytest.warns(DeadLayerWarning):
        norse = import_nir(write(tmp_path / "b.nir", neuron(0.01), neuron(threshold=8.0)))
    assert [node.beta for node in norse.model.network.neurons] == pytest.approx([0.9, 1.0])
    weights = [norse.model.params[node.name]["weight"].item() for node in norse.model.network.synapses[:2]]
    assert weights == pytest.approx([0.1, 1 / 8])


def test_the_metadata_decide(tmp_path):
    path = write(tmp_path / "a.nir", neuron(0.01), metadata={"dt": 5e-3})
    assert import_nir(path).model.network.neurons[0].beta == pytest.approx(0.5)
    path = write(tmp_path / "a.nir", neuron(0.01), metadata={"qpsnn": json.dumps({"dt": 2.5e-3})})
    assert import_nir(path).model.network.neurons[0].beta == pytest.approx(0.75)
    assert import_nir(path, dt=5e-3).model.network.neurons[0].beta == pytest.approx(0.5)


@pytest.mark.parametrize("made", [neuron(r=2.0), neuron(3e-4, 0.5), neuron(0.02, 3.0), neuron(2e-5)], ids=str)
def test_numbers_that_fit_no_exporter_are_refused(tmp_path, made):
    with pytest.raises(ConfigError, match=r"nir: dt: expected --dt STEP .*fits no exporter's step"):
        import_nir(write(tmp_path / "a.nir", made))
    back = import_nir(write(tmp_path / "a.nir", made), dt=1e-5, steps=4)
    assert back.units.dt == 1e-5


def test_options_are_checked(tmp_path):
    path = write(tmp_path / "a.nir", neuron(2e-4))
    with pytest.raises(ConfigError, match="nir: exporter: expected"):
        import_nir(path, exporter="snntorch2")
    with pytest.raises(ConfigError, match="nir: dt: expected a positive number"):
        import_nir(path, dt=-1.0)
    with pytest.raises(ConfigError, match="nir: dt: expected --dt, as no LIF tells the step of rockpool"):
        import_nir(path, exporter="rockpool")
    with pytest.raises(NetworkError, match=r"nir: n0.tau: expected one of at least dt \(0.001\)"):
        import_nir(path, exporter="norse")


@pytest.mark.parametrize(
    ("name", "exporter"),
    [
        ("norse_if", ""),
        ("norse_if", "norse"),
        ("norse_lif", "norse"),
        ("sinabs_if", "sinabs"),
        ("sinabs_lif", "sinabs"),
        ("rockpool", ""),
        ("rockpool", "rockpool"),
    ],
)
def test_each_exporters_own_neurons_fire_as_ours(root, tmp_path, name, exporter):
    """tests/golden/make_nir_units.py recorded them."""
    found = np.load(root / "tests" / "golden" / "nir" / "units.npz")
    numbers = {key.split("/")[1]: found[key] for key in found.files if key.startswith(f"{name}/")}
    size, zeros = len(numbers["bias"]), np.zeros(len(numbers["bias"]), np.float32)
    fields = {"r": numbers["r"], "v_threshold": np.broadcast_to(numbers["v_threshold"], size), "v_reset": zeros}
    node = nir.LIF(tau=numbers["tau"], v_leak=zeros, **fields) if "tau" in numbers else nir.IF(**fields)
    nodes = {
        "input": nir.Input(np.array([numbers["weight"].shape[1]])),
        "0": nir.Affine(numbers["weight"], numbers["bias"]),
        "1": node,
        "output": nir.Output(np.array([size])),
    }
    nir.write(tmp_path / "a.nir", nir.NIRGraph(nodes, [("input", "0"), ("0", "1"), ("1", "output")]))
    images = np.ascontiguousarray(numbers["images"][:, :, None, None])
    model = import_nir(tmp_path / "a.nir", steps=len(images), exporter=exporter).model
    done = qp.forward(model, images, save_for_backward=True)
    spikes = done.values[model.network.neurons[0].name].reshape(numbers["spikes"].shape)
    np.testing.assert_array_equal(spikes, numbers["spikes"])
    assert 0.05 < spikes.mean() < 0.95


def test_the_table_of_exporters_names_itself():
    assert all(units.exporter == name for name, units in EXPORTERS.items())


def test_an_output_that_reads_spikes_keeps_their_order_and_size(tmp_path):
    """The readout's identity has the file's order, (C, H, W), and the factor of a sum-pool."""
    shape = (2, 4, 4)
    size = np.array([2, 2])
    nodes = {
        "input": nir.Input(np.array([1, 4, 4])),
        "conv": nir.Conv2d((4, 4), np.array([[[[1.0]]], [[[0.5]]]]), 1, 0, 1, 1, np.zeros(2)),
        "if": nir.IF(r=np.ones(shape), v_threshold=np.full(shape, 0.9), v_reset=np.zeros(shape)),
        "pool": nir.SumPool2d(kernel_size=size, stride=size, padding=np.zeros(2, int)),
        "flat": nir.Flatten(np.array([2, 2, 2]), 0, -1),
        "output": nir.Output(np.array([8])),
    }
    names = list(nodes)
    graph = nir.NIRGraph(nodes, list(pairwise(names)), type_check=False)
    nir.write(tmp_path / "a.nir", graph)
    image = np.zeros((1, 4, 4, 1), np.float32)
    image[0, :2, :2] = [[[1], [1]], [[1], [0]]]
    image[0, 3, 0] = 1
    counts = [3, 0, 1, 0]  # of the windows, row by row; the second channel needs two steps
    for bits in (0, 2, 4, 8):
        model = import_nir(tmp_path / "a.nir", steps=2, bits=bits, peak=1).model
        logits = qp.forward(model, image.astype(np.uint8)).logits.sum(0)[0]
        np.testing.assert_allclose(logits, [*(2 * c for c in counts), *counts], atol=1e-6)
        lowered = qp.lower(model).network
        answer = qp.simulate(lowered, image.astype(np.uint8)).readout[0] * lowered.readout.scale
        np.testing.assert_allclose(answer, [*(2 * c for c in counts), *counts], atol=0.01)


@pytest.mark.cli
def test_the_command_says_the_step_and_warns_of_what_cannot_fire(tmp_path, qpsnn):
    pytest.importorskip("typer")
    pytest.importorskip("rich")
    path = write(tmp_path / "a.nir", neuron())
    code, out, err = qpsnn("import", path, "--steps", 8, "--out", tmp_path / "a.h5")
    assert (code, err) == (0, "")
    assert "time step" in out
    assert "resets: zero (the file does not say; --reset)" in " ".join(out.split())
    code, out, err = qpsnn("import", path, "--steps", 8, "--dt", "1e-4", "--out", tmp_path / "b.h5", "--json")
    assert code == 0
    assert err.startswith("warning: nir: n0: can never fire within 8 steps, given inputs of magnitude up to 1")
    assert "at most 0.0008 and never reaches the threshold 1" in err
    assert json.loads(out)["time_step"] == {
        "dt": 1e-4,
        "because": "NIR's equations with dt 0.0001, as given",
        "reset_unsaid": ["n0"],
    }
    code, out, err = qpsnn("import", write(tmp_path / "c.nir", neuron(0.01)), "--out", tmp_path / "c.h5")
    assert code == 2
    assert err.startswith("error: nir: dt: expected --dt STEP")
    assert not (tmp_path / "c.h5").exists()
    code, out, err = qpsnn("import", tmp_path / "c.nir", "--exporter", "norse", "--out", tmp_path / "c.h5", "--json")
    assert (code, json.loads(out)["time_step"]["dt"]) == (0, 1e-3)
