"""Which learning rate to begin with: a short training over which the rate rises, and where its loss was lowest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.bars import listener_of
from qpsnn_core.common.errors import ConfigError, NumericsError, Unquoted, expected
from qpsnn_core.common.plain import plain
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.types import Doubles
from qpsnn_core.common.validation import check_kind, check_number, is_positive, whole
from qpsnn_core.engine.progress_bars import shows_progress
from qpsnn_core.kernels.elementary import exp, log
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.loop import RunSetup, TrainState, training_states
from qpsnn_core.training.objective import Objective
from qpsnn_core.training.resume import initial_state
from qpsnn_core.training.setup import run_setup
from qpsnn_datasets import Augment, Dataset, Split
from qpsnn_datasets.detection.augment import DetectionAugment

SMOOTHING = 0.9
"""The share of the mean of losses so far in the next, as Adam's first moment has it, and corrected alike."""

DIVERGED = 4.0
"""How many times the lowest smoothed loss ends the search."""

BELOW = 10.0
"""By what the rate of the lowest loss is divided, beyond which training is about to diverge."""

LEAST = 10
"""Updates without which a mean of losses says nothing."""

STAGE = "find_learning_rate"


class LearningRates(NamedTuple):
    """Of each update: the rate, rising, and the smoothed loss. suggested: a tenth of the rate of the lowest loss.

    diverged: whether the search ended before the highest rate, as the loss had grown.
    """

    suggested: float
    rates: Doubles
    losses: Doubles
    diverged: bool

    def __repr__(self) -> str:
        ends = f"{self.rates[0]:.3g} to {self.rates[-1]:.3g}"
        return f"LearningRates(suggested {self.suggested:.3g}, {len(self.rates)} updates, {ends})"


@shows_progress
def find_learning_rate(
    network: Network | Model,
    data: Dataset | Split,
    config: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
    *,
    low: float = 1e-6,
    high: float = 10.0,
    updates: int = 100,
    augment: Augment | DetectionAugment | None = None,
    loss: Objective | None = None,
    progress: Listener | bool | None = None,
) -> LearningRates:
    """Train for so many updates at rates that rise from `low` to `high` by a factor, and see where the loss is lowest.

    Smith 2017, "Cyclical learning rates" (arXiv:1506.01186), section 3.3. The run begins as `train` would with this
    config (its seed, batch, optimizer, loss), and nothing of it is kept. It ends early where the smoothed loss is
    four times its lowest, or no number. progress: called after every batch, as stage "find_learning_rate", whose
    batches are updates. Raises ConfigError (a rate, updates, a loss that never fell), and what `train`
    raises before it starts.
    """
    low, high, updates = plain((low, high, updates))
    check_kind(f"{STAGE}.config", config, TrainConfig)
    progress = listener_of(STAGE, progress)
    for name, rate in (("low", low), ("high", high)):
        check_number(f"{STAGE}.{name}", rate, "a positive number", is_positive)
    if not low < high:
        raise ConfigError(expected(f"{STAGE}.high", f"more than low = {low:g}", high))
    whole(f"{STAGE}.updates", updates, LEAST)
    usual = {"schedule": "constant", "warmup_epochs": 0, "patience": 0}
    setup = run_setup(STAGE, network, data, replace(config, **usual), augment, None, loss, progress, ())  # type: ignore[arg-type]  # words and numbers
    logs = log(np.array([low, high], np.float64))
    rates = exp(logs[0] + np.arange(updates) * ((logs[1] - logs[0]) / (updates - 1)))
    in_epoch = -(-setup.batches // config.accumulate)

    def of_updates(event: Progress) -> None:
        done = (event.epoch - 1) * in_epoch + -(-event.batch // config.accumulate)
        if progress is not None:
            progress(Progress(STAGE, 1, 1, min(done, updates), updates, event.loss, None))

    rising = setup._replace(
        progress=progress and of_updates,
        config=replace(setup.config, epochs=-(-updates // in_epoch)),
        rate=lambda update: float(rates[min(update, updates - 1)]),
        validation=None,
    )
    smoothed = list(_smoothed(_losses(rising, initial_state(rising, network)), updates))
    lowest = int(np.argmin(smoothed))
    if len(smoothed) < LEAST or not lowest:
        got = Unquoted(f"one that only grew, over {len(smoothed)} updates")
        raise ConfigError(expected(f"{STAGE}.low", f"a rate, lower than {low:g}, at which the loss falls", got))
    diverged = len(smoothed) < updates
    return LearningRates(float(rates[lowest]) / BELOW, rates[: len(smoothed)], np.array(smoothed), diverged)


def _losses(setup: RunSetup, state: TrainState) -> Iterator[float]:
    """The loss of each update, a mean over its batches, until one is no number."""
    own: list[float] = []
    before, done = 0.0, state.optimizer.step
    try:
        with closing(training_states(setup, state)) as states:  # type: ignore[type-var]  # a generator can be closed
            for now in states:
                if not now.position.batches:  # an epoch is over
                    before = 0.0
                    continue
                own.append((now.position.loss - before) / setup.config.batch)
                before = now.position.loss
                if now.optimizer.step > done:
                    done = now.optimizer.step
                    yield sum(own) / len(own)
                    own = []
    except NumericsError:
        return


def _smoothed(losses: Iterator[float], most: int) -> Iterator[float]:
    """Their running means, until one is far above the lowest."""
    mean, lowest = 0.0, np.inf
    with closing(losses):  # type: ignore[type-var]  # likewise
        for number, loss in enumerate(losses, 1):
            mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
            found = mean / (1 - SMOOTHING**number)
            yield found
            lowest = min(lowest, found)
            if number == most or found > DIVERGED * lowest:
                return
