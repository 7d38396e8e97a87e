"""The report's figure: a spike raster, weight codes before and after ReScaW, scores per layer, accuracy per stage."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from qpsnn_core.common.atomic import save_bytes, writable_folder
from qpsnn_core.experiments.plots.axes import accuracies, code_use, raster, score_map


def report(
    path: str | os.PathLike[str],
    *,
    spikes: Mapping[str, npt.NDArray[Any]],
    codes: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    scores: Mapping[str, npt.NDArray[np.float64]],
    kept: Mapping[str, npt.NDArray[Any]],
    stages: Sequence[tuple[str, float]],
    title: str = "",
) -> None:
    """Write the figure as PNG.

    spikes: one image's spikes of each neuron layer, [T, units]; codes: one layer's integers W_int, vanilla and ReScaW;
    scores: [C] of each scored layer; kept: the channels that pruning left; stages: name and accuracy (0..1).
    """
    figure, axes = plt.subplots(2, 2, figsize=(12, 8.5), layout="constrained")
    raster(axes[0, 0], spikes, "Spikes of one test image (integer network)")
    code_use(axes[0, 1], *codes)
    score_map(axes[1, 0], scores, kept)
    accuracies(axes[1, 1], stages)
    if title:
        figure.suptitle(title, fontsize=13)
    try:
        write(figure, Path(path), dpi=120)
    finally:
        plt.close(figure)


def write(figure: Figure, target: Path, *, dpi: int) -> None:
    """Write a figure whole or not at all, in the format that the file's ending says."""
    writable_folder(target.parent)
    image = io.BytesIO()
    figure.savefig(image, format=target.suffix[1:], dpi=dpi)
    save_bytes(target, image.getvalue())
