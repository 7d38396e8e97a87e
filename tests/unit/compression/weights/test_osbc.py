"""OSBC against loops, against brute force, against least squares, and against the membranes that it speaks of."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import small

import qpsnn_core as qp
from naive import compression as ref
from qpsnn_core.common.errors import ConfigError, DataError, NumericsError, ShapeError
from qpsnn_core.compression.weights import eliminate
from qpsnn_core.compression.weights import hessian as hessians
from qpsnn_core.compression.weights import round as rounding
from qpsnn_core.compression.weights.osbc import finish, prepare
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.layers import lif
from qpsnn_core.engine.passes import forward
from qpsnn_core.engine.pricing import effective
from qpsnn_core.network import LIF, Conv, Input, Linear, Network, Readout
from qpsnn_core.network.nodes import RESETS

DATA = small.dataset(frames=3)
"""Frames, so that spikes and currents change with time from the first layer on."""


def model(beta=0.5, **changes):
    """The small network with another beta, and batch norm that is not the identity."""
    made = small.model()
    nodes = tuple(replace(node, beta=beta) if isinstance(node, LIF) else node for node in made.network)
    params = {name: dict(own) for name, own in made.params.items()}
    for index, name in enumerate(params):
        if "bn_weight" in params[name]:
            params[name]["bn_weight"] = 1 + small.uniform(params[name]["bn_weight"].shape, 7, index) / 2
    return made._replace(network=replace(made.network, nodes=nodes, **changes), params=params)


def layer(d=6, outputs=4, samples=30, T=4, beta=0.5, seed=0):
    """Weights of one linear layer, spikes [N, T, d] that depend on each other in time, and their Hessian."""
    rng = np.random.default_rng(seed)
    spikes = rng.random((samples, T, d)) < 0.3
    spikes[:, 1:, : d // 2] |= spikes[:, :-1, d // 2 : 2 * (d // 2)]
    weight = rng.normal(size=(outputs, d))
    return weight, spikes.astype(np.int64), ref.hessian(spikes, beta)


def filtered(spikes, beta=0.5):
    return np.concatenate([ref.filtered(sample, beta) for sample in spikes])


def currents(node, x, weight, value):
    """`sum W S`, by taps, float64 [T, B, H', W', C_out]; weight: [..., C_out]."""
    x = x.astype(np.float64) * value.scale
    if isinstance(node, Linear):
        return (x.reshape(*x.shape[:2], -1) @ weight)[:, :, None, None]
    height, width, _ = node.output(value).shape
    edge = (node.padding, node.padding)
    padded = np.pad(x, ((0, 0), (0, 0), edge, edge, (0, 0)))
    out = np.zeros((*x.shape[:2], height, width, node.channels))
    for ky, kx in itertools.product(range(node.kernel), repeat=2):
        rows = slice(ky, ky + (height - 1) * node.stride + 1, node.stride)
        columns = slice(kx, kx + (width - 1) * node.stride + 1, node.stride)
        out += padded[:, :, rows, columns] @ weight[ky, kx]
    return out


def membrane_error(before, after, node, data, beta):
    """The squared change of the membranes without reset, summed over T, places and channels, mean over images."""
    x = forward(before, steps_first(data.images), save_for_backward=True).values[node.source]
    x = np.broadcast_to(x, (before.network.steps, *x.shape[1:]))
    old, new = (effective(one, one.network[node.name]).astype(np.float64) for one in (before, after))
    change = currents(node, x, new - old, before.network.values[node.source])
    change *= hessians.gains(before, node)
    total, membrane = 0.0, np.zeros(change.shape[1:])
    for step in change:
        membrane = beta * membrane + step
        total += float((membrane**2).sum())
    return total / len(data)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("kind", ["images", "frames"])
def test_the_predicted_error_is_the_measured_one(kind, beta):
    """Of every layer, without reset: convolutions, strides, pools, sums, batch norm, the readout's currents."""
    data = small.dataset(12) if kind == "images" else small.dataset(12, frames=3)
    dense = model(beta)
    ready = prepare(dense, data.images, batches=3, batch=5)
    done = finish(ready, 0.5, 4)
    for node, said in zip(dense.network.synapses, done.layers, strict=True):
        own = 0.0 if node.name == "linear" else beta
        change = (effective(done.model, done.model.network[node.name]) - effective(dense, node)).astype(np.float64)
        change = change.reshape(-1, change.shape[-1]).T
        found = hessians.error(ready.hessian(node.name), change, hessians.gains(dense, node))
        assert found > 0
        measured = membrane_error(dense, done.model, node, data, own)
        assert found == pytest.approx(measured, rel=1e-6)
        assert said.error == pytest.approx(measured, rel=1e-4)


def test_the_currents_error_is_another():
    """The negative control: where spikes change with time, the current's Hessian does not predict the membrane."""
    dense, data = model(), small.dataset(12, frames=3)
    ready = prepare(dense, data.images, "obc", batches=3, batch=5)
    done = finish(ready, 0.5, 4)
    for node, said in zip(dense.network.synapses[:-1], done.layers, strict=False):
        assert abs(said.error / membrane_error(dense, done.model, node, data, 0.5) - 1) > 0.01


def test_of_a_reset_by_subtraction_the_error_is_that_of_the_membrane_itself():
    """A change of weights too small for any spike: a reset to zero wipes part of it out, one by subtraction none."""
    images = np.random.default_rng(0).integers(0, 3, (40, 6, 1, 1, 5)).astype(np.uint8)
    change = np.random.default_rng(1).normal(size=(5, 4)) * 1e-3
    shares = {}
    for reset in RESETS:
        nodes = (Input("in", (1, 1, 5), 2, 1.0, True), Linear("a", "in", 4, None), LIF("l", ("a",), reset=reset))
        dense = qp.initialise(Network((*nodes, Linear("b", "l", 2, None), Readout("out", "b")), 6))
        dense.params["a"]["weight"] = np.random.default_rng(2).normal(0.2, 0.4, (5, 4)).astype(np.float32)
        after = dense._replace(params={**dense.params, "a": dict(dense.params["a"])})
        after.params["a"]["weight"] = (dense.params["a"]["weight"] + change).astype(np.float32)
        runs = [forward(one, steps_first(images), save_for_backward=True) for one in (dense, after)]
        np.testing.assert_array_equal(runs[0].values["l"], runs[1].values["l"])
        assert 0.05 < runs[0].values["l"].mean() < 0.95
        old, new = (lif.potentials(dense.network["l"], run.caches["l"]).astype(np.float64) for run in runs)
        found = hessians.error(hessians.hessians(dense, [images])["a"], change.T, np.ones(4))
        shares[reset] = ((new - old) ** 2).sum() / len(images) / found
    assert shares["subtract"] == pytest.approx(1, rel=1e-3)
    assert shares["zero"] < 0.95


@pytest.mark.parametrize("node", ["conv2", "conv3", "linear"])
def test_events_and_products_give_the_same_hessian(monkeypatch, node):
    dense, parts = model(), [DATA.images[:7], DATA.images[7:20]]
    found = []
    for crossing, part in ((2.0, 2**22), (-1.0, 2**22), (2.0, 50), (-1.0, 50)):
        monkeypatch.setattr(hessians, "SPARSE", crossing)
        monkeypatch.setattr(hessians, "PART", part)
        found.append(hessians.hessians(dense, parts)[node])
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(found[0], found[0].T)


def test_the_hessian_of_a_linear_layer_is_the_loops():
    _, spikes, want = layer()
    nodes = (Input("in", (1, 1, 6), 1, 1.0, True), Linear("a", "in", 3, None), LIF("l", ("a",)))
    network = Network((*nodes, Linear("b", "l", 2, None), Readout("out", "b")), 4)
    images = spikes.reshape(30, 4, 1, 1, 6).astype(np.uint8)
    found = hessians.hessians(qp.initialise(network), [images[:11], images[11:]])
    np.testing.assert_allclose(found["a"], want, rtol=1e-12)


@pytest.mark.parametrize("target", [(0.6, None), (0.0, 3), (0.6, 3)])
def test_with_a_decay_of_zero_it_is_obc(target):
    """Of every layer, bit for bit; with another decay it is not."""
    dense = model(beta=0.0)
    osbc, obc = (qp.compress(dense, DATA, sparsity=target[0], bits=target[1], method=m).model for m in ("osbc", "obc"))
    for node in dense.network.synapses:
        first, second = (one.params[node.name]["weight"] for one in (osbc, obc))
        np.testing.assert_array_equal(first, second)
    slow = model(beta=0.9)
    osbc, obc = (qp.compress(slow, DATA, sparsity=target[0], bits=target[1], method=m).model for m in ("osbc", "obc"))
    assert any((osbc.params[n.name]["weight"] != obc.params[n.name]["weight"]).any() for n in slow.network.synapses)


def brute_loss(weight, hessian, gone):
    """The least `1/2 dw H dw` with the weights of `gone` at 0, by solving for the others anew."""
    kept = [i for i in range(len(weight)) if i not in gone]
    change = np.zeros(len(weight))
    change[list(gone)] = -weight[list(gone)]
    if kept:
        change[kept] = np.linalg.solve(hessian[np.ix_(kept, kept)], -hessian[kept] @ change)
    return change @ hessian @ change / 2


@pytest.mark.parametrize("seed", range(5))
def test_every_removal_is_the_best_one(seed):
    """Each weight that goes is the one with which the least error is left, of all that could go next."""
    weights, _, hessian = layer(seed=seed)
    traced = eliminate.trace("a", weights, hessian, 1)
    for weight, order, losses in zip(weights, traced.order, traced.losses, strict=True):
        gone = []
        for p, loss in zip(order, losses, strict=True):
            there = brute_loss(weight, hessian, gone)
            after = {q: brute_loss(weight, hessian, [*gone, q]) for q in range(6) if q not in gone}
            assert after[p] == pytest.approx(min(after.values()), rel=1e-9, abs=1e-12)
            assert loss == pytest.approx(after[p] - there, rel=1e-6, abs=1e-10)
            gone.append(int(p))


@pytest.mark.parametrize("count", [1, 5, 11, 20, 24])
@pytest.mark.parametrize("group", [1, 2])
def test_the_second_pass_is_the_recorded_order(count, group):
    """Budgets from all recorded losses; then each row anew, its weights removed one after another."""
    weights, _, hessian = layer()
    factors = np.array([1.0, 0.5, 2.0, 1.5])
    inverse = np.linalg.inv(hessian)
    kept = eliminate.chosen(eliminate.trace("a", weights, hessian, group), count, factors)
    comp = eliminate.compensated(weights, kept, hessian)
    passes = [ref.recorded(weight, inverse, group) for weight in weights]
    lost = ref.budgets([losses for _, losses in passes], count, factors)
    assert sum(lost) == count
    for row, (order, _) in enumerate(passes):
        assert (~kept[row]).nonzero()[0].tolist() == sorted(order[: lost[row]])
        np.testing.assert_allclose(comp[row], ref.again(weights[row], inverse, order[: lost[row]]), atol=1e-9)
    assert (comp[~kept] == 0).all()


def test_a_singular_hessian_is_refused_by_name():
    weights, _, hessian = layer()
    singular, kept = np.ones_like(hessian), np.arange(weights.size).reshape(weights.shape) % 2 == 0
    whole = np.ones(weights.shape, bool)
    for what in (
        lambda: eliminate.inverse("a", singular),
        lambda: eliminate.compensated(weights, kept, singular),
        lambda: rounding.compensating("a", weights, kept, singular, 4),
        lambda: rounding.compensating("a", weights, whole, singular, 4),
    ):
        with pytest.raises(NumericsError, match=r"damping: expected a Hessian that can be inverted"):
            what()


def test_losses_add_up_to_the_error():
    weights, _, hessian = layer()
    traced = eliminate.trace("a", weights, hessian, 1)
    for count in range(1, 24):
        kept = eliminate.chosen(traced, count, np.ones(4))
        off = hessians.error(hessian, eliminate.compensated(weights, kept, hessian) - weights, np.ones(4))
        assert off == pytest.approx(traced.losses.sum(where=placed(traced.order, ~kept)), rel=1e-9)


def placed(order, gone):
    """Which entries of the trace belong to weights that went."""
    return np.take_along_axis(gone, order, axis=1)


@pytest.mark.parametrize("seed", range(3))
def test_kept_weights_are_the_least_squares_solution(seed):
    """Of the membranes that the calibration spikes cause: `|R w' - R w|`, with the pruned ones at 0."""
    weights, spikes, hessian = layer(d=10, seed=seed)
    driven = filtered(spikes)
    kept = eliminate.smallest(weights, 25)
    comp = eliminate.compensated(weights, kept, hessian)
    for weight, own, found in zip(weights, kept, comp, strict=True):
        want = np.zeros(10)
        want[own] = np.linalg.lstsq(driven[:, own], driven @ weight, rcond=None)[0]
        np.testing.assert_allclose(found, want, rtol=1e-8, atol=1e-9)
        alone = np.where(own, weight, 0)
        assert np.linalg.norm(driven @ (found - weight)) < np.linalg.norm(driven @ (alone - weight))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("pruned", [0, 20])
def test_rounding_is_the_loops(bits, pruned):
    weights, _, hessian = layer(d=10)
    kept = eliminate.smallest(weights, pruned)
    start = np.where(kept, weights, 0)
    comp = rounding.compensating("a", start, kept, hessian, bits)
    top = 2 ** (bits - 1) - 1
    np.testing.assert_allclose(comp.gamma, np.abs(start).max(1), rtol=1e-6)
    for row in range(4):
        some = kept[row].nonzero()[0]
        inverse = np.linalg.inv(hessian[np.ix_(some, some)])
        want = np.zeros(10)
        want[some] = ref.rounded(start[row, some], inverse, float(comp.gamma[row]) / top, top)
        np.testing.assert_allclose(comp.weight[row], want, atol=1e-12)
    assert (comp.weight[~kept] == 0).all()


def test_rounding_lies_between_brute_force_and_nearest():
    """Of all codes of a row of four: none is better than the best, and all rows together better than to nearest."""
    weights, _, hessian = layer(d=4, outputs=40)
    bits, top = 3, 3
    comp = rounding.compensating("a", weights, np.ones(weights.shape, bool), hessian, bits)
    near = rounding.to_nearest(weights, bits)
    np.testing.assert_array_equal(comp.gamma, near.gamma)
    every = np.array(list(itertools.product(range(-top, top + 1), repeat=4)))
    totals = np.zeros(3)
    for weight, own, plain, gamma in zip(weights, comp.weight, near.weight, comp.gamma, strict=True):
        change = every * (float(gamma) / top) - weight
        least = ((change @ hessian) * change).sum(1).min()
        totals += least, (own - weight) @ hessian @ (own - weight), (plain - weight) @ hessian @ (plain - weight)
        assert least <= (own - weight) @ hessian @ (own - weight) + 1e-12
    assert totals[0] <= totals[1] <= totals[2]


def test_without_correlation_it_rounds_to_nearest_and_prunes_the_smallest():
    weights, _, _ = layer(d=10)
    hessian, whole = 3 * np.eye(10), np.ones(weights.shape, bool)
    comp, near = rounding.compensating("a", weights, whole, hessian, 4), rounding.to_nearest(weights, 4)
    np.testing.assert_array_equal(comp.weight, near.weight)
    kept = eliminate.chosen(eliminate.trace("a", weights, hessian, 1), 17, np.ones(4))
    np.testing.assert_array_equal(kept, eliminate.smallest(weights, 17))
    np.testing.assert_array_equal(eliminate.compensated(weights, kept, hessian), np.where(kept, weights, 0))


def test_the_search_never_rounds_worse_than_the_largest_weight():
    weights = np.random.default_rng(0).standard_t(3, (20, 50))
    for bits in (2, 3, 4):
        off = [((rounding.to_nearest(weights, bits, how).weight - weights) ** 2).sum(1) for how in ("max", "search")]
        assert (off[1] <= off[0] + 1e-9).all()
        assert off[1].sum() < 0.95 * off[0].sum()
    assert rounding.gammas(np.zeros((2, 3)), 4, "search").tolist() == [1, 1]


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.9, 0.99])
def test_ratios(sparsity):
    rng = np.random.default_rng(0)
    layers = {"a": rng.normal(size=(5, 7)), "b": 3 * rng.normal(size=(2, 30)), "c": rng.normal(size=(1, 4))}
    total = round(sparsity * 99)
    want = ref.lamps([layer.reshape(-1) for layer in layers.values()], total)
    assert list(eliminate.lamps(layers, sparsity).values()) == want
    assert sum(want) == total
    assert all(lost < layer.size for lost, layer in zip(want, layers.values(), strict=True)) or sparsity > 0.96
    uniform = eliminate.uniform(layers, sparsity)
    assert uniform == {name: round(sparsity * layer.size) for name, layer in layers.items()}


def test_the_membranes_error_is_less_than_with_the_others():
    """By OSBC's own measure, over all layers: what it is for."""
    dense, errors = model(beta=0.9), {}
    for method in ("osbc", "obc", "magnitude"):
        done = qp.compress(dense, DATA, sparsity=0.6, bits=4, method=method, damping=1e-4, ratios="uniform").model
        parts = [
            membrane_error(dense, done, node, DATA, 0.9) / membrane_error(dense, zero(dense), node, DATA, 0.9)
            for node in dense.network.synapses[:-1]
        ]
        errors[method] = sum(parts)
    assert errors["osbc"] < errors["obc"] < errors["magnitude"]


def zero(dense):
    params = {name: {k: a * 0 if k == "weight" else a for k, a in own.items()} for name, own in dense.params.items()}
    nodes = tuple(replace(n, quantizer=None) if isinstance(n, (Conv, Linear)) else n for n in dense.network)
    return dense._replace(network=replace(dense.network, nodes=nodes), params=params)


def test_any_number_of_threads_gives_the_same_bits():
    found = []
    try:
        for threads in (1, 2, 3):
            qp.set_threads(threads)
            found.append(qp.compress(model(), DATA, sparsity=0.6, bits=3).model)
    finally:
        qp.set_threads(1)
    for other in found[1:]:
        for name, own in found[0].params.items():
            assert own["weight"].tobytes() == other.params[name]["weight"].tobytes()


def test_hessians_beyond_the_memory_come_one_after_another(monkeypatch):
    """With room for only some of them the model runs again for the others, and the result has the same bits."""
    seen, limits, found = [], (2**31, 40_000, 1), []
    for limit in limits:
        monkeypatch.setattr(hessians, "MEMORY", limit)
        seen.append([])
        found.append(qp.compress(model(), DATA, sparsity=0.5, bits=4, progress=seen[-1].append).model)
    runs = [{event.epoch for event in events if event.stage == "calibrate"} for events in seen]
    assert runs == [{1}, {1, 2}, {1, 2, 3, 4}]
    for other in found[1:]:
        for name, own in found[0].params.items():
            np.testing.assert_array_equal(other.params[name]["weight"], own["weight"])


def test_progress_reaches_its_end():
    seen = []
    qp.compress(model(), DATA, sparsity=0.5, bits=4, batches=2, batch=8, progress=seen.append)
    assert {event.stage for event in seen} == {"calibrate", "prune"}
    assert all(a.batch < b.batch for a, b in itertools.pairwise(seen) if a.stage == b.stage)
    for stage in ("calibrate", "prune"):
        last = [event for event in seen if event.stage == stage][-1]
        assert last.batch == last.batches


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"sparsity": 1.0}, ConfigError, "compress.sparsity: expected a number from 0 to below 1, got 1.0"),
        ({"sparsity": -0.1}, ConfigError, "compress.sparsity"),
        ({"bits": 1}, ConfigError, "compress.bits: expected an integer from 2 to 8"),
        ({"bits": 9}, ConfigError, "compress.bits"),
        ({}, ConfigError, "compress: expected a sparsity above 0, or bits"),
        ({"bits": 4, "method": "obs"}, ConfigError, "compress.method: expected one of osbc, obc, magnitude, rtn"),
        ({"bits": 4, "method": "rtn", "sparsity": 0.5}, ConfigError, "compress.sparsity: expected 0 for 'rtn'"),
        ({"bits": 4, "ratios": "lamp"}, ConfigError, "did you mean"),
        ({"bits": 4, "scale": "min"}, ConfigError, "compress.scale"),
        ({"bits": 4, "damping": -1.0}, ConfigError, "compress.damping"),
        ({"bits": 4, "damping": 0.0}, NumericsError, "damping: expected a Hessian that can be inverted"),
        ({"bits": 4, "batches": 0}, ConfigError, "compress.batches"),
        ({"bits": 4, "seed": -1}, ConfigError, "compress.seed"),
    ],
)
def test_what_is_wrong_is_named(options, error, said):
    with pytest.raises(error) as caught:
        qp.compress(model(), DATA, **options)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("images", "error"),
    [(np.zeros((0, 6, 6, 2), np.uint8), DataError), (np.zeros((4, 5, 6, 2), np.uint8), ShapeError)],
)
def test_images_that_are_not_the_networks(images, error):
    with pytest.raises(error):
        qp.compress(model(), images, bits=4)
