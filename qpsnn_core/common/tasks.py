"""What the labels of a set are: a class of each sample, several at once, real numbers, or boxes."""

from __future__ import annotations

CLASSIFICATION, MULTILABEL, REGRESSION = "classification", "multilabel", "regression"

DETECTION = "detection"
"""Of a `DetectionDataset` alone, whose labels only say how many boxes an image has."""

TASKS = (CLASSIFICATION, MULTILABEL, REGRESSION)
