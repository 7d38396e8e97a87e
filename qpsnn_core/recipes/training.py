"""The tables [train] and [finetune] of a recipe."""

from __future__ import annotations

import math
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from qpsnn_core.common.arithmetic import ARITHMETICS, PORTABLE
from qpsnn_core.common.serialization import ADDED_LATER
from qpsnn_core.common.validation import (
    check,
    check_at_most,
    check_choice,
    check_kind,
    check_number,
    choices,
    is_positive,
    least,
    place,
    positive,
    typed,
)
from qpsnn_core.network.graph import MOST_STEPS
from qpsnn_core.optim.optimizers import OPTIMIZERS
from qpsnn_core.optim.schedules import SCHEDULES
from qpsnn_core.optim.target_losses import ALL_LOSSES
from qpsnn_core.recipes.data import DataConfig as DataConfig
from qpsnn_core.recipes.network import FULL_PRECISION as FULL_PRECISION
from qpsnn_core.recipes.network import NetworkConfig as NetworkConfig

MONITORS = ("accuracy", "loss")

BALANCED = "balanced"
HUBER = "huber"
TET = "tet"
BOXES = "boxes"
"""The loss of sets with boxes."""

ClassWeights = dict[str, float] | str
"""By name of a class, or the word "balanced"."""

MOST_MIXUP = 4.0
"""The largest alpha of mixup: beyond it nearly all images are halves of two."""

SHOWN = ("epochs", "batch", "optimizer", "lr")
"""The fields that are always printed."""


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained.

    epochs: passes over the training images. batch: images per update. optimizer: of OPTIMIZERS. lr: learning rate
    after the warm-up. momentum: of SGD, or Adam's first beta, 0 to below 1. weight_decay: on the weights of Conv and
    Linear. schedule: of SCHEDULES. warmup_epochs: over which the rate rises linearly. clip_norm: the largest 2-norm of
    all gradients together, 0 for no limit. loss: of LOSSES_OF, by what the labels are: "mean", "tet" of classes, "bce"
    of several labels, "mse", "l1", "huber" of real numbers, "boxes" of boxes. delta: of "huber", from which distance on
    it is linear. tet_lambda: of "tet", the share of `mean (logits - 1)**2` in it, 0 to 1 (published: 0.05 of images,
    0.9 of events). seed: of initial weights, order and changes of images. arithmetic: of ARITHMETICS; "portable" gives
    the same bits on every processor. parts: of a batch, in whose order sums over images are taken, so at most so many
    ranks can share it; 0: one for every 4 images, 16 at most. validation: the share of the training images that is held
    out to measure every epoch, always the same images; 0 for none. monitor: which figure of the validation says that an
    epoch is the best, "accuracy" or "loss". patience: end after so many epochs without a better one, 0 for never.
    label_smoothing: the share of each target that the loss spreads over all classes. class_weights: of classes by name
    in the loss, 1 for those that are not named; or "balanced", so that all classes weigh the same in the training
    images together. mixup: alpha of the Beta distribution in whose shares each image is mixed with another, 0 for none.
    accumulate: batches whose mean gradient makes an update; those that an epoch's end leaves make one, too. ema: the
    decay of the exponential moving average of the weights, which is what is measured and kept, 0 for none. box_gain,
    objectness_gain, class_gain: of "boxes", the weights of its parts before they are scaled (`DetectionGains.scaled`).
    """

    epochs: int = 30
    batch: int = 64
    optimizer: str = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-5
    schedule: str = "cosine"
    warmup_epochs: int = 0
    clip_norm: float = 0.0
    loss: str = "mean"
    delta: float = 1.0
    seed: int = 0
    arithmetic: str = PORTABLE
    parts: int = 0
    validation: float = 0.0
    monitor: str = "accuracy"
    patience: int = 0
    label_smoothing: float = 0.0
    class_weights: ClassWeights = field(default_factory=dict)
    mixup: float = 0.0
    accumulate: int = 1
    ema: float = 0.0
    tet_lambda: float = 0.0
    box_gain: float = field(default=0.05, metadata=ADDED_LATER)
    objectness_gain: float = field(default=1.0, metadata=ADDED_LATER)
    class_gain: float = field(default=0.5, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        typed(self)
        choices(self, optimizer=tuple(OPTIMIZERS), schedule=tuple(SCHEDULES), loss=(*ALL_LOSSES, BOXES))
        choices(self, arithmetic=ARITHMETICS, monitor=MONITORS)
        least(self, epochs=1, batch=1, warmup_epochs=0, seed=0, parts=0, patience=0, accumulate=1)
        check(self, "parts", self.parts <= self.batch, f"at most the {self.batch} images of a batch")
        positive(self, "lr", "delta", "box_gain", "objectness_gain", "class_gain")
        for name in ("weight_decay", "clip_norm"):
            check(self, name, 0 <= getattr(self, name) < math.inf, "a number of at least 0")
        check(self, "validation", 0 <= self.validation < 1, "a share from 0 to below 1")
        check(self, "label_smoothing", 0 <= self.label_smoothing < 1, "a number from 0 to below 1")
        check(self, "mixup", 0 <= self.mixup <= MOST_MIXUP, f"a number from 0 (none) to {MOST_MIXUP:g}")
        check(self, "tet_lambda", 0 <= self.tet_lambda <= 1, "a number from 0 to 1")
        check(self, "ema", 0 <= self.ema < 1, "a number from 0 to below 1")
        self._check_weights()
        check(self, "momentum", 0 <= self.momentum < 1, "a number from 0 to below 1")
        check(self, "warmup_epochs", self.warmup_epochs <= self.epochs, f"at most the {self.epochs} epochs")

    def _check_weights(self) -> None:
        where = place(self, "class_weights")
        if isinstance(self.class_weights, str):
            check_choice(where, self.class_weights, (BALANCED,))
            return
        check_kind(where, self.class_weights, dict)
        for name, weight in self.class_weights.items():
            check_number(f"{where}.{name}", weight, "a positive number", is_positive)

    def __repr__(self) -> str:
        """The first fields, and those that are not as they are by default."""
        told = [one for one in fields(self) if one.name in SHOWN or getattr(self, one.name) != _default(one)]
        return f"{type(self).__name__}({', '.join(f'{one.name}={getattr(self, one.name)!r}' for one in told)})"


@dataclass(frozen=True, repr=False)
class FinetuneConfig(TrainConfig):
    """How a pruned network is trained again: the fields of TrainConfig, with the paper's Adam at 0.001.

    steps: T, time steps per image from now on, 0 for as many as it was trained with; frames of events fix them.
    """

    epochs: int = 15
    optimizer: str = "adam"
    lr: float = 1e-3
    steps: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        least(self, steps=0)
        check_at_most(place(self, "steps"), self.steps, MOST_STEPS)


def _default(one: Field[Any]) -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()
