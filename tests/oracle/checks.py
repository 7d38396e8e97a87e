"""Two checks of gradients: the engine against the tape, and the tape against finite differences."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from oracle import network as on_tape
from oracle import networks
from qpsnn_core.engine import passes
from qpsnn_core.engine.gates import gate_terms
from qpsnn_core.engine.layers import lif
from qpsnn_core.network import LIF
from qpsnn_core.network.model import Model
from qpsnn_core.optim.losses import mean_logits_cross_entropy

MARGIN = 1e-4
"""Nearer than this to an edge, float32 and float64 could decide differently; they differ by about 1e-6."""


class Case(NamedTuple):
    """A model and what to run it on; `train`: batch norm uses the batch's statistics."""

    model: Model
    images: np.ndarray
    labels: np.ndarray
    train: bool
    draw: Any = None


def settled(net, *, train=True, frames=False, batch=3, seeds=60, lively=True, smooth=False, draw=None):
    """The first seed's Case in which no decision is within MARGIN of its edge; lively: and every LIF fires at times.

    smooth: nor is one with smooth spikes, whose membranes are others: a difference must not reach over a kink.
    """
    for seed in range(seeds):
        images, labels = networks.images(net, batch, seed, frames), networks.labels(net, batch, seed)
        case = Case(networks.model(net, seed), images, labels, train, draw)
        run = on_tape.run(case.model, case.images, train=train, draw=draw)
        margin = run.margin
        if smooth:
            margin = min(margin, on_tape.run(case.model, case.images, train=train, smooth=True, draw=draw).margin)
        if margin > MARGIN and not (lively and any(s.mean() in (0, 1) for s in run.spikes.values())):
            return case
    raise AssertionError(f"none of {seeds} seeds gives a case without a decision on an edge")


def relative(comp, ref, floor):
    """The largest difference over the largest magnitude of `ref`, or over `floor`."""
    return float(np.abs(comp - ref).max() / max(np.abs(ref).max(), floor))


def deviations(case):
    """The engine against the tape: {what: relative deviation}; of spikes, the number that differ."""
    ref = on_tape.run(case.model, case.images, train=case.train, draw=case.draw)
    ref_loss = on_tape.loss(ref.logits, case.labels) + ref.gates
    ref_loss.backward()
    comp = passes.forward(case.model, case.images, train=case.train, save_for_backward=True, draw=case.draw)
    loss, gradient = mean_logits_cross_entropy(comp.logits, case.labels)
    loss += sum(term.loss for term in gate_terms(case.model.network, comp).values())
    grads = passes.backward(case.model, comp, gradient)
    assert {(node, name) for node, own in grads.items() for name in own} == {
        (node, name) for node, own in ref.leaves.items() for name in own
    }
    found = {"loss": relative(loss, ref_loss.value, 1), "logits": relative(comp.logits, ref.logits.value, 1)}
    for node in case.model.network.of(LIF):
        found[f"{node.name} spikes"] = int((comp.values[node.name] != ref.spikes[node.name]).sum())
        u = lif.potentials(node, comp.caches[node.name])
        found[f"{node.name} membrane"] = relative(u, ref.potentials[node.name], 1)
    # A bias before batch norm has no effect, and a gradient of 0: its rounding is measured on the scale of the others.
    largest = max(np.abs(leaf.gradient).max() for own in ref.leaves.values() for leaf in own.values())
    for node, own in ref.leaves.items():
        for name, leaf in own.items():
            found[f"{node}.{name} gradient"] = relative(grads[node][name], leaf.gradient, 1e-3 * largest)
    for node, own in ref.state.items():
        for name, value in own.items():
            found[f"{node}.{name}"] = relative(comp.state[node][name], value, 1)
    return found


def slopes(case, directions=2, h=1e-5):
    """The smooth tape against central differences: {node.parameter: the worst direction's deviation}."""

    def loss(params, held=None):
        changed = case.model._replace(params=params)
        run = on_tape.run(changed, case.images, train=case.train, smooth=True, draw=case.draw, held=held)
        return on_tape.loss(run.logits, case.labels) + run.gates, run

    params = on_tape.doubles(case.model.params)
    value, run = loss(params)
    value.backward()
    rng, found = np.random.default_rng(1), {}
    for node, own in params.items():
        for name, array in own.items():
            gradient = run.leaves[node][name].gradient
            for _ in range(directions):
                along = rng.normal(0, 1, array.shape)
                ends = [
                    float(loss({**params, node: {**own, name: array + sign * h * along}}, run.held)[0].value)
                    for sign in (1, -1)
                ]
                difference = (ends[0] - ends[1]) / (2 * h)
                size = max(np.abs(gradient).max() * np.linalg.norm(along), 1e-4)
                apart = abs(difference - (gradient * along).sum()) / size
                found[f"{node}.{name}"] = max(found.get(f"{node}.{name}", 0.0), float(apart))
    return found
