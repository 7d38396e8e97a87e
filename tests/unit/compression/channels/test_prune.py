"""Pruning by scores: how many channels stay, which, what becomes of their arrays, and what may go wrong."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, NothingPrunedWarning, NumericsError, ShapeError
from qpsnn_core.compression.channels.prune import prune
from qpsnn_core.compression.channels.rates import kept_count, last, prunable, resolve
from qpsnn_core.compression.channels.remove import coupled_groups, remove_channels, unprunable
from qpsnn_core.compression.channels.score import Scores, score
from qpsnn_core.engine.checks import check_model
from qpsnn_core.engine.passes import forward, initialise
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout, Shortcut, Sum
from qpsnn_core.network.zoo.vgg import resnet20, vgg16, vgg_small, vggsnn
from qpsnn_core.quantization.rescaw import gamma
from qpsnn_core.recipes.paper_rates import paper_rates


@pytest.fixture(scope="module")
def small():
    return model_of(vgg_small(width=0.25))


@pytest.fixture(scope="module")
def residual():
    return model_of(resnet20((8, 8, 3), width=1 / 16))


def model_of(network, seed=1):
    model = initialise(network, seed)
    rng = np.random.default_rng(seed)
    for name, arrays in model.params.items():
        if "bn_bias" in arrays:
            arrays["bn_bias"] = rng.normal(0.3, 0.5, arrays["bn_bias"].shape).astype(np.float32)
            model.state[name]["var"] = np.full_like(arrays["bn_bias"], 0.1)
    return model


def scores_of(network, seed=0):
    rng = np.random.default_rng(seed)
    return {node.name: rng.permutation(network.shape(node.name)[2]) for node in network.of(LIF)}


def sew(events=False):
    """A SEW block whose Sum joins lif1 and lif2; with events the Input meets lif3 in another."""
    nodes = (
        Input("input", (4, 4, 6), peak=1, scale=1.0, spikes=True) if events else Input("input", (4, 4, 6)),
        Conv("conv1", "input", 6),
        LIF("lif1", ("conv1",)),
        Conv("conv2", "lif1", 6),
        LIF("lif2", ("conv2",)),
        MaxPool("pool", "lif1", 3, 1, 1),
        Sum("sum", ("pool", "lif2")),
        Conv("conv3", "sum", 6),
        LIF("lif3", ("conv3",)),
        *((Sum("late", ("lif3", "input")),) if events else ()),
        Conv("conv4", "late" if events else "lif3", 5),
        LIF("lif4", ("conv4",)),
        AvgPool("average", "lif4", 4),
        Linear("linear", "average", 3),
        Readout("readout", "linear"),
    )
    return Network(nodes, 2)


def widths(network):
    return [network.shape(node.name)[2] for node in network.of(LIF)]


@pytest.mark.parametrize(
    ("channels", "rate", "want"),
    [
        (64, 0.45, 35),
        (512, 0.51, 250),
        (512, 0.8, 102),
        (128, 0.35, 83),
        (64, 0.1, 57),
        (10, 0.9, 1),
        (10, 0.7, 3),
        (100, 0.55, 45),
        (1, 0.99, 1),
        (7, 0, 7),
        (8, 1e-9, 7),
    ],
)
def test_how_many_stay(channels, rate, want):
    assert kept_count(channels, rate) == want


def test_the_paper_widths():
    network = resnet20()
    for rates, outputs, middles in (
        ((0.1, 0.35, 0.75), [57, 83, 83, 83, 166, 166, 166, 512, 512, 512], [83, 32, 32, 64, 64, 64, 128, 128, 128]),
        ((0.1, 0.3, 0.6), [57, 89, 89, 89, 179, 179, 179, 512, 512, 512], [89, 51, 51, 102, 102, 102, 204, 204, 204]),
    ):
        found = resolve(network, paper_rates("resnet20", *rates), prunable(network))
        kept = {name: kept_count(network.shape(name)[2], rate) for name, rate in found.items()}
        assert [kept[name] for name in kept if not name.endswith("lif1")] == outputs
        assert [kept[name] for name in kept if name.endswith("lif1")] == middles


@pytest.mark.parametrize(
    ("build", "rates", "want"),
    [
        (vgg16, (0.45, 0.51), [35, 35, 70, 70, 140, 140, 140, 250, 250, 250, 250, 250, 512]),
        (vggsnn, (0.5, 0.7), [32, 64, 128, 76, 153, 153, 153, 512]),
        (vggsnn, (0.82, 0.93), [11, 23, 46, 17, 35, 35, 35, 512]),
    ],
)
def test_the_paper_widths_of_chains(build, rates, want):
    network = build()
    found = resolve(network, paper_rates(build.__name__, *rates), prunable(network))
    assert [kept_count(network.shape(name)[2], rate) for name, rate in found.items()] == want


def test_half_of_a_small_network(small):
    scores = scores_of(small.network)
    pruned = prune(small, scores, 0.5)
    assert widths(small.network) == [8, 8, 16, 16, 32, 32]
    assert widths(pruned.model.network) == [4, 4, 8, 8, 16, 32]
    check_model(pruned.model)
    for name, kept in pruned.kept.items():
        best = np.argsort(scores[name])[::-1][: len(kept)]
        assert kept.tolist() == sorted(best.tolist())


def test_arrays_of_kept_channels_are_carried(small):
    pruned = prune(small, scores_of(small.network), 0.5)
    first, second = pruned.kept["lif2"], pruned.kept["lif3"]
    old, new = small.params["conv3"], pruned.model.params["conv3"]
    np.testing.assert_array_equal(new["weight"], old["weight"][:, :, first][:, :, :, second])
    for name in ("bn_weight", "bn_bias"):
        np.testing.assert_array_equal(new[name], old[name][second])
    for name in ("mean", "var"):
        np.testing.assert_array_equal(pruned.model.state["conv3"][name], small.state["conv3"][name][second])
    np.testing.assert_array_equal(pruned.model.params["linear"]["bias"], small.params["linear"]["bias"])
    assert all(a.flags.c_contiguous for own in pruned.model.params.values() for a in own.values())


def test_linear_rows_are_height_width_channel():
    nodes = (
        Input("input", (4, 2, 1)),
        Conv("conv", "input", 3),
        LIF("lif", ("conv",)),
        Linear("linear", "lif", 2),
        Readout("readout", "linear"),
    )
    model = initialise(Network(nodes, 1))
    model.params["linear"]["weight"][:] = np.arange(24 * 2).reshape(24, 2)
    cut = remove_channels(model, {"lif": [0, 2]}).params["linear"]["weight"]
    rows = [(y * 2 + x) * 3 + c for y in range(4) for x in range(2) for c in (0, 2)]
    np.testing.assert_array_equal(cut[:, 0], [2 * row for row in rows])


def test_the_paper_way_keeps_convolution_weights_only(small):
    scores = scores_of(small.network)
    carried, paper = (prune(small, scores, 0.5, reinit=reinit, seed=7).model for reinit in ("carry", "paper"))
    fresh = initialise(paper.network, 7)
    assert carried.network == paper.network
    check_model(paper)
    for node in paper.network.of(Conv):
        np.testing.assert_array_equal(paper.params[node.name]["weight"], carried.params[node.name]["weight"])
        np.testing.assert_array_equal(paper.params[node.name]["bn_bias"], 0)
        np.testing.assert_array_equal(paper.state[node.name]["var"], 1)
    np.testing.assert_array_equal(paper.params["linear"]["weight"], fresh.params["linear"]["weight"])
    assert (paper.params["linear"]["weight"] != carried.params["linear"]["weight"]).any()


def test_gamma_is_taken_anew_from_the_weights_that_are_left(small):
    pruned = prune(small, scores_of(small.network), 0.5)
    kept = pruned.kept["lif2"]
    weight = pruned.model.params["conv3"]["weight"]
    want = np.abs(small.params["conv3"]["weight"][:, :, kept][..., pruned.kept["lif3"]]).mean((0, 1, 2))
    np.testing.assert_allclose(gamma(weight, Quantizer(4, "mean")), want, rtol=1e-6)


def test_each_lif_of_a_residual_network_may_keep_its_own(residual):
    pruned = prune(residual, scores_of(residual.network), 0.5)
    check_model(pruned.model)
    source, own = pruned.kept["lif0"].tolist(), pruned.kept["layer1.0.lif2"].tolist()
    mapping = pruned.model.network["layer1.0.shortcut"].channel_map
    assert mapping == tuple(source.index(c) if c in source else -1 for c in own)
    assert len(mapping) == 4
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    assert forward(pruned.model, images).logits.shape == (2, 3, 10)


def test_together_keeps_the_same_channels_along_a_stage(residual):
    scores = scores_of(residual.network)
    pruned = prune(
        residual, scores, {"layer1": 0.5, "layer2.1": 0.25, "layer2.0": 0.25, "layer2.2": 0.25}, residual="together"
    )
    stage = [f"layer1.{block}.lif2" for block in range(3)]
    assert all(np.array_equal(pruned.kept[name], pruned.kept[stage[0]]) for name in stage)
    total = sum(scores[name] for name in stage)
    order = np.lexsort((np.arange(len(total)), -total))
    assert pruned.kept[stage[0]].tolist() == sorted(order[:4].tolist())
    assert pruned.model.network["layer1.1.shortcut"].channel_map == (0, 1, 2, 3)
    assert widths(pruned.model.network) == [4, *[4] * 6, *[12] * 6, *[32] * 6]


def test_together_the_last_stage_stays_whole(residual):
    pruned = prune(residual, scores_of(residual.network), 0.5, residual="together")
    assert [len(pruned.kept[f"layer3.{block}.lif2"]) for block in range(3)] == [32, 32, 32]
    assert [len(pruned.kept[f"layer3.{block}.lif1"]) for block in range(3)] == [16, 16, 16]


def test_spikes_that_are_added_keep_the_same_channels():
    model = model_of(sew())
    assert coupled_groups(model.network) == (("lif1", "lif2"), ("lif3",), ("lif4",))
    scores = {"lif1": [9, 0, 0, 0, 5, 5], "lif2": [0, 1, 2, 9, 9, 0], "lif3": np.arange(6), "lif4": np.arange(5)}
    pruned = prune(model, scores, 0.5)
    assert pruned.kept["lif1"].tolist() == pruned.kept["lif2"].tolist() == [0, 3, 4]
    check_model(pruned.model)
    with pytest.raises(ConfigError, match=r"rates\.lif2: expected 0\.5, as lif1 keeps the same channels, got 0\.25"):
        prune(model, scores, {"lif1": 0.5, "lif2": 0.25})
    with pytest.raises(ConfigError, match=r"keep\.lif2: expected those of keep\.lif1"):
        remove_channels(model, {"lif1": [0, 1]})


def test_channels_that_are_added_to_the_input_stay():
    network = sew(events=True)
    assert unprunable(network) == {"lif3"}
    assert prunable(network) == ("lif1", "lif2")
    pruned = prune(model_of(network), scores_of(network), 0.5)
    assert widths(pruned.model.network) == [3, 3, 6, 5]
    with pytest.raises(ConfigError, match=r"keep\.lif3: expected all 6"):
        remove_channels(model_of(network), {"lif3": [0]})


def test_a_synapse_of_two_neurons_or_of_the_readout():
    nodes = (
        Input("input", (1, 1, 2)),
        Linear("a", "input", 4),
        LIF("fast", ("a",), beta=0.1),
        LIF("slow", ("a",), beta=0.9),
        Linear("b", "fast", 3),
        Shortcut("c", "slow", 3, channel_map=(0, 1, 3)),
        LIF("lif", ("b", "c")),
        Linear("d", "lif", 2),
        LIF("late", ("d",)),
        Linear("e", "late", 2),
        LIF("unread", ("e",)),
        Shortcut("f", "unread", 2),
        LIF("loop", ("f",)),
        Linear("g", "loop", 2),
        LIF("end", ("g",)),
        Linear("h", "end", 2),
        Readout("readout", "h"),
    )
    network = Network(nodes, 1)
    assert coupled_groups(network) == (("fast", "slow"), ("lif",), ("late",), ("unread",), ("loop",), ("end",))
    assert coupled_groups(network, together=True)[-2:] == (("unread", "loop"), ("end",))
    assert last(network) == ("end",)
    pruned = remove_channels(initialise(network), {"fast": [1, 3], "slow": [1, 3], "unread": [1]})
    assert pruned.network["c"].channel_map == (-1, 0, 1)
    assert pruned.network["f"].channel_map == (-1, 0)


def test_the_last_layer_is_pruned_only_when_asked(small):
    scores = scores_of(small.network)
    assert last(small.network) == ("lif6",)
    assert len(prune(small, scores, 0.5, prune_last=True).kept["lif6"]) == 16
    with pytest.raises(ConfigError, match=r"rates\.conv6: expected 0 .*prune_last"):
        prune(small, scores, {"conv6": 0.5})
    assert len(prune(small, scores, {"conv6": 0.0}).kept["lif6"]) == 32


def test_ties_go_to_the_lower_index_or_to_sca(small):
    values = {name: np.zeros(len(own)) for name, own in scores_of(small.network).items()}
    sca = {name: np.arange(len(own), dtype=float) for name, own in values.items()}
    scores = Scores("svs", values, {}, sca)
    assert prune(small, scores, 0.5).kept["lif1"].tolist() == [0, 1, 2, 3]
    assert prune(small, scores, 0.5, ties="sca").kept["lif1"].tolist() == [4, 5, 6, 7]
    with pytest.raises(ConfigError, match=r"prune\.ties"):
        prune(small, values, ties="sca")


def test_rates_by_name(residual):
    network = residual.network
    chosen = prunable(network)
    found = resolve(
        network, {"layer1": 0.1, "layer1.0": 0.2, "layer1.0.conv2": 0.3, "lif0": 0.4, "layer3": 0.5}, chosen
    )
    assert found["lif0"] == 0.4
    assert [found[f"layer1.0.lif{i}"] for i in (1, 2)] == [0.2, 0.3]
    assert [found[f"layer1.2.lif{i}"] for i in (1, 2)] == [0.1, 0.1]
    assert found["layer2.0.lif1"] == 0
    assert [found[f"layer3.2.lif{i}"] for i in (1, 2)] == [0.5, 0]


def test_rates_as_a_list(small):
    assert widths(prune(small, scores_of(small.network), [0, 0.25, 0.5, 0.75, 0.5]).model.network) == [
        8,
        6,
        8,
        4,
        16,
        32,
    ]
    with pytest.raises(ConfigError, match=r"rates: expected 5 numbers, one for each of lif1, .*, got 6"):
        prune(small, scores_of(small.network), (0.5,) * 6)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        (1.0, r"rates: expected a number from 0 to below 1, got 1\.0"),
        (-0.1, r"rates: expected a number from 0 to below 1, got -0\.1"),
        (float("nan"), "rates: expected a number from 0 to below 1, got nan"),
        (True, "rates: expected a number"),
        ("0.5", "rates: expected a number"),
        (None, "rates: expected a number"),
        ([0.5, 1, 0, 0, 0], r"rates\[1\]: expected a number from 0 to below 1, got 1"),
        ({"lif2": 1.5}, r"rates\.lif2: expected a number from 0 to below 1, got 1\.5"),
        ({"lf2": 0.5}, "rates: expected the name of a LIF, a synapse or a stage .did you mean 'lif2'"),
        ({"lif2": 0.5, "conv2": 0.25}, r"rates\.conv2: expected 0\.5 .*same channels.*, got 0\.25"),
    ],
)
def test_wrong_rates(small, rates, message):
    with pytest.raises(ConfigError, match=message):
        prune(small, scores_of(small.network), rates)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reinit": "kary"}, "prune.reinit: expected one of carry, paper, got 'kary' .did you mean 'carry'"),
        ({"residual": "maps"}, "prune.residual: .*did you mean 'map'"),
        ({"ties": "svs"}, "prune.ties: expected one of index, sca"),
        ({"seed": -1}, "prune.seed"),
    ],
)
def test_wrong_options(small, options, message):
    with pytest.raises(ConfigError, match=message):
        prune(small, scores_of(small.network), **options)


def test_wrong_scores(small):
    good = scores_of(small.network)
    with pytest.raises(ConfigError, match=r"scores\.lif2: expected 8 scores, got nothing"):
        prune(small, {name: own for name, own in good.items() if name != "lif2"})
    with pytest.raises(ConfigError, match=r"scores: expected the name of a LIF .did you mean 'lif1'.*, got 'lif_1'"):
        prune(small, {**good, "lif_1": [1]})
    with pytest.raises(ShapeError, match=r"scores\.lif2: expected \[8\], got \[7\]"):
        prune(small, {**good, "lif2": np.zeros(7)})
    with pytest.raises(NumericsError, match=r"scores\.lif2"):
        prune(small, {**good, "lif2": np.full(8, np.nan)})


@pytest.mark.parametrize("kept", [[], [2, 1], [1, 1], [0, 8], [-1, 2], [0.5], [[1]], [True, False]])
def test_wrong_channels(small, kept):
    with pytest.raises(ConfigError, match=r"keep\.lif1: expected rising channel indices from 0 to 7"):
        remove_channels(small, {"lif1": kept})


def test_wrong_names(small):
    with pytest.raises(ConfigError, match=r"keep: expected the name of a LIF .did you mean 'lif\d'.*, got 'lif0'"):
        remove_channels(small, {"lif0": [1]})
    with pytest.raises(ConfigError, match=r"one of vgg16, vggsnn, resnet20, .*, got 'vgg_16' .did you mean 'vgg16'"):
        paper_rates("vgg_16", 0.1, 0.2)
    with pytest.raises(ConfigError, match="2 rates for vgg16, got 1"):
        paper_rates("vgg16", 0.1)


def test_the_report(small):
    scores = scores_of(small.network)
    report = prune(small, scores, 0.5).report
    layer = report.layers[1]
    assert (layer.name, layer.rate, layer.channels_before, layer.channels_after) == ("lif2", 0.5, 8, 4)
    assert (layer.parameters_before, layer.parameters_after) == (9 * 8 * 8 + 16, 9 * 4 * 4 + 8)
    assert (layer.score_kept, layer.score_removed) == (5.5, 1.5)
    assert report.layers[-1].score_removed is None
    assert report.parameters_after < report.parameters_before
    assert json.loads(json.dumps(asdict(report)))["layers"][1]["rate"] == 0.5


def test_pruning_nothing_changes_nothing(residual):
    pruned = prune(residual, scores_of(residual.network), 0)
    assert pruned.model.network == residual.network
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(forward(pruned.model, images).logits, forward(residual, images).logits)


def test_score_then_prune_then_again(residual):
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3)).astype(np.uint8)
    model = residual
    for _ in range(2):
        model = prune(model, score(model, images, batches=2, batch=4), 0.5, ties="sca").model
        check_model(model)
    assert widths(model.network) == [1, *[2] * 6, *[4] * 6, *[8] * 5, 32]


def test_a_rate_that_removes_nothing_is_warned_of():
    nodes = Input("image", (4, 4, 1), 255), Conv("conv", "image", 4), LIF("lif", ("conv",)), Linear("fc", "lif", 3)
    model = initialise(Network((*nodes, Readout("readout", "fc")), 2))
    with pytest.warns(NothingPrunedWarning, match=r"rates of 0\.5 remove nothing: no layer can lose channels") as found:
        pruned = prune(model, {"lif": np.ones(4)}, 0.5)
    assert found[0].filename == __file__
    assert len(pruned.kept["lif"]) == 4
