"""A store as data to train on: its parts, its frames, what lies on the disk, and the whole way to integers."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, DataError, LabelError
from qpsnn_core.experiments.stages import data_for, network_for
from qpsnn_core.recipes.data import DataConfig
from qpsnn_core.recipes.network import NetworkConfig
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_datasets import load_data
from qpsnn_datasets.events import Recording, event_writer, frames_in_bins, resize

SENSOR = (12, 10)


def recording(number, label):
    """Label 1 fires in the lower half, label 0 in the upper."""
    rng = np.random.default_rng(number)
    count = 40 + number
    y = rng.integers(0, SENSOR[0] // 2, count) + (SENSOR[0] // 2 if label == 1 else 0)
    t = np.sort(rng.integers(0, 1000, count))
    return Recording(rng.integers(0, SENSOR[1], count), y, t, rng.random(count) < 0.5, SENSOR, label, f"r{number}")


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "few.h5"
    with event_writer(path, ["up", "down"]) as writer:
        for number in range(40):
            writer.add(recording(number, number % 2), "test" if number >= 30 else "train")
    return path


def test_the_parts_and_frames_are_the_stores(store):
    split = load_data("events", store, steps=3, frames="count")
    assert [len(part) for part in split] == [30, 10]
    assert split.train.classes == ("up", "down")
    assert split.train.sample_shape == (3, *SENSOR, 2)
    for place, number in ((split.test.images[2], 32), (split.train.images[7], 7)):
        np.testing.assert_array_equal(place, frames_in_bins(recording(number, number % 2), 3, by="count"))
    by_time = load_data("events", store, steps=3).test.images[2]
    np.testing.assert_array_equal(by_time, frames_in_bins(recording(32, 0), 3, by="time"))
    assert (by_time != split.test.images[2]).any()


def test_frames_lie_in_a_mapped_file_that_is_gone(store, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "here"))
    (tmp_path / "here").mkdir()
    images = load_data("events", store).train.images
    while images is not None and not isinstance(images, np.memmap):
        images = images.base
    assert isinstance(images, np.memmap)
    assert not list((tmp_path / "here").iterdir())


def test_a_smaller_sensor_sums_pixels(store):
    split = load_data("events", store, steps=2, size=5)
    assert split.train.sample_shape == (2, 5, 5, 2)
    small = resize(recording(0, 0), 5, 5)
    np.testing.assert_array_equal(split.train.images[0], frames_in_bins(small, 2))
    assert split.train.images[0].sum() == len(small)
    rows = [int(y) * 5 // 12 for y in recording(0, 0).y]
    assert small.y.tolist() == rows


def test_a_limit_takes_each_class_in_its_proportion(store):
    split = load_data("events", store, limit=6)
    assert [np.bincount(part.labels).tolist() for part in split] == [[3, 3], [3, 3]]


def test_without_a_test_part_a_tenth_is_held_out(tmp_path):
    with event_writer(tmp_path / "none.h5", ["up", "down"]) as writer:
        for number in range(40):
            writer.add(recording(number, number % 2))
    split = load_data("events", tmp_path / "none.h5")
    assert [np.bincount(part.labels).tolist() for part in split] == [[18, 18], [2, 2]]
    again = load_data("events", tmp_path / "none.h5")
    np.testing.assert_array_equal(again.test.images, split.test.images)


def test_what_is_wrong_is_named(store, tmp_path):
    with pytest.raises(ConfigError, match="frames: expected one of time, count, got 'events'"):
        load_data("events", store, frames="events")
    with pytest.raises(ConfigError, match="size: expected a whole number of at least 0, got -1"):
        load_data("events", store, size=-1)
    with pytest.raises(ConfigError, match=r"DataConfig\.frames: expected one of .*time.*count"):
        DataConfig(frames="bins")
    with event_writer(tmp_path / "test.h5", ["up"]) as writer:
        writer.add(recording(0, 0), "test")
    with pytest.raises(DataError, match=r"test\.h5: train: expected at least one recording, got none"):
        load_data("events", tmp_path / "test.h5")
    with event_writer(tmp_path / "bare.h5", []) as writer:
        for number in range(20):
            writer.add(recording(number, -1))
    with pytest.raises(LabelError, match=r"bare\.train\[0\] \(r0\)\.label: expected a label of at least 0"):
        load_data("events", tmp_path / "bare.h5")


def test_a_recipe_trains_prunes_and_lowers_on_a_store(store):
    recipe = Recipe(
        network=NetworkConfig(width=0.125, steps=3),
        data=DataConfig(name="events", path=str(store), frames="count", size=8),
        train=TrainConfig(epochs=8, batch=10, optimizer="adam", lr=0.01),
    )
    data = data_for(recipe)
    trained = qp.train(network_for(recipe, data), data.train, recipe.train).model
    pruned = qp.prune(trained, qp.score(trained, data.train, batches=2, batch=10), 0.5).model
    tuned = qp.finetune(pruned, data.train, replace(recipe.finetune, epochs=4, batch=10, lr=0.005)).model
    network = qp.lower(tuned).network
    assert qp.evaluate(network, data.test).accuracy == qp.evaluate(tuned, data.test).accuracy
    assert qp.evaluate(network, data.test).accuracy >= 0.9


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read from Linux's /proc")
def test_training_from_a_store_ten_times_larger_takes_no_more_memory(tmp_path):
    """Anonymous memory: what cannot be given back to the disk."""
    script = textwrap.dedent(
        """
        import sys
        import numpy as np
        import qpsnn_core as qp
        from qpsnn_core.recipes.recipe import TrainConfig
        from qpsnn_datasets import load_data
        from qpsnn_datasets.events import Recording, event_writer

        path, count = sys.argv[1], int(sys.argv[2])
        rng = np.random.default_rng(0)
        with event_writer(path, ["a", "b"]) as writer:
            for number in range(count):
                x, y = rng.integers(0, 64, (2, 2000))
                t = np.sort(rng.integers(0, 1000, 2000))
                writer.add(Recording(x, y, t, x > 32, (64, 64), number % 2, str(number)), "train")
                if number < 4:
                    writer.add(Recording(x, y, t, x > 32, (64, 64), number % 2, str(number)), "test")

        def anonymous():
            lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
            return int(lines["RssAnon"].split()[0])

        qp.set_threads(1)
        data = load_data("events", path, steps=16)
        network = qp.build("vgg_small", (64, 64, 2), 2, width=0.125, steps=16, events=True)
        qp.train(network, data.train.take(range(24)), TrainConfig(epochs=1, batch=4))
        before = anonymous()
        qp.train(network, data.train, TrainConfig(epochs=1, batch=4))
        print(anonymous() - before, data.train.images.nbytes // 1024)
        """
    )
    grown = []
    for count in (40, 400):
        words = [sys.executable, "-c", script, str(tmp_path / f"{count}.h5"), str(count)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr
        grown.append(tuple(map(int, done.stdout.split())))
    (few, few_frames), (many, many_frames) = grown
    assert many_frames == 10 * few_frames
    assert many - few < (many_frames - few_frames) / 5
