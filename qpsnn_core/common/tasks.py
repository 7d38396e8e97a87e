"""What the labels of a set are: a class of each sample, several at once, or real numbers."""

from __future__ import annotations

CLASSIFICATION, MULTILABEL, REGRESSION = "classification", "multilabel", "regression"

TASKS = (CLASSIFICATION, MULTILABEL, REGRESSION)
