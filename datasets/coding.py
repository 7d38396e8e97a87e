"""Images as spikes: rate coding with random spikes, the latency of one spike, and changes of a series.

A network reads them with `Input((H, W, C), peak=1, scale=1.0, spikes=True)`. They are made before the network, not in
it: on a chip spikes come from a sensor or from the host, so that training, integers, C and Lava all read the same ones.
Without a coding, or with "direct", a network reads the intensities themselves at every step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.plain import plain
from qpsnn_core.common.types import Array
from qpsnn_core.common.validation import check_choice, whole
from qpsnn_core.kernels.counter_random import sample_key, seed_word
from qpsnn_core.kernels.rate_coding import rate_coded
from qpsnn_core.kernels.threads import parallel_for

from .schema import Dataset, Split

T = TypeVar("T", Dataset, Split, Array)

STREAM = 2**20
"""The stream of random words that are drawn for rate coding, of arrays and of the training part."""

STREAMS = {"test": STREAM + 1, "validation": STREAM + 2}
"""Those of other parts, so that the same sample number has another draw there."""

DIRECT = "direct"

PEAK = 255
"""The intensity that is 1."""


def encode(
    data: T,
    coding: str,
    *,
    steps: int | None = None,
    seed: int | None = None,
    threshold: int | None = None,
    part: str = "",
) -> T:
    """Frames of spikes, uint8 `[N, T, H, W, C]` of 0 and 1, of images or of a set, as `coding` says:

    | coding | reads | spikes |
    |---|---|---|
    | "direct" | anything | none: it stays as it is |
    | "poisson" | images 0..255 | at each of `steps` steps with the chance x/255, by `seed` (of any size), part, sample
    and pixel: of a part of a set the same in every epoch; of a Dataset alone those of the part that it is, by `part`,
    else by the end of its name |
    | "latency" | images 0..255 | one at step `(1 - x/255)*(steps - 1)`, rounded, the brighter the earlier; of 0 none
    (Thorpe et al., Neural Networks 14, 2001) |
    | "delta" | series `[N, T, H, W, C]` | where a value has changed by at least `threshold` since it last spiked, of
    2*C channels: C that fell, then C that rose (send-on-delta: Miskowicz, Sensors 6, 2006); none at the first step |

    A set that `load_data` gave still says how it is made, coding included. Raises ConfigError (an option that is
    missing, that the coding has not, or out of range), DataError (images that are not such, a set that is coded).
    """
    coding, part = plain((coding, part))
    check_choice("encode.coding", coding, tuple(CODINGS))
    if not isinstance(part, str) or part:
        check_choice("encode.part", part, ("train", *STREAMS))
        if not isinstance(data, Dataset):
            raise ConfigError(expected("encode.part", "nothing, as data is no part of a set", part))
    given = {"steps": plain(steps), "seed": plain(seed), "threshold": plain(threshold)}
    function, needed = CODINGS[coding]
    for name, value in given.items():
        if (value is None) == (name in needed):
            want = f"a number, for {coding!r}" if name in needed else f"nothing, as {coding!r} has none"
            raise ConfigError(expected(f"encode.{name}", want, value))
        if value is not None:
            given[name] = whole(f"encode.{name}", value, 0 if name == "seed" else 1)
    options = {name: value for name, value in given.items() if value is not None}
    made: Any
    if isinstance(data, np.ndarray):
        made = function("images", data, **options)
    elif isinstance(data, Dataset):
        made = _coded(data, part or data.name.rpartition(".")[2], coding, options)
    elif isinstance(data, Split):
        made = replace(data, **{name: _coded(part, name, coding, options) for name, part in data.parts.items()})
    else:
        raise DataError(expected("encode.data", "an array, a Dataset or a Split", Unquoted(type(data).__name__)))
    return made  # type: ignore[no-any-return]  # of the type that came


def _coded(data: Dataset, part: str, coding: str, options: dict[str, Any]) -> Dataset:
    """A part of a set; its origin also names the coding, by the keys of a recipe, whose network has the steps."""
    if coding == DIRECT:
        return data
    if data.origin.get("coding", DIRECT) not in ("", DIRECT):
        raise DataError(expected(f"{data.name}.images", "images that are not coded yet", data.origin["coding"]))
    drawn = {"stream": STREAMS.get(part, STREAM)} if "seed" in options else {}
    images = CODINGS[coding][0](f"{data.name}.images", data.images, **options, **drawn)
    named = {f"coding_{name}": value for name, value in options.items() if name != "steps"}
    origin = {**data.origin, "coding": coding, **named} if data.origin else {}
    return replace(data, images=images, scale=None, origin=origin)


def _direct(place: str, images: Array) -> Array:
    return images


def _poisson(place: str, images: Array, steps: int, seed: int, stream: int = STREAM) -> Array:
    _check_images(place, images, steps)
    word = seed_word(seed)
    keys = np.array([sample_key(word, stream, sample) for sample in range(len(images))], np.uint64)
    spikes = np.empty((len(images), steps, images[0].size), np.uint8)
    flat = np.ascontiguousarray(images).reshape(len(images), -1)
    parallel_for(rate_coded, len(images), 1, flat, keys, np.uint64(PEAK), spikes)
    return spikes.reshape(len(images), steps, *images.shape[1:])


def _latency(place: str, images: Array, steps: int) -> Array:
    _check_images(place, images, steps)
    late = ((PEAK - images.astype(np.int64)) * 2 * (steps - 1) + PEAK) // (2 * PEAK)
    at = np.arange(steps).reshape(1, steps, 1, 1, 1)
    spikes: Array = ((late[:, None] == at) & (images[:, None] > 0)).astype(np.uint8)
    return spikes


def _delta(place: str, images: Array, threshold: int) -> Array:
    if images.ndim != 5 or images.dtype.kind not in "iu" or images.shape[1] < 2:
        want = "a series of integers [N, T, H, W, C], T at least 2"
        raise DataError(expected(place, want, Unquoted(f"{images.dtype} {list(images.shape)}")))
    channels = images.shape[-1]
    spikes = np.zeros((*images.shape[:-1], 2 * channels), np.uint8)
    last = images[:, 0].astype(np.int64)
    for t in range(1, images.shape[1]):
        change = images[:, t].astype(np.int64) - last
        fell, rose = change <= -threshold, change >= threshold
        spikes[:, t, ..., :channels], spikes[:, t, ..., channels:] = fell, rose
        last = np.where(fell | rose, images[:, t], last)
    return spikes


def _check_images(place: str, images: Array, steps: int) -> None:
    """DataError unless they are images of bytes; ConfigError where so many steps of them are beyond the memory."""
    if images.ndim != 4 or images.dtype != np.uint8 or not images.size:
        want = "uint8 images [N, H, W, C], 0..255 (a series takes 'delta')"
        raise DataError(expected(place, want, Unquoted(f"{images.dtype} {list(images.shape)}")))
    check_fits("encode.steps", {f"{steps:,} frames of each image": images.size * steps})


CODINGS: dict[str, tuple[Callable[..., Array], tuple[str, ...]]] = {
    DIRECT: (_direct, ()),
    "poisson": (_poisson, ("steps", "seed")),
    "latency": (_latency, ("steps",)),
    "delta": (_delta, ("threshold",)),
}
"""By name: what codes, and the options that it needs."""
