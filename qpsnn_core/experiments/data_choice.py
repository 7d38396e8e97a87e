"""The data that a command, the demo or a study uses: the user names them, and so does whatever comes out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from qpsnn_core.common.callers import users_level
from qpsnn_core.common.errors import ChangedDataWarning, ConfigError, DataError, FileError, Unquoted, expected
from qpsnn_core.common.input_range import InputRange
from qpsnn_core.engine.evaluation import check_data
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.network.graph import Network
from qpsnn_core.recipes.data import BOXES, SIZED, DataConfig
from qpsnn_core.training.history import TrainedOn, digest
from qpsnn_datasets import Dataset, Split, encode, load_data, load_part
from qpsnn_datasets.given_shapes import read_as

NAMED = 'the name of a set, such as name = "digits", in the table [data] of the recipe'


Data = TypeVar("Data", Dataset, Split)


@dataclass(frozen=True)
class DataChoice:
    """A set that was named; `images`: how many of each part were taken of it so far, `sample`: how arrays were read.

    steps: frames of a set of events, None for that set's own default. network: what the images must fit, if known: real
    numbers get its unit, pictures its size. classes: the names of its classes, in order, where they are known.
    trained_on: what a checkpoint says of the set that this is, None where it is another.
    """

    config: DataConfig
    steps: int | None = None
    network: Network | IntegerNetwork | None = None
    classes: tuple[str, ...] = ()
    images: dict[str, int] = field(default_factory=dict)
    sample: dict[str, str] = field(default_factory=dict)
    trained_on: TrainedOn | None = None

    def __post_init__(self) -> None:
        if not self.config.name:
            raise ConfigError(expected("data.name", NAMED, Unquoted("none")))

    def split(self) -> Split:
        """Both parts. Raises what `load_data` and `check_data` raise."""
        self._check_there()
        found = self._coded(load_data(self.config.name, self.config.path or None, **self._options(0)))
        for part, each in found.parts.items():
            self._check(each)
            self._check_same(part, each)
        self.images.update({part: len(each) for part, each in found.parts.items()})
        self._read(found.train)
        return found

    def part(self, part: str, limit: int = 0) -> Dataset:
        """The "train" or "test" part, of at most `limit` images (0: the recipe's limit).

        Raises what `load_part` and `check_data` raise.
        """
        self._check_there()
        found = self._coded(load_part(self.config.name, self.config.path or None, part, **self._options(limit)), part)
        self._check(found)
        if not limit or limit == self.config.limit:
            self._check_same(part, found)
        self.images[part] = len(found)
        self._read(found)
        return found

    @property
    def figures(self) -> dict[str, Any]:
        """What JSON says of it: name, path, the number of images of each part, and how a store is cut into frames."""
        config = self.config
        cut: dict[str, Any] = {"frames": config.frames, "size": config.size} if config.name == "events" else {}
        cut |= {} if config.coded is None else {"coding": config.coding, **config.coded}
        return {"name": config.name, "path": config.path, **cut, "images": dict(self.images)}

    def __str__(self) -> str:
        """Such as "digits, 360 test images"."""
        return described({**self.figures, **self.sample})

    def _check(self, data: Dataset) -> None:
        if self.network is not None:
            check_data(self.network, data)
        for index, name in enumerate(data.classes):
            if name in self.classes and self.classes.index(name) != index:
                want = f"class {self.classes.index(name)} of the network to be called {name!r}, as it was trained"
                raise DataError(expected(f"{data.name}: classes", want, Unquoted(f"class {index} of that name")))

    def _read(self, data: Dataset) -> None:
        """Remember how arrays were read: their shape alone does not say it."""
        if self.config.name == "arrays":
            self.sample["sample"] = read_as(data.sample_shape)

    def _coded(self, data: Data, part: str = "") -> Data:
        """The set as spikes, where the recipe has a coding; ConfigError, DataError where it cannot be."""
        options = self.config.coded
        if options is None:
            return data
        if self.steps is None:
            want = "nothing, as the recipe's network says itself how it reads images"
            raise ConfigError(expected("data.coding", want, self.config.coding))
        steps = {} if self.config.coding == "delta" else {"steps": self.steps}
        return encode(data, self.config.coding, **steps, **options, part=part)

    def _options(self, limit: int) -> dict[str, Any]:
        config = self.config
        names = ("frames", "size", "test", "validation", "channels", "series", "scale", "resize", "colour", "task")
        given = {**{name: getattr(config, name) for name in (*names, "anchors", "decode")}, "seed": config.split_seed}
        return {"limit": limit or config.limit or None, "steps": self.steps, **given, **self._of_network()}

    def _of_network(self) -> dict[str, Any]:
        """What a network that is there already says of your own data: the unit of its input, the size of its images."""
        if self.network is None or self.config.name not in ("arrays", *SIZED):
            return {}
        node, words = self.network.input, {"classes": self.classes} if self.classes else {}
        height, width, channels = node.shape
        if self.config.name in BOXES:
            named = words if self.config.name in ("voc", "coco", "yolo", "ssdd") else {}
            return {**named, "size": (height, width)}
        if self.config.name == "folder":
            return {**words, "size": (height, width), "colour": "gray" if channels == 1 else "rgb"}
        if node.peak is None or getattr(node, "spikes", False) or self.config.coded is not None:
            return words
        return {**words, "unit": InputRange(node.low, node.peak, node.scale or 1 / node.peak)}

    def _check_there(self) -> None:
        """FileError says what a checkpoint's set is where it lies no longer in its place."""
        path = self.config.path
        if self.trained_on is not None and path and not Path(path).expanduser().exists():
            want = f"the set on which the checkpoint was trained, {self.trained_on} (--path gives its new place)"
            raise FileError(expected(path, want, Unquoted("no such file or folder")))

    def _check_same(self, part: str, data: Dataset) -> None:
        """A ChangedDataWarning where the set that a checkpoint names has other samples now."""
        trained_on = self.trained_on
        if trained_on is None or trained_on.name.rpartition(".")[0] != data.name.rpartition(".")[0]:
            return
        known = trained_on.digests.get(part)
        if known is not None and known != (found := digest(data)):
            text = f"{data.name}: its samples are not those that the checkpoint was trained with"
            warnings.warn(
                ChangedDataWarning(f"{text} (sha256 {known[:12]}, now {found[:12]})"), stacklevel=users_level()
            )


def described(figures: Mapping[str, Any]) -> str:
    """`DataChoice.figures` in words: "mnist (FOLDER), 5,000 train and 1,000 test images"."""
    parts = " and ".join(f"{count:,} {part}" for part, count in figures.get("images", {}).items())
    place = f" ({figures['path']})" if figures.get("path") else ""
    cut = f", frames of equal {figures['frames']}" if "frames" in figures else ""
    cut += f", spikes by {figures['coding']} coding" if "coding" in figures else ""
    read = f", each {figures['sample']}" if "sample" in figures else ""
    return f"{figures['name']}{place}{cut}" + (f", {parts} images{read}" if parts else "")


def of_recipe(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The name and path of the set that a recipe, as JSON data, names; "" where it names none."""
    return {key: recipe.get("data", {}).get(key, "") for key in ("name", "path")}


def of_results(recipe: Mapping[str, Any], data: Split | Dataset) -> dict[str, Any]:
    """What a file of results says of its data: the set that its recipe names, and how many images there were."""
    parts = data.parts if isinstance(data, Split) else {"pooled": data}
    return {**of_recipe(recipe), "images": {part: len(one) for part, one in parts.items()}}
