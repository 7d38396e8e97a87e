"""What the neurons stand for, and how their spikes vote for a class. All sums are of integers, or in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, LabelError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Array, Doubles, Labels, Longs
from qpsnn_core.common.validation import check_at_least, described

NOBODY = -1


@dataclass(frozen=True)
class LabelledNeurons:
    """assignments: int64 `[neurons]`, the class of each; -1 if it never spiked.

    rates: float64 `[neurons, classes]`, its mean count per class. proportions: those, divided by their sum.
    """

    assignments: Labels
    proportions: Doubles
    rates: Doubles

    def all_activity(self, counts: Longs) -> Labels:
        """The class whose neurons spike most, on average: `[samples]`; of equal ones the lowest."""
        return _highest(self._per_neuron(_counted(counts, len(self.assignments)).astype(np.float64)))

    def proportion_weighting(self, counts: Longs) -> Labels:
        """As `all_activity`, each spike counted by the proportion of its neuron's class."""
        counted = _counted(counts, len(self.assignments)).astype(np.float64)
        share = np.where(self.assignments >= 0, self.proportions[np.arange(len(self.assignments)), self.assignments], 0)
        return _highest(self._per_neuron(counted * share))

    def _per_neuron(self, weighted: Doubles) -> Doubles:
        """The mean over each class's neurons, added neuron by neuron: `[samples, classes]`."""
        classes = self.proportions.shape[1]
        votes = np.zeros((len(weighted), classes))
        for neuron, label in enumerate(self.assignments):
            if label >= 0:
                votes[:, label] += weighted[:, neuron]
        there = np.bincount(self.assignments[self.assignments >= 0], minlength=classes)
        means: Doubles = votes / np.maximum(there, 1)
        return means


@dataclass(frozen=True)
class NGrams:
    """How often each sequence of `n` spikes came with each class.

    keys: int64, rising, the sequences as numbers in base `neurons`. scores: int64 `[keys, classes]`.
    """

    n: int
    neurons: int
    keys: Longs
    scores: Longs

    def vote(self, winners: Array) -> Labels:
        """The class with the highest sum of scores over a sample's sequences: `[samples]`; of equal ones the lowest."""
        votes = np.zeros((len(winners), self.scores.shape[1]), np.int64)
        for sample, fired in enumerate(winners):
            found = _sequences(fired, self.n, self.neurons)
            place = np.searchsorted(self.keys, found)
            inside = place < len(self.keys)
            known = place[inside][self.keys[place[inside]] == found[inside]]
            votes[sample] = self.scores[known].sum(0)
        return _highest(votes)


def label_neurons(counts: Longs, labels: Labels, classes: int) -> LabelledNeurons:
    """Each neuron gets the class in whose samples it spikes most, on average (of equal ones the lowest).

    counts: `[samples, neurons]`. labels: `[samples]`, 0 to classes - 1. Raises ConfigError, DataError, LabelError,
    ShapeError.
    """
    check_at_least("classes", classes, 1)
    counted = _counted(counts, counts.shape[-1] if isinstance(counts, np.ndarray) and counts.ndim else 0)
    found = _labels(labels, len(counted), classes)
    rates = np.zeros((counted.shape[1], classes))
    total = np.zeros(counted.shape[1])
    for label in range(classes):
        chosen = counted[found == label]
        rates[:, label] = chosen.sum(0) / max(len(chosen), 1)
        total += rates[:, label]
    proportions = rates / np.where(total > 0, total, 1)[:, None]
    return LabelledNeurons(np.where(total > 0, rates.argmax(1), NOBODY), proportions, rates)


def learn_ngrams(winners: Array, labels: Labels, classes: int, neurons: int, n: int = 2) -> NGrams:
    """The scores of all sequences of `n` spikes in a row. winners: `[samples, steps]`, -1 where nobody spiked."""
    check_at_least("classes", classes, 1)
    check_at_least("n", n, 1)
    if neurons**n >= 2**63:
        raise ConfigError(expected("n", f"fewer than 2**63 sequences of {neurons} neurons", n))
    found = _labels(labels, len(winners), classes)
    lists = [_sequences(fired, n, neurons) for fired in winners]
    whose = np.repeat(found, [len(one) for one in lists])
    keys, place = np.unique(np.concatenate(lists or [np.zeros(0, np.int64)]), return_inverse=True)
    scores = np.zeros((len(keys), classes), np.int64)
    np.add.at(scores, (place, whose), 1)
    return NGrams(n, neurons, keys, scores)


def _sequences(fired: Array, n: int, neurons: int) -> Longs:
    """Every `n` spikes in a row of one sample, as one number each."""
    order = fired[fired >= 0].astype(np.int64)
    count = max(len(order) - n + 1, 0)
    keys = np.zeros(count, np.int64)
    for k in range(n):
        keys = keys * neurons + order[k : k + count]
    return keys


def _counted(counts: Longs, neurons: int) -> Longs:
    if not isinstance(counts, np.ndarray) or counts.ndim != 2 or counts.dtype.kind not in "iu":
        raise DataError(expected("counts", "an array of integers [samples, neurons]", Unquoted(described(counts))))
    if counts.shape[1] != neurons:
        raise ShapeError(expected("counts", f"{neurons} neurons", counts.shape[1]))
    return counts


def _labels(labels: Labels, samples: int, classes: int) -> Labels:
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.shape != (samples,):
        raise DataError(expected("labels", f"integers [{samples}], one for each sample", Unquoted(described(labels))))
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise LabelError(expected(f"labels[{wrong[0]}]", f"0 to {classes - 1}", int(labels[wrong[0]])))
    return labels.astype(np.int64)


def _highest(votes: Array) -> Labels:
    found: Labels = votes.argmax(1).astype(np.int64)
    return found
