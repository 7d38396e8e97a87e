"""Files of every format as it was before the packages were laid out in rooms: they load, and what was stopped goes on.

`tests/golden/make_formats.py` wrote them. Only `qp`, the readers of events and the command line read them here; `h5py`
and `json` say what else is in a file.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import pytest
from golden import facts

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, FormatError, VersionError
from qpsnn_datasets.events import load_events

EXPECTED = json.loads((facts.FOLDER / "expected.json").read_text(encoding="utf-8"))
CHECKPOINTS = sorted(name for name in EXPECTED if facts.reader(name) is facts.of_checkpoint)
INTEGERS = sorted(name for name in EXPECTED if facts.reader(name) is facts.of_integer)
NETWORKS = sorted(name for name in EXPECTED if facts.reader(name) is facts.of_network)
RECIPES = sorted(name for name in EXPECTED if facts.reader(name) is facts.of_recipe)

# Changing the weights where a run was stopped by 1e-6 of themselves moves those at its end by at most 1.2e-7; the rest
# of the run itself moves them by 1.5e-3 and more.
WEIGHTS = 1e-6


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The files, unpacked, in the current folder."""
    facts.unpack(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def covers(found, wanted):
    """Whether all that is wanted was found; a field that came later may be there as well."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(key in found and covers(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        same = isinstance(found, list) and len(found) == len(wanted)
        return same and all(covers(one, other) for one, other in zip(found, wanted, strict=True))
    return type(found) is type(wanted) and found == wanted


def plain(value):
    return json.loads(json.dumps(value))


def text_of(path, name):
    with h5py.File(path) as file:
        content = file[name][()]
    return content.decode() if isinstance(content, bytes) else content.tobytes().decode()


def datasets(path):
    """Every dataset of an HDF5 file by its name."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, part: found.update({name: part[()]} if isinstance(part, h5py.Dataset) else {}))
    return found


def same_datasets(path, other):
    one, two = datasets(path), datasets(other)
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def results(folder):
    return json.loads(Path(folder, "results.json").read_text(encoding="utf-8"))["results"]


def test_every_format_is_there(here):
    kinds = set()
    for path in here.rglob("*.h5"):
        with h5py.File(path) as file:
            kinds.add(file.attrs["format"].decode())
    assert kinds == {"qpsnn-checkpoint", "qpsnn-integer", "qpsnn-events", "qpsnn first pass of pruning"}
    nodes = [node for name in NETWORKS for node in json.loads(Path(name).read_text(encoding="utf-8"))["nodes"]]
    assert {node["kind"] for node in nodes} == {
        *("Input", "Conv", "Linear", "Shortcut", "LIF", "MaxPool", "AvgPool", "Sum", "Readout")
    }
    quantizers = [node["quantizer"] for node in nodes if "quantizer" in node]
    assert None in quantizers
    for option, values in {
        "gamma": {"mean", "max", "percentile", "one", "kept"},
        "granularity": {"channel", "layer"},
        "ste": {"clip", "pass"},
        "zero": {False, True},
    }.items():
        assert {one[option] for one in quantizers if one} == values
    assert {node["surrogate"] for node in nodes if node["kind"] == "LIF"} == {
        *("triangle", "sigmoid", "arctan", "rectangular")
    }
    integer = json.loads(text_of("integer.h5", "contents"))["nodes"]
    assert {node["kind"] for node in integer} == {
        *("IntInput", "IntConv", "IntLinear", "IntShortcut", "IntLIF", "IntMaxPool", "IntSumPool", "IntSum"),
        "IntReadout",
    }
    sparse = json.loads(text_of("integer-sparse.h5", "contents"))["arrays"]
    assert any(array.get("sparse") for own in sparse.values() for array in own.values())


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_file_says_what_it_said(here, name):
    found = plain(facts.reader(name)(Path(name)))
    assert covers(found, EXPECTED[name]), found


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_is_all_that_its_file_holds(here, name):
    found = qp.load_checkpoint(name)
    assert covers(json.loads(found.model.network.to_json()), json.loads(text_of(name, "network")))
    about = json.loads(text_of(name, "about"))
    optimizer = found.optimizer
    assert about.pop("step") == (optimizer.step if optimizer else None)
    assert about.pop("slots") == (list(optimizer.slots) if optimizer else [])
    read = {
        "history": [asdict(epoch) for epoch in found.history],
        "position": asdict(found.position) if found.position else None,
        **{part: dict(getattr(found, part)) for part in ("recipe", "notes", "versions")},
    }
    assert covers(plain(read), about)
    groups = {"params": found.model.params, "state": found.model.state}
    groups |= {f"optimizer/{slot}": own for slot, own in (optimizer.slots if optimizer else {}).items()}
    arrays = {
        f"{group}/{node}/{part}": array
        for group, nested in groups.items()
        for node, own in nested.items()
        for part, array in own.items()
    }
    held = {part: array for part, array in datasets(name).items() if part not in ("network", "about")}
    assert arrays.keys() == held.keys()
    for part, array in arrays.items():
        np.testing.assert_array_equal(array, held[part], strict=True, err_msg=part)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_is_the_same_once_it_is_written_again(here, name):
    qp.save_checkpoint("again.h5", qp.load_checkpoint(name))
    assert covers(plain(facts.of_checkpoint(Path("again.h5"))), EXPECTED[name])


@pytest.mark.parametrize("name", INTEGERS)
def test_an_integer_network_has_the_nodes_of_its_file_and_is_the_same_once_it_is_written_again(here, name):
    network = qp.load_integer(name)
    contents = json.loads(text_of(name, "contents"))
    assert covers(json.loads(network.nodes_json()), contents["nodes"])
    assert network.steps == contents["steps"]
    qp.save_integer("again.h5", network)
    assert covers(facts.of_integer(Path("again.h5")), EXPECTED[name])
    assert qp.load_integer("again.h5").digest() == network.digest()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_the_fields_of_its_file(here, name):
    text = Path(name).read_text(encoding="utf-8")
    network = qp.Network.from_json(text)
    assert covers(json.loads(network.to_json()), json.loads(text))
    assert qp.Network.from_json(network.to_json()) == network


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_the_same_once_it_is_written_again(here, name):
    recipe = qp.load_recipe(name)
    Path("again.toml").write_text(recipe.to_toml(), encoding="utf-8")
    assert qp.load_recipe("again.toml") == recipe


def test_a_store_gives_frames_to_train_on(here):
    data = qp.load_data("events", "events.h5", steps=2)
    assert (len(data.train), len(data.test)) == (6, 4)
    assert int(data.train.images.sum() + data.test.images.sum()) == sum(EXPECTED["events.h5"]["counts"])


# What was stopped goes on.


def near(path, other, validated=True):
    one, two = (qp.load_checkpoint(each) for each in (path, other))
    assert one.optimizer.step == two.optimizer.step
    pairs = [(one.model.params, two.model.params)]
    pairs += [(one.optimizer.slots[slot], two.optimizer.slots[slot]) for slot in two.optimizer.slots]
    for found, wanted in pairs:
        for node, own in wanted.items():
            for name, array in own.items():
                np.testing.assert_allclose(found[node][name], array, rtol=0, atol=WEIGHTS, err_msg=f"{node}.{name}")
    for done, was in zip(one.history, two.history, strict=True):
        assert done.loss == pytest.approx(was.loss, abs=WEIGHTS)
        assert (done.accuracy, done.firing_rate) == (was.accuracy, was.firing_rate)
        assert done.validation == (was.validation if validated else None)


@pytest.mark.cli
@pytest.mark.parametrize(
    ("words", "stopped", "end"),
    [
        (("train", "study.toml"), "stopped.h5", "finished.h5"),
        (("finetune", "finished.h5"), "stopped-tuning.h5", "tuned.h5"),
    ],
)
def test_a_stopped_run_goes_on_to_the_end_that_it_had(here, qpsnn, words, stopped, end):
    past = qp.load_checkpoint(stopped)
    qp.save_checkpoint("as-of-now.h5", past)
    for path in (stopped, "as-of-now.h5"):
        code, _, said = qpsnn(*words, "--out", path, "--resume", "--quiet", "--json")
        assert code == 0, said
        near(path, end)
    one, two = (qp.load_checkpoint(path) for path in (stopped, "as-of-now.h5"))
    assert one.history[: len(past.history)] == past.history
    assert facts.together(one.model.params) == facts.together(two.model.params)
    assert one.notes == past.notes


@pytest.mark.cli
def test_an_ablation_goes_on(here, qpsnn):
    (before,) = results("ablation")
    code, out, said = qpsnn(
        "ablate", "study.toml", "--out", "ablation", "--models", "A,B", "--seeds", 1, "--quiet", "--json"
    )
    assert code == 0, said
    assert json.loads(out)["results"] == results("ablation")
    first, second = results("ablation")
    assert first == before
    assert (second["model"], second["start"]) == ("B", EXPECTED["finished.h5"]["history"][-1]["validation"])
    near("ablation/rescaw-0.h5", "finished.h5", validated=False)
    assert qp.load_checkpoint("ablation/rescaw-0.h5").history[0].seconds == 0.5  # the clock's, were it trained anew
    assert not Path("ablation/vanilla-0.h5").exists()


@pytest.mark.cli
def test_a_front_goes_on(here, qpsnn):
    (before,) = results("front")
    network = Path("front/4-0-0.h5").read_bytes()
    rows = json.loads(Path("front/front.json").read_text(encoding="utf-8"))
    code, _, said = qpsnn("front", "study.toml", "--out", "front", "--bits", "4,3", "--rates", 0, "--quiet")
    assert code == 0, said
    first, second = results("front")
    assert (first, second["bits"]) == (before, 3)
    assert Path("front/4-0-0.h5").read_bytes() == network
    assert covers(json.loads(Path("front/front.json").read_text(encoding="utf-8"))[0], rows[0])
    assert {path.name for path in Path("front").glob("*.h5")} == {"trained-3-0.h5", "3-0-0.h5", "4-0-0.h5"}


@pytest.mark.cli
def test_a_cross_validation_goes_on(here, qpsnn):
    (before,) = results("folds")
    network = Path("folds/fold-0.h5").read_bytes()
    code, _, said = qpsnn("crossvalidate", "study.toml", "--out", "folds", "--folds", 2, "--quiet")
    assert code == 0, said
    first, second = results("folds")
    assert (first, second["fold"]) == (before, 1)
    assert Path("folds/fold-0.h5").read_bytes() == network
    assert Path("folds/fold-1.h5").exists()


SWEEP = ("compress-sweep", "study.toml", "--out", "sweep", "--methods", "osbc", "--sparsities", 0.5, "--images", 4)


@pytest.mark.cli
def test_a_sweep_goes_on_from_its_first_pass(here, qpsnn):
    (before,) = results("sweep")
    traces = Path("sweep/first-pass-osbc-0.h5").read_bytes()
    code, _, said = qpsnn(*SWEEP, "--bits", "4,2", "--quiet")
    assert code == 0, said
    first, second = results("sweep")
    assert (first, second["bits"], second["dense"]) == (before, 2, before["dense"])
    assert Path("sweep/first-pass-osbc-0.h5").read_bytes() == traces
    assert [epoch.seconds for epoch in qp.load_checkpoint("sweep/dense-0.h5").history] == [0.5, 0.5]


# Commands that read, or write for others.


@pytest.mark.cli
def test_commands_read_checkpoints_networks_and_stores(here, qpsnn):
    code, out, said = qpsnn("evaluate", "finished.h5", "--json", "--quiet")
    assert code == 0, said
    assert json.loads(out)["accuracy"] == EXPECTED["finished.h5"]["history"][-1]["validation"]
    code, out, said = qpsnn(
        "evaluate", "front/4-0-0.h5", "--data", "events", "--path", "events.h5", "--json", "--quiet"
    )
    assert code == 0, said
    assert json.loads(out)["accuracy"] == results("front")[0]["accuracy"]
    code, out, said = qpsnn("lower", "pruned.h5", "--out", "lowered.h5", "--json")
    assert code == 0, said
    assert qp.load_integer("lowered.h5").nodes == qp.load_integer("integer.h5").nodes
    code, out, said = qpsnn("events", "info", "events.h5", "--json")
    assert code == 0, said
    assert json.loads(out)["events"] == sum(EXPECTED["events.h5"]["counts"])


@pytest.mark.cli
def test_an_old_network_gives_the_same_netx_file(here, qpsnn):
    code, _, said = qpsnn("export", "integer-chain.h5", "--netx", "again.netx")
    assert code == 0, said
    same_datasets("again.netx", "network.netx")


@pytest.mark.cli
@pytest.mark.exchange
def test_a_nir_file_is_written_as_it_was_and_imported(here, qpsnn):
    code, _, said = qpsnn("export", "integer-sparse.h5", "--nir", "again.nir", "--exact")
    assert code == 0, said
    before, after = datasets("exact.nir").keys(), datasets("again.nir").keys()
    assert after - before == {"node/nodes/lif1/metadata/reset"}  # written since neurons have two resets
    assert after >= before
    code, out, said = qpsnn("import", "exact.nir", "--out", "imported.h5", "--json")
    assert code == 0, said
    integer, model = qp.load_integer("integer-sparse.h5"), qp.load_model("imported.h5")
    assert json.loads(out)["steps"] == model.network.steps == integer.steps
    data = qp.load_data("events", "events.h5", steps=2).train.images.swapaxes(0, 1)
    logits = qp.forward(model, data).logits.mean(0)
    np.testing.assert_array_equal(logits.argmax(-1), qp.simulate(integer, data).readout.argmax(-1))


@pytest.mark.cli
@pytest.mark.plot
def test_results_are_drawn(here, qpsnn):
    code, out, said = qpsnn("plot", "front", "front/front.json", "--out", "drawn", "--json")
    assert code == 0, said
    rows = json.loads(Path("front/front.json").read_text(encoding="utf-8"))
    assert covers(rows, json.loads(out)["figures"])
    code, out, said = qpsnn("plot", "compression", "sweep/results.json", "--out", "drawn", "--at", 0.5, "--json")
    assert code == 0, said
    assert json.loads(out)["figures"][0]["accuracy"] == 100 * results("sweep")[0]["accuracy"]


# What a later version might have written is refused, and by name.


@pytest.mark.parametrize(
    ("name", "load"),
    [("model.h5", qp.load_checkpoint), ("integer.h5", qp.load_integer), ("events.h5", load_events)],
)
def test_a_later_version_is_refused(here, name, load):
    with h5py.File(name, "r+") as file:
        file.attrs["version"] = 2
    with pytest.raises(VersionError, match=rf"{name}\.version: expected 1, got 2"):
        load(name)


def test_a_later_version_of_a_network_is_refused(here):
    text = Path("network.json").read_text(encoding="utf-8")
    with pytest.raises(VersionError, match=r"network\.version: expected 1, got 2"):
        qp.Network.from_json(text.replace('"version":1', '"version":2'))


def rewritten(path, name, old, new):
    """Another text in a file, with the checksum that an integer network then has."""
    text = text_of(path, name)
    assert old in text
    text = text.replace(old, new)
    with h5py.File(path, "r+") as file:
        del file[name]
        if name != "contents":
            file[name] = text
            return
        file[name] = np.frombuffer(text.encode(), np.uint8)
        total = sha256()
        for part in sorted(file):
            data = file[part][()].tobytes()
            total.update(f"{part} {len(data)}\n".encode() + data)
        file.attrs["checksum"] = np.bytes_(total.hexdigest().encode())


def test_an_unknown_kind_of_node_is_named(here):
    said = r"network\.nodes\[7\]: expected the key 'kind' to be one of .*, got 'Fusion'"
    text = Path("network.json").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        qp.Network.from_json(text.replace('"kind":"Sum"', '"kind":"Fusion"'))
    rewritten("model.h5", "network", '"kind":"Sum"', '"kind":"Fusion"')
    with pytest.raises(FormatError, match=rf"model\.h5: {said}"):
        qp.load_checkpoint("model.h5")
    rewritten("integer.h5", "contents", '"kind": "IntSum"', '"kind": "IntFusion"')
    with pytest.raises(FormatError, match=rf"integer\.h5: .*{said.replace('Fusion', 'IntFusion')}"):
        qp.load_integer("integer.h5")


def test_an_unknown_field_is_named(here):
    rewritten("model.h5", "network", '"detach_reset":', '"attach_reset":')
    with pytest.raises(FormatError, match=r"network\.nodes\[2\]: unknown key 'attach_reset'"):
        qp.load_checkpoint("model.h5")
    rewritten("finished.h5", "about", '"history":', '"later": 1, "history":')
    with pytest.raises(FormatError, match="about: unknown key 'later'"):
        qp.load_checkpoint("finished.h5")
    rewritten("integer.h5", "contents", '"multiplier":', '"divisor":')
    with pytest.raises(FormatError, match=r"network\.nodes\[2\]: unknown key 'divisor'"):
        qp.load_integer("integer.h5")
    text = Path("study.toml").read_text(encoding="utf-8")
    Path("later.toml").write_text(text.replace("[lower]", "[lower]\nlater = 1"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"later\.toml: lower: unknown key 'later'"):
        qp.load_recipe("later.toml")


@pytest.mark.cli
def test_results_that_are_not_of_this_study_are_refused(here, qpsnn):
    words = ("ablate", "study.toml", "--out", "ablation", "--models", "A", "--seeds", 1, "--quiet")
    path = Path("ablation/results.json")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"clip_norm": 5.0', '"clip_norm": 6.0'), encoding="utf-8")
    code, _, said = qpsnn(*words)
    assert code == 2
    assert "recipe: expected this recipe, got another" in said
    path.write_text(text.replace('"before"', '"later"'), encoding="utf-8")
    code, _, said = qpsnn(*words)
    assert code == 2
    assert "not the results of an ablation" in said
    with h5py.File("sweep/first-pass-osbc-0.h5", "r+") as file:
        file.attrs["version"] = 2
    code, _, said = qpsnn(*SWEEP, "--bits", "4,2", "--quiet")
    assert code == 2
    assert "first-pass-osbc-0.h5.version: expected 1, got 2" in said
