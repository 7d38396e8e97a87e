"""The data that a command, the demo or a study uses: the user names them, and so does whatever comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.engine.evaluation import check_data
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.network.graph import Network
from qpsnn_core.recipes.data import DataConfig
from qpsnn_datasets import Dataset, Split, load_data, load_part

NAMED = 'the name of a set, such as name = "digits", in the table [data] of the recipe'


@dataclass(frozen=True)
class DataChoice:
    """A set that was named, and `images`: how many of each part were taken of it so far.

    steps: frames of a set of events, None for that set's own default. network: what the images must fit, if known.
    classes: the names of the network's classes, in order, where they are known.
    """

    config: DataConfig
    steps: int | None = None
    network: Network | IntegerNetwork | None = None
    classes: tuple[str, ...] = ()
    images: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.config.name:
            raise ConfigError(expected("data.name", NAMED, Unquoted("none")))

    def split(self) -> Split:
        """Both parts. Raises what `load_data` and `check_data` raise."""
        found = load_data(self.config.name, self.config.path or None, **self._options(0))
        for each in found:
            self._check(each)
        self.images.update(train=len(found.train), test=len(found.test))
        return found

    def part(self, part: str, limit: int = 0) -> Dataset:
        """The "train" or "test" part, of at most `limit` images (0: the recipe's limit).

        Raises what `load_part` and `check_data` raise.
        """
        found = load_part(self.config.name, self.config.path or None, part, **self._options(limit))
        self._check(found)
        self.images[part] = len(found)
        return found

    @property
    def figures(self) -> dict[str, Any]:
        """What JSON says of it: name, path, the number of images of each part, and how a store is cut into frames."""
        config = self.config
        cut = {"frames": config.frames, "size": config.size} if config.name == "events" else {}
        return {"name": config.name, "path": config.path, **cut, "images": dict(self.images)}

    def __str__(self) -> str:
        """Such as "digits, 360 test images"."""
        return described(self.figures)

    def _check(self, data: Dataset) -> None:
        if self.network is not None:
            check_data(self.network, data)
        for index, name in enumerate(data.classes):
            if name in self.classes and self.classes.index(name) != index:
                want = f"class {self.classes.index(name)} of the network to be called {name!r}, as it was trained"
                raise DataError(expected(f"{data.name}: classes", want, Unquoted(f"class {index} of that name")))

    def _options(self, limit: int) -> dict[str, Any]:
        config = self.config
        sized = {"frames": config.frames, "size": config.size}
        return {"limit": limit or config.limit or None, "steps": self.steps, **sized}


def described(figures: Mapping[str, Any]) -> str:
    """`DataChoice.figures` in words: "mnist (FOLDER), 5,000 train and 1,000 test images"."""
    parts = " and ".join(f"{count:,} {part}" for part, count in figures.get("images", {}).items())
    place = f" ({figures['path']})" if figures.get("path") else ""
    cut = f", frames of equal {figures['frames']}" if "frames" in figures else ""
    return f"{figures['name']}{place}{cut}" + (f", {parts} images" if parts else "")


def of_recipe(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The name and path of the set that a recipe, as JSON data, names; "" where it names none."""
    return {key: recipe.get("data", {}).get(key, "") for key in ("name", "path")}


def of_results(recipe: Mapping[str, Any], data: Split | Dataset) -> dict[str, Any]:
    """What a file of results says of its data: the set that its recipe names, and how many images there were."""
    parts = data._asdict() if isinstance(data, Split) else {"pooled": data}
    return {**of_recipe(recipe), "images": {part: len(one) for part, one in parts.items()}}
