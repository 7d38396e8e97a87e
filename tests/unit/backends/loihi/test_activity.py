"""Spikes, operations, messages and energy of an image by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from qpsnn_backends.loihi.activity import activity
from qpsnn_backends.loihi.limits import LOIHI2
from qpsnn_core.common.errors import ConfigError, ShapeError


def parts():
    """Two sources of three and two neurons; two populations read the first, one the second."""
    first = SimpleNamespace(name="first", kind="neurons", shape=(1, 1, 3))
    second = SimpleNamespace(name="second", kind="neurons", shape=(1, 1, 2))
    fan = {"a": [1, 2, 3], "b": [10, 0, 0], "c": [5, 7]}
    fanout = {name: np.array(values).reshape(1, 1, -1) for name, values in fan.items()}
    read = [
        [SimpleNamespace(source="first", fanout=fanout["a"])],
        [SimpleNamespace(source="first", fanout=fanout["b"]), SimpleNamespace(source="second", fanout=fanout["c"])],
    ]
    placed = tuple(
        SimpleNamespace(population=SimpleNamespace(projections=projections, neurons=neurons))
        for projections, neurons in zip(read, (4, 6), strict=True)
    )
    reach = {"first": np.array([2, 1, 0]).reshape(1, 1, 3), "second": np.array([3, 1]).reshape(1, 1, 2)}
    counts = {"first": np.array([4, 8, 0]).reshape(1, 1, 3), "second": np.array([2, 6]).reshape(1, 1, 2)}
    return (first, second), placed, reach, counts


def test_by_hand():
    sources, placed, reach, counts = parts()
    found = activity(sources, placed, reach, counts, 2, 5, LOIHI2)
    assert found.spikes == {"first": pytest.approx(12 / 2 / 5), "second": pytest.approx(8 / 2 / 5)}
    assert found.synapses == (4 * 11 + 8 * 2 + 2 * 5 + 6 * 7) / 2
    assert found.messages == (4 * 2 + 8 * 1 + 2 * 3 + 6 * 1) / 2
    assert found.updates == 5 * 10
    assert found.energy_uj == pytest.approx((23.6 * 56 + 1.7 * 14 + 81 * 50) * 1e-6, rel=1e-12)


def test_an_image_of_graded_values_counts_one_spike_a_pixel_and_step():
    sources, placed, reach, counts = parts()
    graded = SimpleNamespace(name="first", kind="input", shape=(1, 1, 3), node=SimpleNamespace(peak=255, low=0))
    found = activity((graded, sources[1]), placed, reach, counts, 2, 5, LOIHI2)
    assert found.spikes["first"] == 3
    assert found.messages == (10 * (2 + 1 + 0) + 2 * 3 + 6 * 1) / 2


def test_counts_must_be_there_and_fit():
    sources, placed, reach, counts = parts()
    with pytest.raises(ConfigError, match="images: expected at least 1, got 0"):
        activity(sources, placed, reach, counts, 0, 5, LOIHI2)
    with pytest.raises(ConfigError, match=r"counts\.second: expected counted spikes, got nothing"):
        activity(sources, placed, reach, {"first": counts["first"]}, 2, 5, LOIHI2)
    for wrong in ((1, 1, 1), (1, 1, 3), (1, 2, 1), (2,)):
        with pytest.raises(ShapeError, match=r"counts\.second: expected an array \(1, 1, 2\)"):
            activity(sources, placed, reach, {**counts, "second": np.zeros(wrong)}, 2, 5, LOIHI2)
