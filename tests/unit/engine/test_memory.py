"""What a network takes at the least: below what a step really takes, and refused where the machine has less."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import small

import qpsnn_core as qp
from qpsnn_core.common import memory as limits
from qpsnn_core.engine import memory
from qpsnn_core.engine.passes import forward, initialise
from qpsnn_core.network.graph import MOST_STEPS
from qpsnn_core.network.synapses import MOST_CHANNELS
from qpsnn_core.recipes.network import NetworkConfig


def held(done) -> int:
    """Bytes of all arrays that a pass keeps, each once."""
    found: dict[int, int] = {}

    def walk(thing) -> None:
        if isinstance(thing, np.ndarray):
            found[thing.__array_interface__["data"][0]] = thing.nbytes
        elif isinstance(thing, dict):
            for one in thing.values():
                walk(one)
        elif isinstance(thing, tuple):
            for one in thing:
                walk(one)

    walk((done.values, done.caches))
    return sum(found.values())


@pytest.mark.parametrize("name", ["vgg_small", "mlp", "resnet20", "spikingformer_4_256"])
@pytest.mark.parametrize("batch", [2, 5])
def test_it_is_close_below_what_a_pass_keeps(name, batch):
    network = qp.build(name, (16, 16, 1), 10, steps=3, width=0.25)
    images = np.full((batch, 16, 16, 1), 200, np.uint8)
    done = forward(initialise(network), images, train=True, save_for_backward=True)
    least, real = sum(memory.kept_bytes(network, batch).values()), held(done)
    weights = 4 * sum(memory.weight_counts(network).values())
    assert 0.4 * real < least + weights
    assert least <= real + images.nbytes


def test_what_does_not_fit_is_refused_before_it_is_taken(monkeypatch):
    data, config = small.dataset(64), qp.TrainConfig(epochs=1, batch=64)
    monkeypatch.setattr(limits, "machine_bytes", lambda: 10**5)
    tracemalloc.start()
    with pytest.raises(qp.errors.ConfigError, match=r"train: a step with T = 3 and batch 64: expected at most"):
        qp.train(small.network(), data, config)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_networks_beyond_any_machine_are_refused_by_name():
    wide = qp.build("mlp", (512, 512, 3), 10, widths=(MOST_CHANNELS,))
    with pytest.raises(qp.errors.ConfigError, match=r"initialise: weights: expected at most .* GB of it for hidden1"):
        qp.initialise(wide)
    long = qp.build("vgg16", (224, 224, 3), 10, steps=MOST_STEPS)
    with pytest.raises(qp.errors.ConfigError, match=r"T = 65536 and batch 64: .* GB of it for"):
        memory.check_step("train", long, 64, 3)
    with pytest.raises(qp.errors.ConfigError, match="evaluate: one sample"):
        limits.check_fits("evaluate: one sample", memory.kept_bytes(long, 1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": MOST_STEPS + 1}, r"[nN]etwork(Config)?\.steps: expected at most 65,536"),
        ({"width": 1e9}, "expected at most 1,048,576"),
        (
            {"widths": (MOST_CHANNELS + 1,)},
            r"(hidden1\.features|Config\.widths\[0\]): expected at most 1,048,576",
        ),
    ],
)
def test_there_is_a_limit_to_steps_and_width(options, said):
    with pytest.raises(qp.errors.ConfigError, match=said):
        qp.build("mlp", (4, 4, 1), 3, **options)
    with pytest.raises(qp.errors.ConfigError, match=said):
        NetworkConfig(name="mlp", **options).build((4, 4, 1), 3)


@pytest.mark.parametrize(("batch", "steps", "legal"), [(1, 4, False), (2, 4, True), (2, 1, True)])
def test_batch_norm_over_one_value_is_refused(batch, steps, legal):
    """Of what depends on an image alone: all steps are the same value."""
    nodes = (
        small.Input("image", (1, 1, 2), 15, 1 / 15),
        small.Conv("conv1", "image", 3, 1, 1, 0),
        small.LIF("lif1", ("conv1",)),
        small.Linear("linear", "lif1", 3),
        small.Readout("readout", "linear"),
    )
    network = qp.Network(nodes, steps)
    images = small.dataset(4).images[:, :1, :1]
    data = replace(small.dataset(4), images=np.ascontiguousarray(images))
    config = qp.TrainConfig(epochs=1, batch=batch)
    if legal:
        qp.train(network, data, config)
    else:
        with pytest.raises(qp.errors.ConfigError, match=r"conv1\.batch_norm: expected at least 2 values per channel"):
            qp.train(network, data, config)
