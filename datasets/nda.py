"""Neuromorphic Data Augmentation of frames of events (Li et al. 2022, arXiv:2203.06145), each sample in its own way.

Frames are uint8 `[B, T, H, W, C]`, and so is what comes back; all frames of a sample are moved alike. A pixel that is
moved in from beyond the border is 0. Numbers come from a generator that is given.
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.elementary import circular
from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.types import Doubles, Images
from qpsnn_core.common.validation import whole

from .schema import check_images
from .transforms import cutout, random_flip

Generator = np.random.Generator

MOST = 3
"""The paper's largest magnitude."""


def roll(frames: Images, most: int, rng: Generator) -> Images:
    """Moved by up to `most` pixels down and across, around the border to the other side."""
    out = np.empty_like(frames := _checked(frames))
    for index, (down, across) in enumerate(rng.integers(-most, most + 1, (len(frames), 2)).tolist()):
        out[index] = np.roll(frames[index], (down, across), (1, 2))
    return out


def rotate(frames: Images, degrees: float, rng: Generator) -> Images:
    """Turned about the centre by up to so many degrees either way, each pixel taken from the nearest."""
    return _moved(frames, [_turned(angle) for angle in _angles(frames, degrees, rng)])


def shear(frames: Images, degrees: float, rng: Generator) -> Images:
    """Rows moved across by the tangent of up to so many degrees for each row from the centre, likewise."""
    return _moved(frames, [np.array(((1, 0), (circular(angle)[2], 1))) for angle in _angles(frames, degrees, rng)])


def nda(frames: Images, magnitude: int, rng: Generator) -> Images:
    """Mirrored or not; then rolled, turned, cut out or sheared, one of them for each sample, at `magnitude` N.

    N = 1 to 3 (the paper's): up to 2N+1 pixels, 15N degrees, a hole of 8N pixels, 15N degrees.
    Raises DataError (frames), ConfigError (magnitude).
    """
    number = whole("nda.magnitude", magnitude, 1)
    if number > MOST:
        raise ConfigError(expected("nda.magnitude", f"1 to {MOST}", number))
    out = random_flip(_checked(frames), rng)
    kinds = rng.integers(0, 4, len(out))
    for kind, change, most in ((0, roll, 2 * number + 1), (1, rotate, 15 * number), (3, shear, 15 * number)):
        if (chosen := kinds == kind).any():
            out[chosen] = change(out[chosen], most, rng)
    if (chosen := kinds == 2).any():
        out[chosen] = cutout(out[chosen], 8 * number, rng)
    return out


def _checked(frames: Images) -> Images:
    checked = check_images(frames, "frames")
    if checked.ndim != 5:
        raise DataError(expected("frames", "[B, T, H, W, C]", Unquoted(f"shape {list(checked.shape)}")))
    return checked


def _angles(frames: Images, degrees: float, rng: Generator) -> list[float]:
    angles: list[float] = np.radians(rng.uniform(-degrees, degrees, len(frames))).tolist()
    return angles


def _turned(angle: float) -> Doubles:
    sine, cosine, _ = circular(angle)
    return np.array(((cosine, -sine), (sine, cosine)))


def _moved(frames: Images, matrices: list[Doubles]) -> Images:
    """Pixel (y, x) from the centre shows what was nearest to `matrix @ (y, x)`."""
    frames = _checked(frames)
    sides = np.array(frames.shape[2:4])
    centre = (sides - 1) / 2
    places = np.moveaxis(np.indices(frames.shape[2:4]), 0, -1) - centre
    out = np.zeros_like(frames)
    for index, matrix in enumerate(matrices):
        down, across = (line[0] * places[..., 0] + line[1] * places[..., 1] for line in matrix)
        source = np.rint(np.stack((down, across), -1) + centre).astype(np.int64)
        inside = ((source >= 0) & (source < sides)).all(-1)
        row, column = source[inside].T
        out[index][:, inside] = frames[index][:, row, column]
    return out
