"""Sets by name; the digits, which are the same everywhere."""

from __future__ import annotations

import hashlib
import sys

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_datasets import load_data


def test_digits_are_the_same_1437_and_360_everywhere():
    pytest.importorskip("sklearn", reason="the [data] extra is not installed (scikit-learn)")
    train, test = load_data("digits")
    assert train.images.shape == (1437, 8, 8, 1)
    assert test.images.shape == (360, 8, 8, 1)
    assert (train.images.min(), train.images.max()) == (0, 255)
    assert np.bincount(test.labels).tolist() == [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]
    bits = hashlib.sha256(test.images.tobytes() + test.labels.astype("<i8").tobytes()).hexdigest()
    assert bits.startswith("676f3082a2cca28a")
    assert train.classes == tuple("0123456789")


def test_digits_round_16_levels_to_nearest():
    sklearn_datasets = pytest.importorskip("sklearn.datasets", reason="the [data] extra is not installed")
    train, test = load_data("digits")
    comp = np.bincount(np.concatenate([train.images, test.images]).ravel(), minlength=256)
    levels = sklearn_datasets.load_digits().images.astype(int).ravel()
    assert comp.nonzero()[0].tolist() == [int(level * 255 / 16 + 0.5) for level in range(17)]
    assert comp[comp.nonzero()].tolist() == np.bincount(levels).tolist()


def test_digits_limited_keep_their_proportions():
    pytest.importorskip("sklearn", reason="the [data] extra is not installed (scikit-learn)")
    train, test = load_data("digits", limit=50)
    assert len(train) == len(test) == 50
    assert set(np.bincount(train.labels)) <= {4, 5, 6}


def test_digits_without_scikit_learn_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r"scikit-learn.*pip install .*\[data\]"):
        load_data("digits")


@pytest.mark.parametrize(
    ("name", "near"), [("digit", "digits"), ("MNIST", "mnist"), ("cifar-10", "cifar10"), ("cifr10", "cifar10")]
)
def test_an_unknown_name_gets_the_nearest(name, near):
    with pytest.raises(ConfigError, match=f"dataset name: .*got '{name}' .*did you mean '{near}'"):
        load_data(name)


def test_wrong_arguments_of_load_are_refused(tmp_path):
    for arguments, place in [
        (("zzzz",), "dataset name"),
        ((None,), "dataset name"),
        ((["digits"],), "dataset name"),
        (("mnist",), "mnist.path"),
        (("cifar10",), "cifar10.path"),
        (("digits", tmp_path), "digits.path"),
    ]:
        with pytest.raises(ConfigError, match=place):
            load_data(*arguments)
    for limit in (0, -1, 1.5, True):
        with pytest.raises(ConfigError, match="limit"):
            load_data("digits", limit=limit)
