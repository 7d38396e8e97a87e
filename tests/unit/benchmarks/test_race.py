"""Who takes part in the benchmark, in which forms, and how they take turns."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import qpsnn_core as qp
from benched import tiny
from benchmarks import contestants, measure, networks, options, race, scaling
from qpsnn_core.kernels import threads as parallel


def test_contestants_take_turns():
    turns = []
    calls = {name: lambda name=name: turns.append(name) for name in "abc"}
    times = measure.alternate(calls, measure.Effort(0.0, 2, 5))
    assert turns == list("abc") * 3
    assert {name: len(seconds) for name, seconds in times.items()} == dict.fromkeys("abc", 2)
    turns.clear()
    measure.alternate(calls, measure.Effort(60.0, 1, 4), warm=False)
    assert turns == list("abc") * 4


def test_a_form_says_its_precision_and_what_is_compiled():
    assert contestants.precision("parts") == contestants.precision("") == "float32"
    assert contestants.precision("autocast parts") == "autocast"
    assert [contestants.compilation(form) for form in ("eager", "autocast eager", "")] == ["eager", "eager", ""]


def test_one_form_of_ours_is_measured_alone(monkeypatch):
    case = tiny("vgg", 1)
    only = next(iter(contestants.FORMS))
    assert contestants.one_run("qpsnn", "train", case, only).form == only
    with pytest.raises(ValueError, match=r"form: expected one of .*, got 'fastest'"):
        contestants.one_run("qpsnn", "train", case, "fastest")
    monkeypatch.setattr(contestants, "FORMS", {"portable": {}})
    assert contestants.targeted_form() == "portable"
    monkeypatch.setattr(contestants, "FORMS", {"portable": {"save_for_backward": True}, "native": {"train": True}})
    assert contestants.targeted_form() == "native"
    assert [run.form for run in contestants.runs("qpsnn", "infer_float", case, ())] == ["portable", "native"]
    assert [run.form for run in contestants.runs("qpsnn", "infer_integer", case, ())] == ["exact"]
    wanted = {
        form: qp.forward(case.model, case.images, train=form == "native").logits.mean(0) for form in contestants.FORMS
    }
    assert not np.array_equal(*wanted.values())
    for form, logits in wanted.items():
        np.testing.assert_array_equal(contestants.one_run("qpsnn", "infer_float", case, form).call(), logits)


def test_every_form_of_a_peer_is_tried_in_both_precisions():
    asked = options.arguments([])
    for work in ("train", "infer_float", "memory"):
        for tried in options.forms(asked, work).values():
            kinds = {
                kind: [contestants.compilation(f) for f in tried if contestants.precision(f) == kind]
                for kind in contestants.PRECISIONS
            }
            assert kinds["float32"] == kinds["autocast"] != []
    quick = options.arguments(["--quick", "--steps", "2"])
    assert (quick.steps, quick.threads, options.scaled_to(quick)) == ((2,), (1,), (2,))
    for work in ("train", "infer_float"):
        assert {contestants.precision(form) for form in options.forms(quick, work)["spikingjelly"]} == {
            "float32",
            "autocast",
        }
    assert options.scaled_to(options.arguments(["--threads", "1,2,4"])) == (2, 4)
    assert "scaling" in quick.parts
    assert "scaling" not in options.arguments(["--quick", "--busy"]).parts


def test_what_is_asked_for_must_exist(capsys, monkeypatch):
    with pytest.raises(SystemExit):
        options.arguments(["--works", "train,sleep"])
    assert "--works: expected some of" in capsys.readouterr().err
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+avx2")
    with pytest.raises(SystemExit):
        options.arguments(["--publish"])
    assert "NUMBA_CPU_FEATURES=+avx2" in capsys.readouterr().err
    options.arguments(["--quick"])


def test_a_race_takes_the_best_form_of_each_precision(monkeypatch, threads):
    """Peers whose calls take as long as their form says; our two forms both run."""
    cost = {"eager": 3, "parts": 2, "autocast eager": 1, "autocast parts": 4, "safe": 1, "fast": 0.5}
    now = [0.0]

    def runs(contestant, work, case, forms):
        own = ("safe", "fast") if contestant == "qpsnn" else forms

        def call(form):
            now[0] += cost[form] * (2 if contestant == "snntorch" else 1)

        return [contestants.Run(contestant, work, form, lambda form=form: call(form)) for form in own]

    monkeypatch.setattr(contestants, "runs", runs)
    monkeypatch.setattr(contestants, "set_threads", lambda count, peers: None)
    monkeypatch.setattr(measure, "BREATH", 0.0)
    monkeypatch.setitem(race.CLOCKS, clock := lambda: now[0], "counted")
    case = SimpleNamespace(name="a", steps=4, images=range(16), rate=0.1, resting=0.2)
    forms = dict.fromkeys(contestants.PEERS, ("eager", "parts", "autocast eager", "autocast parts"))
    chosen = race.best_forms(case, "train", contestants.NAMES, forms, lambda _: None, clock)
    assert [(run.contestant, run.form) for run in chosen] == [
        ("qpsnn", "safe"),
        ("qpsnn", "fast"),
        ("spikingjelly", "parts"),
        ("spikingjelly", "autocast eager"),
        ("snntorch", "parts"),
        ("snntorch", "autocast eager"),
    ]
    records = race.race(case, chosen, 1, measure.Effort(0.0, 2, 2), clock)
    minima = [{against: ratio["minima"] for against, ratio in row["ratios"].items()} for row in records[:2]]
    assert minima == [{"float32": 2, "autocast": 1, "better": 1}, {"float32": 4, "autocast": 2, "better": 2}]
    assert all("ratios" not in row for row in records[2:])
    assert {row["clock"] for row in records} == {"counted"}


@pytest.fixture
def threads():
    """Whatever a test sets, the number of threads is as before."""
    before = parallel.threads()
    yield
    parallel.set_threads(before)


def test_a_race_of_one(threads):
    case = tiny("vgg", 2)
    case = networks.measured(networks.calibrated(case, case.images))
    assert 0.02 < case.resting < 2 * case.rate < 1.2
    for part, works in race.GROUPS.items():
        chosen = {}
        for work in works:
            chosen |= race.best_forms(case, work, ("qpsnn",), {}, print)
        forms = {"infer_integer": [contestants.EXACT]}
        records = race.race(case, chosen, 1, measure.Effort(0.0, 2, 2))
        assert [(row["work"], row["contestant"], row["form"], row["repeats"]) for row in records] == [
            (work, "qpsnn", form, 2) for work in works for form in forms.get(work, contestants.FORMS)
        ], part
        assert all(0 < row["min_s"] <= row["median_s"] and row["ratios"] == {} for row in records)
        assert all(row["clock"] == "wall" for row in records)
    (row,) = race.race(case, dict([*chosen.items()][:1]), 2, measure.Effort(0.0, 2, 2))
    assert row["threads"] == 2


def test_scaling_is_in_turns(threads):
    seen = []
    found = scaling.in_turns(lambda: seen.append(parallel.threads()), 2, measure.Effort(0.0, 3, 3))
    assert seen == [1, 2] * 4
    assert (found["threads"], found["repeats"]) == (2, 3)
    assert min(found["one_thread_s"], found["min_s"]) > 0


def test_timed_training_leaves_the_case_alone():
    case = tiny("vgg", 2)
    before = {name: own["weight"].copy() for name, own in case.model.params.items() if "weight" in own}
    run, *_ = contestants.runs("qpsnn", "train", case, ())
    losses = [run.call() for _ in range(3)]
    assert all(np.isfinite(losses))
    assert len(set(losses)) == 3
    for name, weight in before.items():
        np.testing.assert_array_equal(case.model.params[name]["weight"], weight)
