"""Images of any size brought to one: scaled as a whole, the rest filled with grey; and how boxes go there and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.types import Doubles, Images, Longs
from qpsnn_core.common.validation import whole

GREY = 114
"""What is put around an image, as in YOLOv5."""

Size = tuple[int, int]
"""(height, width)."""


@dataclass(frozen=True, eq=False)
class Letterboxes:
    """How each of N images was put into one of another size.

    sizes: int64 `[N, 2]`, (height, width) of the images as they were. inner: int64 `[N, 4]`, left, top, width and
    height of where they lie now. A point goes to `left + x * width / old width`; likewise y.
    """

    sizes: Longs
    inner: Longs

    def __post_init__(self) -> None:
        """Check both fields."""
        for name, columns in (("sizes", 2), ("inner", 4)):
            array = getattr(self, name)
            if array.dtype != np.int64 or array.shape != (len(self.sizes), columns):
                got = Unquoted(f"{array.dtype} {list(array.shape)}")
                raise DataError(expected(f"letterboxes.{name}", f"int64 [{len(self.sizes)}, {columns}]", got))
        if (self.sizes < 1).any() or (self.inner[:, 2:] < 1).any():
            raise DataError(expected("letterboxes", "sides of at least 1", Unquoted("smaller ones")))

    def __len__(self) -> int:
        """The number of images N."""
        return len(self.sizes)

    def take(self, indices: Any) -> Letterboxes:
        """Those of some images."""
        return Letterboxes(self.sizes[indices], self.inner[indices])

    def there(self, image: int, edges: Doubles) -> Doubles:
        """Boxes `[M, 4]` of an image in pixels of its letterbox."""
        scale, shift = self._moves(image)
        return edges * scale + shift

    def back(self, image: int, edges: Doubles) -> Doubles:
        """Boxes `[M, 4]` of a letterbox in pixels of its image, cut at its edges."""
        scale, shift = self._moves(image)
        height, width = self.sizes[image].tolist()
        found: Doubles = np.clip((edges - shift) / scale, 0, np.array([width, height] * 2, np.float64))
        return found

    def _moves(self, image: int) -> tuple[Doubles, Doubles]:
        height, width = self.sizes[image].tolist()
        left, top, across, down = self.inner[image].tolist()
        return np.array([across / width, down / height] * 2), np.array([left, top] * 2, np.float64)


def inner_of(given: Size, size: Size) -> tuple[int, int, int, int]:
    """Left, top, width and height of an image of the size `given` in one of `size`, in the middle, as large as fits."""
    ratio = min(size[0] / given[0], size[1] / given[1])
    height, width = (min(side, max(1, round(old * ratio))) for side, old in zip(size, given, strict=True))
    return (size[1] - width) // 2, (size[0] - height) // 2, width, height


def letterboxed(decoder: Any, image: Any, size: Size) -> tuple[Images, tuple[int, int, int, int]]:
    """A Pillow image in RGB as uint8 `[H, W, 3]` of `size`, and its `inner_of`. decoder: Pillow's Image module."""
    left, top, width, height = inner_of((image.height, image.width), size)
    pixels = image if image.size == (width, height) else image.resize((width, height), decoder.Resampling.BILINEAR)
    out = np.full((*size, 3), GREY, np.uint8)
    out[top : top + height, left : left + width] = np.asarray(pixels, np.uint8)
    return out, (left, top, width, height)


def size_of(size: Any) -> Size:
    """`size` as (height, width): a side, or both. ConfigError."""
    if isinstance(size, (tuple, list)):
        if len(size) != 2:
            raise ConfigError(expected("size", "a side, or (height, width)", Unquoted(f"{size}")))
        return whole("size", size[0], 1), whole("size", size[1], 1)
    side = whole("size", size, 1)
    return side, side
