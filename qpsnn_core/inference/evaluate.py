"""How well a model, trained or lowered to integers, does on a set, and how much its neurons fire."""

from __future__ import annotations

from collections.abc import Sequence

from qpsnn_core.common.bars import listener_of
from qpsnn_core.common.dead_layers import dead_layers, warn_dead_layers
from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.plain import plain
from qpsnn_core.common.progress import Listener
from qpsnn_core.common.types import Array, Images
from qpsnn_core.common.validation import check_at_least, check_kind
from qpsnn_core.engine.detector_head import levels_of, units_of
from qpsnn_core.engine.detector_measure import MapsRunner, count_boxes, measure_detector
from qpsnn_core.engine.evaluation import Evaluation, Runner, check_data, measure, measure_model, summed
from qpsnn_core.engine.passes import check_model_kind
from qpsnn_core.engine.progress_bars import shows_progress
from qpsnn_core.engine.reach import reaches
from qpsnn_core.integer.backends import get
from qpsnn_core.integer.dead import reaches as integer_reaches
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntLIF
from qpsnn_core.network.model import Model
from qpsnn_datasets import Dataset, Split
from qpsnn_datasets.detection.schema import DetectionDataset


@shows_progress
def evaluate(
    model: Model | IntegerNetwork,
    data: Dataset | Split,
    *,
    batch: int = 256,
    limit: int | None = None,
    backend: str = "exact",
    progress: Listener | bool | None = None,
) -> Evaluation:
    """Run a set (of a Split: the test part) through a model: a trained one with its running statistics, or integers.

    batch: images at a time, fewer where they would take too much memory; it changes no result. limit: at most so many
    images, each class in its proportion. backend: what runs an integer network, by its name in qpsnn_backends; each
    batch is one run of it. progress: called after every batch.
    Warns of layers that did not fire once, or never can (DeadLayerWarning).
    Raises ShapeError, DataError, LabelError, NumericsError (model or data), ConfigError (batch, limit, backend), and
    what the backend raises.
    """
    batch, limit, backend = plain((batch, limit, backend))
    progress = listener_of("evaluate", progress)
    check_kind("evaluate.model", model, Model, IntegerNetwork)
    if isinstance(model, Model):
        check_model_kind("evaluate.model", model)
    check_at_least("evaluate.batch", batch, 1)
    check_kind("evaluate.backend", backend, str)
    chosen = data.test if isinstance(data, Split) else data
    if not isinstance(chosen, Dataset):
        raise DataError(expected("data", "a Dataset or a Split", Unquoted(type(data).__name__)))
    dataset = chosen.limited(limit)
    check_data(model.network if isinstance(model, Model) else model, dataset)
    if isinstance(dataset, DetectionDataset):
        return _evaluate_detector(model, dataset, batch, backend, progress)
    if isinstance(model, IntegerNetwork):
        neurons = tuple(node.name for node in model.of(IntLIF))
        measured = measure(_runner(model, backend), model, neurons, dataset, batch, progress)
        _warn(model, measured)
        return measured
    if backend != "exact":
        raise ConfigError(expected("backend", "'exact' for a network that is not lowered to integers", backend))
    measured = measure_model(model, dataset, batch=batch, progress=progress)
    _warn(model, measured)
    return measured


def _evaluate_detector(
    model: Model | IntegerNetwork, dataset: DetectionDataset, batch: int, backend: str, progress: Listener | None
) -> Evaluation:
    """Boxes, counted in all three conventions."""
    if isinstance(model, Model):
        if backend != "exact":
            raise ConfigError(expected("backend", "'exact' for a network that is not lowered to integers", backend))
        measured = measure_detector(model, dataset, batch=batch, progress=progress)
    else:
        neurons = tuple(node.name for node in model.of(IntLIF))
        run, units = maps_runner(model, backend)
        measured = count_boxes(run, model, neurons, dataset, batch, units=units, progress=progress)
    _warn(model, measured)
    return measured


def maps_runner(network: IntegerNetwork, backend: str) -> tuple[MapsRunner, tuple[float, ...]]:
    """What runs a detector on a backend, and what 1 of each of its integer maps is of a real number."""
    chosen = get(backend)
    chosen.check(network)
    levels = levels_of(network)

    def run(images: Images) -> tuple[Sequence[Array], dict[str, Array]]:
        done = chosen.run(network, images, record="none" if backend == "exact" else "spikes")
        counts = done.counts or {name: summed(spikes, network.steps) for name, spikes in done.spikes.items()}
        return [done.readouts[name] for name in levels], counts

    return run, units_of(network)


def _warn(model: Model | IntegerNetwork, measured: Evaluation) -> None:
    """Of layers that did not fire."""
    fired = {name: int(measured.spikes[name].any()) for name in measured.neurons if name in measured.spikes}
    if not all(fired.values()):
        found = reaches(model) if isinstance(model, Model) else integer_reaches(model)
        warn_dead_layers("evaluate", dead_layers(found, fired, f"{measured.images} images"))


def _runner(network: IntegerNetwork, backend: str) -> Runner:
    chosen = get(backend)
    chosen.check(network)
    scale = network.readout.unit(network.steps)

    def run(images: Images) -> tuple[Array, dict[str, Array]]:
        done = chosen.run(network, images, record="none" if backend == "exact" else "spikes")
        counts = done.counts or {name: summed(spikes, network.steps) for name, spikes in done.spikes.items()}
        return (done.readout * scale)[None], counts

    return run
