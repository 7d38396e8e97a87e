"""Loops-only twins of detection: overlaps, suppression, matching, decoding, the loss, pictures; in Python's numbers."""

from __future__ import annotations

import colorsys
import math


def overlap(a, b, one_sided=False):
    """Intersection over union of two boxes (left, top, right, bottom), or over the first one's area."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return both / (area_a if one_sided else area_a + area_b - both)


def suppress(boxes, classes, threshold, most):
    """The indices of boxes that stay, the best coming first."""
    kept = []
    for i, box in enumerate(boxes):
        rivals = [j for j in kept if classes[j] == classes[i]]
        if len(kept) < most and all(overlap(boxes[j], box) <= threshold for j in rivals):
            kept.append(i)
    return kept


def match_free(found, threshold, ignored, crowd):
    """Of each detection, the box that COCO gives it, or None."""
    taken, chosen = set(), []
    for row in found:
        free = [g for g in range(len(row)) if (g not in taken or crowd[g]) and row[g] >= min(threshold, 1 - 1e-10)]
        counting = [g for g in free if not ignored[g]] or free
        best = max(counting, key=lambda g: (row[g], g)) if counting else None
        chosen.append(best)
        taken |= {best} - {None}
    return chosen


def match_best(found, threshold, strict):
    """Of each detection (box, whether it is the first to claim it), or None where the best box overlaps too little."""
    taken, chosen = set(), []
    for row in found:
        best = max(range(len(row)), key=lambda g: (row[g], -g), default=None)
        enough = best is not None and (row[best] > threshold if strict else row[best] >= threshold)
        chosen.append((best, best not in taken) if enough else None)
        taken |= {best} if enough else set()
    return chosen


def sigmoid(t):
    return 1 / (1 + math.exp(-t)) if t >= 0 else math.exp(t) / (1 + math.exp(t))


def box_of(raw, anchor, decode):
    """Centre relative to the cell's corner, width and height, in cells, of raw numbers and an anchor in cells."""
    if decode == "v3":
        return [
            sigmoid(raw[0]),
            sigmoid(raw[1]),
            *(side * math.exp(t) for side, t in zip(anchor, raw[2:4], strict=True)),
        ]
    centre = [2 * sigmoid(t) - 0.5 for t in raw[:2]]
    return centre + [(2 * sigmoid(t)) ** 2 * side for side, t in zip(anchor, raw[2:4], strict=True)]


def ciou(box, there):
    """Complete IoU of two boxes (centre x, y, width, height), and the weight of its last term."""
    a, b = ([x - w / 2, y - h / 2, x + w / 2, y + h / 2] for x, y, w, h in (box, there))
    found = overlap(a, b)
    across, down = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    distance = ((box[0] - there[0]) ** 2 + (box[1] - there[1]) ** 2) / (across**2 + down**2)
    shape = 4 / math.pi**2 * (math.atan(there[2] / there[3]) - math.atan(box[2] / box[3])) ** 2
    return found, distance, shape


def matches(boxes, classes, offsets, strides, anchors, decode, level, height, width):
    """(image, row, column, anchor, class, box in cells) of each match of a map, in the order of the engine."""
    found = []
    stride = strides[level]
    for image in range(len(offsets) - 1):
        for m in range(offsets[image], offsets[image + 1]):
            left, top, right, bottom = (float(edge) / stride for edge in boxes[m])
            w, h, x, y = right - left, bottom - top, (left + right) / 2, (top + bottom) / 2
            own_x, own_y = min(int(x), width - 1), min(int(y), height - 1)
            for a, (anchor_w, anchor_h) in enumerate(anchors[level]):
                anchor_w, anchor_h = anchor_w / stride, anchor_h / stride
                if max(w / anchor_w, anchor_w / w, h / anchor_h, anchor_h / h) >= 4:
                    continue
                cells = [(own_x, own_y)]
                if decode == "v5":
                    near = [
                        (x - own_x < 0.5, own_x - 1, own_y),
                        (y - own_y < 0.5, own_x, own_y - 1),
                        (own_x + 1 - x < 0.5, own_x + 1, own_y),
                        (own_y + 1 - y < 0.5, own_x, own_y + 1),
                    ]
                    cells += [(c, r) for close, c, r in near if close and 0 <= c < width and 0 <= r < height]
                for column, row in cells:
                    box = (x - column, y - row, w, h)
                    found.append((image, row, column, a, int(classes[m]), box, (anchor_w, anchor_h)))
    return found


def loss(maps, targets, head, gains, weights=None):
    """(total, box, objectness, classes) of a batch, and what CIoU's terms were weighed by; `weights`: given ones.

    The weight of CIoU's last term and the wanted objectness count as constants: pass them to take slopes.
    """
    boxes, classes, offsets = targets
    balances = {3: (4.0, 1.0, 0.4)}.get(len(maps), (4.0, 1.0, 0.25, 0.06, 0.02))
    parts, kept = [0.0, 0.0, 0.0], []
    for level, map_ in enumerate(maps):
        batch, height, width, _ = map_.shape
        count = len(head.anchors[level])
        raw = map_.reshape(batch, height, width, count, 5 + head.classes)
        found = matches(boxes, classes, offsets, head.strides, head.anchors, head.decode, level, height, width)
        wanted, alphas, box_loss, class_loss = {}, [], 0.0, 0.0
        for n, (image, row, column, a, kind, box, anchor) in enumerate(found):
            values = [float(v) for v in raw[image, row, column, a]]
            shared, distance, shape = ciou(box_of(values, anchor, head.decode), box)
            alpha = shape / (1 - shared + shape + 1e-7) if weights is None else weights[level][0][n]
            value = shared - distance - alpha * shape
            alphas.append(alpha)
            box_loss += 1 - value
            at = image, row, column, a
            wanted[at] = max(wanted.get(at, 0.0), value)
            if head.classes > 1:
                class_loss += sum(entropy(t, 1.0 * (k == kind)) for k, t in enumerate(values[5:])) / head.classes
        if weights is not None:
            wanted = weights[level][1]
        kept.append((alphas, wanted))
        places = [(b, y, x, a) for b in range(batch) for y in range(height) for x in range(width) for a in range(count)]
        objectness = sum(entropy(float(raw[at][4]), wanted.get(at, 0.0)) for at in places) / len(places)
        parts[0] += gains.box * box_loss / max(len(found), 1)
        parts[1] += gains.objectness * balances[level] * objectness
        parts[2] += gains.classes * class_loss / max(len(found), 1)
    return (sum(parts) * batch, *parts), kept


def entropy(t, wanted):
    """Binary cross-entropy of a raw number."""
    return max(t, 0.0) - t * wanted + math.log1p(math.exp(-abs(t)))


def detect(maps, head, confidence, threshold, most):
    """[(score, class, box)] of one image, as lists; maps: [H, W, A*(5 + K)]."""
    found = []
    for level, map_ in enumerate(maps):
        height, width, _ = map_.shape
        stride, anchors = head.strides[level], head.anchors[level]
        for row in range(height):
            for column in range(width):
                for a, (anchor_w, anchor_h) in enumerate(anchors):
                    size = 5 + head.classes
                    raw = [float(v) for v in map_[row, column, a * size : (a + 1) * size]]
                    x, y, w, h = box_of(raw, (anchor_w / stride, anchor_h / stride), head.decode)
                    x, y = x + column, y + row
                    edges = [stride * e for e in (x - w / 2, y - h / 2, x + w / 2, y + h / 2)]
                    for kind in range(head.classes):
                        score = sigmoid(raw[4]) * (sigmoid(raw[5 + kind]) if head.classes > 1 else 1)
                        if score > confidence:
                            found.append((score, kind, edges))
    found.sort(key=lambda one: -one[0])
    kept = suppress([one[2] for one in found], [one[1] for one in found], threshold, most)
    return [found[i] for i in kept]


def resample(picture, scale, down, right, nearest, fill, shape):
    """One picture [H, W] of lists, at the places of another of `shape`."""
    height, width = len(picture), len(picture[0])
    out = []
    for y in range(shape[0]):
        line = []
        for x in range(shape[1]):
            row, column = (y + 0.5 - down) / scale, (x + 0.5 - right) / scale
            if not (0 <= row < height and 0 <= column < width):
                line.append(fill)
            elif nearest:
                line.append(picture[int(row)][int(column)])
            else:
                total = 0.0
                for r in range(height):
                    for c in range(width):
                        near_row = 1 - abs(min(max(row - 0.5, 0), height - 1) - r)
                        near_column = 1 - abs(min(max(column - 0.5, 0), width - 1) - c)
                        total += max(near_row, 0) * max(near_column, 0) * picture[r][c]
                line.append(total)
        out.append(line)
    return out


def shift_colours(pixel, hue, saturation, value):
    """Red, green, blue (0 to 255) with hue, saturation and value multiplied; real numbers."""
    h, s, v = colorsys.rgb_to_hsv(*(part / 255 for part in pixel))
    return [255 * part for part in colorsys.hsv_to_rgb(h * hue % 1, min(1, s * saturation), min(1, v * value))]
