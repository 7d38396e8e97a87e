"""A stated limit, the machine's memory, before any of it is taken: in every verb that takes as much as it is told."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import small

import qpsnn_core as qp
from qpsnn_core.common import memory
from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_core.common.foreign import VARIABLE
from qpsnn_core.network.graph import MOST_STEPS
from qpsnn_datasets.events import Recording, frames_by_count, frames_by_time, frames_in_bins, to_dataset


@pytest.mark.parametrize(("limit", "want"), [("123456", 123456), ("max", None), (None, None)])
def test_a_container_has_less(tmp_path, monkeypatch, limit, want):
    monkeypatch.setattr(memory, "CGROUP", tmp_path / "memory.max")
    if limit:
        memory.CGROUP.write_text(f"{limit}\n", encoding="ascii")
    found = memory.machine_bytes()
    assert found == want if want else found is None or found > 10**8


@pytest.mark.parametrize(
    ("there", "raised", "legal"), [(10, "", False), (11, "", True), (10, "11", True), (None, "", True)]
)
def test_the_limit_and_what_raises_it(monkeypatch, there, raised, legal):
    monkeypatch.setattr(memory, "machine_bytes", lambda: there)
    monkeypatch.setenv(VARIABLE, raised)
    if legal:
        memory.check_fits("here", {"a": 5, "b": 6}, DataError)
        return
    with pytest.raises(
        DataError, match=r"^here: expected at most .* that this machine has \(QPSNN_MAX_BYTES raises it"
    ):
        memory.check_fits("here", {"a": 5, "b": 6}, DataError)


RECORDING = Recording(np.array([0, 9]), np.array([0, 9]), np.array([0, 99]), np.array([0, 1]), (65536, 65536), label=0)
MODEL = small.model()
INTEGERS = qp.lower(MODEL).network
DATA = small.dataset(8)
IMAGES = np.zeros((4, *MODEL.network.input.shape), np.uint8)
TAKES = {
    "score": lambda: qp.score(MODEL, DATA),
    "compress": lambda: qp.compress(MODEL, DATA, sparsity=0.5),
    "compress: magnitude": lambda: qp.compress(MODEL, DATA, sparsity=0.5, method="magnitude"),
    "simulate": lambda: qp.simulate(INTEGERS, IMAGES),
    "evaluate": lambda: qp.evaluate(MODEL, DATA),
    "evaluate: integers": lambda: qp.evaluate(INTEGERS, DATA),
    "recalibrate": lambda: qp.recalibrate(MODEL, DATA),
    "frames_by_time": lambda: frames_by_time(RECORDING, 10),
    "frames_by_count": lambda: frames_by_count(RECORDING, 1),
    "frames_in_bins": lambda: frames_in_bins(RECORDING, 4),
    "to_dataset": lambda: to_dataset([RECORDING], 4),
}


@pytest.mark.parametrize("verb", TAKES)
def test_more_than_the_machine_has_is_refused_before_it_is_taken(monkeypatch, verb):
    monkeypatch.setattr(memory, "machine_bytes", lambda: 500)
    tracemalloc.start()
    with pytest.raises((ConfigError, DataError), match=r"expected at most the 0\.0 GB that this machine has"):
        TAKES[verb]()
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()


def test_frames_of_the_largest_sensor_are_refused_where_memory_has_no_room(monkeypatch):
    """65,536 x 65,536 pixels: 8.6 GB each, which NumPy gives without asking the machine."""
    monkeypatch.setattr(memory, "machine_bytes", lambda: 16 * 10**9)
    with pytest.raises(DataError, match=r"got at least 17\.2 GB, 17\.2 GB of it for frames \[2, 65536, 65536, 2\]"):
        frames_in_bins(RECORDING, 2)


def test_integers_of_vast_maps_or_recordings_are_refused(monkeypatch):
    """What a file says of its input costs the file nothing."""
    monkeypatch.setattr(memory, "machine_bytes", lambda: 10**6)
    long = qp.lower(MODEL._replace(network=qp.Network(MODEL.network.nodes, 20_000))).network
    with pytest.raises(ConfigError, match="simulate: one image: expected at most"):
        qp.simulate(long, IMAGES)
    with pytest.raises(ConfigError, match=r"simulate: what is recorded of 4000 images: .* GB of it for "):
        qp.simulate(INTEGERS, np.repeat(IMAGES, 1000, 0), record="all")


@pytest.mark.parametrize("steps", [MOST_STEPS + 1, 10**12])
def test_recipes_of_vast_steps_are_refused_where_they_are_read(tmp_path, steps):
    """Training refused them, after everything else was loaded."""
    (tmp_path / "r.toml").write_text(f"[network]\nsteps = {steps}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"r\.toml: network\.steps: expected at most 65,536, got"):
        qp.load_recipe(tmp_path / "r.toml")
    (tmp_path / "r.toml").write_text(f"[finetune]\nsteps = {steps}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"r\.toml: finetune\.steps: expected at most 65,536, got"):
        qp.load_recipe(tmp_path / "r.toml")
    assert replace(qp.FinetuneConfig(), steps=MOST_STEPS).steps == MOST_STEPS
