"""A compressed network from checkpoint to Lava: pruned weights stay 0, codes have a zero, sizes and operations tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import small
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, FormatError, NumericsError, ShapeError
from qpsnn_core.engine.pricing import effective, nonzero
from qpsnn_core.experiments.audit import audit
from qpsnn_core.inference import agreement
from qpsnn_core.integer.packing import pack, unpack
from qpsnn_core.network import Conv, Linear, Quantizer
from qpsnn_core.network.cost import cost, counted, sops
from qpsnn_core.network.sparse_storage import stored
from qpsnn_core.quantization.rescaw import quantize

DATA = small.dataset(40, frames=3)


@pytest.fixture(scope="module", params=[(0.7, 4), (0.7, 2), (0.7, 8), (0.7, None), (0.0, 3)], ids=str)
def compressed(request):
    sparsity, bits = request.param
    return qp.compress(small.model(), DATA, sparsity=sparsity, bits=bits, ratios="uniform").model


def zeros(model):
    return {node.name: model.params[node.name]["weight"] == 0 for node in model.network.synapses}


@pytest.mark.parametrize("bits", range(2, 9))
def test_codes_with_a_zero_are_multiples_of_the_step(bits):
    """`k * gamma / (2**(b-1) - 1)` comes back exactly, whatever the other weights of the channel are."""
    top = 2 ** (bits - 1) - 1
    rng = np.random.default_rng(bits)
    gamma = rng.uniform(0.1, 3, 5).astype(np.float32)
    whole = rng.integers(-top, top + 1, (40, 5))
    weight = (whole * (gamma.astype(np.float64) / top)).astype(np.float32)
    quantizer = Quantizer(bits, gamma="kept", zero=True)
    codes = quantize(weight, quantizer, gamma)
    np.testing.assert_array_equal(codes.codes, 2 * whole)
    np.testing.assert_allclose(codes.codes * codes.step, weight, rtol=3e-7)
    again = quantize(codes.codes * codes.step, quantizer, gamma)
    np.testing.assert_array_equal(again.codes, codes.codes)
    assert (quantize(np.zeros((3, 5), np.float32), quantizer, gamma).codes == 0).all()


@pytest.mark.parametrize("gamma", ["mean", "max", "percentile", "one"])
def test_zero_goes_with_every_gamma(gamma):
    weight = np.random.default_rng(0).normal(0, 0.5, (30, 4)).astype(np.float32)
    weight[::3] = 0
    codes = quantize(weight, Quantizer(4, gamma=gamma, zero=True))
    assert (codes.codes[::3] == 0).all()
    assert set(np.unique(codes.codes)) <= set(range(-14, 15, 2))
    step = codes.gamma.astype(np.float64) / 7
    want = np.clip(np.rint(weight / step), -7, 7)
    near = np.abs(weight / step % 1 - 0.5) < 1e-4
    assert ((codes.codes == 2 * want) | near).all()


def test_the_kept_gamma_must_be_there_and_positive():
    weight, quantizer = np.ones((3, 2), np.float32), Quantizer(4, gamma="kept")
    with pytest.raises(ShapeError, match=r"gamma: expected an array \(2,\) that was kept, got nothing"):
        quantize(weight, quantizer)
    with pytest.raises(ShapeError, match="gamma"):
        quantize(weight, quantizer, np.ones(3, np.float32))
    for wrong in (0, -1, np.nan):
        with pytest.raises(NumericsError, match="gamma"):
            quantize(weight, quantizer, np.array([1, wrong], np.float32))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Quantizer(gamma="mean", zero=1), "quantizer.zero: expected true or false"),
        (lambda: Quantizer(gamma="kept", granularity="layer"), "quantizer.granularity"),
        (lambda: Quantizer(gamma="keep"), "quantizer.gamma"),
        (
            lambda: Linear("a", "b", 3, Quantizer(gamma="mean"), sparse=True),
            "a.quantizer.zero: expected true where weights are",
        ),
        (lambda: Conv("a", "b", 3, sparse=1), "a.sparse: expected true or false"),
    ],
)
def test_what_does_not_go_together_is_named(make, said):
    with pytest.raises(ConfigError) as caught:
        make()
    assert said in str(caught.value)


def test_all_survives_a_checkpoint(compressed, tmp_path):
    qp.save_checkpoint(tmp_path / "a.h5", qp.Checkpoint(compressed))
    back = qp.load_model(tmp_path / "a.h5")
    assert back.network == compressed.network
    for name, own in compressed.state.items():
        for key, array in own.items():
            np.testing.assert_array_equal(back.state[name][key], array)
    for node in compressed.network.synapses:
        np.testing.assert_array_equal(effective(back, back.network[node.name]), effective(compressed, node))


def test_weights_are_the_codes_they_become(compressed):
    for node in compressed.network.synapses:
        weight = compressed.params[node.name]["weight"]
        np.testing.assert_allclose(effective(compressed, node), weight, rtol=3e-7)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_fine_tuning_trains_what_is_left_and_nothing_else(compressed, optimizer):
    before = zeros(compressed)
    config = qp.FinetuneConfig(epochs=2, batch=8, optimizer=optimizer, lr=0.01, weight_decay=0.01)
    tuned = qp.finetune(compressed, DATA, config).model
    for node in compressed.network.synapses:
        name, own = node.name, before[node.name]
        weight = tuned.params[name]["weight"]
        if node.sparse:
            assert own.mean() == pytest.approx(0.7, abs=0.02) or node.quantizer
            assert (weight[own] == 0).all()
            assert (effective(tuned, tuned.network[name])[own] == 0).all()
        assert (weight[~own] != compressed.params[name]["weight"][~own]).mean() > 0.5
        if node.quantizer:
            np.testing.assert_array_equal(tuned.state[name]["gamma"], compressed.state[name]["gamma"])


def test_without_the_mark_pruned_weights_come_back():
    """The negative control: it is `sparse` that keeps them at 0."""
    model = qp.compress(small.model(), DATA, sparsity=0.7, bits=4, ratios="uniform").model
    nodes = tuple(replace(n, sparse=False) if isinstance(n, (Conv, Linear)) else n for n in model.network)
    loose = model._replace(network=replace(model.network, nodes=nodes))
    tuned = qp.finetune(loose, DATA, qp.FinetuneConfig(epochs=1, batch=8, lr=0.01)).model
    assert any((tuned.params[name]["weight"][own] != 0).any() for name, own in zeros(model).items())


@pytest.mark.parametrize("method", ["osbc", "obc", "magnitude"])
def test_what_was_pruned_before_stays_pruned(method):
    """Pruned, fine-tuned, then quantized: the zeros of the first step are there after the second."""
    first = qp.compress(small.model(), DATA, sparsity=0.7, ratios="uniform", method=method).model
    tuned = qp.finetune(first, DATA, qp.FinetuneConfig(epochs=1, batch=8)).model
    for sparsity in (0.0, 0.3, 0.8):
        second = qp.compress(tuned, DATA, sparsity=sparsity, bits=4, ratios="uniform", method=method)
        for node, layer in zip(second.model.network.synapses, second.layers, strict=True):
            gone = first.params[node.name]["weight"] == 0
            assert node.sparse
            assert (second.model.params[node.name]["weight"][gone] == 0).all()
            assert layer.kept / layer.weights == pytest.approx(min(0.3, 1 - sparsity), abs=0.01)


def test_recalibration_keeps_gamma(compressed):
    found = qp.recalibrate(compressed, DATA)
    for name, own in compressed.state.items():
        assert set(found.state[name]) == set(own)
        if "gamma" in own:
            np.testing.assert_array_equal(found.state[name]["gamma"], own["gamma"])
        if "mean" in own:
            assert (found.state[name]["mean"] != own["mean"]).any()


def test_channels_go_with_their_gamma(compressed):
    pruned = qp.remove_channels(compressed, {"lif3": [0, 2, 5]})
    if "gamma" in compressed.state["conv3"]:
        np.testing.assert_array_equal(pruned.state["conv3"]["gamma"], compressed.state["conv3"]["gamma"][[0, 2, 5]])
        codes = effective(compressed, compressed.network["conv3"])[..., [0, 2, 5]]
        np.testing.assert_array_equal(effective(pruned, pruned.network["conv3"]), codes)
    scores = qp.score(compressed, DATA, batches=1)
    started = qp.prune(compressed, scores, 0.5, reinit="paper").model
    for name in ("conv1", "conv2", "conv3"):
        if "gamma" in compressed.state[name]:
            assert set(started.state[name]["gamma"]) <= set(compressed.state[name]["gamma"])


def test_the_integer_network_is_as_sparse_and_its_codes_are_whole(compressed):
    lowered = qp.lower(compressed).network
    masks = nonzero(compressed)
    for node in compressed.network.synapses:
        codes, top = lowered.arrays[node.name]["codes"], 2 ** ((node.quantizer.bits if node.quantizer else 8) - 1) - 1
        assert codes.dtype == np.int8
        assert np.abs(codes).max() <= top
        if node.quantizer is not None:
            np.testing.assert_array_equal(codes != 0, masks[node.name])
            gamma = compressed.state[node.name]["gamma"].astype(np.float64)
            weight = effective(compressed, node)
            sign = np.sign(compressed.params[node.name].get("bn_weight", np.ones(node.channels)))
            np.testing.assert_allclose(codes * (gamma / top) * np.where(sign < 0, -1, 1), weight, rtol=1e-6)
        else:
            assert not codes[~masks[node.name]].any()


def test_a_gamma_that_is_not_there_is_named():
    model = qp.compress(small.model(), DATA, bits=4).model
    state = {name: {k: a for k, a in own.items() if k != "gamma"} for name, own in model.state.items()}
    with pytest.raises(ShapeError, match=r"conv1\.gamma: expected an array \(6,\), got nothing"):
        qp.lower(model._replace(state=state))
    with pytest.raises(ShapeError, match=r"state\.conv1\.gamma"):
        qp.evaluate(model._replace(state=state), DATA)


def test_the_integer_network_fires_as_the_compressed_one(compressed):
    if compressed.network.synapses[0].quantizer is None:
        pytest.skip("lowering rounds weights in floating point")
    found = agreement.deviation(compressed, qp.lower(compressed).network, DATA.images)
    assert found.spikes > 0
    assert found.spike_mismatches <= 1e-3 * found.spikes
    assert found.answer_mismatches == 0


@pytest.mark.lava
def test_lava_runs_it_spike_for_spike(compressed):
    network = qp.lower(compressed).network
    found, _ = agreement.agreement(network, DATA.limited(3), "lava")
    differ = (found.spike_mismatches, found.membrane_mismatches, found.readout_mismatches)
    assert found.spikes > 0
    assert differ == (0, 0, 0)


def test_the_audit_passes(compressed):
    findings = list(audit(compressed, DATA, images=4, samples=5, lava=0))
    assert {one.verdict for one in findings} <= {"pass", "skipped"}
    assert sum(one.verdict == "pass" for one in findings) >= 5


def test_the_integer_file_is_smaller_and_whole(tmp_path):
    dense = qp.compress(small.model(), DATA, bits=4).model
    model = qp.compress(small.model(), DATA, sparsity=0.9, bits=4, ratios="uniform").model
    networks = [qp.lower(one).network for one in (dense, model)]
    for name, network in zip("ab", networks, strict=True):
        qp.save_integer(tmp_path / name, network)
        assert qp.load_integer(tmp_path / name).digest() == network.digest()
    assert networks[1].size_bytes["conv2"] < 0.5 * networks[0].size_bytes["conv2"]
    for node in cost(model.network, masks=nonzero(model)).nodes:
        if "conv" in node.name:
            codes = networks[1].arrays[node.name]["codes"]
            assert 8 * pack(codes).data.size <= node.saved_bits - 32 * codes.shape[-1] + 14


@given(arrays.arrays("int8", arrays.array_shapes(max_dims=3, max_side=9), elements=st.sampled_from([0, 0, 0, -3, 5])))
def test_sparse_arrays_are_packed_and_come_back(array):
    packed = pack(array)
    np.testing.assert_array_equal(unpack(packed), array, strict=True)
    if packed.sparse:
        for data in (packed.data[:-1], np.append(packed.data, np.uint8(0)), packed.data[:0]):
            with pytest.raises(FormatError, match="bytes"):
                unpack(packed._replace(data=data))


def gaps(mask, bits):
    """The bits of each form, counted one weight at a time: {form: bits}."""
    flat, kept = mask.reshape(-1).tolist(), int(mask.sum())
    found = {"dense": bits * len(flat), "bitmap": len(flat) + bits * kept, "gaps": 2**62}
    for width in range(1, 17):
        entries = zeros = 0
        for one in flat:
            if one or zeros == 2**width - 1:
                entries, zeros = entries + 1, 0
            else:
                zeros += 1
        entries -= trailing(flat, width)
        found["gaps"] = min(found["gaps"], entries * (width + bits))
    return found


def trailing(flat, width):
    """Entries that only the zeros behind the last weight would need: they are not stored."""
    zeros = next((i for i, one in enumerate(reversed(flat)) if one), len(flat))
    return zeros // 2**width


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("bits", [2, 4, 32])
def test_stored_is_the_least_of_all_forms(rate, bits):
    mask = np.random.default_rng(3).random((40, 50)) < rate
    forms = gaps(mask, bits)
    found = stored(mask, bits)
    assert found.bits == min(forms.values()) == forms[found.form]
    assert found.form in {0.0: ("gaps",), 0.01: ("gaps",), 1.0: ("dense",)}.get(rate, forms)


def test_operations_count_the_weights_that_are_not_zero():
    """By adding, for each element of the source, its spikes times the weights that one spike there touches."""
    model = qp.compress(small.model(), DATA, sparsity=0.7, bits=3, ratios="uniform").model
    network, masks = model.network, nonzero(model)
    rng = np.random.default_rng(0)
    spikes = {name: rng.integers(0, 4, network.shape(name)) for name in counted(network)}
    found = sops(network, spikes, masks)
    for node in network.of(Conv, Linear):
        if node.source == "image":
            continue
        height, width, channels = network.shape(node.source)
        mask, total = masks[node.name], 0
        for y, x, c in np.ndindex(height, width, channels):
            if isinstance(node, Linear):
                total += spikes[node.source][y, x, c] * mask[(y * width + x) * channels + c].sum()
                continue
            for oy, ox in np.ndindex(*network.shape(node.name)[:2]):
                ky, kx = y - oy * node.stride + node.padding, x - ox * node.stride + node.padding
                if 0 <= ky < node.kernel and 0 <= kx < node.kernel:
                    total += spikes[node.source][y, x, c] * mask[ky, kx, c].sum()
        assert found[node.name] == total
    whole = sops(network, spikes)
    assert all(found[node.name] < 0.5 * whole[node.name] for node in network.of(Conv, Linear) if node.name in found)
    assert cost(network, spikes, masks=masks).sops == sum(found.values())


def test_masks_of_another_shape_are_refused():
    model = qp.compress(small.model(), DATA, sparsity=0.7).model
    with pytest.raises(ShapeError, match=r"masks\.conv2"):
        cost(model.network, masks={"conv2": np.ones((3, 3), bool)})
