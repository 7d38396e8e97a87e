"""Faults put into the engine on purpose, to see which method finds them; each takes pytest's monkeypatch."""

from __future__ import annotations

import inspect

import numpy as np

from naive import lif as naive_lif
from qpsnn_core import engine, surrogates
from qpsnn_core.layers import batch_norm, lif


def one_gradient_off(monkeypatch, fraction=1e-2):
    """The smallest fault: one weight of one layer, by a fraction of the layer's largest gradient."""
    right = engine.backward

    def wrong(*arguments):
        grads = right(*arguments)
        array = grads["conv2"]["weight"]
        array.flat[7] += fraction * np.abs(array).max()
        return grads

    monkeypatch.setattr(engine, "backward", wrong)


def fan_out_overwritten(monkeypatch):
    """A node that several others read keeps the gradient of one only."""
    source = inspect.getsource(engine.backward)
    right, wrong = "gradients[source] + share if source in gradients else share", "share"
    assert right in source
    space = dict(vars(engine))
    exec(source.replace(right, wrong), space)
    monkeypatch.setattr(engine, "backward", space["backward"])


def reset_gradient_missing(monkeypatch):
    """The engine detaches the reset, asked or not."""
    right = lif.lif_backward
    monkeypatch.setattr(lif, "lif_backward", lambda *arguments: right(*arguments[:-1], True))


def statistics_held_constant(monkeypatch):
    """Batch norm's gradient forgets that mean and variance depend on the weights."""
    right = batch_norm.backward

    def wrong(*arguments):
        grads, by_gradient, by_acc, constant = right(*arguments)
        return grads, by_gradient, 0 * by_acc, 0 * constant

    monkeypatch.setattr(batch_norm, "backward", wrong)


def wrong_slope_everywhere(monkeypatch):
    """Engine and tape share a mistake: the triangle over a, as Appendix D prints it, and not over a**2 (a = 1.5)."""
    right = surrogates.slope

    def wrong(kind, width, distance):
        return width * right(kind, width, distance)

    def backward(
        low, high, acc, scale, shift, spike_gradient, gradient, steps, positions, step, beta, threshold, *rest
    ):
        channels = acc.shape[1]
        shaped = acc.reshape(-1, positions, channels)
        x = naive_lif.current(shaped if step else shaped[:1], scale, shift, steps)[:, low:high]
        _, before = naive_lif.forward(x, beta, threshold)
        share = spike_gradient.reshape(steps, positions, channels)[:, low:high]
        back = naive_lif.backward(
            before, share, beta, threshold, lambda d: wrong("triangle", rest[1], d).item(), rest[2]
        )
        gradient.reshape(steps, positions, channels)[:, low:high] = back

    monkeypatch.setattr(surrogates, "slope", wrong)
    monkeypatch.setattr(lif, "lif_backward", backward)
