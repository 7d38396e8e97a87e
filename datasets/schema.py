"""A set of labelled images as data: checked once, when it is made, and then trusted everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.input_range import SIGNED, UNSIGNED, InputRange
from qpsnn_core.common.plain import plain
from qpsnn_core.common.tasks import CLASSIFICATION, MULTILABEL, REGRESSION, TASKS
from qpsnn_core.common.types import Array, Images, Labels
from qpsnn_core.common.validation import check_choice, check_number, is_positive, whole

from .given_shapes import read_as
from .label_checks import check_labels, check_marks, check_numbers
from .seeding import LIMIT, SPLIT, folds, stratified

LIMIT_SEED = 0

PARTS = ("train", "test")
"""The parts that every Split has."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with labels.

    images: uint8 `[N, H, W, C]`, intensity 0..255; or frames of events `[N, T, H, W, C]`, counts 0..255; given `scale`,
    uint8 or int8 of either shape, integers that times `scale` are real numbers.
    labels: int64 `[N]`, 0..len(classes)-1; any integer type is taken and stored as int64.
    task: what labels are: "classification", the class of a sample, as above; "multilabel", uint8 `[N, K]`, 1 for each
    of K labels that a sample has; "regression", float64 `[N, K]`, K real numbers that are to be predicted.
    classes: the name of each class, label or number; name: the name that messages use. origin: the table [data] of a
    recipe that loads the set again, where there is one. `from_arrays` and `from_folder` make sets of what users have.
    Raises DataError (type, shape, lengths, empty data, NaN, scale) or LabelError (a label that is no class).
    """

    images: Images
    labels: Array
    classes: tuple[str, ...]
    name: str
    scale: float | None = None
    origin: Mapping[str, Any] = field(default_factory=dict, repr=False)
    task: str = CLASSIFICATION

    def __post_init__(self) -> None:
        """Check every field and store the arrays C-contiguous."""
        object.__setattr__(self, "scale", plain(self.scale))
        object.__setattr__(self, "task", plain(self.task))
        if not isinstance(self.name, str):
            raise DataError(expected("name", "a string", Unquoted(type(self.name).__name__)))
        named = isinstance(self.classes, (tuple, list)) and all(isinstance(one, str) for one in self.classes)
        if not named:
            raise DataError(expected(f"{self.name}.classes", "a tuple of strings", self.classes))
        object.__setattr__(self, "classes", tuple(self.classes))
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise DataError(expected(f"{self.name}.classes", "distinct names, at least one", self.classes))
        object.__setattr__(self, "images", check_images(self.images, f"{self.name}.images"))
        self._check_labels()
        if len(self.images) != len(self.labels):
            want = f"one label for each of {len(self.images)} images"
            raise DataError(expected(f"{self.name}.labels", want, Unquoted(f"{len(self.labels)} labels")))
        if self.scale is not None:
            check_number(f"{self.name}.scale", self.scale, "a positive number", is_positive)
        elif self.images.dtype == np.int8:
            want = "the real number of one unit, as images are signed"
            raise DataError(expected(f"{self.name}.scale", want, self.scale))

    def _check_labels(self) -> None:
        """Labels of the task's type and range."""
        check_choice(f"{self.name}.task", self.task, TASKS)
        checks = {CLASSIFICATION: check_labels, MULTILABEL: check_marks, REGRESSION: check_numbers}
        object.__setattr__(self, "labels", checks[self.task](self.labels, len(self.classes), f"{self.name}.labels"))

    def __len__(self) -> int:
        """The number of samples N."""
        return len(self.labels)

    def __repr__(self) -> str:
        """Name, shape and number of classes, not the pixels."""
        units = f", {self.images.dtype} of {self.scale:g}" if self.scale is not None else ""
        outputs = "classes" if self.task == CLASSIFICATION else f"{self.task}, outputs"
        shape = f"images={self.images.shape}, each {read_as(self.sample_shape)}"
        return f"Dataset({self.name!r}, {shape}{units}, {outputs}={len(self.classes)})"

    @property
    def annotations(self) -> tuple[Array, ...]:
        """All that is to be predicted, as arrays: the labels."""
        return (self.labels,)

    @property
    def strata(self) -> Labels:
        """Of what a share keeps its proportions, int64 `[N]`: the classes; all samples alike where there are none."""
        return self.labels if self.task == CLASSIFICATION else np.zeros(len(self), np.int64)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample: `(H, W, C)`, or `(T, H, W, C)` of frames."""
        return tuple(self.images.shape[1:])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)` of an image, or of a frame: what `build` takes."""
        height, width, channels = self.images.shape[-3:]
        return height, width, channels

    @property
    def input_range(self) -> InputRange | None:
        """What an integer stands for, where images were made of real numbers: what `build` takes; else None."""
        if self.scale is None:
            return None
        return InputRange(*(SIGNED if self.images.dtype == np.int8 else UNSIGNED), self.scale)

    @classmethod
    def from_arrays(
        cls,
        images: Any,
        labels: Any,
        *,
        test: float | tuple[Any, Any],
        validation: float | tuple[Any, Any] | None = None,
        seed: int = 0,
        classes: Sequence[str] | None = None,
        name: str = "arrays",
        channels: str = "",
        series: str = "",
        scale: float | str | None = None,
        signed: bool | None = None,
        task: str = CLASSIFICATION,
    ) -> Split:
        """A Split of your own arrays, or lists: see `qpsnn_datasets.given.from_arrays`, which explains all options."""
        from .given import from_arrays

        options: dict[str, Any] = {"channels": channels, "series": series, "scale": scale, "signed": signed}
        options["task"] = task
        parts: dict[str, Any] = {"test": test, "validation": validation, "seed": seed}
        return from_arrays(images, labels, **parts, classes=classes, name=name, **options)

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        *,
        size: int | tuple[int, int] = 0,
        resize: str = "",
        colour: str = "",
        test: float = 0.0,
        validation: float = 0.0,
        seed: int = 0,
        limit: int | None = None,
    ) -> Split:
        """A Split of a folder of PNG and JPEG files: see `qpsnn_datasets.image_folder.from_folder`."""
        from .registry import load_data

        shares: dict[str, Any] = {"test": test, "validation": validation, "seed": seed}
        return load_data("folder", path, limit=limit, size=size, resize=resize, colour=colour, **shares)

    def save(self, path: str | Path) -> None:
        """Write the set as one part, which commands read with `--data`: see `qpsnn_datasets.saved`."""
        from .saved import save_sets

        save_sets(path, {"": self})

    def take(self, indices: Any) -> Dataset:
        """The samples at `indices`, integers `[M]` or a mask `[N]`, in that order, copied; DataError out of range."""
        at = self._chosen(indices)
        return replace(self, images=self.images[at], labels=self.labels[at], origin={})

    def _chosen(self, indices: Any) -> NDArray[np.int64]:
        """`indices` of samples as integers `[M]`; DataError out of range."""
        at = np.asarray(indices)
        mask = at.dtype == np.bool_ and at.shape == (len(self),)
        if at.ndim != 1 or not (mask or at.dtype.kind in "iu"):
            want = f"integers [M], or a mask [{len(self)}]"
            raise DataError(expected(f"{self.name}.take.indices", want, Unquoted(f"{at.dtype} {list(at.shape)}")))
        if at.size and not mask and not (-len(self) <= at.min() and at.max() < len(self)):
            want = f"{-len(self)} to {len(self) - 1}"
            raise DataError(expected(f"{self.name}.take.indices", want, Unquoted(f"{at.min()} to {at.max()}")))
        return np.flatnonzero(at) if mask else at.astype(np.int64)

    def split(self, fraction: float, seed: int) -> Split:
        """Hold out `fraction` of the samples as `test`, each class in its proportion; both parts keep their order.

        The same seed gives the same parts on any NumPy. Raises ConfigError when a part would be empty.
        """
        if isinstance(fraction, bool) or not isinstance(fraction, (int, float)) or not 0 < fraction < 1:
            raise ConfigError(expected(f"{self.name}.split.fraction", "a number between 0 and 1", fraction))
        return self.hold_out(round(fraction * len(self)), seed)

    def hold_out(self, count: int, seed: int) -> Split:
        """`split`, but with the number of test samples given. Both parts are still of the set that `origin` names."""
        if not 0 < count < len(self):
            want = f"1 to {len(self) - 1} samples held out, so that no part is empty"
            raise ConfigError(expected(f"{self.name}.split", want, count))
        held = np.zeros(len(self), dtype=np.bool_)
        held[stratified(self.strata, count, seed, SPLIT)] = True
        return Split(*(replace(self.take(one), origin=self.origin) for one in (~held, held)))

    def folds(self, count: int, seed: int) -> list[Split]:
        """`count` splits for cross-validation: every sample is in one `test`, each class in its proportion."""
        splits = []
        for held in folds(self.strata, count, seed):
            rest = np.ones(len(self), dtype=np.bool_)
            rest[held] = False
            splits.append(Split(self.take(rest), self.take(held)))
        return splits

    def limited(self, limit: int | None) -> Dataset:
        """At most `limit` samples (None: all), each class in its proportion, always the same ones, in their order."""
        chosen = limited_indices(self.strata, limit)
        return self if len(chosen) == len(self) else self.take(chosen)


@dataclass(frozen=True, eq=False)
class Split:
    """What is trained on, and what is only measured; iterating gives these two.

    validation: what training measures after every epoch; None: the test part.
    """

    train: Dataset
    test: Dataset
    validation: Dataset | None = None

    def __repr__(self) -> str:
        """The training part, and how many samples the others have."""
        others = "".join(f", {name}={len(one):,} samples" for name, one in self.parts.items() if name != "train")
        return f"Split({self.train!r}{others})"

    def __iter__(self) -> Iterator[Dataset]:
        """The training part, then the test part."""
        return iter((self.train, self.test))

    @property
    def parts(self) -> dict[str, Dataset]:
        """All that there are, by name."""
        there = {"train": self.train, "test": self.test}
        return there if self.validation is None else {**there, "validation": self.validation}

    def save(self, path: str | Path) -> None:
        """Write all parts to one HDF5 file, which `load_data("saved", path)` and `--data` read: see `saved`."""
        from .saved import save_sets

        save_sets(path, self.parts)

    def pooled(self) -> Dataset:
        """All samples of all parts as one set, as cross-validation wants them; DataError if they do not fit."""
        train, name = self.train, self.train.name.split(".")[0]
        every = list(self.parts.values())
        for other in every[1:]:
            for what in ("sample_shape", "classes", "input_range", "task"):
                if getattr(train, what) != getattr(other, what):
                    place = f"{other.name}.{what}"
                    raise DataError(expected(place, f"{getattr(train, what)} of {train.name}", getattr(other, what)))
        images, labels = (np.concatenate([getattr(part, field) for part in every]) for field in ("images", "labels"))
        return Dataset(images, labels, train.classes, name, train.scale, task=train.task)


def limited_indices(labels: Labels, limit: int | None) -> NDArray[np.int64]:
    """The indices that `limit` leaves of `labels` `[N]`, rising, stratified, always the same; ConfigError below 1."""
    if limit is None or whole("limit", limit, 1) >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    return stratified(labels, limit, LIMIT_SEED, LIMIT)


def check_images(images: Any, place: str = "images") -> Images:
    """`images`, C-contiguous uint8 or int8 `[N, H, W, C]` or `[N, T, H, W, C]`; DataError says what is wrong."""
    if not isinstance(images, np.ndarray):
        raise DataError(expected(place, "a NumPy array", Unquoted(type(images).__name__)))
    if images.dtype.kind == "f" and (wrong := int(np.count_nonzero(~np.isfinite(images)))):
        raise DataError(
            expected(place, "uint8, 0 to 255", Unquoted(f"{images.dtype} with {wrong} NaN or infinite values"))
        )
    if images.dtype not in (np.uint8, np.int8):
        want = "uint8, 0 to 255, or int8 (Dataset.from_arrays makes them of any numbers, to_uint8 of floats in 0..1)"
        raise DataError(expected(place, want, images.dtype))
    if images.ndim not in (4, 5):
        raise DataError(expected(place, "[N, H, W, C] or [N, T, H, W, C]", Unquoted(f"shape {list(images.shape)}")))
    if images.size == 0:
        raise DataError(
            expected(place, "at least one image of at least one pixel", Unquoted(f"shape {list(images.shape)}"))
        )
    return np.ascontiguousarray(images)
