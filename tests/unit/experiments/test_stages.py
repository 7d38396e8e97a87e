"""What later stages of a recipe ask of the network is known, and refused, before the first stage begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.experiments import runs
from qpsnn_core.experiments.demo import run_demo
from qpsnn_core.experiments.stages import network_for
from qpsnn_core.recipes.network import NetworkConfig
from qpsnn_core.recipes.pruning import PruneConfig
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_core.recipes.training import FinetuneConfig
from qpsnn_datasets import Dataset, Split


def data(frames: int = 0) -> Split:
    shape = (4, *([frames] if frames else []), 16, 16, 2)
    part = Dataset(np.zeros(shape, np.uint8), np.arange(4) % 2, ("a", "b"), "made")
    return Split(part, part)


VGG, RESNET = NetworkConfig(width=0.125), NetworkConfig(name="resnet20", width=0.25)
FAULTS = [
    (VGG, PruneConfig(rates=(0.5, 0.5)), {}, "rates: expected 5 numbers, one for each of lif1,"),
    (VGG, PruneConfig(rates=(0.5,) * 6), {}, "rates: expected 5 numbers"),
    (VGG, PruneConfig(rates={"lif9": 0.5}), {}, "rates: expected the name of a LIF"),
    (VGG, PruneConfig(rates={"lif6": 0.5}), {}, "rates.lif6: expected 0"),
    (VGG, PruneConfig(rates=qp.paper_rates("resnet20", 0.1, 0.3, 0.6)), {}, "rates: expected the name of a LIF"),
    (
        RESNET,
        PruneConfig(rates={"lif0": 0.5, "layer1.0.lif2": 0.25}, residual="together"),
        {},
        "rates.layer1.1.lif2: expected 0.25, as layer1.0.lif2 keeps the same channels",
    ),
    (VGG, PruneConfig(), {"frames": 4, "steps": 2}, "finetune.steps: expected 4, a step for each frame of events"),
]


@pytest.mark.parametrize(("network", "prune", "options", "said"), FAULTS)
def test_it_is_refused_before_training(tmp_path, monkeypatch, network, prune, options, said):
    def trained(*_, **__):
        raise AssertionError("training began")

    monkeypatch.setattr(runs, "train", trained)
    recipe = Recipe(network, prune=prune, finetune=FinetuneConfig(steps=options.get("steps", 0)))
    with pytest.raises(qp.errors.ConfigError) as error:
        runs.train_or_resume(recipe, data(options.get("frames", 0)), tmp_path / "a.h5", None)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("network", "prune"),
    [
        (VGG, PruneConfig(rates=(0.5,) * 5)),
        (VGG, PruneConfig(rates=(0.5,) * 6, prune_last=True)),
        (VGG, PruneConfig(rates={"lif1": 0.5, "conv2": 0.25})),
        (RESNET, PruneConfig(rates={"layer1": 0.5})),
    ],
)
def test_what_fits_passes(network, prune):
    network_for(Recipe(network, prune=prune), data())


def test_the_demo_and_the_command_too(tmp_path):
    pytest.importorskip("sklearn")
    from qpsnn_core.experiments.demo import DIGITS

    with pytest.raises(qp.errors.ConfigError, match="rates: expected 6 numbers"):
        run_demo(replace(DIGITS, prune=replace(DIGITS.prune, rates=(0.5,))), backend="exact")


@pytest.mark.cli
def test_qpsnn_train_too(qpsnn, tmp_path):
    pytest.importorskip("sklearn")
    recipe = tmp_path / "r.toml"
    recipe.write_text('[data]\nname = "digits"\nlimit = 64\n[prune]\nrates = [0.5]\n', encoding="utf-8")
    code, out, err = qpsnn("train", recipe, "--out", tmp_path / "a.h5")
    assert (code, out) == (2, "")
    assert "error: rates: expected 5 numbers" in err
    assert not (tmp_path / "a.h5").exists()
