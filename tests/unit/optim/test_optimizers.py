"""Optimizers against scalar loops, their purity, and what they refuse."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

from naive import optimizer as naive
from qpsnn_core.common.errors import ConfigError, NumericsError, ShapeError
from qpsnn_core.optim import optimizers

STEPS = 12
CASES = [
    ("sgd", {}),
    ("sgd", {"momentum": 0.0}),
    ("sgd", {"momentum": 0.0, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.8, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.8, "weight_decay": 0.1, "nesterov": True}),
    ("adam", {}),
    ("adam", {"momentum": 0.5, "weight_decay": 0.1, "second": 0.9, "epsilon": 1e-3}),
    ("adamw", {}),
    ("adamw", {"weight_decay": 0.2}),
]


def arrays(rng, scale=1.0):
    def draw(*shape):
        return rng.normal(scale=scale, size=shape).astype(np.float32)

    return {
        "conv1": {"weight": draw(3, 3, 2, 4), "bn_weight": draw(4), "bn_bias": draw(4)},
        "linear": {"weight": draw(5, 2), "bias": draw(2)},
        "lif1": {},
    }


def leaves(tree):
    return {f"{node}.{name}": array for node, inner in tree.items() for name, array in inner.items()}


def run(chosen, seed=0, steps=STEPS):
    """Parameters before and after each step, the gradients, the learning rates."""
    rng = np.random.default_rng(seed)
    params = arrays(rng)
    state = chosen.init(params)
    track, given, lrs = [params], [], []
    for step in range(steps):
        given.append(arrays(rng, 0.3))
        lrs.append(0.1 / (1 + step))
        params, state = chosen.update(given[-1], state, params, lrs[-1])
        track.append(params)
    assert state.step == steps
    return track, given, lrs


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("decays", ["weight", "all"])
def test_against_the_scalar_loop(name, options, decays):
    track, given, lrs = run(optimizers.OPTIMIZERS[name](**options, decays=decays))
    for place in leaves(track[0]):
        ref_options = dict(options)
        if decays == "weight" and not place.endswith(".weight"):
            ref_options["weight_decay"] = 0.0
        begin = leaves(track[0])[place]
        for index in np.ndindex(begin.shape):
            gradients = [float(leaves(g)[place][index]) for g in given]
            ref = getattr(naive, name)(float(begin[index]), gradients, lrs, **ref_options)
            comp = [float(leaves(params)[place][index]) for params in track[1:]]
            np.testing.assert_allclose(comp, ref, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_float32_throughout_and_nothing_changed_in_place(name, options):
    chosen = optimizers.OPTIMIZERS[name](**{key: np.float64(value) for key, value in options.items()})
    rng = np.random.default_rng(1)
    params, grads = arrays(rng), arrays(rng)
    state = chosen.init(params)
    before = copy.deepcopy((params, grads, state))
    first = chosen.update(grads, state, params, np.float64(0.1))
    again = chosen.update(grads, state, params, 0.1)
    for tree in (first[0], *first[1].slots.values()):
        assert all(array.dtype == np.float32 for array in leaves(tree).values())
        assert leaves(tree).keys() == leaves(params).keys()
    for old, new in zip(before, (params, grads, state), strict=True):
        np.testing.assert_equal(new, old)
    np.testing.assert_equal(again, first)


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_a_restored_state_continues_as_if_never_interrupted(name):
    chosen = optimizers.OPTIMIZERS[name](0.9, 0.01)
    rng = np.random.default_rng(2)
    params = arrays(rng)
    state = chosen.init(params)
    grads = [arrays(rng) for _ in range(4)]
    for g in grads[:2]:
        params, state = chosen.update(g, state, params, 0.1)
    restored = optimizers.State(state.step, copy.deepcopy(state.slots)), copy.deepcopy(params)
    for g in grads[2:]:
        params, state = chosen.update(g, state, params, 0.1)
        later = chosen.update(g, restored[0], restored[1], 0.1)
        restored = later[1], later[0]
    np.testing.assert_equal(restored, (state, params))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sgd", {"momentum": 1.0}, "sgd.momentum: expected a number from 0 to below 1, got 1.0"),
        ("sgd", {"momentum": 0.0, "nesterov": True}, "sgd.momentum: expected more than 0 for Nesterov's"),
        ("sgd", {"weight_decay": -1}, "sgd.weight_decay: expected a number of at least 0, got -1"),
        ("sgd", {"decays": "al"}, "sgd.decays: expected one of weight, all, got 'al' (did you mean 'all'?)"),
        ("adam", {"momentum": math.nan}, "adam.momentum"),
        ("adam", {"second": 1.0}, "adam.second"),
        ("adamw", {"epsilon": 0.0}, "adamw.epsilon: expected a positive number, got 0.0"),
    ],
)
def test_hyper_parameters_out_of_range(name, options, message):
    with pytest.raises(ConfigError) as caught:
        optimizers.OPTIMIZERS[name](**options)
    assert str(caught.value).startswith(message)


def test_gradients_or_state_of_another_network():
    chosen = optimizers.sgd()
    params = arrays(np.random.default_rng(0))
    state = chosen.init(params)
    less = copy.deepcopy(params)
    del less["linear"]["bias"]
    with pytest.raises(ShapeError, match=r"sgd\.gradients\.linear\.bias: expected \(2,\), got nothing"):
        chosen.update(less, state, params, 0.1)
    other = chosen.init(
        {**params, "linear": {"weight": np.zeros((5, 3), np.float32), "bias": params["linear"]["bias"]}}
    )
    with pytest.raises(ShapeError, match=r"sgd\.momentum\.linear\.weight: expected \(5, 2\), got \(5, 3\)"):
        chosen.update(params, other, params, 0.1)
    with pytest.raises(ShapeError, match=r"sgd\.state"):
        chosen.update(params, optimizers.adam().init(params), params, 0.1)


def test_clipping_scales_to_the_norm_or_leaves_alone():
    grads = arrays(np.random.default_rng(3))
    ref = math.sqrt(sum(float(v) ** 2 for array in leaves(grads).values() for v in array.flat))
    clipped, norm = optimizers.clip_gradients(grads, 1.0)
    assert norm == pytest.approx(ref, rel=1e-12)
    assert optimizers.clip_gradients(clipped, 10.0)[1] == pytest.approx(1.0, rel=1e-5)
    for place, array in leaves(clipped).items():
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, leaves(grads)[place] / (ref + 1e-6), rtol=1e-6)
    same, norm = optimizers.clip_gradients(grads, 1e6)
    assert same is grads
    assert norm == pytest.approx(ref, rel=1e-12)


def test_clipping_refuses_nan_and_a_norm_of_0():
    grads = arrays(np.random.default_rng(3))
    grads["conv1"]["bn_bias"][1] = np.nan
    with pytest.raises(NumericsError, match=r"gradient of conv1\.bn_bias"):
        optimizers.clip_gradients(grads, 1.0)
    with pytest.raises(ConfigError, match="clip_norm: expected a positive number, got 0"):
        optimizers.clip_gradients(grads, 0)


def test_plain_sgd_decays_towards_zero():
    """`p - lr * (g + decay * p)`, in numbers that float32 holds exactly; a bias does not decay."""
    chosen = optimizers.sgd(momentum=0.0, weight_decay=0.5)
    params = {"linear": {"weight": np.float32([2.0, -4.0]), "bias": np.float32([2.0])}}
    grads = {"linear": {"weight": np.float32([1.0, 0.0]), "bias": np.float32([1.0])}}
    after, _ = chosen.update(grads, chosen.init(params), params, 0.25)
    assert after["linear"]["weight"].tolist() == [1.5, -3.5]
    assert after["linear"]["bias"].tolist() == [1.75]
