"""Scores against the loops-only twin, worked by hand, and what may go wrong."""

from __future__ import annotations

import numpy as np
import pytest

from naive import lif as lif_ref
from naive import score as ref
from qpsnn_core.common.errors import ConfigError, DataError, NumericsError, ShapeError
from qpsnn_core.compression.channels.score import Scores, count_significant_singular_values, score, stability
from qpsnn_core.engine.layers import lif
from qpsnn_core.engine.passes import forward, initialise
from qpsnn_core.kernels import threads
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, Network, Readout, Shortcut
from qpsnn_datasets import Dataset, Split

SHAPE = (6, 5, 2)


@pytest.fixture(scope="module")
def model():
    nodes = (
        Input("input", SHAPE),
        Conv("conv1", "input", 7),
        LIF("lif1", ("conv1",)),
        Conv("conv2", "lif1", 9),
        Shortcut("shortcut", "lif1", 9),
        LIF("lif2", ("conv2", "shortcut")),
        AvgPool("average", "lif2", 2),
        Linear("hidden", "average", 11, batch_norm=True),
        LIF("lif3", ("hidden",)),
        Linear("linear", "lif3", 3),
        Readout("readout", "linear"),
    )
    model = initialise(Network(nodes, 3), 1)
    rng = np.random.default_rng(2)
    for name, arrays in model.params.items():
        if "bn_bias" in arrays:
            arrays["bn_bias"] = rng.normal(0.4, 0.5, arrays["bn_bias"].shape).astype(np.float32)
            model.state[name]["var"] = np.full_like(arrays["bn_bias"], 0.02)
    model.params["conv1"]["bn_bias"][3] = -1e6
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(3).integers(0, 256, (21, *SHAPE)).astype(np.uint8)


def random_spikes(seed, T=4, B=5, H=6, W=8, C=3, rate=0.2):
    return (np.random.default_rng(seed).random((T, B, H, W, C)) < rate).astype(np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 4), (3, 7)])
@pytest.mark.parametrize("T", [1, 3, 4])
@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_significant_is_the_twin(shape, T, rate):
    spikes = random_spikes(hash((shape, T)) % 1000, T=T, H=shape[0], W=shape[1], rate=rate)
    comp = count_significant_singular_values(spikes.sum(0), T)
    np.testing.assert_allclose(comp.mean(0), ref.svs(spikes, 1e-6), rtol=1e-12)
    np.testing.assert_allclose(comp.mean(0), ref.rank(spikes), rtol=1e-12)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0, 100.0])
def test_significant_counts_above_epsilon_of_the_average(epsilon):
    spikes = random_spikes(5)
    epsilon = max(epsilon, 1e-9)
    np.testing.assert_allclose(
        count_significant_singular_values(spikes.sum(0), 4, epsilon).mean(0), ref.svs(spikes, epsilon), rtol=1e-12
    )


def test_maps_wider_than_the_kernel_takes():
    spikes = random_spikes(6, H=5, W=70, B=2, C=9)
    np.testing.assert_allclose(
        count_significant_singular_values(spikes.sum(0), 4).mean(0), ref.svs(spikes, 1e-6), rtol=1e-12
    )


def test_the_bidiagonal_form_decides_what_the_kernel_cannot():
    """Singular values 3, 2 and 1, and a threshold at one of them: a value at the threshold is not above it."""
    maps = np.zeros((2, 3, 3, 9), np.int64)
    maps[1, :, :, 4] = np.diag([3, 1, 2])
    for epsilon, want in ((0.0, 3), (1.0, 2), (1.5, 2), (2.0, 1), (3.0, 0)):
        assert count_significant_singular_values(maps, 1, epsilon)[1, 4] == want
        assert count_significant_singular_values(maps, 1, epsilon).sum() == want


def test_significant_by_hand():
    maps = np.zeros((1, 4, 4, 5), np.int64)
    maps[0, 2, 1, 1] = 1
    maps[0, :, :, 2] = 1
    maps[0, :, :, 3] = np.eye(4)
    maps[0, :2, :, 4] = [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert count_significant_singular_values(maps, 4).tolist() == [[0, 1, 1, 4, 2]]
    assert count_significant_singular_values(maps, 4, epsilon=0.25).tolist() == [[0, 0, 1, 0, 2]]


def test_a_map_of_32_pixels_has_no_noise_above_epsilon():
    rng = np.random.default_rng(0)
    low = rng.integers(0, 2, (1, 32, 3, 1)) * np.ones((1, 1, 1, 1), np.int64)
    maps = np.repeat(low, [12, 11, 9], axis=2)
    assert count_significant_singular_values(maps, 4).tolist() == [[3]]


def test_svs_of_a_model_is_the_twin(model, images):
    scores = score(model, images, batches=2, batch=9)
    values = forward(model, images[:18], save_for_backward=True).values
    for name in ("lif1", "lif2", "lif3"):
        np.testing.assert_allclose(scores.values[name], ref.svs(values[name], 1e-6), rtol=1e-12)
        halves = [ref.svs(values[name][:, part], 1e-6) for part in (slice(9), slice(9, None))]
        np.testing.assert_allclose(scores.batches[name], halves, rtol=1e-12)
    assert scores.criterion == "svs"
    assert scores.values["lif1"][3] == 0
    assert scores.values["lif2"].max() > 2
    assert 0 < scores.values["lif3"].max() <= 1


def test_sca_of_a_model_is_the_twin(model, images):
    scores = score(model, images, criterion="sca", batches=3, batch=4)
    done = forward(model, images[:12], save_for_backward=True)
    for node in model.network.of(LIF):
        want = ref.sca(lif.potentials(node, done.caches[node.name]))
        np.testing.assert_allclose(scores.values[node.name], want, rtol=1e-6)
        np.testing.assert_array_equal(scores.sca[node.name], scores.values[node.name])
    assert scores.criterion == "sca"


def test_sca_of_a_network_that_resets_by_subtraction_is_the_loops(images):
    """What is left of a membrane counts in the next step."""
    nodes = (Input("input", SHAPE), Conv("conv", "input", 5), LIF("lif", ("conv",), 0.3, 0.7, reset="subtract"))
    model = initialise(Network((*nodes, Linear("linear", "lif", 3), Readout("readout", "linear")), 4), 1)
    done = forward(model, images, save_for_backward=True)
    ((acc, scale, shift),) = done.caches["lif"].currents
    x = np.repeat(scale * acc + shift, 4, axis=0).astype(np.float32)

    def loops(reset):
        return [one.reshape(x.shape) for one in lif_ref.forward(x.reshape(4, -1, 5), 0.7, 0.3, reset)]

    spikes, before = loops("subtract")
    np.testing.assert_array_equal(done.values["lif"], spikes)
    found = score(model, images, criterion="sca").values["lif"]
    np.testing.assert_allclose(found, ref.sca(before), rtol=1e-5)
    assert (found > 1.02 * ref.sca(loops("zero")[1])).any()


def test_svs_comes_with_sca(model, images):
    left, right = score(model, images, batch=8), score(model, images, batch=8, criterion="sca")
    for name, values in left.sca.items():
        np.testing.assert_array_equal(values, right.values[name])


def test_a_short_batch_weighs_by_its_images(model, images):
    scores = score(model, images, batches=9, batch=8)
    assert [len(rows) for rows in scores.batches.values()] == [3, 3, 3]
    for name, rows in scores.batches.items():
        np.testing.assert_allclose((rows * [[8], [8], [5]]).sum(0) / 21, scores.values[name], rtol=1e-12)


def test_how_batches_are_cut_does_not_change_svs(model, images):
    parts = [score(model, images, batches=21, batch=batch).values for batch in (1, 7, 21)]
    for name in parts[0]:
        np.testing.assert_array_equal(parts[0][name], parts[1][name])
        np.testing.assert_array_equal(parts[0][name], parts[2][name])


def test_the_same_bits_on_any_number_of_threads(model, images):
    def bits(count):
        threads.set_threads(count)
        return score(model, images, batch=8)

    before = threads.threads()
    try:
        one, two = bits(1), bits(2)
    finally:
        threads.set_threads(before)
    for name in one.values:
        np.testing.assert_array_equal(one.batches[name], two.batches[name])
        np.testing.assert_array_equal(one.sca[name], two.sca[name])


def test_a_seed_draws_the_images(model, images):
    first, again, other = (score(model, images, batches=1, batch=5, seed=seed).values for seed in (1, 1, 2))
    np.testing.assert_array_equal(first["lif2"], again["lif2"])
    assert (first["lif2"] != other["lif2"]).any()


def test_datasets_splits_and_frames(model, images):
    want = score(model, images, batch=8).values["lif2"]
    labels = np.arange(21) % 3
    dataset = Dataset(images, labels, ("a", "b", "c"), "made up")
    frames = np.repeat(images[:, None], model.network.steps, axis=1)
    for given in (dataset, Split(dataset, dataset.take([0])), frames, Dataset(frames, labels, ("a", "b", "c"), "f")):
        np.testing.assert_array_equal(score(model, given, batch=8).values["lif2"], want)


def test_progress_is_told_after_every_batch(model, images):
    told = []
    score(model, images, batch=8, progress=told.append)
    assert [(p.stage, p.batch, p.batches) for p in told] == [("score", 1, 3), ("score", 2, 3), ("score", 3, 3)]


def test_stability_is_the_twin():
    rows = np.random.default_rng(1).random((4, 6))
    assert stability(Scores("svs", {}, {"lif": rows}, {}))["lif"] == pytest.approx(ref.stability(rows), rel=1e-12)


@pytest.mark.parametrize(
    ("rows", "want"),
    [
        ([[1, 2], [2, 4]], 1.0),
        ([[1, 0], [0, 1]], 0.0),
        ([[0, 0], [0, 0]], 1.0),
        ([[0, 0], [0, 1]], 0.0),
        ([[1, 0], [1, 0], [0, 1]], 1 / 3),
    ],
)
def test_stability_by_hand(rows, want):
    assert stability(Scores("svs", {}, {"lif": np.array(rows, float)}, {}))["lif"] == pytest.approx(want)


def test_stability_needs_two_batches(model, images):
    with pytest.raises(ConfigError, match="at least two batches, got 1"):
        stability(score(model, images, batches=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": "svd"}, "score.criterion: expected one of svs, sca, got 'svd' .did you mean 'svs'"),
        ({"batches": 0}, "score.batches: expected an integer of at least 1, got 0"),
        ({"batch": 2.5}, "score.batch: expected an integer"),
        ({"epsilon": -1e-6}, "score.epsilon"),
        ({"epsilon": float("nan")}, "score.epsilon"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_arguments(model, images, options, message):
    with pytest.raises(ConfigError, match=message):
        score(model, images, **options)


def test_wrong_images(model, images):
    with pytest.raises(DataError, match="at least one image"):
        score(model, images[:0])
    with pytest.raises(ShapeError, match=r"\[N, H, W, C\]"):
        score(model, images[0])
    with pytest.raises(ShapeError, match="images"):
        score(model, images[:, :4])
    with pytest.raises(ShapeError, match="3 steps, got 2"):
        score(model, np.repeat(images[:, None], 2, axis=1))
    with pytest.raises(NumericsError, match="NaN"):
        score(model, np.full((2, *SHAPE), np.nan))


def test_wrong_weights(model, images):
    params = {name: dict(arrays) for name, arrays in model.params.items()}
    params["conv2"]["bn_bias"] = np.full(9, np.nan, np.float32)
    with pytest.raises(NumericsError, match=r"conv2\.bn_bias"):
        score(model._replace(params=params), images)


def test_a_membrane_that_overflows(model, images):
    params = {name: dict(arrays) for name, arrays in model.params.items()}
    params["conv2"]["bn_bias"] = np.full(9, -3e38, np.float32)
    with pytest.raises(NumericsError, match="lif2: membrane"):
        score(model._replace(params=params), images)
