"""The audit passes what is right, on every kind of network, and finds what is wrong: one fault at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import qpsnn_core as qp
from oracle import networks
from qpsnn_core.common.errors import ShapeError
from qpsnn_core.engine.layers import LAYERS, gated_conv
from qpsnn_core.experiments import audit_gradients
from qpsnn_core.experiments.audit import audit, codes_of
from qpsnn_core.experiments.audit_attention import attention_errors
from qpsnn_core.network import LIF, ChannelGate, Conv, MembraneQuantizer, Quantizer
from qpsnn_core.network.zoo.blocks import Neuron
from qpsnn_core.quantization.formats import GAMMAS
from qpsnn_core.quantization.rescaw import quantize
from qpsnn_datasets import Dataset

NAMES = ["weights", "inputs", "neurons", "layers", "codes", "SVS", "integer", "Lava"]


def images(shape, count=4, classes=3):
    rng = np.random.default_rng(0)
    return Dataset(rng.integers(0, 256, (count, *shape), np.uint8), np.arange(count) % classes, ("a", "b", "c"), "made")


def settled(network, data, seed=0):
    """Fresh weights, batch norm's parameters drawn, its statistics those of the images."""
    model = qp.recalibrate(qp.initialise(network, seed), data)
    rng = np.random.default_rng(seed)
    params = {
        node: {n: a if n == "weight" else (a + rng.normal(0, 0.1, a.shape)).astype(a.dtype) for n, a in own.items()}
        for node, own in model.params.items()
    }
    return model._replace(params=params)


def found(model, data, **options):
    """The findings by a word of their names."""
    findings = list(audit(model, data, **{"lava": 0, "samples": 3, **options}))
    assert len(findings) == len(NAMES)
    return {name: next(one for one in findings if name in one.check) for name in NAMES}


NETWORKS = {
    "vgg": ("vgg_small", {"width": 0.2, "steps": 3}),
    "resnet": ("resnet20", {"width": 0.06, "steps": 2}),
    "sew": ("sew_resnet18", {"width": 0.06, "steps": 2}),
    "real": ("vgg_small", {"width": 0.2, "quantizer": None}),
    "2 bits": ("vgg_small", {"width": 0.2, "quantizer": Quantizer(2, "mean")}),
    "pass": ("vgg_small", {"width": 0.2, "quantizer": Quantizer(4, "mean", ste="pass", granularity="layer")}),
    "neuron": ("vgg_small", {"width": 0.2, "neuron": Neuron(0.7, 0.9, "arctan", 0.8, True)}),
    "subtract": ("vgg_small", {"width": 0.2, "neuron": Neuron(reset="subtract")}),
    "subtract, detached": ("vgg_small", {"width": 0.2, "neuron": Neuron(detach_reset=True, reset="subtract")}),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_what_is_right_passes(kind):
    name, options = NETWORKS[kind]
    data = images((32, 32, 3) if name != "vgg_small" else (8, 8, 3))
    network = qp.build(name, data.sample_shape, 3, **options)
    findings = found(settled(network, data), data)
    verdicts = {name: one.verdict for name, one in findings.items()}
    skipped = {"Lava", *(["codes", "integer"] if kind == "real" else [])}
    assert {name for name, verdict in verdicts.items() if verdict == "skipped"} == skipped
    assert {verdict for name, verdict in verdicts.items() if name not in skipped} == {"pass"}
    assert findings["weights"].figure > 0
    assert all(findings[name].reason for name in skipped)


@pytest.fixture(scope="module")
def small():
    data = images((8, 8, 3))
    return settled(qp.build("vgg_small", (8, 8, 3), 3, width=0.2, steps=3), data), data


def spoiled(monkeypatch, module, name, change):
    right = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *arguments, **named: change(right(*arguments, **named)))


def test_a_wrong_weight_gradient_is_found(small, monkeypatch):
    from qpsnn_core.engine.layers import conv

    spoiled(monkeypatch, conv, "weight_sums", lambda array: array * np.float32(1.01))
    assert found(*small)["weights"].verdict == "FAIL"


def test_a_wrong_input_gradient_is_found(small, monkeypatch):
    from qpsnn_core.engine.layers import conv

    spoiled(monkeypatch, conv, "input_gradient", lambda array: array * np.float32(1.01))
    findings = found(*small, samples=20)
    assert findings["inputs"].verdict == "FAIL"
    assert findings["neurons"].verdict == "pass"


def test_a_wrong_neuron_is_found(small, monkeypatch):
    layer = LAYERS.entries[LIF]
    wrong = layer._replace(
        backward=lambda node, cache, gradient: layer.backward(replace(node, beta=0.4), cache, gradient)
    )
    monkeypatch.setitem(LAYERS.entries, LIF, wrong)
    findings = found(*small)
    assert findings["neurons"].verdict == "FAIL"
    assert findings["weights"].verdict == "pass"


def test_wrong_codes_are_found(small, monkeypatch):
    import qpsnn_core.experiments.audit as module

    def off_by_one(codes):
        codes.codes.reshape(-1)[7] += 2
        return codes

    spoiled(monkeypatch, module, "quantize", off_by_one)
    findings = found(*small)
    assert findings["codes"].verdict == "FAIL"
    assert findings["codes"].figure == 1


def test_wrong_scores_are_found(small, monkeypatch):
    import qpsnn_core.compression.channels.score as module

    spoiled(monkeypatch, module, "count_significant_singular_values", lambda counts: counts + (counts > 2))
    assert found(*small)["SVS"].verdict == "FAIL"


def test_a_wrong_integer_network_is_found(small, monkeypatch):
    import qpsnn_core.experiments.audit as module

    def shifted(lowered):
        arrays = {node: dict(own) for node, own in lowered.network.arrays.items()}
        arrays["lif3"]["threshold"] = arrays["lif3"]["threshold"] * 2
        return lowered._replace(network=replace(lowered.network, arrays=arrays))

    spoiled(monkeypatch, module, "lower", shifted)
    assert found(*small)["integer"].verdict == "FAIL"


@pytest.mark.lava
def test_lava_takes_part(small):
    findings = found(*small, lava=1)
    assert findings["Lava"].verdict == "pass"
    assert findings["Lava"].figure == 0


def test_nan_fails(small):
    model, data = small
    seen = audit_gradients.trace(model, data.images, data.labels)
    seen.params["conv2"]["weight"][...] = np.nan
    from qpsnn_core.experiments.audit import _worst

    rng = np.random.default_rng(0)
    assert _worst("c", "14", 1e-3, audit_gradients.weight_errors(model, seen, 2, rng)).verdict == "FAIL"


@pytest.mark.parametrize("granularity", ["channel", "layer"])
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_codes_as_written(bits, gamma, granularity):
    """Against hand-written rounding of a few numbers, and the kernel of many."""
    weight = np.random.default_rng(bits).normal(0, 0.1, (3, 3, 5, 7)).astype(np.float32)
    quantizer = Quantizer(bits, gamma, granularity)
    np.testing.assert_array_equal(codes_of(weight, quantizer), quantize(weight, quantizer).codes)
    two = codes_of(np.array([[-2.0, -0.4], [0.2, 0.0]], np.float32).T, Quantizer(2, "one"))
    assert two.tolist() == [[-3, 1], [-1, 1]]


def test_data_that_does_not_fit(small):
    with pytest.raises(ShapeError):
        list(audit(small[0], images((6, 8, 3))))
    assert len(small[0].network.of(Conv)) == 6


def test_gradients_of_attention_are_audited():
    """The negative control: a spike of v that the layer did not see."""
    net = networks.network("attention in a residual stream")
    model = networks.model(net, 3)
    seen = audit_gradients.trace(model, networks.images(net), networks.labels(net))
    found = list(attention_errors(model, seen, 20, np.random.default_rng(0)))
    assert [name for name, _ in found] == ["attention"] * 3
    assert max(error for _, error in found) < 1e-5
    assert all(np.abs(given).max() > 0 for given in seen.back["attention"].inputs)
    seen.done.values["v.lif"][...] = 1 - seen.done.values["v.lif"]
    assert max(error for _, error in attention_errors(model, seen, 20, np.random.default_rng(0))) > 1e-3
    data = images((3, 4, 2), classes=3)
    checks = [one.check for one in audit(model, data, lava=0)]
    assert "gradients of attention against finite differences" in checks


def by_name(model, data, **options):
    return {one.check: one for one in audit(model, data, lava=0, samples=3, **options)}


SPQUANT = {"membrane": MembraneQuantizer(-3, 1), "learn": ("threshold", "leak")}
LINES = {"stored membranes", "thresholds and leaks", "masks of gates", "targets of gates", "gradients of gates"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"learn_per": "layer", "reset": "subtract", "threshold_gradient": "spquant"},
        {"membrane": MembraneQuantizer(-1, 1, parts=2, masked=True), "detach_reset": True},
    ],
    ids=["each channel", "as published", "half thresholds"],
)
def test_membranes_thresholds_and_gates_have_lines_of_their_own(options):
    net = networks.network("gates", neuron={**SPQUANT, **options})
    model, data = networks.model(net, 3), made_for(net)
    findings = by_name(model, data)
    there = {name for name in LINES if any(name in check for check in findings)}
    assert there == LINES
    assert {one.verdict for check, one in findings.items() if "Lava" not in check} == {"pass"}, findings


def made_for(net):
    return Dataset(networks.images(net), networks.labels(net), tuple("abcdefgh"[: net.classes]), "made")


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("threshold", "thresholds and leaks"),
        ("levels", "stored membranes"),
        ("mask", "masks of gates"),
        ("target", "targets of gates"),
        ("cross-entropy", "gradients of gates"),
        ("places", "gradients of gates"),
    ],
)
def test_a_wrong_membrane_threshold_or_gate_is_found(monkeypatch, fault, line):
    from qpsnn_core.engine.layers import gates, lif

    net = networks.network("gates", neuron=SPQUANT)
    if fault == "threshold":
        spoiled(
            monkeypatch,
            lif,
            "_learned",
            lambda found: {name: array * np.float32(1.01) for name, array in found.items()},
        )
    if fault == "levels":
        spoiled(monkeypatch, lif, "levels_of", lambda levels: levels._replace(low=levels.low + 2))
    if fault == "mask":
        wrong = LAYERS.entries[ChannelGate]._replace(forward=lambda *given: closes_one(gates.channel_gate(*given)))
        monkeypatch.setitem(LAYERS.entries, ChannelGate, wrong)
    if fault == "target":
        spoiled(monkeypatch, gates, "targets", lambda goal: 1 - goal)
    if fault == "cross-entropy":
        spoiled(monkeypatch, gates, "sigmoid", lambda share: share * 1.01)
    if fault == "places":
        spoiled(monkeypatch, gated_conv, "_over_channels", lambda task: task * np.float32(1.5))
    (found,) = [one for check, one in by_name(networks.model(net, 3), made_for(net)).items() if line in check]
    assert found.verdict == "FAIL"


def closes_one(output):
    mask = output.value.copy()
    mask[-1, -1] = 1 - mask[-1, -1]
    return output._replace(value=mask)


def test_gradients_behind_gates_are_audited():
    """Finite differences through masks of sums and of inputs; the negative control forgets the masks of sums."""
    net = networks.network("gates")
    model = networks.model(net, 3)
    seen = audit_gradients.trace(model, networks.images(net), networks.labels(net))
    rng = np.random.default_rng(0)
    for errors in (audit_gradients.weight_errors, audit_gradients.input_errors):
        assert max(error for _, error in errors(model, seen, 6, rng)) < 1e-5
    for name in ("channels", "places", "straight"):
        seen.done.values[name][...] = 1
    assert max(error for _, error in audit_gradients.weight_errors(model, seen, 6, rng)) > 1e-3
