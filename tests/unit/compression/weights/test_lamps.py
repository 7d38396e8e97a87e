"""LAMPS by its definition, in loops, with layers of one weight and of zeros."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.compression.weights.eliminate import lamps, uniform


def by_loops(weights, sparsity):
    """All weights of the network by their scores, the largest of a layer never first; counts by layer."""
    scored = []
    for place, (name, weight) in enumerate(weights.items()):
        squares = sorted(float(w) ** 2 for w in weight.reshape(-1))
        for i, square in enumerate(squares):
            rest = sum(squares[i:])
            largest = i == len(squares) - 1
            scored.append((1.0 if largest else square / rest if rest else 0.0, place, i, name))
    gone = sorted(scored)[: round(sparsity * len(scored))]
    return {name: sum(one[3] == name for one in gone) for name in weights}


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.8])
def test_against_loops(sparsity):
    rng = np.random.default_rng(0)
    weights = {
        "wide": rng.normal(size=(6, 7)),
        "one": np.array([[0.01]]),
        "strong": 10 * rng.normal(size=(3, 4)),
        "zeros": np.zeros((2, 3)),
        "two": np.array([[3.0, -1.0]]),
    }
    found = lamps(weights, sparsity)
    assert found == by_loops(weights, sparsity)
    assert found["one"] == 0
    assert sum(found.values()) == round(sparsity * 63)


def test_uniform():
    assert uniform({"a": np.ones((2, 5)), "b": np.ones((4, 5))}, 0.3) == {"a": 3, "b": 6}
