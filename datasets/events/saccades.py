"""An event camera that looks at a still image in three small, quick movements, as N-MNIST was recorded.

Orchard et al. 2015, "Converting static image datasets to spiking neuromorphic datasets using saccades". Pixels work as
in ESIM (Rebecq et al. 2018) and v2e (Hu et al. 2021), in integers, so that the same image gives the same events on
every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.elementary import log
from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.types import Longs
from qpsnn_core.common.validation import number, whole
from qpsnn_core.kernels.events.camera import FINE, LEVELS, Looks, Picture, watch
from qpsnn_core.kernels.events.columns import EventColumns
from qpsnn_datasets.seeding import NOISE, bit_stream

from .filters import refractory
from .recording import UNLABELLED, Recording

TRIANGLE = ((-0.5, 0.5), (0.0, -0.5), (0.5, 0.5), (-0.5, 0.5))
"""The corners between which the image moves, (across, down) in units of the amplitude: it ends where it began."""

UNITS = 1 << 20
"""Log intensities are in so many parts of a natural logarithm."""

ROOM = 4096


@dataclass(frozen=True)
class Camera:
    """How an image is moved, and what its pixels report.

    threshold: the change of log intensity that makes an event, natural logarithm. darkest: the intensity of black, of
    white's 1. amplitude: of the movement, pixels. margin: pixels of black on every side, that see the image move in.
    saccade: microseconds of each of the three movements; sample: microseconds between two looks at the intensity
    (between them its logarithm is a straight line). refractory: microseconds for which a pixel rests after an event.
    noise: events of either kind, for no reason, per pixel and second.
    Raises ConfigError.
    """

    threshold: float = 0.3
    darkest: float = 0.1
    amplitude: float = 2.0
    margin: int = 1
    saccade: int = 100_000
    sample: int = 2_000
    refractory: int = 0
    noise: float = 0.0

    def __post_init__(self) -> None:
        plain_fields(self)
        for name in ("margin", "saccade", "sample", "refractory"):
            whole(f"camera.{name}", getattr(self, name), int(name in ("saccade", "sample")))
        if self.saccade % self.sample:
            want = f"a divisor of the saccade's {self.saccade} microseconds"
            raise ConfigError(expected("camera.sample", want, self.sample))
        for name, low, high in (("threshold", 0.001, 100), ("darkest", 0.001, 1), ("amplitude", 0, 100)):
            number(f"camera.{name}", getattr(self, name), low, high)
        number("camera.noise", self.noise, 0, 1e6 / self.sample)

    @property
    def duration(self) -> int:
        """Microseconds from the first look to the last."""
        return (len(TRIANGLE) - 1) * self.saccade


CAMERA = Camera()


def saccade(
    image: NDArray[np.uint8],
    camera: Camera = CAMERA,
    *,
    seed: int = 0,
    label: int = UNLABELLED,
    name: str = "saccade",
) -> Recording:
    """What the camera reports of a grey image, uint8 `[H, W]` or `[H, W, 1]`: sensor (H + 2*margin, W + 2*margin).

    Times are 0 to below `camera.duration`; events of one time are in the order of their pixels. seed: of the noise.
    Raises DataError (image), ConfigError (seed).
    """
    picture = _grey(image)
    path = _path(camera)
    edge = path.reach + camera.margin
    padded = np.pad(picture.astype(np.int64), edge)
    sensor = picture.shape[0] + 2 * camera.margin, picture.shape[1] + 2 * camera.margin
    pitch = padded.shape[1]
    looks = Looks(path.down * pitch + path.across, path.downs, path.acrosses, path.times)
    shown = Picture(padded.reshape(-1), pitch, 2 * path.reach + 1, *sensor)
    room = ROOM
    while True:
        xs, ys = np.zeros(room, np.uint16), np.zeros(room, np.uint16)
        ts, ps = np.zeros(room, np.int64), np.zeros(room, np.bool_)
        table, unit = _table(camera.darkest), round(camera.threshold * UNITS)
        count = watch(shown, looks, table, unit, EventColumns(xs, ys, ts, ps))
        if count <= room:
            break
        room = count
    events: dict[str, Any] = {"x": xs[:count], "y": ys[:count], "t": ts[:count], "p": ps[:count]}
    if camera.noise:
        by_chance = _noise(camera, sensor, path.times, seed)
        events = {field: np.concatenate((array, by_chance[field])) for field, array in events.items()}
    order = np.argsort(events["t"], kind="stable")
    made = Recording(**{field: array[order] for field, array in events.items()}, sensor=sensor, label=label, name=name)
    return refractory(made, camera.refractory) if camera.refractory else made


class Path(NamedTuple):
    """Where each look goes: whole pixels (down, across) and parts (downs, acrosses, of FINE) into the padded image.

    times: microseconds of each look; all int64 `[samples]`. reach: pixels of padding beyond the sensor.
    """

    down: Longs
    across: Longs
    downs: Longs
    acrosses: Longs
    times: Longs
    reach: int


@lru_cache(maxsize=8)
def _path(camera: Camera) -> Path:
    """The picture moves along the triangle; a pixel therefore looks the other way."""
    each = camera.saccade // camera.sample
    share = np.arange(each) / each
    corners = np.array(TRIANGLE) * camera.amplitude
    legs = [begin + share[:, None] * (end - begin) for begin, end in pairwise(corners)]
    moved = np.rint(np.concatenate([*legs, corners[-1:]]) * FINE).astype(np.int64)
    reach = math.ceil(camera.amplitude / 2) + 1
    across, down = np.ascontiguousarray((reach * FINE - moved).T)
    times = camera.sample * np.arange(len(moved), dtype=np.int64)
    return Path(down // FINE, across // FINE, down % FINE, across % FINE, times, reach)


@lru_cache(maxsize=8)
def _table(darkest: float) -> Longs:
    """The log intensity of every level, in UNITS."""
    intensity = darkest + (1 - darkest) * np.arange(LEVELS) / (LEVELS - 1)
    table: Longs = np.rint(log(intensity) * UNITS).astype(np.int64)
    return table


def _noise(camera: Camera, sensor: tuple[int, int], times: Longs, seed: int) -> dict[str, NDArray[Any]]:
    """Events that come by chance: in each sample of each pixel at most one."""
    bits = bit_stream(seed, NOISE)
    height, width = sensor
    chance = min(int(camera.noise * camera.sample * 1e-6 * 2**64), 2**64 - 1)
    chosen = np.flatnonzero(bits.random_raw((len(times) - 1) * height * width) < np.uint64(chance))
    sample, pixel = np.divmod(chosen, height * width)
    drawn = bits.random_raw(len(chosen)).reshape(-1)
    late = ((drawn >> np.uint64(32)) % np.uint64(camera.sample)).astype(np.int64)
    y, x = np.divmod(pixel, width)
    return {"x": x, "y": y, "t": times[sample] + late, "p": (drawn & np.uint64(1)).astype(np.bool_)}


def _grey(image: Any) -> NDArray[np.uint8]:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        got = image.dtype if isinstance(image, np.ndarray) else Unquoted(type(image).__name__)
        raise DataError(expected("saccade.image", "a NumPy array of uint8", got))
    grey = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if grey.ndim != 2 or not grey.size:
        raise DataError(expected("saccade.image", "[H, W] or [H, W, 1]", Unquoted(f"shape {list(image.shape)}")))
    return grey
