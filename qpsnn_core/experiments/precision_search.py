"""The search for the formats of a network that learns locally (Q-SpiNN, Algorithm 1), one file for each evaluation."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qpsnn_core.common.atomic import save_json, writable_folder
from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.progress import Listener
from qpsnn_core.experiments.local_runs import check_same_recipe, learn_recipe, measure, name_neurons
from qpsnn_core.experiments.precision_results import (
    Evaluation,
    Found,
    as_json,
    key_of,
    name_of,
    read_evaluation,
    read_json,
    select,
)
from qpsnn_core.kernels.threads import parallel_map
from qpsnn_core.local_learning.exploration import Point, explore
from qpsnn_core.local_learning.file import LocalCheckpoint, save_local
from qpsnn_core.local_learning.formats import FLOAT, NeuronFormats, NumberFormats, memory_bits
from qpsnn_core.local_learning.model import initialise, quantized
from qpsnn_core.local_learning.plain_form import from_plain, to_plain
from qpsnn_core.local_learning.present import learn, respond
from qpsnn_core.local_learning.recipe import AXES, LocalRecipe
from qpsnn_core.quantization.fixed_point import FixedPoint
from qpsnn_core.training.history import digest
from qpsnn_datasets import Split

EVALUATIONS, SEARCH, RESULTS = "evaluations", "search.json", "results.json"

OBSERVED = 1000
"""Images from which the float32 network learns, at its beginning and at its end, while its ranges are observed."""


class Search:
    """The evaluations of one folder: each is run once, and its file decides that it was."""

    def __init__(self, recipe: LocalRecipe, data: Split, folder: Path, log: Callable[[str], None]) -> None:
        self.recipe, self.data, self.folder, self._log = recipe, data, folder, log
        self.made_by = {name: recipe.to_dict()[name] for name in ("diehl_cook", "learn")}
        self.made_by["data"] = {part: digest(one) for part, one in data.parts.items()}
        self._floats: dict[int, LocalCheckpoint] = {}
        self._baselines: dict[int, float] = {}
        self.integer: dict[str, int] = {}

    def begin(self, progress: Listener | None) -> None:
        """Check that the folder is of this recipe, learn in float32, observe ranges. ConfigError names what changed."""
        writable_folder(self.folder / EVALUATIONS)
        path = self.folder / SEARCH
        if path.exists():
            check_same_recipe(str(path), read_json(path), self.made_by)
        else:
            save_json(path, self.made_by)
        for samples in {0, self.recipe.qspinn.learn_samples}:
            self._floats[samples] = self._float(samples, progress)
            found = self.evaluate("float32", FLOAT, samples)
            self._baselines[samples] = found.accuracy
        self.integer = self._integer_bits()

    def baseline(self, samples: int) -> float:
        """The accuracy of the float32 network that learnt from so many samples; 0: all."""
        return self._baselines[samples]

    def _float(self, samples: int, progress: Listener | None) -> LocalCheckpoint:
        path = self.folder / ("float.h5" if not samples else f"float-{samples}.h5")
        recipe = replace(self.recipe, formats=FLOAT)
        train = self.data.train.limited(samples or None)
        return learn_recipe(recipe, train, path, resume=path.exists(), progress=progress)

    def _integer_bits(self) -> dict[str, int]:
        """Those that the recipe gives, else the fewest for what was observed, whatever the fraction."""
        given = self.recipe.qspinn.integer
        if set(AXES) <= set(given):
            return dict(given)
        rule, neuron, trained = self.recipe.diehl_cook.rule, self.recipe.diehl_cook.neuron, self._floats[0].model
        some = self.data.train.limited(OBSERVED).images
        begun = initialise(trained.network, FLOAT, trained.seed)
        seen = [respond(trained, some, observe=True).seen]
        seen += [learn(model, some, observe=True)[1].seen for model in (begun, trained)]
        ranges = [one for one in seen if one is not None]
        lowest, highest = (pick(float(one[at]) for one in ranges) for pick, at in ((min, 0), (max, 1)))
        raised = neuron.threshold + max(float(one[3]) for one in ranges)
        spans = {
            "weights": (rule.low, rule.high),
            "membrane": (min(lowest, neuron.rest, neuron.reset), max(highest, neuron.rest, neuron.reset)),
            "threshold": (min(neuron.threshold, raised), max(neuron.threshold, raised)),
        }
        return {axis: FixedPoint.covering(*span, 0).integer for axis, span in spans.items()} | given

    def formats(self, rounding: str, fractions: Sequence[int | None]) -> NumberFormats:
        """Of weights, membranes and thresholds; None: float32."""
        config = self.recipe.qspinn
        w, v, th = (
            None if fraction is None else FixedPoint(self.integer[axis], fraction)
            for axis, fraction in zip(AXES, fractions, strict=True)
        )
        neurons = None if v is None or th is None else NeuronFormats(v, th, config.reset, config.increment)
        return NumberFormats(w, neurons, rounding)

    def evaluate(self, scheme: str, formats: NumberFormats, samples: int) -> Evaluation:
        """What the file of this evaluation says; if there is none yet, it is run and written."""
        depends = self._depends(scheme, formats, samples)
        path = self.folder / EVALUATIONS / f"{key_of(depends)}.json"
        if path.exists():
            return read_evaluation(path, depends)
        begun = time.perf_counter()
        score = measure(self.network(scheme, formats, samples), self.data.test, self.data.train)
        whole = memory_bits(self._floats[samples].model.network, FLOAT)
        found = Evaluation(
            scheme=scheme,
            rounding=str(formats.rounding or "none"),
            formats=to_plain(formats),
            samples=samples or len(self.data.train),
            accuracy=score.accuracy,
            loss=self._baselines.get(samples, score.accuracy) - score.accuracy,
            memory=score.memory_bits / whole,
            memory_bits=score.memory_bits,
            saturated=score.saturated,
            minutes=(time.perf_counter() - begun) / 60,
        )
        save_json(path, {"depends": depends, "result": found._asdict()})
        self._log(f"{scheme} {name_of(formats)} {found.rounding}: {found.accuracy:.2%}")
        return found

    def _depends(self, scheme: str, formats: NumberFormats, samples: int) -> dict[str, Any]:
        return {**self.made_by, "scheme": scheme, "formats": to_plain(formats), "samples": samples}

    def network(self, scheme: str, formats: NumberFormats, samples: int) -> LocalCheckpoint:
        """The network in these formats: the float32 one ("ptq"), or one that learnt in them ("itq")."""
        start = self._floats[samples]
        if scheme == "float32":
            return start
        train = self.data.train.limited(samples or None)
        if scheme == "ptq":
            return name_neurons(self.recipe, replace(start, model=quantized(start.model, formats)), train)
        recipe = replace(self.recipe, formats=formats)
        path = self.folder / f"learning-{key_of(self._depends(scheme, formats, samples))[:12]}.h5"
        done = learn_recipe(recipe, train, path, resume=path.exists())
        path.unlink(missing_ok=True)
        return done


def run_precision_search(
    recipe: LocalRecipe,
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
    config, target_folder = recipe.qspinn, Path(folder)
    search = Search(recipe, data, target_folder, log)
    search.begin(progress)
    done: dict[tuple[str, str, int], Evaluation] = {}

    def run(wanted: Sequence[tuple[str, NumberFormats, int]]) -> list[Evaluation]:
        ranges = [(at, at + 1) for at in range(len(wanted))]
        found: list[Evaluation] = parallel_map(lambda at, _: search.evaluate(*wanted[at]), ranges)
        for one, (scheme, formats, samples) in zip(found, wanted, strict=True):
            done[scheme, str(to_plain(formats)), samples] = one
        return found

    def passes(points: Sequence[Point]) -> list[bool]:
        wanted = []
        for point in points:
            fractions = [config.fractions[level] for level in point.levels]
            samples = config.learn_samples if point.scheme == "itq" else 0
            wanted.append((point.scheme, search.formats(point.rounding, fractions), samples))
        return [one.loss <= target for one in run(wanted)]

    explore(config.schemes, config.roundings, len(AXES), len(config.fractions), config.search, passes)
    if config.lines:
        run(list(_lines(search)))
    if config.finalists:
        some = [one for one in done.values() if one.scheme == "itq" and one.loss <= target]
        best = sorted(some, key=lambda one: (mu * one.memory - one.accuracy, one.memory))[: config.finalists]
        run([("itq", from_plain(one.formats, NumberFormats), 0) for one in best])
    found = select(search.baseline(0), len(data.train), list(done.values()), target, mu, memory)
    save_json(target_folder / RESULTS, {**_settings(target, mu, memory), **as_json(found)})
    if found.chosen is not None:
        samples = config.learn_samples if found.chosen.samples != len(data.train) else 0
        formats = from_plain(found.chosen.formats, NumberFormats)
        save_local(target_folder / "chosen.h5", search.network(found.chosen.scheme, formats, samples))
    return found


def _lines(search: Search) -> list[tuple[str, NumberFormats, int]]:
    """Weights alone, neurons alone, both with the same fractions (Fig. 10)."""
    config = search.recipe.qspinn
    return [
        (scheme, search.formats(rounding, fractions), config.learn_samples if scheme == "itq" else 0)
        for scheme in config.schemes
        for rounding in config.roundings
        for f in config.fractions
        for fractions in ((f, None, None), (None, f, f), (f, f, f))
    ]


def _settings(target: float, mu: float, memory: float) -> dict[str, float]:
    return {"target": target, "mu": mu, "memory": memory}
