"""qpsnn itself: what its training loop does for a batch, its engine's inference, and the integer network's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qpsnn_core as qp
from benchmarks import contestants
from benchmarks.networks import Case
from qpsnn_core.network.model import Model
from qpsnn_core.optim.losses import LOSSES
from qpsnn_core.optim.optimizers import OPTIMIZERS


def runs(work: str, case: Case) -> list[contestants.Run]:
    """The work, ready to be timed, in every form."""
    if work == "infer_integer":
        return [contestants.Run(contestants.OURS, work, contestants.EXACT, _integer(case))]
    made = {"train": _train, "infer_float": _float}[work]
    return [
        contestants.Run(contestants.OURS, work, form, made(case, options))
        for form, options in contestants.FORMS.items()
    ]


def _train(case: Case, options: dict[str, Any]) -> Callable[[], float]:
    """Forward, loss, backward, SGD with momentum."""
    optimizer = OPTIMIZERS["sgd"](contestants.MOMENTUM, 0.0)
    model = Model(case.model.network, _copied(case.model.params), _copied(case.model.state))
    now = [model, optimizer.init(model.params)]

    def call() -> float:
        model, state = now
        done = qp.forward(model, case.images, train=True, save_for_backward=True, **options)
        loss, gradient = LOSSES["mean"](done.logits, case.labels)
        gradients = qp.backward(model, done, gradient, discard=True)
        params, now[1] = optimizer.update(gradients, state, model.params, contestants.RATE)
        now[0] = Model(model.network, params, done.state)
        return loss

    return call


def _float(case: Case, options: dict[str, Any]) -> Callable[[], Any]:
    return lambda: qp.forward(case.model, case.images, **options).logits.mean(0)


def _integer(case: Case) -> Callable[[], Any]:
    network = qp.lower(case.model).network
    return lambda: qp.simulate(network, case.images, count=False).readout


def _copied(arrays: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {node: {name: array.copy() for name, array in own.items()} for node, own in arrays.items()}
