"""One contract: the same networks through the loops-only twin and every backend, equal bit for bit.

Spikes, membranes after the reset, and readouts. C and Lava run fewer networks than the exact simulator, chosen so that
every feature occurs in one of them; test_two_hundred_networks.py has more.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from alike import assert_equal
from compiled import SANITIZED, needs_cc
from generators import random_integer_network, random_wide_network

import qpsnn_backends
from naive import integer as naive
from qpsnn_core.integer.backends import BACKENDS, Backend, Run
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntConv,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
)
from qpsnn_core.network.nodes import RESETS

SEEDS = range(60)
WIDE_SEEDS = range(6)
LAVA_NETWORKS = 10


@cache
def network(seed):
    return random_integer_network(seed, RESETS)


@cache
def wide(seed):
    return random_wide_network(seed, RESETS)


def braid():
    """(network, images): ways of several lengths that meet in sums of sums, currents that two neurons read.

    Currents that float32 does not hold.
    """
    rng = np.random.default_rng(0)
    nodes = (
        IntInput("in", (9, 7, 3), 200),
        IntConv("c1", "in", 5, 3, 1, 1),
        IntLIF("l1", ("c1",), reset="subtract"),
        IntConv("c2", "l1", 5, 3, 1, 1),
        IntShortcut("s1", "l1", 5, 1, (0, 1, -1, 3, 4)),
        IntLIF("l2", ("c2", "s1"), 3, 2),
        IntLIF("l3", ("s1",), 0, 0),
        IntSum("a", ("l1", "l2")),
        IntSum("b", ("a", "l1", "l3")),
        IntMaxPool("mp", "b", 3, 2, 1),
        IntSumPool("sp", "l2", 2),
        IntConv("c3", "mp", 4, 3, 2, 1),
        IntLIF("l4", ("c3",)),
        IntConv("c4", "sp", 4, 2, 2, 1),
        IntLIF("l5", ("c4", "c3"), 1, 0, "subtract"),
        IntShortcut("s2", "a", 4, 4, (-1, 2, 2, 0)),
        IntLIF("l6", ("s2", "c4"), 4000, 12, "subtract"),
        IntSum("y", ("l4", "l5")),
        IntSum("z", ("y", "l6", "l4")),
        IntLinear("fc", "z", 7),
        IntReadout("out", "fc"),
    )

    def whole(low, high, *shape, dtype=np.int32):
        return rng.integers(low, high, shape).astype(dtype)

    arrays = {
        **{c: {"codes": whole(-7, 8, k, k, i, o, dtype=np.int8), "gain": whole(g, g + 1, o)} for c, k, i, o, g in CONV},
        **{s: {"gain": whole(-40, 90, c)} for s, c in (("s1", 5), ("s2", 4))},
        **{n: {"threshold": whole(t, t + 9, c), "bias": whole(-5, 6, c)} for n, c, t in THRESHOLDS},
        "fc": {"codes": whole(-7, 8, 24, 7, dtype=np.int8), "gain": whole(-5, 9, 7)},
        "out": {"bias": whole(-9, 9, 7)},
    }
    return IntegerNetwork(nodes, arrays, 5), whole(0, 201, 3, 9, 7, 3, dtype=np.uint8)


CONV = (("c1", 3, 3, 5, 10001), ("c2", 3, 5, 5, 3), ("c3", 3, 5, 4, 3), ("c4", 2, 5, 4, 3))
THRESHOLDS = (("l1", 5, 8_000_000), ("l2", 5, 40), ("l3", 5, 40), ("l4", 4, 60), ("l5", 4, 90), ("l6", 4, 30))


def reference(net, images) -> Run:
    readouts, spikes, membranes = naive.run_all(net, images)
    return Run(
        readouts,
        {name: array.astype(np.uint8) for name, array in spikes.items()},
        {name: array.astype(np.int32) for name, array in membranes.items()},
    )


def features(net, images):
    """What occurs in a network that a backend could get wrong."""
    found = {type(node).__name__ for node in net}
    found |= {"one step"} if net.steps == 1 else {"ten steps"} if net.steps == 10 else set()
    found.add("frames" if images.ndim == 5 else "images")
    found.add("binary input" if net.input.peak == 1 else "graded input")
    for node in net.of(IntConv):
        found |= {f"conv {name}" for name in ("stride", "padding") if getattr(node, name) > (name == "stride")}
        found.add("even kernel" if node.kernel % 2 == 0 else "point kernel" if node.kernel == 1 else "odd kernel")
        height, width, _ = net.shape(node.source)
        found |= {"oblong map"} if height != width else set()
    for node in net.of(IntConv, IntLinear):
        arrays, max_count = net.arrays[node.name], net.values[node.source].max_count
        weights = arrays["codes"].astype(np.int64) * arrays["gain"]
        sums = abs(weights).reshape(-1, weights.shape[-1]).sum(0) * max_count
        found |= {"counts above one"} if max_count > 1 and node.source != net.input.name else set()
        found |= {"negative gain"} if (arrays["gain"] < 0).any() else set()
        found |= {"own gains"} if len(set(arrays["gain"])) > 1 else set()
        found |= {"wide codes"} if arrays["codes"].dtype == np.int16 else set()
        found.add("beyond 24 bits" if sums.max() >= 2**24 else "within 24 bits")
    for node in net.of(IntShortcut):
        found |= {f"{type(net[source]).__name__} skipped over" for source in (node.source,)}
        found |= {"shortcut stride"} if node.stride > 1 else set()
        found |= {"shortcut without a source"} if -1 in node.channel_map else set()
    for node in net.of(IntLIF):
        kinds = {type(net[source]).__name__ for source in node.sources}
        found |= {"two convolutions in one neuron"} if kinds == {"IntConv"} and len(node.sources) > 1 else set()
        found |= {"residual sum"} if kinds == {"IntConv", "IntShortcut"} else set()
        halves, keeps, forgets = (1, 1), (1, 0), (0, 0)
        leak = (node.multiplier, node.shift)
        found.add({halves: "leak a half", keeps: "no leak", forgets: "no memory"}.get(leak, "another leak"))
        found.add(f"reset {node.reset}")
        arrays = net.arrays[node.name]
        found |= {f"own {name}" for name in ("threshold", "bias") if len(set(arrays[name])) > 1}
        found |= {"negative bias"} if (arrays["bias"] < 0).any() else set()
    for node in net.of(IntMaxPool):
        found |= {"pool padding"} if node.padding else set()
        found |= {"overlapping pool"} if node.stride < node.size else set()
    for node in net.of(IntMaxPool, IntSumPool):
        readers = len(net.consumers(node.source))
        found.add(f"pool of {type(net[node.source]).__name__}" + " read by others too" * (readers > 1))
    return found


COMMON = {
    *(kind.__name__ for kind in (IntInput, IntConv, IntLinear, IntShortcut, IntLIF, IntMaxPool, IntSumPool, IntSum)),
    *("IntReadout", "one step", "ten steps", "frames", "images", "binary input", "graded input", "counts above one"),
    *("conv stride", "conv padding", "even kernel", "odd kernel", "point kernel", "oblong map", "wide codes"),
    *("negative gain", "own gains", "within 24 bits", "shortcut stride", "shortcut without a source"),
    *("residual sum", "two convolutions in one neuron", "leak a half", "no leak", "no memory", "another leak"),
    *(f"reset {reset}" for reset in RESETS),
    *("own threshold", "own bias", "negative bias", "pool padding", "overlapping pool", "pool of IntLIF"),
}


@cache
def chosen():
    """Seeds for Lava: greedily those that bring the most features not yet seen, then the first others."""
    found = {seed: features(*network(seed)) & COMMON for seed in SEEDS}
    seeds, missing = [], set(COMMON)
    while missing and (best := max(found, key=lambda seed: len(found[seed] & missing))) not in seeds:
        seeds.append(best)
        missing -= found[best]
    return tuple((seeds + [seed for seed in SEEDS if seed not in seeds])[:LAVA_NETWORKS])


def test_the_networks_chosen_for_lava_have_every_feature():
    assert set().union(*(features(*network(seed)) for seed in chosen())) >= COMMON
    assert {"IntSum skipped over", "pool of IntLIF read by others too", "beyond 24 bits"} <= features(*braid())


@pytest.mark.parametrize("seed", SEEDS)
def test_exact_is_the_twin(seed):
    assert_equal(reference(*network(seed)), qpsnn_backends.get("exact").run(*network(seed), record="all"))


def test_exact_is_the_twin_on_a_braid():
    assert_equal(reference(*braid()), qpsnn_backends.get("exact").run(*braid(), record="all"))


@pytest.mark.parametrize("seed", WIDE_SEEDS)
def test_exact_is_the_twin_of_many_channels(seed):
    assert_equal(reference(*wide(seed)), qpsnn_backends.get("exact").run(*wide(seed), record="all"))


@needs_cc
@pytest.mark.parametrize("seed", chosen())
def test_c_is_the_twin(seed):
    assert_equal(reference(*network(seed)), qpsnn_backends.get("c", flags=SANITIZED).run(*network(seed), record="all"))


@needs_cc
@pytest.mark.parametrize("seed", WIDE_SEEDS)
def test_c_is_the_twin_of_many_channels(seed):
    assert_equal(reference(*wide(seed)), qpsnn_backends.get("c", flags=SANITIZED).run(*wide(seed), record="all"))


@needs_cc
def test_c_is_the_twin_on_a_braid():
    assert_equal(reference(*braid()), qpsnn_backends.get("c").run(*braid(), record="all"))


@pytest.mark.lava
@pytest.mark.parametrize("seed", chosen())
def test_lava_is_the_twin(seed):
    ref = reference(*network(seed))
    assert_equal(ref, qpsnn_backends.get("lava").run(*network(seed), record="all"))
    rate = np.mean([spikes.mean() for spikes in ref.spikes.values()])
    assert 0.01 < rate < 0.99


@pytest.mark.lava
def test_lava_is_the_twin_on_a_braid():
    assert_equal(reference(*braid()), qpsnn_backends.get("lava").run(*braid(), record="all"))


@pytest.mark.lava
def test_lava_is_the_twin_with_its_own_model_of_a_convolution():
    net, images = network(chosen()[0])
    assert_equal(reference(net, images), qpsnn_backends.get("lava", stock_conv=True).run(net, images, record="all"))


@pytest.mark.parametrize(
    "name", ["exact", pytest.param("lava", marks=pytest.mark.lava), pytest.param("c", marks=needs_cc)]
)
def test_a_backend_records_what_it_is_asked_for(name):
    backend = qpsnn_backends.get(name)
    assert isinstance(backend, Backend)
    assert backend.name == name
    net, images = network(chosen()[0])
    backend.check(net)
    none, spikes = (backend.run(net, images, record=what) for what in ("none", "spikes"))
    ref = reference(net, images)
    assert_equal(Run(ref.readouts, {}, {}), none)
    assert_equal(Run(ref.readouts, ref.spikes, {}), spikes)


def test_a_wrong_bit_is_found():
    ref, comp = reference(*network(0)), reference(*network(0))
    name = next(iter(comp.membranes))
    comp.membranes[name].flat[-1] += 1
    with pytest.raises(AssertionError, match=f"membranes of {name}"):
        assert_equal(ref, comp)


def test_every_backend_is_in_the_contract():
    assert set(BACKENDS) == {"exact", "lava", "c"}
