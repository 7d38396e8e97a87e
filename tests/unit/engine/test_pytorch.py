"""Agreement with plain PyTorch: outputs, spikes, every gradient, and ten steps of SGD, from recorded runs.

`tests/golden/make_pytorch.py` wrote the recordings and says how. Both sides compute in float32, in different orders.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from qpsnn_core.engine import passes
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout, Shortcut
from qpsnn_core.network.model import Model
from qpsnn_core.optim.losses import mean_logits_cross_entropy
from qpsnn_core.optim.optimizers import sgd

FILES = sorted((Path(__file__).resolve().parents[2] / "golden" / "pytorch").glob("*.npz"))

# Relative to the largest of an array; measured: 3.4e-7, 1.4e-6, 9.5e-8, 2.8e-7, 3.6e-7.
LIMITS = {"logits": 2e-6, "gradient": 1e-5, "losses": 1e-6, "final": 3e-6, "statistics": 3e-6}


def vgg(inner, first, last):
    return (
        Conv("conv1", "input", 6, quantizer=first, bias=True),
        LIF("lif1", ("conv1",)),
        Conv("conv2", "lif1", 6, quantizer=inner),
        LIF("lif2", ("conv2",)),
        MaxPool("pool", "lif2", 2),
        Conv("conv3", "pool", 8, quantizer=inner),
        LIF("lif3", ("conv3",)),
        AvgPool("average", "lif3", 2),
        Linear("linear", "average", 5, quantizer=last),
    )


def resnet(inner, first, last):
    return (
        Conv("conv0", "input", 6, quantizer=first),
        LIF("lif0", ("conv0",)),
        Conv("conv1", "lif0", 6, quantizer=inner),
        LIF("lif1", ("conv1",)),
        Conv("conv2", "lif1", 6, quantizer=inner),
        Shortcut("shortcut1", "lif0", 6),
        LIF("lif2", ("conv2", "shortcut1")),
        Conv("conv3", "lif2", 8, stride=2, quantizer=inner),
        LIF("lif3", ("conv3",)),
        Conv("conv4", "lif3", 8, quantizer=inner),
        Shortcut("shortcut2", "lif2", 8, 2),
        LIF("lif4", ("conv4", "shortcut2")),
        AvgPool("average", "lif4", 4),
        Linear("linear", "average", 5, quantizer=last),
    )


BUILD = {"vgg": (vgg, 4), "resnet": (resnet, 2)}


class Recording:
    """A recorded run, and the same run by the engine."""

    def __init__(self, path):
        with np.load(path) as file:
            self.arrays = dict(file)
        build, steps = BUILD[path.stem.split("_")[0]]
        bits, ste, ends = (self.arrays[key].item() for key in ("bits", "ste", "ends"))
        first = Quantizer(8, gamma="max") if ends else None
        last = Quantizer(8, gamma="max", granularity="layer") if ends else None
        nodes = build(Quantizer(bits, "mean", ste=ste), first, last)
        self.network = Network((Input("input", (8, 8, 3)), *nodes, Readout("readout", "linear")), steps)

    def under(self, key):
        """`{node: {array: value}}` of what was recorded as key/node/array."""
        found = {}
        for name, value in self.arrays.items():
            kind, *place = name.split("/")
            if kind == key:
                found.setdefault(place[0], {})["".join(place[1:])] = value
        return found

    def model(self):
        fresh = passes.initialise(self.network)
        initial = self.under("initial")
        assert {node: {n: a.shape for n, a in own.items()} for node, own in initial.items()} == {
            node: {n: a.shape for n, a in own.items()} for node, own in fresh.params.items()
        }
        return fresh._replace(params=initial)

    def step(self, model, index):
        """(pass, loss, gradients) of one recorded batch."""
        done = passes.forward(model, self.arrays["images"][index], train=True, save_for_backward=True)
        loss, slope = mean_logits_cross_entropy(done.logits, self.arrays["labels"][index])
        return done, loss, passes.backward(model, done, slope)

    def trained(self):
        """The model after the ten steps, and their losses."""
        optimizer = sgd(0.9, self.arrays["decay"].item())
        model = self.model()
        state, losses = optimizer.init(model.params), []
        for index in range(len(self.arrays["images"])):
            done, loss, grads = self.step(model, index)
            params, state = optimizer.update(grads, state, model.params, self.arrays["rate"].item())
            model = Model(self.network, params, done.state)
            losses.append(loss)
        return model, np.array(losses)


recording = cache(Recording)


def apart(comp, ref):
    """The largest difference over the largest magnitude of the recorded."""
    return float(np.abs(comp - ref).max() / np.abs(ref).max())


def worst(comp, ref):
    assert {node: set(own) for node, own in comp.items()} == {node: set(own) for node, own in ref.items()}
    return max(apart(comp[node][name], array) for node, own in ref.items() for name, array in own.items())


def test_both_networks_and_all_precisions_were_recorded():
    assert {tuple(path.stem.split("_")[:2]) for path in FILES} == {
        (network, f"{bits}bit") for network in BUILD for bits in (2, 4, 8)
    }
    assert {path.stem.split("_")[2] for path in FILES} == {"clip", "pass"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
class TestAgreement:
    def test_of_spikes_and_logits(self, path):
        run = recording(path)
        done, loss, _ = run.step(run.model(), 0)
        for node in run.network.of(LIF):
            spikes = done.values[node.name]
            ref = np.unpackbits(run.arrays[f"spikes/{node.name}"], count=spikes.size).reshape(spikes.shape)
            np.testing.assert_array_equal(spikes, ref)
            assert 0.02 < ref.mean() < 0.9
        assert apart(done.logits, run.arrays["logits"]) < LIMITS["logits"]
        assert apart(loss, run.arrays["losses"][0]) < LIMITS["losses"]

    def test_of_every_gradient(self, path):
        """A bias before batch norm has no effect: its gradient is 0 but for rounding, on both sides."""
        run = recording(path)
        *_, grads = run.step(run.model(), 0)
        ref = run.under("gradient")
        if "bias" in ref.get("conv1", {}):
            largest = max(np.abs(array).max() for own in ref.values() for array in own.values())
            for side in (grads, ref):
                assert np.abs(side["conv1"].pop("bias")).max() < LIMITS["gradient"] * largest
        assert worst(grads, ref) < LIMITS["gradient"]

    def test_of_ten_steps(self, path):
        run = recording(path)
        model, losses = run.trained()
        assert apart(losses, run.arrays["losses"]) < LIMITS["losses"]
        assert worst(model.params, run.under("final")) < LIMITS["final"]
        assert worst(model.state, run.under("statistics")) < LIMITS["statistics"]
        assert worst(run.under("initial"), run.under("final")) > 0.1, "nothing was learned"
