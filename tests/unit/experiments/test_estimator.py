"""A spiking network among scikit-learn's estimators: its own checks, a search, a pipeline, images, integers."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import qpsnn_core as qp
from qpsnn_core.common.errors import ArgumentError, ConfigError, DataError
from qpsnn_core.layers import LIF, Conv, Linear, MaxPool

IRIS = load_iris()
QUICK = qp.SpikingClassifier(epochs=4, steps=2)


def small_net(shape, classes):
    return qp.sequential(shape, [Linear(16), LIF(), Linear(classes)], steps=2)


CHECKS = list(estimator_checks_generator(qp.SpikingClassifier(small_net, epochs=15)))

EXPECTED_FAILURES: dict[str, str] = {}
"""Checks of scikit-learn that fail, and why: none."""


def name_of(check):
    return getattr(getattr(check, "func", check), "__name__", "")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::qpsnn_core.errors.QpsnnWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=name_of)
def test_it_passes_the_checks_of_scikit_learn(estimator, check):
    if name_of(check) in EXPECTED_FAILURES:
        pytest.xfail(EXPECTED_FAILURES[name_of(check)])
    check(estimator)


def large_net(shape, classes):
    return qp.sequential(shape, [Linear(256), LIF(), Linear(classes)], steps=4)


def conv_net(shape, classes):
    return qp.sequential(shape, [Conv(4), LIF(), MaxPool(2), Linear(classes)], steps=2)


def test_words_are_classes_and_probabilities_are_in_their_order():
    words = np.array(["setosa", "versicolor", "virginica"])[IRIS.target]
    found = qp.SpikingClassifier(small_net, epochs=30, random_state=1).fit(IRIS.data, words)
    assert found.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    odds = found.predict_proba(IRIS.data)
    np.testing.assert_array_equal(found.classes_[odds.argmax(1)], found.predict(IRIS.data))
    assert found.score(IRIS.data, words) > 0.9
    assert len(found.history_) == 30
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict_proba(IRIS.data), odds)


def test_the_integers_answer_where_they_are_asked_for():
    found = qp.SpikingClassifier(small_net, epochs=5, integers=True).fit(IRIS.data, IRIS.target)
    images = found._images(IRIS.data)
    np.testing.assert_array_equal(found.predict(IRIS.data), qp.predict(found.integers_, images).labels)
    assert qp.SpikingClassifier(small_net, epochs=1).fit(IRIS.data, IRIS.target).integers_ is None


def test_columns_become_integers_between_their_smallest_and_largest_number():
    table = np.array([[0.0, -1.0, 5.0], [1.0, 0.0, 5.0], [2.0, 1.0, 5.0]])
    found = qp.SpikingClassifier(small_net, epochs=1, batch=1).fit(table, [0, 1, 0])
    codes = found._images(np.array([[0.5, 2.0, 9.0], [-1.0, 0.0, 5.0]]))
    assert codes.shape == (2, 1, 1, 3)
    assert codes.reshape(2, 3).tolist() == [[64, 255, 255], [0, 128, 0]]


@pytest.mark.slow
def test_it_takes_part_in_searches_and_pipelines():
    search = GridSearchCV(clone(QUICK), {"lr": [0.003, 0.03], "steps": [1, 2]}, cv=3)
    search.fit(IRIS.data, IRIS.target)
    assert set(search.best_params_) == {"lr", "steps"}
    line = make_pipeline(StandardScaler(), qp.SpikingClassifier(large_net))
    assert cross_val_score(line, IRIS.data, IRIS.target, cv=3).mean() > 0.85


def test_images_are_taken_as_they_are():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 128, (40, 6, 6)).astype(np.uint8)
    labels = np.arange(40) % 2
    images[labels == 1, :3] += 127
    found = qp.SpikingClassifier(conv_net, epochs=10, batch=8).fit(images, labels)
    assert found.low_ is None
    assert found.model_.network.input.shape == (6, 6, 1)
    assert found.score(images, labels) > 0.9
    np.testing.assert_array_equal(found.predict(images), qp.predict(found.model_, images[..., None]).labels)
    with pytest.raises(DataError, match="X: expected uint8, as fit had, got float64"):
        found.predict(images / 255)


def recurrent(shape, classes):
    return qp.sequential(shape, [Linear(8), LIF(), Linear(classes)], steps=5)


def test_it_takes_the_shapes_of_from_arrays():
    """Series in time, a map, channels first, frames of counts: as `Dataset.from_arrays` reads them."""
    rng = np.random.default_rng(0)
    labels = np.arange(20) % 2
    series = rng.normal(0, 1, (20, 5, 3)) + labels[:, None, None]
    found = qp.SpikingClassifier(recurrent, epochs=2, batch=8, series="frames").fit(series, labels)
    assert found._images(series).shape == (20, 5, 1, 1, 3)
    assert found.predict(series).shape == (20,)
    spread = qp.SpikingClassifier(small_net, epochs=1, batch=8, series="map").fit(series, labels)
    assert spread.model_.network.input.shape == (1, 5, 3)
    one = np.array([spread.low_, spread.high_])
    assert one.shape == (2,)
    first = rng.integers(0, 256, (20, 3, 6, 6)).astype(np.uint8)
    with pytest.raises(DataError, match="X: expected channels last; say channels='first'"):
        qp.SpikingClassifier(small_net).fit(first, labels)
    taken = qp.SpikingClassifier(small_net, epochs=1, batch=8, channels="first").fit(first, labels)
    assert taken.model_.network.input.shape == (6, 6, 3)
    counts = rng.integers(0, 2, (20, 5, 4, 4, 2)).astype(np.uint8)
    seen = qp.SpikingClassifier("mlp", steps=5, epochs=1, batch=8).fit(counts, labels)
    assert seen.model_.network.input.spikes


def test_the_same_seed_gives_the_same_answers():
    one, other = (clone(QUICK).fit(IRIS.data, IRIS.target).predict_proba(IRIS.data) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    another = clone(QUICK).set_params(random_state=np.random.RandomState(3)).fit(IRIS.data, IRIS.target)
    assert (another.predict_proba(IRIS.data) != one).any()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"network": 3},
            ArgumentError,
            "SpikingClassifier.network: expected a name of the zoo",
        ),
        ({"network": "mlq"}, ConfigError, "did you mean 'mlp'?"),
        (
            {"network": lambda shape, classes: None},
            ArgumentError,
            "SpikingClassifier.network(shape, classes)",
        ),
        ({"bits": 9}, ConfigError, "SpikingClassifier.bits: expected an integer from 2 to 8, or 32, got 9"),
        ({"epochs": 0}, ConfigError, "TrainConfig.epochs: expected an integer of at least 1"),
        ({"integers": 1}, ArgumentError, "SpikingClassifier.integers: expected a bool"),
    ],
)
def test_settings_are_checked_when_it_is_fitted(settings, error, message):
    made = qp.SpikingClassifier(**settings)
    with pytest.raises(error) as caught:
        made.fit(IRIS.data, IRIS.target)
    assert message in str(caught.value)


def test_without_scikit_learn_the_command_that_installs_it_is_named():
    code = """
import sys
sys.modules["sklearn"] = None
import qpsnn_core as qp
try:
    qp.SpikingClassifier()
except qp.errors.DataError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("SpikingClassifier: expected scikit-learn 1.6 or newer, whose estimator it is (")
    assert "data]" in done.stdout
