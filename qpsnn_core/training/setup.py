"""The setup of a run: everything checked that can be known before the first batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.progress import Listener
from qpsnn_core.common.tasks import CLASSIFICATION, REGRESSION
from qpsnn_core.common.validation import check_kind, check_kinds
from qpsnn_core.engine.checks import check_batch_statistics
from qpsnn_core.engine.detector_head import head_of
from qpsnn_core.engine.evaluation import check_data
from qpsnn_core.engine.memory import check_step
from qpsnn_core.engine.passes import check_model_kind
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.optim.detection_losses import DetectionGains
from qpsnn_core.optim.optimizers import OPTIMIZERS
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.callbacks import Callback, check_callbacks
from qpsnn_core.training.history import digest
from qpsnn_core.training.jobs import BoxJob, Job, LabelJob
from qpsnn_core.training.loop import RunSetup
from qpsnn_core.training.objective import Objective, check_boxes, name_of, objective_of
from qpsnn_core.training.resume import schedule_of
from qpsnn_datasets import Augment, Dataset, Split, batch_count
from qpsnn_datasets.detection.augment import DetectionAugment
from qpsnn_datasets.detection.schema import DetectionDataset

HOLD_OUT_SEED = 0
"""Of the share that `config.validation` holds out: of the set alone, not of a run's seed."""


def run_setup(
    stage: str,
    network: Network | Model,
    data: Dataset | Split,
    config: TrainConfig,
    augment: Augment | DetectionAugment | None,
    validation: Dataset | None,
    loss: Objective | None,
    progress: Listener | None,
    callbacks: Sequence[Callback],
) -> RunSetup:
    """Everything checked that can be known before the first batch."""
    check_kind(f"{stage}.network" if stage == "train" else f"{stage}.model", network, Network, Model)
    if isinstance(network, Model):
        check_model_kind(f"{stage}.model", network)
    check_kind(f"{stage}.config", config, TrainConfig)
    check_kinds(stage, Augment, DetectionAugment, augment=augment)
    check_callbacks(f"{stage}.callbacks", callbacks)
    check_kinds(stage, Dataset, validation=validation)
    dataset = data.train if isinstance(data, Split) else data
    if not isinstance(dataset, Dataset):
        raise DataError(expected("data", "a Dataset or a Split", Unquoted(type(data).__name__)))
    if config.validation:
        dataset, validation = _held_out(stage, dataset, data, config.validation, validation)
    elif validation is None and isinstance(data, Split):
        validation = data.test if data.validation is None else data.validation
    if config.patience and validation is None:
        raise ConfigError(
            expected(f"{stage}.patience", "0, as there is no validation to stop by", Unquoted(f"{config.patience}"))
        )
    if config.patience and dataset.task == REGRESSION and config.monitor == "accuracy":
        raise ConfigError(expected(f"{stage}.monitor", '"loss", as real numbers have no accuracy', config.monitor))
    if config.mixup and dataset.images.ndim == 5 and dataset.scale is None:
        want = "0, as frames of events hold counts, which have no shares (nda of [data] changes them)"
        raise ConfigError(expected(f"{stage}.mixup", want, config.mixup))
    graph = network.network if isinstance(network, Model) else network
    for each in (dataset, validation):
        if each is not None:
            check_data(graph, each)
            if each.task != dataset.task:
                raise DataError(expected(f"{each.name}.task", f"{dataset.task}, as {dataset.name} has", each.task))
    if len(dataset) < config.batch:
        want = f"at least one batch of {config.batch} images ({stage}.batch makes batches smaller)"
        raise DataError(expected(f"{dataset.name}", want, len(dataset)))
    if dataset.task == CLASSIFICATION and len(dataset.classes) < 2:
        want = "at least two classes to tell apart"
        raise DataError(expected(f"{dataset.name}.classes", want, Unquoted(f"1 class, {dataset.classes[0]!r}")))
    check_batch_statistics(graph, config.batch)
    optimizer = OPTIMIZERS[config.optimizer](config.momentum, config.weight_decay)
    copies = 2 + len(optimizer.init({}).slots) + (config.ema > 0) + (config.accumulate > 1)
    check_step(stage, graph, config.batch, copies)
    count = batch_count(len(dataset), config.batch, drop_last=True)
    settings = {
        "stage": stage,
        "config": asdict(config),
        "augment": asdict(augment or Augment()),
        "data": digest(dataset),
        "validation": digest(validation) if validation else None,
        "loss": name_of(loss),
    }
    return RunSetup(
        stage,
        dataset,
        validation,
        augment,
        config,
        count,
        optimizer,
        schedule_of(config, count),
        job_of(stage, config, graph, dataset, augment, loss),
        callbacks,
        settings,
        progress,
    )


def job_of(
    stage: str,
    config: TrainConfig,
    network: Network,
    data: Dataset,
    augment: Augment | DetectionAugment | None,
    loss: Objective | None,
) -> Job:
    """What the run does with the set. Raises ConfigError: settings, changes of images, or a loss of another kind."""
    if isinstance(data, DetectionDataset):
        check_boxes(stage, config, data, loss)
        if augment and not isinstance(augment, DetectionAugment):
            want = f"a DetectionAugment, which moves boxes, too, as {data.name} has boxes"
            raise ConfigError(expected(f"{stage}.augment", want, Unquoted(f"{augment}")))
        head = head_of(network, data)
        changes = augment if isinstance(augment, DetectionAugment) else None
        gains = DetectionGains(config.box_gain, config.objectness_gain, config.class_gain)
        return BoxJob(data, changes, config, head, gains.scaled(head, max(data.image_shape[:2])))
    if isinstance(augment, DetectionAugment):
        want = f"an Augment, as {data.name} has no boxes"
        raise ConfigError(expected(f"{stage}.augment", want, Unquoted(f"{augment}")))
    return LabelJob(data, augment, config, objective_of(stage, config, data, loss))


def _held_out(
    stage: str, dataset: Dataset, data: Dataset | Split, share: float, validation: Dataset | None
) -> tuple[Dataset, Dataset]:
    """The training part in two, always the same for one set, so that a fine-tuning measures what was held out before.

    ConfigError where there is another validation already.
    """
    if validation is not None or (isinstance(data, Split) and data.validation is not None):
        want = "0, as the data have a validation part, or one is given"
        raise ConfigError(expected(f"{stage}.validation", want, share))
    train, held = dataset.hold_out(round(share * len(dataset)), HOLD_OUT_SEED)
    return train, held
