"""The last stages of a run: the integer network on backends, and as files for other machines."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from qpsnn_core.common.errors import QpsnnWarning
from qpsnn_core.common.install import missing_extra
from qpsnn_core.common.types import Array
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.passes import initialise
from qpsnn_core.exchange.netx import netx_layers, save_netx
from qpsnn_core.experiments.pipeline.work import Figures, Work, row
from qpsnn_core.inference.agreement import agreement
from qpsnn_core.integer.backends import exporter, get
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.network.model import Model, with_steps
from qpsnn_core.recipes.deployment import ExportConfig

TARGETS = {"c": "firmware", "nir": "network.nir", "netx": "network.net"}
"""What each format leaves in the folder."""


def simulate_all(work: Work, _: Path | None) -> Figures:
    """Every backend against the exact simulator, on the test images that [simulate] names."""
    chosen = work.recipe.simulate
    assert chosen is not None  # noqa: S101 - the plan has both
    assert work.integers is not None  # noqa: S101 - likewise
    some = work.test_images(chosen.images)
    rows, found = [], {}
    for name in chosen.backends:
        figures, measured = agreement(work.integers, some, name)
        rows.append(row(name.capitalize(), work.model, measured)._asdict())
        found[name] = asdict(figures)
    return {"rows": rows, "backends": found}


def export_all(work: Work, _: Path | None) -> Figures:
    """Every format of [export], into the run's folder."""
    chosen = work.recipe.export
    assert chosen is not None  # noqa: S101 - without this table there is no such stage
    assert work.folder is not None  # noqa: S101 - the demo, which has none, exports nothing
    images = steps_first(work.test_images(chosen.vectors).images) if "c" in chosen.formats else None
    written = {}
    for form in chosen.formats:
        written[form] = write(form, chosen, work.folder / TARGETS[form], work.model, work.integers, images)
    return {"exports": written}


def write(
    form: str, chosen: ExportConfig, target: Path, model: Model, integers: IntegerNetwork | None, images: Array | None
) -> Figures:
    """One format. Raises what the exporter raises: what it cannot hold, by name."""
    if form == "nir":
        source = integers if chosen.exact and integers is not None else model
        return {"file": target.name, **_save_nir()(target, source, exact=chosen.exact, dt=chosen.dt)._asdict()}
    assert integers is not None  # noqa: S101 - the plan lowers first
    if form == "netx":
        layers = save_netx(target, integers, host_first=chosen.host_first)
        return {"file": target.name, "layers": [layer._asdict() for layer in layers]}
    return {**asdict(exporter(form)(integers, target, chosen.name, images)), "folder": target.name}


def check_deployment(work: Work, plan: Collection[str], todo: Collection[str]) -> None:
    """Everything that keeps the last stages from running the network, before the first stage begins.

    The untrained network is lowered, shown to every backend, and written in every format to a temporary folder.
    plan: all stages of the run; todo: those that are not done.
    Raises LoweringError, UnsupportedError, MissingError, DataError (a package that is missing), ConfigError.
    """
    if not {"lower", "simulate", "export"} & set(todo):
        return
    recipe, model = work.recipe, initialise(work.network, work.recipe.train.seed)
    if "finetune" in plan and recipe.finetune.steps:
        model = with_steps(model, recipe.finetune.steps, "finetune.steps")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QpsnnWarning)  # of an untrained network, which say nothing
        integers = lower(model, fraction_bits=recipe.lower.fraction_bits).network if "lower" in plan else None
        if integers is not None and recipe.simulate is not None and "simulate" in todo:
            for name in recipe.simulate.backends:
                get(name).check(integers)
        if recipe.export is not None and "export" in todo:
            for form in recipe.export.formats:
                _check_format(form, recipe.export, model, integers)


def _check_format(form: str, chosen: ExportConfig, model: Model, integers: IntegerNetwork | None) -> None:
    """Whether a format holds such a network. Of what size NetX's integers are, is known only after training."""
    if form == "netx" and integers is not None:
        netx_layers(integers, host_first=chosen.host_first)
        return
    image = None if integers is None else np.zeros((1, *integers.input.shape), np.uint8)
    with TemporaryDirectory(prefix="qpsnn-run-") as folder:
        write(form, chosen, Path(folder) / TARGETS[form], model, integers, image)


def exported_files(folder: Path, formats: Iterable[str]) -> list[Path]:
    """The files that an export left in the folder."""
    found: list[Path] = []
    for form in formats:
        target = folder / TARGETS[form]
        found += sorted(one for one in target.iterdir() if one.is_file()) if target.is_dir() else [target]
    return found


def _save_nir() -> Any:
    """The exporter, which needs the package nir; DataError says what is missing."""
    try:
        from qpsnn_core.exchange.nir_export import save_nir
    except ModuleNotFoundError as error:
        raise missing_extra("export.formats: nir", "the package nir", "exchange", error) from error
    return save_nir
