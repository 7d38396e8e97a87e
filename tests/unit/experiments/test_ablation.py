"""Tables 2 and 3 on a tiny recipe: what each model is made of, that nothing runs twice, and the table's arithmetic."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, FormatError
from qpsnn_core.experiments import ablation
from qpsnn_core.experiments.ablation import Result
from qpsnn_core.experiments.demo import DIGITS
from qpsnn_core.network import Conv

TINY = replace(
    DIGITS,
    network=replace(DIGITS.network, width=0.125, steps=2),
    train=replace(DIGITS.train, epochs=1, batch=32),
    finetune=replace(DIGITS.finetune, epochs=1, batch=32),
    prune=replace(DIGITS.prune, batches=2, batch=16),
)


@pytest.fixture(scope="module")
def data():
    return qp.load_data("digits", limit=96)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablation")
    return folder, ablation.run_ablation(TINY, data, folder, seeds=2)


def test_every_model_and_seed_once(whole):
    _, results = whole
    assert [(r.model, r.seed) for r in results] == [(m, s) for m in ablation.USUAL for s in (0, 1)]
    by = {(r.model, r.seed): r for r in results}
    for seed in (0, 1):
        assert by["A", seed].start == by["C", seed].start == by["E", seed].start == by["A", seed].accuracy
        assert by["B", seed].start == by["D", seed].start == by["F", seed].start == by["B", seed].accuracy
        assert by["QP", seed] == by["F", seed]._replace(model="QP")
        assert by["A", seed].before is None
        assert by["F", seed].before is not None


def test_a_model_is_what_its_own_commands_make(whole, data):
    """F, step by step with the public verbs, to the bit."""
    _, results = whole
    train, tune = replace(TINY.train, seed=1), replace(TINY.finetune, seed=1)
    network = TINY.network.build((8, 8, 1), 10)
    trained = qp.train(network, data.train, train).model
    scores = qp.score(trained, data.train, criterion="svs", batches=2, batch=16)
    pruned = qp.prune(trained, scores, 0.5, prune_last=True, ties="sca").model
    tuned = qp.finetune(qp.recalibrate(pruned, data.train), data.train, tune).model
    (found,) = [r for r in results if (r.model, r.seed) == ("F", 1)]
    assert found.accuracy == qp.evaluate(tuned, data.test).accuracy
    assert found.start == qp.evaluate(trained, data.test).accuracy


def test_what_is_there_is_not_run_again(whole, data, monkeypatch):
    folder, results = whole
    monkeypatch.setattr(ablation, "_one", lambda *_: pytest.fail("ran again"))
    assert ablation.run_ablation(TINY, data, folder, seeds=2) == results
    assert ablation.run_ablation(TINY, data, folder, seeds=1, models=("B", "A")) == [
        r for r in results[:4] if r.seed == 0
    ]


def test_a_run_that_was_stopped_goes_on(data, tmp_path, monkeypatch):
    """The trained network is taken from its checkpoint."""
    (first,) = ablation.run_ablation(TINY, data, tmp_path, seeds=1, models=("A",))
    kept = (tmp_path / "vanilla-0.h5").read_bytes()
    (second, third) = ablation.run_ablation(TINY, data, tmp_path, seeds=1, models=("A", "C"))
    assert second == first
    assert third.start == first.accuracy
    assert len((tmp_path / "vanilla-0.h5").read_bytes()) == len(kept)
    assert not (tmp_path / "C-0.h5").exists()


def test_pruned_in_floating_point_then_quantized(data):
    network = replace(TINY.network, bits=32).build((8, 8, 1), 10)
    model = qp.initialise(network)
    like = TINY.network.build((8, 8, 1), 10)
    found = ablation.with_quantizers(model, like)
    assert [n.quantizer for n in found.network.of(Conv)] == [n.quantizer for n in like.of(Conv)]
    assert found.params is model.params


def test_the_other_gammas(data, tmp_path):
    """Fig. 5a: three options; these two are run when they are asked for."""
    results = ablation.run_ablation(TINY, data, tmp_path, seeds=1, models=("max", "percentile"))
    assert [result.model for result in results] == ["max", "percentile"]
    gammas = [qp.load_checkpoint(tmp_path / f"{n}-0.h5").recipe["network"]["gamma"] for n in ("largest", "percentile")]
    assert gammas == ["max", "percentile"]


def test_the_table_pairs_seeds():
    accuracies = {"A": (0.5, 0.6), "B": (0.6, 0.8), "C": (0.2, 0.4), "E": (0.25, 0.43)}
    results = [Result(m, s, a, None, 0, 0) for m, own in accuracies.items() for s, a in enumerate(own)]
    rows = {row.model: row for row in ablation.table(results)}
    assert list(rows) == ["A", "B", "C", "E"]
    assert rows["B"].mean == pytest.approx(70)
    assert rows["B"].gain == pytest.approx(15)
    assert rows["B"].gain_spread == pytest.approx(np.std([10, 20], ddof=1))
    assert rows["E"].against == "C"
    assert rows["E"].gain == pytest.approx(4)
    assert rows["A"].gain is None
    (alone,) = ablation.table(results[2:3])
    assert (alone.gain, alone.spread) == (None, None)


def test_wrong_input(whole, data, tmp_path):
    folder, _ = whole
    with pytest.raises(ConfigError, match=r"models: expected of A, B.*got 'G'"):
        ablation.run_ablation(TINY, data, tmp_path, models=("G",))
    with pytest.raises(ConfigError, match="recipe: expected this recipe"):
        ablation.run_ablation(replace(TINY, train=replace(TINY.train, lr=0.02)), data, folder)
    (tmp_path / "results.json").write_text(json.dumps({"recipe": TINY.to_dict(), "results": [{"model": "A"}]}))
    with pytest.raises(FormatError, match=r"results\.json: not the results of an ablation"):
        ablation.run_ablation(TINY, data, tmp_path)
