"""Anchors fit to the boxes of a set: k-means, then small random changes that are kept if they fit better.

As in YOLOv5's auto-anchor, with draws that the seed alone decides and sums in a fixed order.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.detection import LARGEST_RATIO, DetectionHead
from qpsnn_core.common.errors import DataError, Unquoted, expected
from qpsnn_core.common.types import Doubles
from qpsnn_core.common.validation import whole

from ..seeding import ANCHORS, permutation, uniforms

ROUNDS = 30
"""Of k-means, at most."""

CHANGES = 1000
"""Random changes of the anchors that are tried, as in YOLOv5."""

LARGEST_CHANGE = 0.2
"""A side is multiplied by a number that is drawn evenly from 1 - this to 1 + this, with CHANCE, else stays."""
CHANCE = 0.9

LEAST = 2.0
"""Pixels of an anchor's side."""

ENOUGH = 0.98
"""Best possible recall from which on anchors are good enough, as in YOLOv5."""


class AnchorFit(NamedTuple):
    """How well anchors fit boxes.

    recall: share of boxes that some anchor matches (`LARGEST_RATIO`), the best possible recall. fitness: mean over
    boxes of the best anchor's ratio, `min(w/a_w, a_w/w, h/a_h, a_h/h)`, counting those that match.
    """

    recall: float
    fitness: float


def anchor_fit(sides: Doubles, anchors: Doubles) -> AnchorFit:
    """sides: width and height of boxes, `[M, 2]`, in the pixels of anchors, `[A, 2]`. DataError: no boxes."""
    if not len(sides):
        raise DataError(expected("sides", "at least one box", Unquoted("none")))
    best = _best(sides, anchors)
    matched = best > 1 / LARGEST_RATIO
    return AnchorFit(int(matched.sum()) / len(best), math.fsum(best[matched].tolist()) / len(best))


def fit_anchors(sides: Doubles, count: int, seed: int) -> Doubles:
    """`count` anchors, `[count, 2]`, by rising area, for boxes of these widths and heights, `[M, 2]`.

    The same boxes, in this order, and seed give the same bits. Raises DataError: fewer different boxes than anchors.
    """
    whole("count", count, 1)
    sides = np.ascontiguousarray(sides, np.float64)
    different = len(np.unique(sides, axis=0))
    if different < count:
        raise DataError(expected("sides", f"at least {count} different boxes, as many as anchors", different))
    best = _means(sides, count, seed)
    fitness = anchor_fit(sides, best).fitness
    draws = uniforms(CHANGES * 4 * count, seed, ANCHORS, 1).reshape(CHANGES, 2, count, 2)
    for chance, amount in draws:
        gains = np.where(chance < CHANCE, 1 + LARGEST_CHANGE * (2 * amount - 1), 1.0)
        changed = np.maximum(best * gains, LEAST)
        found = anchor_fit(sides, changed).fitness
        if found > fitness:
            best, fitness = changed, found
    rising: Doubles = best[np.argsort(best[:, 0] * best[:, 1], kind="stable")]
    return rising


def fitted_head(head: DetectionHead, sides: Doubles, seed: int) -> DetectionHead:
    """The head itself if its anchors fit (recall above ENOUGH), else one with anchors that fit better, if there are.

    The smallest anchors are those of the finest map.
    """
    counts = [len(one) for one in head.anchors]
    given = np.array([pair for one in head.anchors for pair in one], np.float64)
    fit = anchor_fit(sides, given)
    if fit.recall > ENOUGH:
        return head
    found = fit_anchors(sides, sum(counts), seed)
    if anchor_fit(sides, found).recall <= fit.recall:
        return head
    levels = np.split(found, np.cumsum(counts)[:-1])
    anchors = tuple(tuple((float(w), float(h)) for w, h in one) for one in levels)
    return DetectionHead(head.classes, head.strides, anchors, head.decode)


def _best(sides: Doubles, anchors: Doubles) -> Doubles:
    """Of each box, the ratio of its best anchor."""
    ratio = sides[:, np.newaxis] / anchors
    found: Doubles = np.minimum(ratio, 1 / ratio).min(2).max(1)
    return found


def _means(sides: Doubles, count: int, seed: int) -> Doubles:
    """k-means of sides that are divided by their deviation; it begins with different boxes that the seed draws."""
    mean = np.array([math.fsum(column) / len(sides) for column in sides.T.tolist()])
    spread = [math.fsum(((column - at) ** 2).tolist()) / len(sides) for column, at in zip(sides.T, mean, strict=True)]
    scale = np.array([math.sqrt(one) or 1.0 for one in spread])
    points = sides / scale
    unique = np.unique(points, axis=0)
    centres = unique[np.sort(permutation(len(unique), seed, ANCHORS, 0)[:count])]
    for _ in range(ROUNDS):
        apart = points[:, np.newaxis] - centres
        nearest = (apart[..., 0] * apart[..., 0] + apart[..., 1] * apart[..., 1]).argmin(1)
        sizes = np.bincount(nearest, minlength=count)
        moved = centres.copy()  # a centre without points stays
        for axis in (0, 1):
            sums = np.bincount(nearest, points[:, axis], count)  # added in order
            moved[:, axis] = np.where(sizes > 0, sums / np.maximum(sizes, 1), centres[:, axis])
        if (moved == centres).all():
            break
        centres = moved
    means: Doubles = centres * scale
    return means
