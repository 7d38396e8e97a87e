"""Labels and votes on figures that a reader can check."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError, LabelError, ShapeError
from qpsnn_core.local_learning import label_neurons, learn_ngrams

COUNTS = np.array([[4, 0, 1, 0], [2, 0, 1, 0], [0, 6, 2, 0]])
LABELS = np.array([0, 0, 1])


def test_a_neuron_gets_the_class_of_its_highest_mean():
    named = label_neurons(COUNTS, LABELS, 3)
    assert named.rates.tolist() == [[3, 0, 0], [0, 6, 0], [1, 2, 0], [0, 0, 0]]
    assert named.assignments.tolist() == [0, 1, 1, -1]
    np.testing.assert_allclose(named.proportions, [[1, 0, 0], [0, 1, 0], [1 / 3, 2 / 3, 0], [0, 0, 0]])


def test_votes_are_means_over_the_neurons_of_a_class():
    """Class 1 has two neurons: means 3 and 2.5, then 3 and 3 (the lowest), then 1 and (0 + 2/3*3)/2."""
    named = label_neurons(COUNTS, LABELS, 3)
    counts = np.array([[3, 5, 0, 9], [3, 5, 1, 9], [1, 0, 3, 9]])
    assert named.all_activity(counts).tolist() == [0, 0, 1]
    assert named.proportion_weighting(counts).tolist() == [0, 0, 0]


def test_of_equal_classes_the_lowest():
    named = label_neurons(np.array([[1], [1]]), np.array([1, 0]), 2)
    assert named.assignments.tolist() == [0]
    assert named.all_activity(np.array([[0]])).tolist() == [0]


def test_sequences_vote():
    winners = np.array([[0, -1, 1, 2], [0, 1, -1, -1], [2, 1, 0, -1]])
    scores = learn_ngrams(winners, np.array([0, 0, 1]), 2, 3)
    assert scores.keys.tolist() == [1, 3, 5, 7]
    assert scores.scores.tolist() == [[2, 0], [0, 1], [1, 0], [0, 1]]
    votes = scores.vote(np.array([[0, 1, 2, -1], [2, -1, 1, 0], [0, 0, 0, -1], [-1, -1, -1, -1]]))
    assert votes.tolist() == [0, 1, 0, 0]


def test_the_last_sequence_of_a_sample_counts():
    scores = learn_ngrams(np.array([[2, 1]]), np.array([1]), 2, 3)
    assert scores.vote(np.array([[2, 1]])).tolist() == [1]
    assert learn_ngrams(np.array([[2]]), np.array([1]), 2, 3).keys.tolist() == []


def test_triples_and_singles():
    winners = np.array([[0, 1, 2, 0]])
    assert learn_ngrams(winners, np.array([0]), 1, 3, n=3).keys.tolist() == [0 * 9 + 1 * 3 + 2, 1 * 9 + 2 * 3 + 0]
    assert learn_ngrams(winners, np.array([0]), 1, 3, n=1).scores.tolist() == [[2], [1], [1]]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: label_neurons(COUNTS, np.array([0, 0, 3]), 3), LabelError, r"labels\[2\]: expected 0 to 2, got 3"),
        (lambda: label_neurons(COUNTS, np.array([0, 0]), 3), DataError, "labels: expected integers"),
        (lambda: label_neurons(COUNTS * 0.5, LABELS, 3), DataError, "counts: expected an array of integers"),
        (lambda: label_neurons(COUNTS, LABELS, 0), ConfigError, "classes"),
        (lambda: label_neurons(COUNTS, LABELS, 3).all_activity(COUNTS[:, :3]), ShapeError, "4 neurons, got 3"),
        (lambda: learn_ngrams(np.zeros((1, 2), int), np.array([0]), 1, 400, n=8), ConfigError, "n: expected fewer"),
    ],
)
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call()
