"""Plans: a run of one that waited gives what a fresh one gives, nothing that was given changes, and memory is bounded.

That what is computed is right is test_simulate.py's to show.
"""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
from generators import random_integer_network

from qpsnn_core.integer import plan as module
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout, IntShortcut, IntSumPool
from qpsnn_core.integer.plan import Key, Memory, Plan, arrays_of, forget_plans, plan_for
from qpsnn_core.integer.simulate import each_value, simulate, simulate_from
from qpsnn_core.integer.step import Fired


@pytest.fixture(autouse=True)
def _none_waits():
    forget_plans()
    yield
    forget_plans()


def residual():
    """Two blocks whose shortcuts change nothing: their currents are the spikes themselves, which others overtake."""
    rng = np.random.default_rng(5)
    same = tuple(range(4))
    nodes = (
        IntInput("in", (6, 6, 2), 3),
        IntConv("conv", "in", 4, 3, 1, 1),
        IntLIF("lif", ("conv",)),
        IntShortcut("same", "lif", 4, 1, same),
        IntConv("conv1", "lif", 4, 3, 1, 1),
        IntConv("conv2", "lif", 4, 3, 1, 1),
        IntLIF("lif2", ("conv1", "conv2", "same")),
        IntShortcut("same2", "lif2", 4, 1, same),
        IntConv("conv3", "lif2", 4, 3, 1, 1),
        IntLIF("lif3", ("conv3", "same2")),
        IntSumPool("pool", "lif3", 6),
        IntLinear("fc", "pool", 3),
        IntReadout("out", "fc"),
    )

    def codes(*shape):
        return (2 * rng.integers(0, 16, shape) - 15).astype(np.int8)

    ones = {"gain": np.ones(4, np.int32)}
    arrays = {
        "conv": {"codes": codes(3, 3, 2, 4), **ones},
        **{name: {"codes": codes(3, 3, 4, 4), **ones} for name in ("conv1", "conv2", "conv3")},
        "same": ones,
        "same2": ones,
        **{
            name: {"threshold": np.full(4, 9, np.int32), "bias": np.full(4, 3, np.int32)}
            for name in ("lif", "lif2", "lif3")
        },
        "fc": {"codes": codes(4, 3), "gain": np.ones(3, np.int32)},
        "out": {"bias": np.arange(3, dtype=np.int32)},
    }
    return IntegerNetwork(nodes, arrays, 3), rng.integers(0, 4, (3, 2, 6, 6, 2))


def some(seed):
    return residual() if seed == 0 else random_integer_network(seed)


def frames_of(images):
    return images if images.ndim == 5 else images[None]


def waiting(network):
    return module._waiting.get(network, {})


def copies(value):
    return [array.copy() for array in arrays_of(value)]


@pytest.mark.parametrize("seed", range(8))
def test_a_value_stays_until_its_last_reader_has_run(seed):
    """Of a plan that is run twice, in memory that is used again: all values that will be read, after every node."""
    network, images = some(seed)
    names = frozenset(node.name for node in network.of(IntLIF))
    plan = Plan(network, Key(frames_of(images).shape, names, frozenset()))
    place = {node.name: index for index, node in enumerate(network)}
    last = {node.name: max((place[one.name] for one in network.consumers(node.name)), default=99) for node in network}
    for given in (images[..., ::-1, :, :], images):
        ref = {name: copies(value) for name, value in each_value(network, given, {}, names)}
        seen = {}
        for index, (name, value) in enumerate(plan.run(frames_of(given), {})):
            seen[name] = arrays_of(value)
            for other, arrays in seen.items():
                if last[other] > index:
                    for array, want in zip(arrays, ref[other], strict=True):
                        np.testing.assert_array_equal(array, want, err_msg=f"{other} after {name}")
        assert list(seen) == list(ref)


def test_memory_is_used_again():
    """A chain of convolutions and neurons needs what the largest two of its values take, and the images."""
    pairs = [(IntConv(f"conv{i}", f"lif{i}", 4, 1, 1, 0), IntLIF(f"lif{i + 1}", (f"conv{i}",))) for i in range(8)]
    nodes = (
        IntInput("lif0", (6, 6, 4), 1),
        *(node for pair in pairs for node in pair),
        IntSumPool("pool", "lif8", 6),
        IntLinear("fc", "pool", 3),
        IntReadout("out", "fc"),
    )
    ones = np.ones(4, np.int32)
    arrays = {f"conv{i}": {"codes": np.ones((1, 1, 4, 4), np.int8), "gain": ones} for i in range(8)}
    arrays |= {f"lif{i + 1}": {"threshold": ones, "bias": ones} for i in range(8)}
    arrays |= {"fc": {"codes": np.ones((4, 3), np.int8), "gain": ones[:3]}, "out": {"bias": ones[:3]}}
    key = Key((5, 7, 6, 6, 4), frozenset(), frozenset())
    plan = Plan(IntegerNetwork(nodes, arrays, 5), key)
    spikes = np.prod(key.shape)
    assert plan.images.nbytes == spikes
    assert plan.bytes < spikes + 4 * spikes + 2000


@pytest.mark.parametrize("record", ["none", "spikes", "all"])
@pytest.mark.parametrize("seed", range(4))
def test_what_a_run_gave_stays_as_it_is(seed, record):
    network, images = some(seed)
    first = simulate(network, images, record=record)
    before = [first.readout.copy(), *map(np.copy, (*first.spikes.values(), *first.membranes.values()))]
    counts = {name: array.copy() for name, array in first.counts.items()}
    simulate(network, images[..., ::-1, :, :], record=record)
    for now, then in zip((first.readout, *first.spikes.values(), *first.membranes.values()), before, strict=True):
        np.testing.assert_array_equal(now, then)
    for name, array in simulate(network, images, record=record).counts.items():
        np.testing.assert_array_equal(array, counts[name])


def test_values_of_each_value_stay_as_they_are():
    network, images = residual()
    kept = [(value, copies(value)) for _, value in each_value(network, images, {}, ("lif2",))]
    simulate(network, images)
    for value, before in kept:
        for now, then in zip(arrays_of(value), before, strict=True):
            np.testing.assert_array_equal(now, then)
    assert any(isinstance(value, Fired) and value.membranes is not None for value, _ in kept)


def test_a_plan_serves_images_of_its_shape_and_options_alone():
    network, images = residual()
    simulate(network, images)
    (plan,) = waiting(network).values()
    simulate(network, images.astype(np.int64), record="spikes")
    assert list(waiting(network).values()) == [plan]
    simulate(network, images[:, :1])
    simulate(network, images, record="all")
    simulate_from(network, images, {"lif": np.ones((2, 6, 6, 4), np.int32)})
    assert len(waiting(network)) == 4
    other = simulate_from(network, images, {"lif": np.full((2, 6, 6, 4), 8, np.int32)}).readout
    np.testing.assert_array_equal(simulate(network, images).readout, simulate(residual()[0], images).readout)
    assert (other != simulate(network, images).readout).any()


def test_a_network_that_is_forgotten_takes_its_plans_with_it():
    network, images = residual()
    simulate(network, images)
    plan, gone = weakref.ref(next(iter(waiting(network).values()))), weakref.ref(network)
    del network
    gc.collect()
    assert gone() is None
    assert plan() is None


def test_plans_that_wait_take_bounded_memory(monkeypatch):
    """The one that ran longest ago goes; of a plan that is larger than all may be, nothing stays."""
    networks = [residual()[0] for _ in range(3)]
    images = residual()[1]
    simulate(networks[0], images)
    size = next(iter(waiting(networks[0]).values())).bytes
    monkeypatch.setattr(module, "KEPT", 2 * size)
    simulate(networks[1], images)
    simulate(networks[0], images)
    simulate(networks[2], images)
    assert [len(waiting(network)) for network in networks] == [1, 0, 1]
    monkeypatch.setattr(module, "KEPT", size - 1)
    simulate(networks[1], images)
    assert [len(waiting(network)) for network in networks] == [0, 0, 0]


def test_a_plan_that_breaks_off_is_forgotten():
    network, images = residual()
    key = Key(images.shape, frozenset(), frozenset())

    def broken_off():
        with plan_for(network, key) as plan:
            next(plan.run(images, {}))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert waiting(network) == {}


def test_threads_of_the_caller_share_a_network():
    network, images = residual()
    given = [images, images[::-1], images[:, ::-1], 3 - images]
    refs = [simulate(network, one).readout for one in given]
    found = [[] for _ in given]

    def work(place):
        for _ in range(20):
            found[place].append(simulate(network, given[place]).readout)

    callers = [threading.Thread(target=work, args=(place,)) for place in range(len(given))]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    for got, ref in zip(found, refs, strict=True):
        assert len(got) == 20
        for readout in got:
            np.testing.assert_array_equal(readout, ref)


def test_a_block_is_free_only_when_nobody_holds_it():
    memory = Memory()
    first = memory.take((4, 8), np.int16)
    memory.hold("a", [first], ())
    memory.hold("b", [first[1:]], ("a",))
    memory.release("a")
    assert not np.may_share_memory(memory.take((64,), np.uint8), first)
    memory.hold("c", [], ())
    memory.release("b")
    again = memory.take((60,), np.uint8)
    assert np.may_share_memory(again, first)
    assert not np.may_share_memory(memory.take((2,), np.uint8), first)
