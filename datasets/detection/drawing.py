"""Boxes drawn into a picture, with their class and score."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

import numpy as np

from qpsnn_core.common.atomic import save_bytes
from qpsnn_core.common.errors import DataError, Unquoted, expected
from qpsnn_core.common.types import Array, Images

from ..jpeg_h5 import pillow

COLOURS = (
    (230, 60, 60),
    (60, 130, 230),
    (50, 170, 90),
    (235, 160, 30),
    (150, 90, 200),
    (40, 180, 190),
    (230, 100, 170),
    (140, 140, 40),
)
"""Of class 0, 1, ...; after the last they begin anew."""

WIDEST = 3
"""Pixels of a line; of small pictures fewer."""


def draw_boxes(picture: Images, edges: Array, kinds: Array, texts: Sequence[str]) -> Images:
    """The picture, uint8 `[H, W, 3]`, with a frame around each box and its text beside it; the last lies uppermost.

    edges: left, top, right, bottom in its pixels, `[M, 4]`. kinds: int64 `[M]`, classes, for the colours. texts: M.
    Raises DataError (another picture, lengths, Pillow missing).
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        got = Unquoted(f"{picture.dtype} {list(picture.shape)}")
        raise DataError(expected("draw_boxes.picture", "uint8 [H, W, 3]", got))
    if not len(edges) == len(kinds) == len(texts):
        got = Unquoted(f"{len(edges)}, {len(kinds)}, {len(texts)}")
        raise DataError(expected("draw_boxes", "as many boxes as classes and texts", got))
    decoder = pillow()
    from PIL import ImageDraw, ImageFont

    image = decoder.fromarray(picture)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default()
    wide = max(1, min(WIDEST, min(picture.shape[:2]) // 100))
    for (left, top, right, bottom), kind, text in zip(np.asarray(edges, float).tolist(), kinds, texts, strict=True):
        colour = COLOURS[int(kind) % len(COLOURS)]
        frame = (round(left), round(top), max(round(left), round(right) - 1), max(round(top), round(bottom) - 1))
        pen.rectangle(frame, outline=colour, width=wide)
        if text:
            x, y, far, low = pen.textbbox((0, 0), text, font=font)
            at = frame[0], max(0, frame[1] - (low - y) - 2)
            pen.rectangle((*at, at[0] + far - x + 2, at[1] + low - y + 2), fill=colour)
            pen.text((at[0] + 1 - x, at[1] + 1 - y), text, fill=(255, 255, 255), font=font)
    return np.asarray(image, np.uint8)


def save_picture(path: str | os.PathLike[str], picture: Images) -> None:
    """Write uint8 `[H, W, 3]` as PNG; the file is whole or not there. Raises DataError (no Pillow), FileError."""
    held = io.BytesIO()
    pillow().fromarray(picture).save(held, "PNG")
    save_bytes(path, held.getvalue())
