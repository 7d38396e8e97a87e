"""Digits and MNIST as an event camera sees them: made from the images when they are asked for, nothing to download."""

from __future__ import annotations

from pathlib import Path

from ..digits import load_digits
from ..mnist import load_mnist
from ..schema import PARTS, Dataset, Split
from .frames import to_dataset
from .recording import Recording
from .saccades import CAMERA, Camera, saccade

STEPS = 4


class Seen:
    """The images of a set as recordings, each made when it is asked for; its number is the seed of its noise."""

    def __init__(self, data: Dataset, camera: Camera = CAMERA) -> None:
        self.data, self.camera = data, camera

    def __len__(self) -> int:
        """As many as there are images."""
        return len(self.data)

    def __getitem__(self, index: int) -> Recording:
        """The recording of that image; IndexError beyond the last."""
        label, name = int(self.data.labels[index]), f"{self.data.name}[{index}]"
        return saccade(self.data.images[index], self.camera, seed=index, label=label, name=name)


def load_digits_events(*, limit: int | None = None, steps: int = STEPS) -> Split:
    """Digits in `steps` frames of equal duration, uint8 `[N, steps, 10, 10, 2]`; errors as of `load_digits`."""
    return _framed(load_digits(limit=limit), "digits-events", steps)


def load_mnist_events(folder: str | Path, *, limit: int | None = None, steps: int = STEPS) -> Split:
    """MNIST in `steps` frames of equal duration, uint8 `[N, steps, 30, 30, 2]`; errors as of `load_mnist`."""
    return _framed(load_mnist(folder, limit=limit), "mnist-events", steps)


def _framed(images: Split, name: str, steps: int) -> Split:
    span = (0, CAMERA.duration)
    parts = (
        to_dataset(Seen(part), steps, span=span, classes=part.classes, name=f"{name}.{which}")
        for part, which in zip(images, PARTS, strict=True)
    )
    return Split(*parts)
