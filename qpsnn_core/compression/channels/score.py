"""Scores every channel of every LIF: SVS (Eqs. 11 to 13) or SCA (Eq. 7), and how stable the scores are (Eq. 15)."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.bars import listener_of
from qpsnn_core.common.errors import ConfigError, NumericsError, Unquoted, expected
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.plain import plain
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.types import Array, Doubles
from qpsnn_core.common.validation import check_choice, check_kind, check_number
from qpsnn_core.engine.calibration import calibration_batches
from qpsnn_core.engine.checks import check_model
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.membranes import MEMBRANES
from qpsnn_core.engine.memory import kept_bytes
from qpsnn_core.engine.passes import forward
from qpsnn_core.engine.progress_bars import shows_progress
from qpsnn_core.engine.reach import warn_dead_in_model
from qpsnn_core.kernels.linalg import bidiagonal, singular_values
from qpsnn_core.kernels.quantize import sum_abs
from qpsnn_core.kernels.threads import chunks, parallel_map
from qpsnn_core.network.model import Model
from qpsnn_core.recipes.pruning import CRITERIA
from qpsnn_datasets import Dataset, Split

ROWS = 2**10
"""Least number of places whose membranes are summed together."""

IMAGES = 16
"""Images that go forward at once: what is kept of them has to fit in memory."""


class Scores(NamedTuple):
    """The scores of each LIF's channels by its name, float64: the larger, the more the channel is worth.

    values: [C], over all images. batches: [N, C], of each batch. sca: [C], Eq. 7, which may break ties.
    """

    criterion: str
    values: dict[str, Doubles]
    batches: dict[str, Doubles]
    sca: dict[str, Doubles]

    def __repr__(self) -> str:
        channels = sum(len(own) for own in self.values.values())
        batches = max((len(own) for own in self.batches.values()), default=0)
        return f"Scores({self.criterion!r}, {channels:,} channels of {len(self.values)} LIF, {batches} batches)"


@shows_progress
def score(
    model: Model,
    images: Dataset | Split | Array,
    *,
    criterion: str = "svs",
    batches: int = 5,
    batch: int = 64,
    epsilon: float = 1e-6,
    seed: int | None = None,
    progress: Listener | bool | None = None,
) -> Scores:
    """Run the model in evaluation mode (running statistics) over calibration images, and score all channels.

    "svs": the mean number of singular values above `epsilon` of the spikes averaged over T, in float64. "sca": the
    mean over images and T of the L1 norm of the membrane before reset.
    images: a Dataset (of a Split: the training part), or an array as its images: [N, H, W, C], or frames
    [N, T, H, W, C]. At most `batches` batches of `batch` images are used (fewer where there are not so many): the
    first ones, or with a seed those that it draws. progress: called after every batch, as stage "score".
    Raises ConfigError (an argument), DataError (no images), ShapeError (not the network's), NumericsError (NaN in
    images, weights or membranes).
    """
    criterion, epsilon = plain((criterion, epsilon))
    progress = listener_of("score", progress)
    check_model(model, "score.model")
    check_choice("score.criterion", criterion, CRITERIA)
    check_number("score.epsilon", epsilon, "a number of at least 0", lambda number: 0 <= number < np.inf)
    parts = calibration_batches("score", images, batches, batch, seed)
    together = min(IMAGES, max(len(part) for part in parts))
    check_fits(f"score: {together} images", kept_bytes(model.network, together))
    warn_dead_in_model("score", model)
    counts = np.array([len(part) for part in parts])
    svs, sca = _totals(model, parts, epsilon if criterion == "svs" else None, progress)
    main = sca if criterion == "sca" else svs
    return Scores(
        criterion,
        {name: sum(total, start=0.0) / counts.sum() for name, total in main.items()},
        {name: total / counts[:, None] for name, total in main.items()},
        {name: sum(total, start=0.0) / counts.sum() for name, total in sca.items()},
    )


def stability(scores: Scores) -> dict[str, float]:
    """AvgCosS (Eq. 15) of each LIF: the mean cosine between the scores of any two batches; 1 if they always agree.

    Two batches in which every score is 0 count as equal. Raises ConfigError if there is only one batch.
    """
    check_kind("stability.scores", scores, Scores)
    found = {}
    for name, rows in scores.batches.items():
        if len(rows) < 2:
            raise ConfigError(expected("stability.scores", "at least two batches", len(rows)))
        cosines = [_cosine(first, second) for first, second in itertools.combinations(rows, 2)]
        found[name] = math.fsum(cosines) / len(cosines)
    return found


def count_significant_singular_values(counts: Array, steps: int, epsilon: float = 1e-6) -> npt.NDArray[np.int64]:
    """Eqs. 11 to 13 before the mean: how many singular values of `counts / steps` exceed `epsilon`, int64 [B, C].

    counts: spikes summed over T, [B, H, W, C]. The integers are taken, and the threshold multiplied by T. Where the
    kernel cannot prove the number (a value next to the threshold, an epsilon of 0), and for maps of more than 64
    columns, the values of their bidiagonal form are counted.
    """
    batch, height, width, channels = counts.shape
    threshold = epsilon * steps
    if min(height, width) == 1:
        lengths: Doubles = np.sqrt(np.square(counts, dtype=np.float64).sum((1, 2)))
        return (lengths > threshold).astype(np.int64)
    counts = np.ascontiguousarray(counts, np.uint8 if counts.dtype == np.uint8 else np.float64)
    found = np.full((batch, channels), singular_values.UNDECIDED, np.int64)
    if width <= singular_values.PITCH:
        parallel_map(
            singular_values.count_maps, chunks(batch * -(-channels // singular_values.LANES)), counts, threshold, found
        )
    places = np.nonzero(found == singular_values.UNDECIDED)
    if len(places[0]):
        parallel_map(bidiagonal.count_chosen, chunks(len(places[0])), counts, *places, threshold, found)
    return found


def _totals(
    model: Model, parts: list[Array], epsilon: float | None, progress: Listener | None
) -> tuple[dict[str, Doubles], dict[str, Doubles]]:
    """Sums over the images of each batch, [N, C]: of SVS (zeros where epsilon is None), and of SCA."""
    neurons = model.network.neurons
    steps = model.network.steps
    empty = {node.name: np.zeros((len(parts), model.network.shape(node.name)[2])) for node in neurons}
    svs, sca = empty, {name: total.copy() for name, total in empty.items()}
    for row, part in enumerate(parts):
        for start in range(0, len(part), IMAGES):
            done = forward(model, steps_first(part[start : start + IMAGES]), save_for_backward=True)
            for node in neurons:
                norms = _sum_abs(MEMBRANES[node](node, done.caches[node.name]))
                if not np.isfinite(norms).all():
                    raise NumericsError(
                        expected(f"{node.name}: membrane", "finite numbers", Unquoted("NaN or infinity"))
                    )
                sca[node.name][row] += norms / steps
                if epsilon is not None:
                    summed = done.values[node.name].sum(axis=0, dtype=np.uint8 if steps < 256 else np.int64)
                    svs[node.name][row] += count_significant_singular_values(summed, steps, epsilon).sum(0)
        if progress:
            progress(Progress("score", 1, 1, row + 1, len(parts), None, None))
    return svs, sca


def _sum_abs(values: Array) -> Doubles:
    """The sum of magnitudes of each channel, the last axis, in float64."""

    def part(start: int, stop: int) -> Doubles:
        sums = np.zeros(values.shape[-1])
        sum_abs(start, stop, flat, sums)
        return sums

    flat = np.ascontiguousarray(values, np.float32).reshape(-1)
    found: Doubles = sum(parallel_map(part, chunks(values.size // values.shape[-1], ROWS)))
    return found


def _cosine(first: Doubles, second: Doubles) -> float:
    norms = math.sqrt(math.fsum(first * first)) * math.sqrt(math.fsum(second * second))
    if norms == 0:
        return float(not first.any() and not second.any())
    return math.fsum(first * second) / norms
