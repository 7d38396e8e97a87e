"""Faults put into the engine on purpose, to see which method finds them; each takes pytest's monkeypatch."""

from __future__ import annotations

import numpy as np

from naive import lif as naive_lif
from qpsnn_core.engine import passes
from qpsnn_core.engine.layers import attention, batch_norm, lif
from qpsnn_core.network import surrogates


def one_gradient_off(monkeypatch, fraction=1e-2):
    """The smallest fault: one weight of one layer, by a fraction of the layer's largest gradient."""
    right = passes.backward

    def wrong(*arguments):
        grads = right(*arguments)
        array = grads["conv2"]["weight"]
        array.flat[7] += fraction * np.abs(array).max()
        return grads

    monkeypatch.setattr(passes, "backward", wrong)


def fan_out_overwritten(monkeypatch):
    """A node that several others read keeps the gradient of one only."""
    monkeypatch.setattr(passes, "accumulate", lambda first, second, totals: second)


def queries_and_keys_exchanged(monkeypatch):
    """Attention's gradients of q and of k go to each other."""
    right = attention.attention_backward

    def wrong(start, stop, q, k, v, gradient, scale, out, shape):
        of_q, of_k, of_v = out
        right(start, stop, q, k, v, gradient, scale, (of_k, of_q, of_v), shape)

    monkeypatch.setattr(attention, "attention_backward", wrong)


def scale_of_attention_missing(monkeypatch):
    """Attention's gradients are those of the integers."""
    right = attention.attention_backward
    monkeypatch.setattr(attention, "attention_backward", lambda *given: right(*given[:-3], np.float32(1), *given[-2:]))


def stream_forgets_a_reader(monkeypatch):
    """Of the currents of a residual stream, those that two neurons share keep the gradient of the earlier one."""
    right = passes.accumulate

    def wrong(first, second, totals):
        return second if isinstance(second, batch_norm.DeferredGradient) else right(first, second, totals)

    monkeypatch.setattr(passes, "accumulate", wrong)


def reset_gradient_missing(monkeypatch):
    """The engine detaches the reset, asked or not."""
    right = lif.lif_backward_pieces
    monkeypatch.setattr(lif, "lif_backward_pieces", lambda *given: right(*given[:-1], given[-1]._replace(detach=True)))


def reset_gradient_of_the_other(monkeypatch):
    """The engine's backward pass forgets that the reset subtracts."""
    right = lif.lif_backward_pieces
    monkeypatch.setattr(
        lif, "lif_backward_pieces", lambda *given: right(*given[:-1], given[-1]._replace(subtract=None))
    )


def statistics_held_constant(monkeypatch):
    """Batch norm's gradient forgets that mean and variance depend on the weights."""
    right = batch_norm.backward

    def wrong(*arguments):
        grads, factors = right(*arguments)
        factors[1:] = 0
        return grads, factors

    monkeypatch.setattr(batch_norm, "backward", wrong)


def wrong_slope_everywhere(monkeypatch):
    """Engine and tape share a mistake: the triangle over a, as Appendix D prints it, and not over a**2 (a = 1.5)."""
    right = surrogates.slope

    def wrong(kind, width, distance):
        return width * right(kind, width, distance)

    def backward(start, stop, pieces, *given):
        for piece in range(start, stop):
            of_piece(*pieces[piece], *given, piece)

    def of_piece(start, stop, first, second, given, gradient, moments, settings, piece):
        _, positions, beta, threshold, _, _, width, detach = settings[:8]
        shape = (-1, positions, given.shape[1])
        currents = [one for one in (first, second) if one is not None]
        accs = [acc.reshape(shape)[:, start:stop] for acc, *_ in currents]
        x = sum(naive_lif.current(acc, one[1], one[2], settings[0]) for acc, one in zip(accs, currents, strict=True))
        _, before = naive_lif.forward(x, beta, threshold, "zero")
        share = given.reshape(shape)[:, start:stop]

        def slope(distance):
            return wrong("triangle", width, distance).item()

        back = naive_lif.backward(before, share, beta, threshold, "zero", slope, detach)
        gradient.reshape(shape)[:, start:stop] = back if len(gradient) == len(given) else back.sum(0)
        for moment, acc in zip(moments[piece], (1, *accs), strict=False):
            moment += (back * acc).sum((0, 1))

    monkeypatch.setattr(surrogates, "slope", wrong)
    monkeypatch.setattr(lif, "lif_backward_pieces", backward)
