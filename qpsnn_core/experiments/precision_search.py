"""The search for the formats of a network that learns locally (Q-SpiNN, Algorithm 1), one file for each evaluation."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qpsnn_core.common.atomic import save_json, writable_folder
from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.progress import Listener
from qpsnn_core.experiments.decolle_search import DecolleNetworks
from qpsnn_core.experiments.local_runs import check_same_recipe
from qpsnn_core.experiments.precision_results import (
    Evaluation,
    Found,
    as_json,
    formats_of,
    key_of,
    name_of,
    read_evaluation,
    read_json,
    select,
    within,
)
from qpsnn_core.experiments.stdp_search import StdpNetworks
from qpsnn_core.kernels.threads import parallel_map
from qpsnn_core.local_learning.decolle_recipe import DecolleRecipe
from qpsnn_core.local_learning.exploration import Point, explore
from qpsnn_core.local_learning.plain_form import to_plain
from qpsnn_core.local_learning.recipe import LocalRecipe
from qpsnn_core.training.history import digest
from qpsnn_datasets import Split

EVALUATIONS, SEARCH, RESULTS = "evaluations", "search.json", "results.json"

Networks = StdpNetworks | DecolleNetworks
Wanted = tuple[str, Any, int]
"""Scheme, formats, samples to learn from (0: all)."""


class Search:
    """The evaluations of one folder: each is run once, and its file decides that it was."""

    def __init__(self, networks: Networks, data: Split, folder: Path, log: Callable[[str], None]) -> None:
        self.networks, self.folder, self._log = networks, folder, log
        self.made_by = {**networks.made_by, "data": {part: digest(one) for part, one in data.parts.items()}}
        self._whole = len(data.train)
        self._baselines: dict[int, float] = {}
        self.done: dict[str, Evaluation] = {}

    def begin(self, progress: Listener | None) -> None:
        """Check that the folder is of this recipe, learn in float32, observe ranges. ConfigError names what changed."""
        writable_folder(self.folder / EVALUATIONS)
        path = self.folder / SEARCH
        if path.exists():
            check_same_recipe(str(path), read_json(path), self.made_by)
        else:
            save_json(path, self.made_by)
        for samples in {0, self.networks.config.learn_samples}:
            self.networks.prepare(samples, progress)
            found = self.evaluate("float32", self.networks.float32, samples)
            self._baselines[samples] = found.accuracy
        self.networks.observe()

    def baseline(self, samples: int) -> float:
        """The accuracy of the float32 network that learnt from so many samples; 0: all."""
        return self._baselines[samples]

    def evaluate(self, scheme: str, formats: Any, samples: int) -> Evaluation:
        """What the file of this evaluation says; if there is none yet, it is run and written."""
        key, depends = self.key(scheme, formats, samples)
        path = self.folder / EVALUATIONS / f"{key}.json"
        if path.exists():
            return read_evaluation(path, depends)
        begun = time.perf_counter()
        found = self.networks.measured(scheme, formats, samples, key[:12])
        result = Evaluation(
            scheme=scheme,
            rounding=str(formats.rounding or "none"),
            formats=to_plain(formats),
            samples=samples or self._whole,
            accuracy=found.accuracy,
            loss=self._baselines.get(samples, found.accuracy) - found.accuracy,
            memory=found.memory_bits / found.float32_bits,
            memory_bits=found.memory_bits,
            saturated=found.saturated,
            minutes=(time.perf_counter() - begun) / 60,
        )
        save_json(path, {"depends": depends, "result": result._asdict()})
        self._log(f"{scheme} {name_of(formats)} {result.rounding}: {result.accuracy:.2%}")
        return result

    def key(self, scheme: str, formats: Any, samples: int) -> tuple[str, dict[str, Any]]:
        """What an evaluation depends on, and the hash that names its file."""
        depends = {**self.made_by, "scheme": scheme, "formats": to_plain(formats), "samples": samples}
        return key_of(depends), depends

    def run(self, wanted: Sequence[Wanted]) -> list[Evaluation]:
        """Several evaluations, which do not depend on each other, on all threads."""
        ranges = [(at, at + 1) for at in range(len(wanted))]
        found: list[Evaluation] = parallel_map(lambda at, _: self.evaluate(*wanted[at]), ranges)
        self.done |= {self.key(*one)[0]: result for one, result in zip(wanted, found, strict=True)}
        return found

    def wanted(self, scheme: str, rounding: str, fractions: Sequence[int | None]) -> Wanted:
        """The evaluation of a scheme, with the samples that the recipe gives it."""
        samples = self.networks.config.learn_samples if scheme == "itq" else 0
        return scheme, self.networks.formats(rounding, fractions), samples

    def lines(self) -> list[Wanted]:
        """The networks of Figs. 10 and 11."""
        config = self.networks.config
        return [
            self.wanted(scheme, rounding, fractions)
            for scheme in config.schemes
            for rounding in config.roundings
            for fractions in self.networks.lines
        ]


def run_precision_search(
    recipe: LocalRecipe | DecolleRecipe,
    data: Split,
    folder: str | os.PathLike[str],
    *,
    target: float,
    mu: float,
    memory: float = 1.0,
    progress: Listener | None = None,
    log: Callable[[str], None] = lambda text: None,
) -> Found:
    """Search as the recipe's table [qspinn] says, and choose (Eq. 5); the chosen network is `folder/chosen.h5`.

    target: how much accuracy may be lost, 0 to 1. mu: the weight of memory. memory: the most that the chosen one may
    take, of float32's. What the folder has is not evaluated again; a search that was stopped goes on. Candidates that
    learnt from fewer samples are chosen only where no other is. Raises ConfigError (a folder of another recipe, which
    key, target, mu, memory), FormatError (a damaged file), and what learning raises.
    """
    for name, value in (("target", target), ("mu", mu), ("memory", memory)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise ConfigError(expected(name, "a number from 0 to 1", value))
    config, place = recipe.qspinn, Path(folder)
    made = (
        StdpNetworks(recipe, data, place) if isinstance(recipe, LocalRecipe) else DecolleNetworks(recipe, data, place)
    )
    search = Search(made, data, place, log)
    search.begin(progress)

    def passes(points: Sequence[Point]) -> list[bool]:
        wanted = [
            search.wanted(point.scheme, point.rounding, [config.fractions[level] for level in point.levels])
            for point in points
        ]
        return [within(one.loss, target) for one in search.run(wanted)]

    explore(config.schemes, config.roundings, len(made.axes), len(config.fractions), config.search, passes)
    if config.lines:
        search.run(search.lines())
    if config.finalists:
        some = [one for one in search.done.values() if one.scheme == "itq" and within(one.loss, target)]
        best = sorted(some, key=lambda one: (mu * one.memory - one.accuracy, one.memory))[: config.finalists]
        search.run([("itq", formats_of(one.formats), 0) for one in best])
    found = select(search.baseline(0), len(data.train), list(search.done.values()), target, mu, memory)
    save_json(place / RESULTS, {"target": target, "mu": mu, "memory": memory, **as_json(found)})
    if found.chosen is not None:
        samples = config.learn_samples if found.chosen.samples != len(data.train) else 0
        formats = formats_of(found.chosen.formats)
        key, _ = search.key(found.chosen.scheme, formats, samples)
        made.save(place / "chosen.h5", found.chosen.scheme, formats, samples, key[:12])
    return found
