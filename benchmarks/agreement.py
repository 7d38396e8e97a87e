"""Before anything is timed: a peer's network is ours, to float tolerance, in training and in inference.

A membrane that lies within a rounding error of its threshold may fall to either side, and one such spike changes
thousands further on: the free-running logits of a deep network then differ, in any two float implementations. So each
LIF's spikes are compared with ours, and ours are handed on, with the peer's own gradient: a difference cannot grow, and
is found in the layer where it arose.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

import qpsnn_core as qp
from benchmarks import contestants, networks, training
from benchmarks.agreement_bounds import BOUNDS, Bounds
from benchmarks.contestants import compilation, neuron, precision
from benchmarks.contestants.pytorch import DTYPES, Twin, mixed, tensors
from benchmarks.networks import Case
from qpsnn_core.optim.losses import LOSSES


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
    """Compare spikes, logits and weight gradients. Disagreement names contestant, form, network and layer.

    form: any that leaves a place to hand on spikes, which a network that is compiled as a whole does not.
    """
    images, labels = tensors(case)
    bounds = BOUNDS[precision(form)]
    twin = _twin(contestant, case, form)
    ours = qp.forward(case.model, case.images, train=True, save_for_backward=True)
    _, slope = LOSSES["mean"](ours.logits, case.labels)
    gradients = qp.backward(case.model, ours, slope)
    place = f"{contestant}, {form}, {case.name}, T={case.steps}, training"
    with mixed(form):
        spikes, logits, loss = _compare(place, twin, images, ours, labels, bounds)
    loss.backward()
    norm, largest = 0.0, 0.0
    theirs = twin.named_gradients()
    for name, own in gradients.items():
        apart = theirs[name]["weight"] - own["weight"]
        errors = [_relative(np.linalg.norm(apart), np.linalg.norm(own["weight"]))]
        errors.append(_relative(np.abs(apart).max(), np.abs(own["weight"]).max()))
        for error, most in zip(errors, (bounds.norm, bounds.largest), strict=True):
            if not error <= most:
                raise Disagreement(f"{place}: {name}: weight gradient differs by {error:.1e}, over {most:.0e}")
        norm, largest = max(norm, errors[0]), max(largest, errors[1])
    resting = _twin(contestant, case, form).eval()
    place = place.replace("training", "inference")
    with torch.no_grad():
        resting.fold(DTYPES[precision(form)])
    with torch.inference_mode(), mixed(form):
        ours = qp.forward(case.model, case.images, save_for_backward=True)
        found = _compare(place, resting, images, ours, labels, bounds)
        resting.hook = None
        free = _relative(np.abs(resting(images).float().numpy() - ours.logits).max(), np.abs(ours.logits).max())
    return Agreement(max(spikes, found[0]), max(logits, found[1]), norm, largest, free)


def _twin(contestant: str, case: Case, form: str) -> Twin:
    twin = Twin(case.model, neuron(contestant))
    if compilation(form) == "parts":
        twin.compile_parts()
    return twin


def _compare(
    place: str, twin: Twin, images: Any, ours: Any, labels: Any, bounds: Bounds
) -> tuple[float, float, torch.Tensor]:
    """The largest share of differing spikes, the difference of the logits, and the loss."""
    worst = 0.0

    def hand_on(name: str, spikes: torch.Tensor) -> torch.Tensor:
        nonlocal worst
        wanted = torch.from_numpy(np.asarray(ours.values[name])).to(spikes.dtype)
        share = float((spikes.detach() != wanted).double().mean())
        if share > bounds.spikes:
            raise Disagreement(f"{place}: {name}: {share:.1e} of the spikes differ, over {bounds.spikes:.0e}")
        worst = max(worst, share)
        return spikes + (wanted - spikes).detach()

    twin.hook = hand_on
    logits = twin(images).float()
    twin.rest()
    error = _relative(np.abs(logits.detach().numpy() - ours.logits).max(), np.abs(ours.logits).max())
    if not error <= bounds.logits:
        raise Disagreement(f"{place}: logits differ by {error:.1e} of the largest, over {bounds.logits:.0e}")
    return worst, error, functional.cross_entropy(logits.mean(0), labels)


def _relative(error: Any, size: Any) -> float:
    return float(error) / max(float(size), 1e-12)


def main() -> None:
    """The fresh process."""
    parser = argparse.ArgumentParser()
    for name, kind in {"contestant": str, "form": str, "network": str, "steps": int, "batch": int}.items():
        parser.add_argument(name, type=kind)
    parser.add_argument("weights", type=Path)
    given = parser.parse_args()
    contestants.set_threads(1, peers=True)
    kept = training.stored(given.network, given.weights)
    size = slice(0, given.batch)
    case = networks.case(given.network, kept.model, given.steps, kept.images[size], kept.labels[size])
    found = check(given.contestant, networks.calibrated(case, kept.images), given.form)
    print(json.dumps(found._asdict()))


if __name__ == "__main__":
    main()
