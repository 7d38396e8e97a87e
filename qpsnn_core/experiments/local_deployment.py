"""Files of local learning as deployed networks: their samples, and whether a backend gives what the exact one does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.file_kinds import LOCAL
from qpsnn_core.common.hdf5 import check_file_kind
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.types import Images, Labels
from qpsnn_core.integer.local.backends import LocalBackend, differences
from qpsnn_core.integer.local.networks import TESTED, IntLocal
from qpsnn_core.integer.local.simulate import simulate_local
from qpsnn_core.local_learning.decolle_file import SUPERVISED, load_decolle
from qpsnn_core.local_learning.decolle_formats import DECOLLE_FLOAT, decolle_memory_bits
from qpsnn_core.local_learning.decolle_recipe import decolle_recipe_from_dict
from qpsnn_core.local_learning.decolle_run import respond_windows
from qpsnn_core.local_learning.deployment import lower_decolle, lower_local, spikes_of
from qpsnn_core.local_learning.file import kind_of_network, load_local
from qpsnn_core.local_learning.formats import FLOAT, memory_bits
from qpsnn_core.local_learning.present import respond
from qpsnn_core.local_learning.recipe import local_recipe_from_dict
from qpsnn_core.recipes.data import DataConfig
from qpsnn_datasets import Dataset

HELD = 2**27
"""Bytes of stored variables that are compared at a time."""

MOST_AT_ONCE = 500
"""Samples that are run at a time."""


@dataclass(frozen=True, eq=False)
class Deployed:
    """network: in integers. samples: what it is given for images, the number of the first of which comes with them.

    trained: the classes that the network in its file gives the same images, by all activity or the last readout. data,
    steps: of its recipe. float_bits: its memory in float32.
    """

    network: IntLocal
    samples: Callable[[Images, int], Images]
    trained: Callable[[Images, int], Labels]
    data: DataConfig
    steps: int | None
    float_bits: int


@dataclass(frozen=True)
class LocalAgreement:
    """mismatches: by stored variable and "answers", numbers that differ from the exact simulator's. accuracy: 0 to 1.

    changed: samples to which the network in its file gives another class. memory_bits: of weights and neurons.
    """

    accuracy: float
    images: int
    changed: int
    mismatches: dict[str, int]
    memory_bits: int
    memory: float


def load_deployed(path: Path) -> Deployed:
    """A file of local learning, lowered. Raises as its reader, LoweringError (float32), ConfigError (no recipe)."""
    check_file_kind(path, LOCAL)
    return (_decolle if kind_of_network(path) == SUPERVISED else _stdp)(path)


def _stdp(path: Path) -> Deployed:
    loaded = load_local(path)
    recipe, model, named = local_recipe_from_dict(_recipe(path, loaded.recipe)), loaded.model, loaded.named
    if named is None:
        raise ConfigError(expected(str(path), "one that has learnt to the end", Unquoted(f"{model.seen} samples")))
    return Deployed(
        network=lower_local(model, named),
        samples=lambda images, first: spikes_of(model, images, first),
        trained=lambda images, first: named.all_activity(respond(model, images, first=first).counts),
        data=recipe.data,
        steps=None,
        float_bits=memory_bits(model.network, FLOAT),
    )


def _decolle(path: Path) -> Deployed:
    loaded = load_decolle(path)
    recipe, model = decolle_recipe_from_dict(_recipe(path, loaded.recipe)), loaded.model
    training, classes = recipe.train, model.network.classes

    def windows(images: Images) -> Images:
        return np.ascontiguousarray(images[:, : training.test_steps])

    return Deployed(
        network=lower_decolle(model, training),
        samples=lambda images, _: windows(images),
        trained=lambda images, first: respond_windows(model, windows(images), training, first=first).votes(classes)[
            :, -1
        ],
        data=recipe.data,
        steps=recipe.frames.steps,
        float_bits=decolle_memory_bits(model.network, DECOLLE_FLOAT),
    )


def _recipe(path: Path, recipe: Any) -> Any:
    if not recipe:
        raise ConfigError(expected(str(path), "a network that `qpsnn learn` made", Unquoted("one without a recipe")))
    return recipe


def local_agreement(
    deployed: Deployed, data: Dataset, backend: LocalBackend, progress: Listener | None = None
) -> LocalAgreement:
    """Run all images of `data` on a backend, and compare every stored variable after every step with the exact one's.

    Raises as `LocalBackend.run`.
    """
    network = deployed.network
    stored = sum(int(np.prod(one.shape)) for one in network.variables)
    each = min(MOST_AT_ONCE, max(1, HELD // (4 * network.steps * stored)))
    parts = -(-len(data) // each)
    mismatches: dict[str, int] = {}
    right = changed = 0
    for part in range(parts):
        at, first = slice(part * each, (part + 1) * each), TESTED + part * each
        images = np.asarray(data.images[at])
        samples = deployed.samples(images, first)
        exact = simulate_local(network, samples, record="all", first=first)
        run = exact if backend.name == "exact" else backend.run(network, samples, "all", first)
        for name, count in differences(run, exact).items():
            mismatches[name] = mismatches.get(name, 0) + count
        classes = np.array([network.class_of(one) for one in run.answers])
        right += int((classes == data.labels[at]).sum())
        changed += int((classes != deployed.trained(images, first)).sum())
        if progress is not None:
            progress(Progress("evaluate", 1, 1, part + 1, parts, None, None))
    return LocalAgreement(
        accuracy=right / len(data),
        images=len(data),
        changed=changed,
        mismatches=mismatches,
        memory_bits=network.bits,
        memory=network.bits / deployed.float_bits,
    )
