"""Boxes that overlap: intersection over union, suppression of weaker boxes, boxes found of those that are there.

A box is left, top, right, bottom. Products and sums are float64, one operation after another.
"""

from __future__ import annotations

from qpsnn_core.kernels.threads import kernel


@kernel
def overlap(first, i, second, j, one_sided):
    """Area of both over area of either, of box `first[i]` and `second[j]`; 0 where they share no pixel.

    first, second: float64 `[N, 4]`. one_sided: over the area of the first alone, as COCO has it for a crowd.
    """
    width = min(first[i, 2], second[j, 2]) - max(first[i, 0], second[j, 0])
    if width <= 0:
        return 0.0
    height = min(first[i, 3], second[j, 3]) - max(first[i, 1], second[j, 1])
    if height <= 0:
        return 0.0
    both = width * height
    area = (first[i, 2] - first[i, 0]) * (first[i, 3] - first[i, 1])
    if one_sided:
        return both / area
    return both / (area + (second[j, 2] - second[j, 0]) * (second[j, 3] - second[j, 1]) - both)


@kernel
def overlaps(first, second, crowd, out):
    """`out[i, j]` = `overlap` of `first[i]` and `second[j]`, one-sided where `crowd[j]`.

    first: float64 `[N, 4]`. second: float64 `[M, 4]`. crowd: uint8 `[M]`. out: float64 `[N, M]`, written.
    """
    for i in range(first.shape[0]):
        for j in range(second.shape[0]):
            out[i, j] = overlap(first, i, second, j, crowd[j] != 0)


@kernel
def suppress(boxes, classes, threshold, most, kept):
    """Non-maximum suppression: how many boxes stay, and `kept[:count]`, which; rising.

    A box goes if it overlaps one of its class that stays and comes before it by more than `threshold`.
    boxes: float64 `[N, 4]`, the best first. classes: int64 `[N]`. most: after so many it ends. kept: int64, written.
    """
    count = 0
    for i in range(boxes.shape[0]):
        if count == most:
            break
        free = True
        for k in range(count):
            j = kept[k]
            if classes[j] == classes[i] and overlap(boxes, i, boxes, j, False) > threshold:
                free = False
                break
        if free:
            kept[count] = i
            count += 1
    return count


@kernel
def match_free(found, thresholds, ignored, crowd, taken, matched, dropped):
    """COCO's matching: each detection, the best first, takes the box of largest overlap that is still free.

    A box that counts comes before one that is ignored; a crowd can be taken more than once.
    found: overlaps, float64 `[D, G]`, of detections and boxes, those boxes that are ignored behind all others.
    thresholds: float64 `[T]`, the least overlap. ignored, crowd: uint8 `[G]`. taken: uint8 `[T, G]`, 0, written.
    matched, dropped: uint8 `[T, D]`, 0, written: whether detection d has a box, and whether that one is ignored.
    """
    for t in range(thresholds.shape[0]):
        for d in range(found.shape[0]):
            best, chosen = min(thresholds[t], 1 - 1e-10), -1
            for g in range(found.shape[1]):
                if taken[t, g] and not crowd[g]:
                    continue
                if chosen >= 0 and not ignored[chosen] and ignored[g]:
                    break
                if found[d, g] >= best:
                    best, chosen = found[d, g], g
            if chosen >= 0:
                taken[t, chosen] = 1
                matched[t, d] = 1
                dropped[t, d] = ignored[chosen]


@kernel
def match_best(found, threshold, strict, taken, chosen):
    """The matching of Pascal VOC and YOLO: each detection claims the box of largest overlap, of equal ones the first.

    found: overlaps, float64 `[D, G]`, the best detection first. threshold: the least overlap; strict: it must be
    exceeded. taken: uint8 `[G]`, 0, written. chosen: int64 `[D]`, written: the box that a detection is the first to
    claim; -1: its box overlaps too little; -2 - g: box g was claimed before.
    """
    for d in range(found.shape[0]):
        chosen[d] = -1
        if found.shape[1] == 0:
            continue
        best = 0
        for g in range(1, found.shape[1]):
            if found[d, g] > found[d, best]:
                best = g
        enough = found[d, best] > threshold if strict else found[d, best] >= threshold
        if enough:
            chosen[d] = -2 - best if taken[best] else best
            taken[best] = 1
