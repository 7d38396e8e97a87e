"""The same bits on any number of threads and in any process; a recorded run that every machine must repeat."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import small
from golden import make_trajectory

from qpsnn_core.kernels import threads as parallel
from qpsnn_core.network import Quantizer
from qpsnn_core.network.zoo.vgg import resnet20, vgg_small
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.train import train
from qpsnn_datasets import Augment, Dataset

# How far a run may lie from the recorded one, whose float32 sums may have had another order (test_bits.py compares
# bits): changing every initial weight by up to three units in its last place (0.4e-6) moved the losses by at
# most 6e-8 of themselves, and the gradients by at most 2e-6 of the largest of their array. No spike, code or mask
# comes nearer to flipping than the recorded margin (1.3e-4), so that nothing larger can happen.
LOSSES = 1e-6
GRADIENTS = 2e-5


def images(shape, samples=48, classes=3):
    noise = np.floor((small.uniform((samples, *shape), 11) + 1) * 128).astype(np.uint8)
    return Dataset(noise, np.arange(samples) % classes, tuple("abc"), "noise")


def trained(which, **change):
    """A few updates, enough images for every kernel to be split."""
    if which == "small":
        network, data = small.network(), small.dataset(48)
    elif which == "vgg":
        network, data = vgg_small((8, 8, 1), 3, width=0.5), images((8, 8, 1))
    else:
        network = resnet20((8, 8, 3), 3, width=0.125, quantizer=Quantizer(2, "mean", ste="pass"))
        data = images((8, 8, 3))
    settings = {"epochs": 1, "batch": 16, "optimizer": "adam", "lr": 1e-2, "clip_norm": 1.0}
    return train(network, data, TrainConfig(**{**settings, **change}), augment=Augment(crop=1, flip=True))


def digest(done):
    """SHA-256 of every array of the run, and of its losses."""
    total = sha256()
    model, optimizer = done.model, done.checkpoint.optimizer
    for group in (model.params, model.state, *optimizer.slots.values()):
        for node in sorted(group):
            for name in sorted(group[node]):
                total.update(f"{node}.{name}".encode() + group[node][name].tobytes())
    total.update(repr([epoch.loss for epoch in done.history]).encode())
    return total.hexdigest()


@pytest.fixture
def threads():
    before = parallel.threads()
    yield parallel.set_threads
    parallel.set_threads(before)


@pytest.mark.parametrize("which", ["small", "vgg", "resnet"])
def test_the_same_bits_on_any_number_of_threads(which, threads):
    found = {}
    for count in (1, 2, 5):
        threads(count)
        found[count] = digest(trained(which))
    assert len(set(found.values())) == 1, found


def test_another_seed_gives_other_bits():
    assert digest(trained("small")) != digest(trained("small", seed=1))


@pytest.mark.once
@pytest.mark.slow
def test_the_same_bits_in_other_processes(root):
    code = "import test_determinism as t; print(t.digest(t.trained('small')), t.digest(t.trained('vgg')))"
    here = f"{digest(trained('small'))} {digest(trained('vgg'))}"
    tests, above = root / "tests", os.environ.get("PYTHONPATH")
    places = os.pathsep.join([str(tests), str(Path(__file__).parent), *([above] if above else [])])
    for count in (1, 2):
        setting = {"QPSNN_THREADS": f"{count}", "PYTHONHASHSEED": f"{count}", "PYTHONPATH": places}
        ran = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tests,
            env={**os.environ, **setting},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.stdout.strip() == here, ran.stderr


def test_the_recorded_run_is_repeated():
    recorded = json.loads(make_trajectory.FILE.read_text(encoding="utf-8"))
    found = make_trajectory.run(recorded["seed"])
    assert recorded["margin"] > 1e-4
    assert found["margin"] == pytest.approx(recorded["margin"], rel=0.1)
    assert len(found["losses"]) == 10
    np.testing.assert_allclose(found["losses"], recorded["losses"], rtol=LOSSES)
    for node, arrays in recorded["gradients"].items():
        assert found["gradients"][node].keys() == arrays.keys()
        for name, values in arrays.items():
            largest = np.abs(values).max()
            np.testing.assert_allclose(
                found["gradients"][node][name], values, rtol=0, atol=GRADIENTS * largest, err_msg=f"{node}.{name}"
            )
    assert found["gradients"].keys() == recorded["gradients"].keys()


def test_the_recorded_run_notices_a_change(monkeypatch):
    """A negative control: a thousandth more learning rate is no rounding."""
    recorded = json.loads(make_trajectory.FILE.read_text(encoding="utf-8"))
    monkeypatch.setattr(make_trajectory, "RATE", make_trajectory.RATE * 1.001)
    found = make_trajectory.run(recorded["seed"])
    assert not np.allclose(found["losses"], recorded["losses"], rtol=LOSSES, atol=0)
