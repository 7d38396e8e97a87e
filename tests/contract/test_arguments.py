"""Every public verb and argument, given things of other kinds: a typed error, or a result where that is legal."""

from __future__ import annotations

import importlib.util
import inspect
import re
import shutil
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small

import qpsnn_core as qp
from qpsnn_core.common.errors import QpsnnError
from qpsnn_core.common.validation import GIVEN_BY
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_datasets import Dataset, Split

MODEL = small.model()
NETWORK = MODEL.network
DATA = small.dataset(8)
LOWERED = qp.lower(MODEL)
INTEGERS = LOWERED.network
IMAGES = DATA.images
LAYER = qp.initialise(qp.build("mlp", (4, 4, 1), 3, widths=(4,)))
CONFIG = qp.TrainConfig(epochs=1, batch=4)
PASS = qp.forward(MODEL, IMAGES, save_for_backward=True)
RECIPE = qp.recipe_from_dict(
    {
        "data": {"name": "digits", "limit": 8},
        "network": {"name": "mlp", "widths": [4], "steps": 1},
        "train": {"epochs": 1, "batch": 8},
    }
)
SCORES = qp.score(MODEL, DATA, batches=2, batch=4)
FREE = {"progress", "log"}
"""Callbacks, which are the caller's own code."""

VALID: dict[str, dict[str, Any]] = {
    "backward": {"model": MODEL, "done": PASS, "gradient": np.ones_like(PASS.logits)},
    "build": {"name": "mlp", "shape": (4, 4, 1), "classes": 3},
    "compress": {"model": MODEL, "images": DATA, "bits": 4, "method": "rtn"},
    "cost": {"network": NETWORK},
    "encode": {"data": DATA.images.astype(np.uint8), "coding": "poisson", "steps": 2, "seed": 1},
    "evaluate": {"model": MODEL, "data": DATA},
    "find_learning_rate": {"network": NETWORK, "data": DATA, "config": CONFIG, "updates": 20},
    "finetune": {"model": MODEL, "data": DATA, "config": CONFIG},
    "forward": {"model": MODEL, "images": IMAGES},
    "initialise": {"network": NETWORK},
    "inspect": {"model": MODEL, "images": DATA},
    "lift": {"network": qp.lower(qp.initialise(qp.build("mlp", (6, 6, 2), 3, widths=(4,)))).network, "images": DATA},
    "load_checkpoint": {"path": "a.h5"},
    "load_data": {"name": "digits", "limit": 20},
    "load_integer": {"path": "b.h5"},
    "load_model": {"path": "a.h5"},
    "load_network": {"path": "n.json"},
    "load_recipe": {"path": "r.toml"},
    "lower": {"model": MODEL},
    "paper_rates": {"name": "vgg16", "rates": 0.5},
    "predict": {"model": MODEL, "images": DATA},
    "prune": {"model": MODEL, "scores": SCORES, "rates": 0.5},
    "recalibrate": {"model": MODEL, "images": DATA},
    "recipe_from_dict": {"data": {}},
    "remove_channels": {"model": MODEL, "keep": {}},
    "requantize": {"model": MODEL, "bits": 4},
    "run": {"recipe": RECIPE, "out": "run"},
    "save_checkpoint": {"path": "c.h5", "checkpoint": qp.Checkpoint(MODEL)},
    "save_integer": {"path": "d.h5", "network": INTEGERS},
    "save_network": {"path": "e.json", "network": NETWORK},
    "score": {"model": MODEL, "images": DATA, "batches": 2, "batch": 4},
    "sequential": {"input_shape": (4, 4, 1), "layers": [qp.layers.Linear(3)]},
    "set_threads": {"count": 1},
    "simulate": {"network": INTEGERS, "images": IMAGES},
    "stability": {"scores": SCORES},
    "stream": {"network": INTEGERS, "recordings": [], "window": 1000},
    "surrogate": {"name": "mine", "derivative": lambda distance, width: max(width - abs(distance), 0.0)},
    "train": {"network": NETWORK, "data": DATA, "config": CONFIG},
    "Builder": {"input_shape": (4, 4, 1)},
    "Checkpoint": {"model": MODEL},
    "Dataset": {"images": IMAGES, "labels": DATA.labels, "classes": DATA.classes, "name": "x"},
    "Dataset.from_arrays": {"images": IMAGES, "labels": DATA.labels, "test": 0.5},
    "Dataset.from_folder": {"path": "pictures", "test": 0.5},
    "Split": {"train": DATA, "test": DATA},
    "FinetuneConfig": {},
    "MembraneQuantizer": {"low": -1, "high": 1},
    "IntegerNetwork": {"nodes": INTEGERS.nodes, "arrays": INTEGERS.arrays, "steps": INTEGERS.steps},
    "Network": {"nodes": NETWORK.nodes, "steps": 2},
    "Quantizer": {},
    "Recipe": {},
    "TrainConfig": {},
}
WITHOUT = {
    "Model": "a tuple of what verbs check",
    "download": "goes to the network",
    "errors": "a module",
    "layers": "a module",
    "plot": "a module",
    "zoo": "a module",
    "SpikingClassifier": "checks its arguments in fit, as scikit-learn wants it",
}
"""Public names that are not called here, and why."""

THINGS: dict[str, Any] = {
    "None": None,
    "a number": 3,
    "a fraction": -0.5,
    "a truth": True,
    "a word": "x",
    "a path": Path("nowhere") / "x.h5",
    "a list": [1],
    "a table": {"x": 1},
    "an array": np.zeros(3),
    "objects": np.array([None, "x"]),
    "a network": NETWORK,
    "a model": MODEL,
    "integers": INTEGERS,
    "lowered": LOWERED,
    "data": DATA,
    "a split": Split(DATA, DATA),
    "a function": len,
    "a class": Dataset,
    "a checkpoint": qp.Checkpoint(MODEL),
    "a model of nothing": qp.Model(None, {}, {}),  # type: ignore[arg-type]  # that is what is tested
    "a namespace": SimpleNamespace(name="x"),
}


def parameters(verb: str) -> list[str]:
    found = inspect.signature(attrgetter(verb)(qp)).parameters.values()
    assert all(one.kind is not one.VAR_KEYWORD for one in found), f"{verb} does not show its options"
    return [one.name for one in found if one.name not in FREE]


CASES = [(verb, name) for verb in VALID for name in parameters(verb)]


def call(verb: str, given: dict[str, Any]) -> Any:
    given = dict(given)
    rates = (given.pop("rates"),) if verb == "paper_rates" and "rates" in given else ()
    if given.get("done") is PASS:  # a pass of its own, as `discard` takes it apart
        given["done"] = PASS._replace(values=dict(PASS.values), caches=dict(PASS.caches))
    if rates:
        return qp.paper_rates(given["name"], *rates, *rates)
    done = attrgetter(verb)(qp)(**given)
    return list(done) if verb == "stream" else done


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with all that verbs load."""
    made = tmp_path_factory.mktemp("files")
    qp.save_checkpoint(made / "a.h5", qp.Checkpoint(MODEL))
    qp.save_integer(made / "b.h5", INTEGERS)
    qp.save_network(made / "n.json", NETWORK)
    (made / "r.toml").write_text("", encoding="utf-8")
    if importlib.util.find_spec("PIL"):
        from PIL import Image

        for index in range(4):
            (made / "pictures" / "xy"[index % 2]).mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), index).save(made / "pictures" / "xy"[index % 2] / f"{index}.png")
    return made


@pytest.fixture(autouse=True)
def folder(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)


def test_the_table_has_every_public_name():
    assert {*(name for name in VALID if "." not in name), *WITHOUT} == set(dir(qp))


@pytest.mark.filterwarnings("ignore::qpsnn_core.errors.QpsnnWarning")
@pytest.mark.parametrize("verb", VALID)
def test_the_arguments_that_others_are_put_among_are_legal(verb):
    call(verb, VALID[verb])


@pytest.mark.filterwarnings("ignore::qpsnn_core.errors.QpsnnWarning")
@pytest.mark.parametrize(("verb", "name"), CASES)
def test_a_thing_of_another_kind_is_refused_by_name_or_legal(verb, name):
    raw = []
    for kind, thing in THINGS.items():
        try:
            call(verb, {**VALID[verb], name: thing})
        except QpsnnError as error:
            raw += [f"{kind}: {error}"] if len(str(error)) > 600 else []
        except Exception as error:
            raw.append(f"{kind}: {type(error).__name__}: {error}"[:160])
    assert raw == []


@pytest.mark.filterwarnings("ignore::qpsnn_core.errors.QpsnnWarning")
@pytest.mark.parametrize("verb", [verb for verb in VALID if verb not in ("encode", "save_integer", "save_network")])
def test_what_comes_out_says_in_a_line_what_it_is(verb):
    """Not of plain tables by name and lists, which Python prints, but of what is in them."""
    found = call(verb, VALID[verb])
    for thing in found if isinstance(found, list) else [found]:
        if not isinstance(thing, dict):
            assert len(repr(thing)) < 200, repr(thing)
            assert "\n" not in repr(thing)


@pytest.mark.parametrize(
    "thing", [DATA, Split(DATA, DATA), MODEL, qp.Checkpoint(MODEL), LOWERED, LOWERED.report, PASS, SCORES, INTEGERS]
)
def test_so_do_the_things_that_verbs_take(thing):
    assert len(repr(thing)) < 200, repr(thing)
    assert type(thing).__name__ in repr(thing)


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (
            lambda: qp.evaluate(NETWORK, DATA),
            "evaluate.model: expected a Model (initialise(network), train(...).model or load_model(path) gives one) or "
            "an IntegerNetwork (lower(model).network or load_integer(path) gives one), got a Network",
        ),
        (lambda: qp.simulate(LOWERED, IMAGES), "got a Lowered (its .network is one)"),
        (lambda: qp.lower(qp.Checkpoint(MODEL)), "got a Checkpoint (its .model is one)"),
        (lambda: qp.initialise(MODEL), "got a Model (its .network is one)"),
        (lambda: qp.load_model(None), "load_checkpoint.path: expected a path, as a string or a pathlib.Path, got None"),
        (lambda: qp.build("mlp", (4, 4, 1), 3, bits=4), "got 'bits' (it is one of the quantizer: quantizer=Quantizer("),
        (lambda: qp.build("mlp", (4, 4, 1), 3, threshold=1.0), "(it is one of the neuron: neuron=Neuron("),
        (lambda: qp.build("mlp", (4, 4, 1), 3, step=4), "got 'step' (did you mean 'steps'?)"),
        (
            lambda: qp.build("mlp", (4, 4, 1), 3, bit=4),
            "(did you mean 'bits', one of the quantizer: quantizer=Quan",
        ),
        (lambda: qp.build("mlp", (4, 4, 1), 3, treshold=1.0), "(did you mean 'threshold', one of the neuron: neuron="),
        (lambda: qp.build("mlp", (4, 4, 1), 3, nothing_of_the_kind=1), "got 'nothing_of_the_kind'"),
        (
            lambda: qp.prune(LAYER, {"lif1": np.ones(4)}, rates=[0.5]),
            "rates: expected one number or none, as no layer can lose channels (the last one only with prune_last)",
        ),
        (lambda: qp.build("mlp", (4, 4, 1), 3, quantizer=4), "build.quantizer: expected a Quantizer, got 4"),
        (lambda: qp.finetune(MODEL, DATA, CONFIG, evry=1), "got 'evry' (did you mean 'every'?)"),
        (lambda: Recipe(data="digits"), "Recipe.data: expected a DataConfig, got a str 'digits'"),
    ],
)
def test_the_message_names_the_place_what_came_and_what_helps(refused, said):
    with pytest.raises(qp.errors.ConfigError) as error:
        refused()
    assert said in str(error.value)


def test_a_model_is_saved_as_a_checkpoint_of_it():
    qp.save_checkpoint("m.h5", MODEL)
    loaded = qp.load_checkpoint("m.h5")
    assert (loaded.model.network, loaded.history, loaded.recipe) == (NETWORK, (), {})


@pytest.mark.parametrize("name", ["/data/tinyimagenet", "sets/digit", "digits.npz", Path("tinyimagenet")])
def test_for_a_path_no_name_is_suggested(name):
    with pytest.raises(qp.errors.ConfigError) as error:
        qp.load_data(name)
    assert "did you mean" not in str(error.value)
    assert f"load_data('arrays', '{name}')" in str(error.value)


def test_what_gives_a_thing_is_public():
    for kind, words in GIVEN_BY.items():
        for verb in re.findall(r"([\w.]+)\(", words):
            assert callable(attrgetter(verb)(qp)), (kind, verb)


def numpys(value: Any) -> list[Any]:
    """A setting as NumPy's scalar, and as an array without axes; [] of what is no number or word."""
    kinds = {bool: np.bool_, int: np.int64, float: np.float64, str: np.str_}
    return [kinds[type(value)](value), np.array(value)] if type(value) in kinds else []


def settings(verb: str) -> dict[str, Any]:
    """The numbers, truth values and words that a verb takes: those of its valid call, else its defaults."""
    found = inspect.signature(attrgetter(verb)(qp)).parameters.items()
    known = {name: VALID[verb].get(name, one.default) for name, one in found}
    given = {"limit": 6, "seed": 1, "steps": 2, "size": 0} if verb in ("evaluate", "score", "load_data") else {}
    if verb == "load_data":
        del given["seed"]  # it draws the shares of one's own data, and is refused for others
    known |= {name: given[name] for name in known if name in given and known[name] is None}
    return {name: value for name, value in known.items() if numpys(value) and name not in ("path", "name", "out")}


@pytest.mark.filterwarnings("ignore::qpsnn_core.errors.QpsnnWarning")
@pytest.mark.parametrize("verb", [verb for verb in VALID if settings(verb)])
def test_a_setting_may_be_numpys_number(verb):
    """Users compute settings: `np.arange`, `len(x) / 2`, `np.mean`; no verb asks which library a number is of."""
    for name, value in settings(verb).items():
        for thing in numpys(value):
            call(verb, {**VALID[verb], name: thing})
