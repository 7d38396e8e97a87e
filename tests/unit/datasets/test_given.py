"""Your own arrays: shapes, labels, shares and numbers become a Split, or an error that says what to write instead."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from qpsnn_core.common.errors import ClippedImagesWarning, ConfigError, DataError, LabelError
from qpsnn_datasets import Dataset
from qpsnn_datasets.given_labels import labels_of
from qpsnn_datasets.given_shapes import shaped

RNG = np.random.default_rng(0)


def bytes_of(*shape):
    return RNG.integers(0, 256, shape).astype(np.uint8)


def split(images, labels=None, **options):
    labels = np.arange(len(images)) % 2 if labels is None else labels
    return Dataset.from_arrays(images, labels, **{"test": 0.25, "name": "mine", **options})


@pytest.mark.parametrize(
    ("given", "options", "becomes"),
    [
        ((8, 5, 6, 3), {}, (5, 6, 3)),
        ((8, 3, 9, 6), {"channels": "first"}, (9, 6, 3)),
        ((8, 3, 9, 6), {"channels": "last"}, (3, 9, 6)),
        ((8, 5, 6), {}, (5, 6, 1)),
        ((8, 4, 5, 6, 2), {}, (4, 5, 6, 2)),
        ((8, 4, 2, 5, 6), {"channels": "first"}, (4, 5, 6, 2)),
        ((8, 7), {}, (1, 1, 7)),
        ((8, 7), {"series": "frames"}, (7, 1, 1, 1)),
        ((8, 7), {"series": "map"}, (1, 7, 1)),
        ((8, 7, 3), {"series": "frames"}, (7, 1, 1, 3)),
        ((8, 7, 3), {"series": "map"}, (1, 7, 3)),
    ],
)
def test_each_shape_becomes_what_is_documented_and_no_number_moves(given, options, becomes):
    images = bytes_of(*given)
    found = shaped("x", images, **options)
    assert found.shape[1:] == becomes
    order = np.moveaxis(images, -3, -1) if options.get("channels") == "first" else images
    np.testing.assert_array_equal(found.reshape(8, -1), order.reshape(8, -1))
    assert split(images, **options).train.sample_shape == becomes
    np.testing.assert_array_equal(shaped("x", images.tolist(), **options), found)


@pytest.mark.parametrize(
    ("given", "options", "error", "said"),
    [
        ((8, 3, 32, 30), {}, DataError, r"channels last; say channels='first'.* which looks like channels first"),
        ((8, 5, 1, 32, 30), {}, DataError, "looks like channels first"),
        ((8,), {}, DataError, r"expected \[N, H, W, C\] or \[N, H, W\] images, .* series='frames' or 'map', got shape"),
        ((8, 2, 2, 2, 2, 2), {}, DataError, "got shape"),
        ((8, 5, 6, 3), {"series": "frames"}, ConfigError, "series: expected no series with images"),
        ((8, 5), {"channels": "last"}, ConfigError, "channels: expected no channels"),
        ((8, 5), {"series": "time"}, ConfigError, "series: expected one of frames, map, got 'time'"),
        ((8, 5, 6, 3), {"channels": "frist"}, ConfigError, r"channels: expected one of last, first.*did you mean"),
    ],
)
def test_what_is_ambiguous_or_wrong_says_what_to_write(given, options, error, said):
    with pytest.raises(error, match=said):
        shaped("x", bytes_of(*given), **options)


@pytest.mark.parametrize(
    ("labels", "classes", "found", "names"),
    [
        ([0, 1, 2, 0], None, [0, 1, 2, 0], ("0", "1", "2")),
        (np.array([0, 1, 2, 0], np.uint8), ("a", "b", "c", "d"), [0, 1, 2, 0], ("a", "b", "c", "d")),
        (["no", "yes", "no", "maybe"], None, [1, 2, 1, 0], ("maybe", "no", "yes")),
        (["no", "yes", "no", "yes"], ("yes", "no"), [1, 0, 1, 0], ("yes", "no")),
        (np.array(["b", "a", "b", "a"], object), None, [1, 0, 1, 0], ("a", "b")),
        (np.array([b"b", b"a", b"b", b"a"]), None, [1, 0, 1, 0], ("a", "b")),
        ([True, False, False, True], None, [1, 0, 0, 1], ("False", "True")),
        (np.array([True, False, False, True]), ("off", "on"), [1, 0, 0, 1], ("off", "on")),
        (np.eye(4)[[2, 0, 1, 1]], None, [2, 0, 1, 1], ("0", "1", "2", "3")),
        (np.eye(3, dtype=int)[[2, 0, 1, 1]], ("a", "b", "c"), [2, 0, 1, 1], ("a", "b", "c")),
        ([[1], [0], [1], [0]], None, [1, 0, 1, 0], ("0", "1")),
    ],
)
def test_labels_of_every_kind(labels, classes, found, names):
    (comp,), called = labels_of([("x", labels)], classes)
    assert (comp.tolist(), called, comp.dtype) == (found, names, np.int64)


@pytest.mark.parametrize(
    ("labels", "classes", "error", "said"),
    [
        ([0.0, 1.0], None, DataError, r"x: expected integers, strings.*labels.astype\(int\)"),
        ([0.5, 1.0], None, DataError, "x: expected integers, strings"),
        (
            [[1, 1], [0, 1]],
            None,
            LabelError,
            r"x\[0\]: expected a row of zeros with a single 1 .one-hot., got \[1, 1\]",
        ),
        ([[0.5, 0.5], [0, 1]], None, LabelError, r"x\[0\]: expected a row of zeros"),
        ([0, -1], None, LabelError, r"x\[1\]: expected 0 to 0 .*got -1"),
        ([0, 2], ("a", "b"), LabelError, r"x\[1\]: expected 0 to 1"),
        ([0, 2**20], None, LabelError, r"x\[1\]: expected 0 to 65535, as classes have no names"),
        (["a", "yess"], ("a", "yes"), LabelError, r"x\[1\]: expected one of the classes a, yes, .*did you mean 'yes'"),
        ([0, "a", None], None, DataError, "x: expected integers, strings"),
        (None, None, DataError, "x: expected integers, strings.*got None"),
        (["a", 1, "a"], None, DataError, r"x\[1\]: expected a string, as x\[0\] is one, got 1"),
        ([2.5, "a"], None, DataError, r"x\[0\]: expected a string, as x\[1\] is one, got 2.5"),
        ([[0, 1], [0]], None, DataError, "x: expected integers, strings"),
        (["a"], "ab", DataError, "classes: expected names"),
    ],
)
def test_labels_that_are_none_are_named(labels, classes, error, said):
    with pytest.raises(error, match=said):
        labels_of([("x", labels)], classes)


def test_words_of_all_parts_are_classes_and_kinds_are_not_mixed():
    found, names = labels_of([("train", ["b", "c"]), ("test", ["a"])], None)
    assert (names, [one.tolist() for one in found]) == (("a", "b", "c"), [[1, 2], [0]])
    assert labels_of([("train", ["b"])], None, ("c", "b"))[1] == ("c", "b")
    with pytest.raises(DataError, match="train: expected labels of one kind in all parts"):
        labels_of([("train", ["b", "c"]), ("test", [0])], None)


def test_shares_are_disjoint_complete_in_proportion_and_the_same_again():
    labels = np.repeat([0, 1, 2], (60, 30, 10))
    images = np.arange(100, dtype=np.uint8)[:, None]
    made = split(images, labels, test=0.2, validation=0.1, seed=3)
    again = split(images, labels, test=0.2, validation=0.1, seed=3)
    held = {name: part.images.ravel().tolist() for name, part in made.parts.items()}
    assert {name: len(one) for name, one in held.items()} == {"train": 70, "test": 20, "validation": 10}
    assert sorted(sample for part in held.values() for sample in part) == list(range(100))
    assert np.bincount(made.test.labels).tolist() == [12, 6, 2]
    assert np.bincount(made.validation.labels).tolist() == [6, 3, 1]
    assert held == {name: part.images.ravel().tolist() for name, part in again.parts.items()}
    other = split(images, labels, test=0.2, validation=0.1, seed=4)
    assert other.test.images.tolist() != made.test.images.tolist()
    assert list(made) == [made.train, made.test]


def test_parts_of_their_own_need_not_have_every_class():
    made = Dataset.from_arrays(
        bytes_of(4, 2, 2, 1), [0, 0, 0, 0], test=(bytes_of(2, 2, 2, 1), [0, 1]), validation=(bytes_of(1, 2, 2, 1), [0])
    )
    assert made.train.classes == made.test.classes == ("0", "1")
    assert (len(made.train), len(made.test), len(made.validation)) == (4, 2, 1)
    assert [part.name for part in made.parts.values()] == ["arrays.train", "arrays.test", "arrays.validation"]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"test": 1.5}, ConfigError, r"mine.test: expected \(images, labels\), or the share"),
        ({"test": 0.01}, ConfigError, "mine.test: expected 1 to 7 samples held out"),
        ({"test": True}, ConfigError, "mine.test"),
        ({"validation": 0.9}, ConfigError, "mine.validation: expected 1 to 5 samples"),
        ({"test": (bytes_of(2, 4, 4, 1),)}, ConfigError, r"test: expected \(images, labels\)"),
        (
            {"test": (bytes_of(2, 4, 5, 1), [0, 1])},
            DataError,
            r"mine.test.images: expected samples of shape \[4, 4, 1\]",
        ),
        (
            {"test": (bytes_of(2, 4, 4, 1), [0])},
            DataError,
            "mine.test.labels: expected one label for each of 2 samples",
        ),
        ({"test": (bytes_of(0, 4, 4, 1), np.zeros(0, int))}, DataError, "mine.test.images: expected at least one"),
        ({"test": (np.zeros((2, 4, 4, 1)), [0, 1])}, DataError, "mine.test.images: expected uint8, as in mine.train"),
        ({"seed": -1}, ConfigError, "seed"),
        ({"scale": "fine"}, ConfigError, "scale: expected a number, 'measured', or None, got 'fine'"),
        ({"scale": -1.0}, ConfigError, "scale: expected a positive number"),
        ({"signed": True}, DataError, "mine.train.images: expected no sign, as uint8 are intensities .*got uint8 with"),
        ({"signed": 1}, ConfigError, "signed: expected True, False, or None"),
    ],
)
def test_wrong_options_are_named(options, error, said):
    with pytest.raises(error, match=said):
        split(bytes_of(8, 4, 4, 1), **options)


def test_a_class_whose_only_sample_is_held_out_is_told():
    labels = np.array([0] * 9 + [1])
    with pytest.raises(DataError, match=r"expected samples of every class of mine\.test, .* got none of 1"):
        split(bytes_of(10, 2, 2, 1), labels, test=0.9)


def test_bytes_stay_and_mean_what_they_meant():
    images = bytes_of(8, 4, 4, 1)
    made = split(images)
    assert (made.train.scale, made.train.input_range, made.train.images.dtype) == (None, None, np.uint8)
    assert split(images, scale=0.25).train.input_range == (0, 255, 0.25)
    signed = split(images.view(np.int8), scale=0.25)
    assert signed.train.input_range == (-128, 127, 0.25)
    both = np.concatenate([signed.train.images, signed.test.images])
    assert sorted(both.ravel().tolist()) == sorted(images.view(np.int8).ravel().tolist())
    positive = split(np.abs(images.view(np.int8).astype(int)).clip(0, 127).astype(np.int8), scale=0.25)
    assert positive.train.images.dtype == np.int8
    for bytes_, options in ((images, {"scale": "measured"}), (images, {"scale": 1.0, "signed": True})):
        with pytest.raises(DataError, match=r"expected real numbers to measure or to give a sign .images\.astype"):
            split(bytes_, **options)
    for wrong in (images.view(np.int8), images / 255, images.astype(np.int64), images > 100):
        with pytest.raises(DataError, match=r"without a scale$"):
            split(wrong)


@pytest.mark.parametrize("signed", [True, False])
def test_the_scale_is_measured_on_the_training_part_alone(signed):
    images = RNG.normal(size=(40, 3)) if signed else RNG.random((40, 3))
    first = split(images, scale="measured")
    largest = first.train.scale * (127 if signed else 255)
    assert np.isclose(np.abs(first.train.images.astype(int)).max() * first.train.scale, largest)
    huge = images.copy()
    in_test = [
        row
        for row in range(40)
        if not (first.train.images == first.train.input_range.quantize(shaped("x", images[row : row + 1])))
        .all((1, 2, 3))
        .any()
    ]
    huge[in_test] *= 100
    with pytest.warns(ClippedImagesWarning, match=r"mine.test.images: \d+ of 30 numbers lie outside .* and were cut"):
        second = split(huge, scale="measured")
    assert second.train.scale == first.train.scale
    np.testing.assert_array_equal(second.train.images, first.train.images)
    assert np.isin(second.test.images, (-128, 127, 255, 0)).mean() > 0.9


def test_a_given_scale_is_taken_and_what_it_cuts_is_told():
    images = np.array([[-1.0, 0.5], [1.0, 0.25], [200.0, 0.0], [0.0, 0.0]])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        made = split(images, scale=1.0, test=(images[:1], [0]))
    assert [str(one.message).partition(" and")[0] for one in told] == [
        "mine.train.images: 1 of 8 numbers lie outside -128 to 127"
    ]
    assert made.train.images.ravel().tolist() == [-1, 0, 1, 0, 127, 0, 0, 0]
    assert split(np.abs(images) / 200, scale=1 / 255).train.images.dtype == np.uint8
    assert split(np.abs(images) / 200, scale=1 / 127, signed=True).train.images.dtype == np.int8


def test_numbers_that_are_none_are_refused():
    for wrong in (np.nan, np.inf):
        images = np.zeros((8, 3))
        images[2, 1] = wrong
        with pytest.raises(DataError, match=r"mine\.train\.images: expected finite numbers, got float64 with 1 NaN"):
            split(images, scale=1.0)
    with pytest.raises(DataError, match="to measure the scale with, got 0"):
        split(np.zeros((8, 3)), scale="measured")


def test_a_dataset_of_signed_images_has_a_scale_and_keeps_it():
    images, labels = RNG.integers(-128, 128, (6, 2, 2, 1)).astype(np.int8), np.arange(6) % 2
    with pytest.raises(
        DataError, match=r"x\.scale: expected the real number of one unit, as images are signed, got None"
    ):
        Dataset(images, labels, ("a", "b"), "x")
    data = Dataset(images, labels, ("a", "b"), "x", 0.5)
    assert repr(data) == "Dataset('x', images=(6, 2, 2, 1), each a grey image of 2 x 2, int8 of 0.5, classes=2)"
    assert data.take([0, 1]).input_range == data.split(0.5, 0).pooled().input_range == (-128, 127, 0.5)
    assert data.image_shape == (2, 2, 1)
