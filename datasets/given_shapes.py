"""Images, frames, tables and series as people have them, as `[N, H, W, C]` or `[N, T, H, W, C]`: nothing is guessed."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.types import Array
from qpsnn_core.common.validation import check_choice, numbers_of

CHANNELS = ("last", "first")
SERIES = ("frames", "map")
FORMS = (
    "[N, H, W, C] or [N, H, W] images, [N, T, H, W, C] frames, [N, D] tables, "
    "or [N, L] or [N, L, D] series with series='frames' or 'map'"
)
FEW = 4
"""Channels that a picture has at most, where its axes are to be told apart."""


def shaped(place: str, images: Any, channels: str = "", series: str = "") -> Array:
    """`images` as `[N, H, W, C]` or `[N, T, H, W, C]`, of the type that they have.

    | given | series | becomes |
    |---|---|---|
    | `[N, H, W, C]`, `[N, T, H, W, C]` | | itself; with channels "first", `[N, C, H, W]` or `[N, T, C, H, W]` |
    | `[N, H, W]` | | grey images `[N, H, W, 1]` |
    | `[N, D]` | | a table: `[N, 1, 1, D]` |
    | `[N, L]`, `[N, L, D]` | "frames" | a frame for each sample in time: `[N, L, 1, 1, 1]`, `[N, L, 1, 1, D]` |
    | `[N, L]`, `[N, L, D]` | "map" | a map of one row: `[N, 1, L, 1]`, `[N, 1, L, D]` |

    Raises DataError (no numbers, another shape, what looks like channels first where `channels` does not say),
    ConfigError (options that do not fit the shape).
    """
    if not isinstance(channels, str) or channels:
        check_choice("channels", channels, CHANNELS)
    if not isinstance(series, str) or series:
        check_choice("series", series, SERIES)
    found = numbers_of(place, images)
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        wrong = int(np.count_nonzero(~np.isfinite(found)))
        raise DataError(
            expected(place, "finite numbers", Unquoted(f"{found.dtype} with {wrong} NaN or infinite values"))
        )
    if found.ndim not in (2, 3, 4, 5):
        raise DataError(expected(place, FORMS, Unquoted(f"shape {list(found.shape)}")))
    if series and found.ndim > 3:
        want = "no series with images that have height, width and channels"
        raise ConfigError(expected("series", want, Unquoted(f"{series!r} with {place} of shape {list(found.shape)}")))
    if channels and found.ndim < 4:
        want = "no channels with shapes that have no axis of channels to choose"
        raise ConfigError(expected("channels", want, Unquoted(f"{channels!r} with {place} {list(found.shape)}")))
    if found.ndim < 4:
        return (
            _as_series(found, series) if series else found[..., np.newaxis] if found.ndim == 3 else found[:, None, None]
        )
    first, height, width = found.shape[-3:]
    if not channels and first <= FEW < min(height, width):
        want = "channels last; say channels='first', or channels='last' if they are"
        raise DataError(expected(place, want, Unquoted(f"shape {list(found.shape)}, which looks like channels first")))
    return np.moveaxis(found, -3, -1) if channels == "first" else found


def read_as(sample: tuple[int, ...]) -> str:
    """What a sample `[H, W, C]` or `[T, H, W, C]` was taken for, in words: whether they meant that, users see."""
    height, width, channels = sample[-3:]
    if len(sample) == 4:
        each = f"{channels} numbers" if height == width == 1 else f"{height} x {width} x {channels}"
        return f"{sample[0]} frames of {each}"
    if height == 1:
        return f"a table row of {channels} numbers" if width == 1 else f"a map of 1 x {width}, {channels} channels"
    kinds = {1: "a grey image", 3: "a colour image"}
    return f"{kinds.get(channels, f'an image of {channels} channels')} of {height} x {width}"


def _as_series(found: Array, series: str) -> Array:
    """Samples in time `[N, L]` or `[N, L, D]`, as frames of one place or as a map of one row."""
    deep = found if found.ndim == 3 else found[..., np.newaxis]
    return deep[:, :, None, None] if series == "frames" else deep[:, None]
