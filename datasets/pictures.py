"""One picture of a user's, PNG or JPEG, as an array of the size and colours that were asked for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import check_bytes, read_bytes
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.types import Images
from qpsnn_core.common.validation import check_choice, whole

from .jpeg_h5 import JPEG_RATIO, fault_of

ENDINGS = (".png", ".jpg", ".jpeg")
RESIZES = ("crop", "stretch", "pad")
COLOURS = ("gray", "rgb")


class Look(NamedTuple):
    """How a picture becomes an array. size: (H, W), None for that of all files; resize, colour: "" for none."""

    size: tuple[int, int] | None
    resize: str
    colour: str


def look_of(size: Any, resize: str, colour: str) -> Look:
    """The three options of `from_folder`; ConfigError: one that is none of its values."""
    look = Look(_size(size), resize, colour)
    if not isinstance(resize, str) or resize:
        check_choice("resize", resize, RESIZES)
        if look.size is None:
            raise ConfigError(expected("size", f"the size to which resize = {resize!r} brings pictures", size))
    if not isinstance(colour, str) or colour:
        check_choice("colour", colour, COLOURS)
    return look


def _size(size: Any) -> tuple[int, int] | None:
    if isinstance(size, (tuple, list)):
        if len(size) != 2:
            raise ConfigError(expected("size", "a side, or (height, width)", size))
        return whole("size", size[0], 1), whole("size", size[1], 1)
    side = whole("size", size, 0)
    return (side, side) if side else None


def picture_of(decoder: Any, path: Path, look: Look) -> Images:
    """One file as uint8 `[H, W, 1 or 3]`. FormatError: damaged, of more than 8 bits; DataError: size, transparency."""
    data = read_bytes(path, "a picture")
    try:
        with decoder.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as file:
            check_bytes(str(path), file.width * file.height * 4, len(data), JPEG_RATIO)
            if file.mode.startswith(("I", "F")):
                raise FormatError(expected(str(path), "8 bits for each channel", Unquoted(f"the mode {file.mode}")))
            file.load()
            from PIL import ImageOps

            image = _coloured(decoder, ImageOps.exif_transpose(file), path, look.colour)
    except (FormatError, DataError):
        raise
    except (MemoryError, OSError, SyntaxError, ValueError, decoder.DecompressionBombError) as error:
        raise FormatError(
            expected(str(path), "a whole PNG or JPEG picture", Unquoted(fault_of(decoder, error)))
        ) from error
    pixels: Images = np.asarray(_resized(decoder, image, path, look), np.uint8)
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def _coloured(decoder: Any, image: Any, path: Path, colour: str) -> Any:
    """In mode L or RGB. What is transparent lies before black, if a colour was asked for."""
    clear = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    if clear:
        if not colour:
            want = "a picture without transparency (colour = 'rgb' or 'gray' puts it before black)"
            raise DataError(expected(str(path), want, Unquoted(f"the mode {image.mode}")))
        image = image.convert("RGBA")
        black = decoder.new("RGBA", image.size, (0, 0, 0, 255))
        image = decoder.alpha_composite(black, image).convert("RGB")
    grey = image.mode in ("1", "L")
    return image.convert({"gray": "L", "rgb": "RGB", "": "L" if grey else "RGB"}[colour])


def _resized(decoder: Any, image: Any, path: Path, look: Look) -> Any:
    """Of the size that was asked for."""
    if look.size is None or image.size == look.size[::-1]:
        return image
    height, width = look.size
    if not look.resize:
        want = f"{height} x {width} pixels, or resize = {', '.join(RESIZES)}"
        raise DataError(expected(str(path), want, Unquoted(f"{image.height} x {image.width}")))
    bilinear = decoder.Resampling.BILINEAR
    if look.resize == "stretch":
        return image.resize((width, height), bilinear)
    ratios = width / image.width, height / image.height
    ratio = max(ratios) if look.resize == "crop" else min(ratios)
    best = max if look.resize == "crop" else min
    across, down = (
        best(edge, max(1, round(old * ratio))) for edge, old in zip((width, height), image.size, strict=True)
    )
    scaled_bytes = {"the picture scaled, before it is cut out": across * down * len(image.getbands())}
    check_fits(str(path), scaled_bytes, DataError)
    scaled = image.resize((across, down), bilinear)
    left, top = (_half(edge - side) for edge, side in ((across, width), (down, height)))
    return scaled.crop((left, top, left + width, top + height))


def _half(pixels: int) -> int:
    """What lies before the middle: of what is cut off, or, below 0, of what is put around."""
    return pixels // 2 if pixels >= 0 else -(-pixels // 2)
