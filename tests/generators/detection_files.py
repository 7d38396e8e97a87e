"""Small sets with boxes, written file by file as their formats say; images are drawn."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

PIXELS = (30, 40)
"""(height, width) of the images."""


def picture(path: Path, size: tuple[int, int] = PIXELS, seed: int = 0) -> None:
    """A PNG image of noise."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


def xml(boxes: list, size: tuple[int, int] = PIXELS) -> str:
    """A VOC annotation of (name, xmin, ymin, xmax, ymax[, difficult])."""
    objects = "".join(
        f"<object><name>{name}</name><difficult>{(*more, 0)[0]}</difficult><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for name, x, y, right, bottom, *more in boxes
    )
    return (
        f"<annotation><size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>"
        f"{objects}</annotation>"
    )


def voc(root: Path, images: dict[str, list], sets: dict[str, list[str]] | None = None) -> Path:
    """A folder of Pascal VOC: name of each image and its boxes; names of each set."""
    (root / "Annotations").mkdir(parents=True)
    for seed, (name, boxes) in enumerate(images.items()):
        (root / "Annotations" / f"{name}.xml").write_text(xml(boxes), encoding="utf-8")
        picture(root / "JPEGImages" / f"{name}.png", seed=seed)
    for part, names in (sets or {}).items():
        folder = root / "ImageSets" / "Main"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{part}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return root


def coco(images: list[str], annotations: list[dict], categories: dict[int, str]) -> dict:
    """A COCO file: names of images (ids from 7), annotations with image (a name), category_id, bbox and more."""
    listed = [{"id": 7 + k, "file_name": name, "height": 30, "width": 40} for k, name in enumerate(images)]
    rows = [
        {**{key: one[key] for key in one if key != "image"}, "id": k, "image_id": 7 + images.index(one["image"])}
        for k, one in enumerate(annotations)
    ]
    return {"images": listed, "annotations": rows, "categories": [{"id": k, "name": n} for k, n in categories.items()]}


def write_coco(path: Path, *given: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(coco(*given)), encoding="utf-8")  # type: ignore[arg-type]  # as coco takes them


def dat(events: list[tuple[int, int, int, int]]) -> bytes:
    """Prophesee's DAT, version 2, of (t, x, y, p): as it was published, byte by byte."""
    head = b"% Data file containing Event2D events.\n% Version 2\n% Date 2018-10-4 11:23:42\n"
    words = b"".join(struct.pack("<II", t, x | y << 14 | p << 28) for t, x, y, p in events)
    return head + bytes([0, 8]) + words


GEN1 = [
    ("ts", "<u8"),
    ("x", "<f4"),
    ("y", "<f4"),
    ("w", "<f4"),
    ("h", "<f4"),
    ("class_id", "|u1"),
    ("confidence", "<f4"),
    ("track_id", "<u4"),
]


def bbox_npy(rows: list[tuple]) -> bytes:
    """A .npy file, version 1.0, of Gen1's boxes (ts, x, y, w, h, class, confidence, track): byte by byte."""
    text = f"{{'descr': {GEN1}, 'fortran_order': False, 'shape': ({len(rows)},), }}".encode()
    text += b" " * (-(10 + len(text) + 1) % 64) + b"\n"
    body = b"".join(struct.pack("<QffffBfI", *row) for row in rows)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body
