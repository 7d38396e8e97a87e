"""Before anything is timed: a peer's network is ours, to float tolerance, in training and in inference.

A membrane that lies within a rounding error of its threshold may fall to either side, and one such spike changes
thousands further on: the free-running logits of a deep network then differ, in any two float implementations. So each
LIF's spikes are compared with ours, and ours are handed on, with the peer's own gradient: a difference cannot grow, and
is found in the layer where it arose.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

import qpsnn_core as qp
from benchmarks.contestants import neuron
from benchmarks.contestants.pytorch import Twin, tensors
from benchmarks.networks import Case
from qpsnn_core.optim.losses import LOSSES

SPIKES = 1e-4
"""The share of a layer's spikes that may differ. Rounding moves a membrane by 1e-6 or so; measured are 0 to 1e-5."""

LOGITS = 1e-4
"""Of the largest logit."""

NORM, LARGEST = 1e-2, 5e-1
"""Of a weight gradient's norm, and of its largest entry. The norm decides: a wrong formula (a reset detached, another
surrogate's width) costs 0.1 of it and more. A single entry may move by more where one spike that differs reset a
membrane (0.17 was seen in ResNet20, where our gradients agreed to 1e-4 with those of the engine's first kernels)."""


class Disagreement(Exception):  # noqa: N818 - it says what it is
    """A contestant computes something else."""


class Agreement(NamedTuple):
    """The largest differences that were found: shares and relative errors; free: logits without handing ours on."""

    spikes: float
    logits: float
    gradients: float
    largest: float
    free: float


def check(contestant: str, case: Case, form: str = "eager") -> Agreement:
    """Compare spikes, logits and weight gradients. Disagreement names contestant, network and layer.

    form: "eager" or "parts". Compiled as a whole, a network leaves no place to hand on spikes.
    """
    images, labels = tensors(case)
    twin = Twin(case.model, neuron(contestant))
    if form == "parts":
        twin.compile_parts()
    ours = qp.forward(case.model, case.images, train=True, save_for_backward=True)
    _, slope = LOSSES["mean"](ours.logits, case.labels)
    gradients = qp.backward(case.model, ours, slope)
    place = f"{contestant}, {case.name}, T={case.steps}, training"
    spikes, logits = _compare(place, twin, images, ours, labels)
    norm, largest = 0.0, 0.0
    theirs = twin.named_gradients()
    for name, own in gradients.items():
        apart = theirs[name]["weight"] - own["weight"]
        errors = [_relative(np.linalg.norm(apart), np.linalg.norm(own["weight"]))]
        errors.append(_relative(np.abs(apart).max(), np.abs(own["weight"]).max()))
        for error, most in zip(errors, (NORM, LARGEST), strict=True):
            if not error <= most:
                raise Disagreement(f"{place}: {name}: weight gradient differs by {error:.1e}, over {most:.0e}")
        norm, largest = max(norm, errors[0]), max(largest, errors[1])
    resting = Twin(case.model, neuron(contestant)).eval()
    if form == "parts":
        resting.compile_parts()
    place = place.replace("training", "inference")
    with torch.no_grad():
        resting.fold()
        ours = qp.forward(case.model, case.images, save_for_backward=True)
        found = _compare(place, resting, images, ours, None)
        resting.hook = None
        free = _relative(np.abs(resting(images).numpy() - ours.logits).max(), np.abs(ours.logits).max())
    return Agreement(max(spikes, found[0]), max(logits, found[1]), norm, largest, free)


def _compare(place: str, twin: Twin, images: Any, ours: Any, labels: Any) -> tuple[float, float]:
    """The largest share of differing spikes, and the difference of the logits; backward, where there are labels."""
    worst = 0.0

    def hand_on(name: str, spikes: torch.Tensor) -> torch.Tensor:
        nonlocal worst
        wanted = torch.from_numpy(np.asarray(ours.values[name])).to(spikes.dtype)
        share = float((spikes.detach() != wanted).double().mean())
        if share > SPIKES:
            raise Disagreement(f"{place}: {name}: {share:.1e} of the spikes differ, over {SPIKES:.0e}")
        worst = max(worst, share)
        return spikes + (wanted - spikes).detach()

    twin.hook = hand_on
    logits = twin(images)
    twin.rest()
    error = _relative(np.abs(logits.detach().numpy() - ours.logits).max(), np.abs(ours.logits).max())
    if not error <= LOGITS:
        raise Disagreement(f"{place}: logits differ by {error:.1e} of the largest, over {LOGITS:.0e}")
    if labels is not None:
        functional.cross_entropy(logits.mean(0), labels).backward()
    return worst, error


def _relative(error: Any, size: Any) -> float:
    return float(error) / max(float(size), 1e-12)
