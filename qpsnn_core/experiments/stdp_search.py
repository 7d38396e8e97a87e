"""Networks that learn by STDP, as the search for formats tries them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qpsnn_core.common.progress import Listener
from qpsnn_core.experiments.local_runs import learn_recipe, measure, name_neurons
from qpsnn_core.experiments.precision_results import Measure
from qpsnn_core.local_learning.file import LocalCheckpoint, save_local
from qpsnn_core.local_learning.formats import FLOAT, NeuronFormats, NumberFormats, memory_bits
from qpsnn_core.local_learning.model import initialise, quantized
from qpsnn_core.local_learning.present import learn, respond
from qpsnn_core.local_learning.recipe import AXES, LocalRecipe
from qpsnn_core.quantization.fixed_point import FixedPoint
from qpsnn_datasets import Split

OBSERVED = 1000
"""Images from which the float32 network learns, at its beginning and at its end, while its ranges are observed."""


class StdpNetworks:
    """The recipe's network in any formats. integer: integer bits of the quantities of AXES, once observed."""

    axes = AXES
    float32: Any = FLOAT

    def __init__(self, recipe: LocalRecipe, data: Split, folder: Path) -> None:
        self.recipe, self.data, self.folder, self.config = recipe, data, folder, recipe.qspinn
        self.made_by: dict[str, Any] = {name: recipe.to_dict()[name] for name in ("diehl_cook", "learn")}
        self._floats: dict[int, LocalCheckpoint] = {}
        self.integer: dict[str, int] = {}

    def prepare(self, samples: int, progress: Listener | None) -> None:
        """Learn in float32 from so many samples; 0: all."""
        path = self.folder / ("float.h5" if not samples else f"float-{samples}.h5")
        recipe = replace(self.recipe, formats=FLOAT)
        train = self.data.train.limited(samples or None)
        self._floats[samples] = learn_recipe(recipe, train, path, resume=path.exists(), progress=progress)

    def observe(self) -> None:
        """Integer bits: those that the recipe gives, else the fewest for what was observed, whatever the fraction."""
        given = self.recipe.qspinn.integer
        if set(AXES) <= set(given):
            self.integer = dict(given)
            return
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
        self.integer = {axis: FixedPoint.covering(*span, 0).integer for axis, span in spans.items()} | given

    def formats(self, rounding: str, fractions: Sequence[int | None]) -> Any:
        """Of weights, membranes and thresholds; None: float32."""
        config = self.config
        w, v, th = (
            None if fraction is None else FixedPoint(self.integer[axis], fraction)
            for axis, fraction in zip(AXES, fractions, strict=True)
        )
        constants = (config.reset, config.increment, config.conductance)
        neurons = None if v is None or th is None else NeuronFormats(v, th, *constants)
        return NumberFormats(w, neurons, rounding)

    @property
    def lines(self) -> list[tuple[int | None, ...]]:
        """Weights alone, neurons alone, both with the same fractions (Fig. 10)."""
        return [one for f in self.config.fractions for one in ((f, None, None), (None, f, f), (f, f, f))]

    def measured(self, scheme: str, formats: Any, samples: int, key: str) -> Measure:
        """The network's accuracy on the test part, and its memory."""
        score = measure(self._network(scheme, formats, samples, key), self.data.test, self.data.train)
        network = self._floats[samples].model.network
        return Measure(score.accuracy, score.memory_bits, memory_bits(network, FLOAT), score.saturated)

    def save(self, path: Path, scheme: str, formats: Any, samples: int, key: str) -> None:
        """Write the network as a file."""
        save_local(path, self._network(scheme, formats, samples, key))

    def _network(self, scheme: str, formats: NumberFormats, samples: int, key: str) -> LocalCheckpoint:
        """The network in these formats: the float32 one ("ptq"), or one that learnt in them ("itq")."""
        start = self._floats[samples]
        if scheme == "float32":
            return start
        train = self.data.train.limited(samples or None)
        if scheme == "ptq":
            return name_neurons(self.recipe, replace(start, model=quantized(start.model, formats)), train)
        path = self.folder / f"learning-{key}.h5"
        done = learn_recipe(replace(self.recipe, formats=formats), train, path, resume=path.exists())
        path.unlink(missing_ok=True)
        return done
