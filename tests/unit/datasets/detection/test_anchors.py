"""Anchors fit to boxes: what fits is measured by hand, and the same seed gives the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.common.detection import DetectionHead
from qpsnn_core.common.errors import DataError
from qpsnn_datasets.detection import anchors as module
from qpsnn_datasets.detection.anchors import anchor_fit, fit_anchors, fitted_head


def test_fit():
    sides = np.array([[10.0, 10], [20, 10], [50, 10], [9, 90]])
    fit = anchor_fit(sides, np.array([[10.0, 10], [12, 40]]))
    assert fit.recall == 3 / 4  # 50 is five times 10, and more than four times 12
    assert fit.fitness == pytest.approx((1 + 0.5 + 40 / 90) / 4)


def test_anchors_find_clusters(monkeypatch):
    monkeypatch.setattr(module, "CHANGES", 50)
    rng = np.random.default_rng(0)
    centres = np.array([[10.0, 14], [40, 30], [120, 200]])
    sides = (centres[rng.integers(0, 3, 300)] * rng.uniform(0.9, 1.1, (300, 2))).round(2)
    found = fit_anchors(sides, 3, 4)
    assert (np.abs(found / centres - 1) < 0.06).all()
    np.testing.assert_array_equal(found, fit_anchors(sides, 3, 4))
    assert anchor_fit(sides, found).recall == 1


def test_changes_never_fit_worse(monkeypatch):
    rng = np.random.default_rng(1)
    sides = rng.uniform(4, 200, (80, 2))
    fits = []
    for changes in (0, 40):
        monkeypatch.setattr(module, "CHANGES", changes)
        found = fit_anchors(sides, 4, 0)
        fits.append(anchor_fit(sides, found).fitness)
    assert fits[1] > fits[0]
    assert (fit_anchors(sides, 4, 1) != found).any()


def test_a_head_that_fits_stays(monkeypatch):
    monkeypatch.setattr(module, "CHANGES", 20)
    rng = np.random.default_rng(2)
    head = DetectionHead(2)
    assert fitted_head(head, rng.uniform(20, 100, (50, 2)), 0) is head
    tiny = rng.uniform(2.5, 5, (50, 2))
    found = fitted_head(head, tiny, 0)
    assert (found.classes, found.strides, found.decode) == (2, (16, 32), "v5")
    flat = np.array([pair for one in found.anchors for pair in one])
    assert [len(one) for one in found.anchors] == [3, 3]
    assert anchor_fit(tiny, flat).recall > 0.9
    assert (np.diff(flat[:, 0] * flat[:, 1]) >= 0).all()


def test_too_few_boxes():
    with pytest.raises(DataError, match="sides: expected at least 3 different boxes, as many as anchors, got 1"):
        fit_anchors(np.ones((5, 2)), 3, 0)
    with pytest.raises(DataError, match="sides: expected at least one box"):
        anchor_fit(np.zeros((0, 2)), np.ones((1, 2)))
