"""DECOLLE networks, as the search for formats tries them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from qpsnn_core.common.progress import Listener
from qpsnn_core.experiments.decolle_runs import measure_decolle, train_decolle
from qpsnn_core.experiments.precision_results import Measure
from qpsnn_core.local_learning.decolle_file import DecolleCheckpoint, save_decolle
from qpsnn_core.local_learning.decolle_formats import (
    DECOLLE_FLOAT,
    DecolleFormats,
    LocalNeuronFormats,
    decolle_memory_bits,
)
from qpsnn_core.local_learning.decolle_model import quantized_decolle
from qpsnn_core.local_learning.decolle_recipe import DECOLLE_AXES, RANGES, DecolleRecipe
from qpsnn_core.local_learning.decolle_run import respond_windows
from qpsnn_core.quantization.fixed_point import FixedPoint
from qpsnn_datasets import Split

OBSERVED = 64
"""Training samples by which ranges of variables are observed."""


class DecolleNetworks:
    """The recipe's network in any formats: weights with one fraction, V, P, Q and R with another (Fig. 11)."""

    axes = DECOLLE_AXES
    float32: Any = DECOLLE_FLOAT

    def __init__(self, recipe: DecolleRecipe, data: Split, folder: Path) -> None:
        self.recipe, self.data, self.folder, self.config = recipe, data, folder, recipe.qspinn
        self.made_by: dict[str, Any] = {name: recipe.to_dict()[name] for name in ("decolle", "train", "frames")}
        self._floats: dict[int, DecolleCheckpoint] = {}
        self.integer: dict[str, int] = {}

    def prepare(self, samples: int, progress: Listener | None) -> None:
        """Train in float32 with so many samples; 0: all."""
        path = self.folder / ("float.h5" if not samples else f"float-{samples}.h5")
        recipe = replace(self.recipe, formats=DECOLLE_FLOAT)
        train = self.data.train.limited(samples or None)
        self._floats[samples] = train_decolle(recipe, train, path, resume=path.exists(), progress=progress)

    def observe(self) -> None:
        """Integer bits: those that the recipe gives, else the fewest for what was observed, whatever the fraction."""
        given, trained = self.config.integer, self._floats[0].model
        if set(RANGES) <= set(given):
            self.integer = dict(given)
            return
        windows = np.asarray(self.data.train.limited(OBSERVED).images[:, : self.recipe.train.steps])
        seen = respond_windows(trained, windows, self.recipe.train, observe=True).seen
        assert seen is not None  # noqa: S101 - it was asked for
        arrays = (*trained.weights, *trained.biases)
        threshold = self.recipe.decolle.neuron.threshold
        spans = {
            "weights": (min(float(one.min()) for one in arrays), max(float(one.max()) for one in arrays)),
            "q": (float(seen[0]), float(seen[1])),
            "p": (float(seen[2]), float(seen[3])),
            "r": (float(seen[4]), float(seen[5])),
            "membrane": (min(float(seen[6]), threshold), max(float(seen[7]), threshold)),
        }
        self.integer = {name: FixedPoint.covering(*span, 0).integer for name, span in spans.items()} | given

    def formats(self, rounding: str, fractions: Sequence[int | None]) -> Any:
        """Of weights, and of V, P, Q, R."""
        config = self.config
        w, f = (0 if one is None else one for one in fractions)
        own = {name: FixedPoint(self.integer[name], f) for name in RANGES if name != "weights"}
        constants = {name: getattr(config, name) for name in ("alpha", "beta", "gamma", "inhibition")}
        return DecolleFormats(FixedPoint(self.integer["weights"], w), LocalNeuronFormats(**own, **constants), rounding)

    @property
    def lines(self) -> list[tuple[int | None, ...]]:
        """Both with the same fractions (Fig. 11c); weights and neurons are in fixed point together."""
        return [(f, f) for f in self.config.fractions]

    def measured(self, scheme: str, formats: Any, samples: int, key: str) -> Measure:
        """The network's accuracy on the test part, and its memory."""
        model = self._network(scheme, formats, samples, key).model
        score = measure_decolle(model, self.data.test, self.recipe.train)
        return Measure(score.accuracy, score.memory_bits, decolle_memory_bits(model.network, DECOLLE_FLOAT), score.lost)

    def save(self, path: Path, scheme: str, formats: Any, samples: int, key: str) -> None:
        """Write the network as a file."""
        save_decolle(path, self._network(scheme, formats, samples, key))

    def _network(self, scheme: str, formats: DecolleFormats, samples: int, key: str) -> DecolleCheckpoint:
        """The network in these formats: the float32 one ("ptq"), or one that learnt in them ("itq")."""
        start = self._floats[samples]
        if scheme == "float32":
            return start
        if scheme == "ptq":
            return replace(start, model=quantized_decolle(start.model, formats))
        path = self.folder / f"learning-{key}.h5"
        train = self.data.train.limited(samples or None)
        done = train_decolle(replace(self.recipe, formats=formats), train, path, resume=path.exists())
        path.unlink(missing_ok=True)
        return done
