"""Write detection_losses.json: the detector's loss and its gradients by PyTorch's autograd, with the matching in loops.

Not part of any test run: PyTorch is no dependency. With `pip install torch==2.13.0`: `python
make_pytorch_detection.py`. Nothing of qpsnn is used. In float64.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

STRIDES = (8, 16)
ANCHORS = (((6.0, 9.0), (14.0, 8.0)), ((20.0, 24.0), (40.0, 30.0)))
SIZE, BATCH, CLASSES = 48, 3, 3
GAINS = {"box": 0.075, "objectness": 0.5, "classes": 0.25}
BALANCE = (4.0, 1.0)


def draw(generator: torch.Generator) -> tuple[list[torch.Tensor], list[list[float]], list[int], list[int]]:
    maps = [
        torch.randint(-64, 65, (BATCH, SIZE // s, SIZE // s, 2 * (5 + CLASSES)), generator=generator).double() / 32
        for s in STRIDES
    ]
    boxes, classes, offsets = [], [], [0]
    for count in (3, 0, 5):
        for _ in range(count):
            left, top = (torch.randint(0, 130, (2,), generator=generator).double() / 4).tolist()
            width, height = (torch.randint(17, 120, (2,), generator=generator).double() / 4).tolist()
            boxes.append([left, top, min(left + width, SIZE), min(top + height, SIZE)])
            classes.append(int(torch.randint(0, CLASSES, (1,), generator=generator)))
        offsets.append(len(boxes))
    return maps, boxes, classes, offsets


def cells(x: float, y: float, side: int, decode: str) -> list[tuple[int, int]]:
    own_x, own_y = min(int(x), side - 1), min(int(y), side - 1)
    found = [(own_x, own_y)]
    if decode == "v5":
        across = own_x - 1 if x - own_x < 0.5 else own_x + 1 if x - own_x > 0.5 else -1
        down = own_y - 1 if y - own_y < 0.5 else own_y + 1 if y - own_y > 0.5 else -1
        found += [(across, own_y)] if 0 <= across < side else []
        found += [(own_x, down)] if 0 <= down < side else []
    return found


def ciou(box: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    low, high = box[:2] - box[2:] / 2, box[:2] + box[2:] / 2
    low_there, high_there = there[:2] - there[2:] / 2, there[:2] + there[2:] / 2
    both = (torch.minimum(high, high_there) - torch.maximum(low, low_there)).clamp(min=0).prod()
    iou = both / (box[2:].prod() + there[2:].prod() - both)
    hull = torch.maximum(high, high_there) - torch.minimum(low, low_there)
    distance = ((box[:2] - there[:2]) ** 2).sum() / (hull**2).sum()
    shape = 4 / math.pi**2 * (torch.atan(there[2] / there[3]) - torch.atan(box[2] / box[3])) ** 2
    weight = (shape / (1 - iou + shape + 1e-7)).detach()
    return iou - distance - weight * shape


def loss(maps: list[torch.Tensor], boxes: list, classes: list, offsets: list, decode: str) -> list[torch.Tensor]:
    parts = [torch.zeros((), dtype=torch.float64) for _ in range(3)]
    for level, (map_, stride) in enumerate(zip(maps, STRIDES, strict=True)):
        side = map_.shape[1]
        raw = map_.reshape(BATCH, side, side, 2, 5 + CLASSES)
        wanted = torch.zeros(raw.shape[:-1], dtype=torch.float64)
        box_losses, class_losses = [], []
        for image in range(BATCH):
            for m in range(offsets[image], offsets[image + 1]):
                left, top, right, bottom = (edge / stride for edge in boxes[m])
                x, y, w, h = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
                for a, anchor in enumerate(ANCHORS[level]):
                    aw, ah = anchor[0] / stride, anchor[1] / stride
                    if max(w / aw, aw / w, h / ah, ah / h) >= 4:
                        continue
                    for column, row in cells(x, y, side, decode):
                        t = raw[image, row, column, a]
                        scale = torch.tensor([aw, ah], dtype=torch.float64)
                        if decode == "v5":
                            box = torch.cat([2 * t[:2].sigmoid() - 0.5, (2 * t[2:4].sigmoid()) ** 2 * scale])
                        else:
                            box = torch.cat([t[:2].sigmoid(), t[2:4].exp() * scale])
                        there = torch.tensor([x - column, y - row, w, h], dtype=torch.float64)
                        value = ciou(box, there)
                        box_losses.append(1 - value)
                        at = image, row, column, a
                        wanted[at] = max(wanted[at].item(), value.item(), 0.0)
                        mark = torch.zeros(CLASSES, dtype=torch.float64)
                        mark[classes[m]] = 1
                        class_losses.append(binary_cross_entropy_with_logits(t[5:], mark))
        parts[0] = parts[0] + GAINS["box"] * torch.stack(box_losses).mean()
        parts[1] = parts[1] + GAINS["objectness"] * BALANCE[level] * binary_cross_entropy_with_logits(
            raw[..., 4], wanted
        )
        parts[2] = parts[2] + GAINS["classes"] * torch.stack(class_losses).mean()
    return parts


def main() -> None:
    maps, boxes, classes, offsets = draw(torch.Generator().manual_seed(25))
    cases = []
    for decode in ("v3", "v5"):
        leaves = [map_.clone().requires_grad_() for map_ in maps]
        parts = loss(leaves, boxes, classes, offsets, decode)
        total = sum(parts) * BATCH
        total.backward()
        case = {"decode": decode, "total": total.item(), "parts": [part.item() for part in parts]}
        cases.append({**case, "gradients": [[float(f"{v:.10g}") for v in leaf.grad.reshape(-1)] for leaf in leaves]})
    record = {
        "torch": torch.__version__,
        "strides": STRIDES,
        "anchors": ANCHORS,
        "gains": GAINS,
        "shapes": [list(map_.shape) for map_ in maps],
        "maps": [map_.reshape(-1).tolist() for map_ in maps],
        "boxes": boxes,
        "classes": classes,
        "offsets": offsets,
        "cases": cases,
    }
    path = Path(__file__).with_name("detection_losses.json")
    path.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
