"""The finder of a learning rate: rising rates, smoothed losses, where it ends, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import small

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError
from qpsnn_core.training.learning_rate import DIVERGED, SMOOTHING, _smoothed

CONFIG = qp.TrainConfig(epochs=1, batch=8, optimizer="adam", lr=0.5, schedule="cosine", warmup_epochs=1)
DATA = small.dataset(40)


def test_rates_rise_by_a_factor_and_the_losses_are_those_of_train():
    found = qp.find_learning_rate(small.network(), DATA, CONFIG, low=1e-4, high=100.0, updates=40)
    assert found.rates[0] == pytest.approx(1e-4)
    assert found.rates[-1] <= 100.0 * (1 + 1e-12)
    np.testing.assert_allclose(np.diff(np.log(found.rates)), np.log(1e6) / 39, rtol=1e-9)
    seen = []
    qp.train(
        small.network(), DATA, replace(CONFIG, lr=1e-4, schedule="constant", warmup_epochs=0), progress=seen.append
    )
    assert found.losses[0] == pytest.approx(seen[0].loss, rel=1e-12)
    lowest = int(found.losses.argmin())
    assert found.suggested == found.rates[lowest] / 10
    assert found.diverged == (len(found.rates) < 40)
    assert 1e-3 < found.suggested < 1
    again = qp.find_learning_rate(small.network(), DATA, CONFIG, low=1e-4, high=100.0, updates=40)
    np.testing.assert_array_equal(again.losses, found.losses)
    assert f"suggested {found.suggested:.3g}, {len(found.rates)} updates" in repr(found)


def test_the_mean_begins_at_the_first_loss_and_ends_where_it_has_grown():
    means = list(_smoothed((one for one in [2.0, 1.0, 100.0, 1.0]), 10))
    assert means[0] == pytest.approx(2.0)
    assert means[1] == pytest.approx((SMOOTHING * 0.1 * 2 + 0.1 * 1) / (1 - SMOOTHING**2))
    assert len(means) == 3
    assert means[2] > DIVERGED * min(means)
    assert len(list(_smoothed((one for one in [1.0] * 9), 4))) == 4


def test_progress_counts_updates():
    """Of several batches each, over the ends of epochs: 5 batches an epoch, 2 for an update, so 3 updates."""
    told = []
    config = replace(CONFIG, accumulate=2)
    qp.find_learning_rate(small.network(), DATA, config, low=1e-4, high=1e-2, updates=10, progress=told.append)
    assert {(one.stage, one.epoch, one.epochs, one.batches) for one in told} == {("find_learning_rate", 1, 1, 10)}
    assert [one.batch for one in told][:6] == [1, 1, 2, 2, 3, 4]
    assert told[-1].batch == 10


def test_an_update_of_several_batches_has_their_mean():
    one = qp.find_learning_rate(small.network(), DATA, CONFIG, low=1e-4, high=1.0, updates=12)
    two = qp.find_learning_rate(small.network(), DATA, replace(CONFIG, accumulate=2), low=1e-4, high=1.0, updates=12)
    assert len(two.rates) <= 12
    assert two.losses[0] != one.losses[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"low": 0}, r"find_learning_rate\.low: expected a positive number, got 0"),
        ({"low": 1.0, "high": 0.5}, r"find_learning_rate\.high: expected more than low = 1, got 0\.5"),
        ({"updates": 3}, r"find_learning_rate\.updates: expected a whole number of at least 10, got 3"),
        (
            {"low": 1e3, "high": 1e9},
            r"find_learning_rate\.low: expected a rate, lower than 1000, at which the loss falls",
        ),
    ],
)
def test_what_it_refuses(options, said):
    with pytest.raises(ConfigError, match=said):
        qp.find_learning_rate(small.network(), DATA, replace(CONFIG, optimizer="sgd"), **options)


@pytest.mark.cli
def test_the_command_prints_a_table_and_the_rate(qpsnn, tmp_path, monkeypatch):
    pytest.importorskip("typer")
    monkeypatch.chdir(tmp_path)
    small.split().save("set.h5")
    qp.save_network("net.json", small.network())
    (tmp_path / "r.toml").write_text(
        '[network]\nfile = "net.json"\nsteps = 3\n[data]\nname = "saved"\npath = "set.h5"\n'
        '[train]\nbatch = 8\noptimizer = "adam"\n[prune]\nrates = 0.0\n',
        encoding="utf-8",
    )
    words = ("lr", "r.toml", "--low", 1e-4, "--high", 1, "--updates", 20, "--quiet")
    code, out, err = qpsnn(*words, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["suggested"] == min(zip(found["losses"], found["rates"], strict=True))[1] / 10
    code, out, _ = qpsnn(*words)
    assert f"suggested: lr = {found['suggested']:.2g} in [train]" in out
