"""Optimizers of one number, in the order in which PyTorch's documentation states them; loops only."""

from __future__ import annotations

import math


def sgd(p, gradients, lrs, momentum=0.9, weight_decay=0.0, nesterov=False):
    """The parameter after each gradient."""
    velocity = 0.0
    track = []
    for g, lr in zip(gradients, lrs, strict=True):
        g = g + weight_decay * p
        velocity = momentum * velocity + g
        step = g + momentum * velocity if nesterov else velocity
        p = p - lr * step
        track.append(p)
    return track


def adam(p, gradients, lrs, momentum=0.9, weight_decay=0.0, second=0.999, epsilon=1e-8, decoupled=False):
    """The parameter after each gradient."""
    mean = square = 0.0
    track = []
    for n, (g, lr) in enumerate(zip(gradients, lrs, strict=True), 1):
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        mean = momentum * mean + (1 - momentum) * g
        square = second * square + (1 - second) * g * g
        unbiased_mean = mean / (1 - momentum**n)
        unbiased_square = square / (1 - second**n)
        p = p - lr * unbiased_mean / (math.sqrt(unbiased_square) + epsilon)
        track.append(p)
    return track


def adamw(p, gradients, lrs, momentum=0.9, weight_decay=0.01, second=0.999, epsilon=1e-8):
    """The parameter after each gradient."""
    return adam(p, gradients, lrs, momentum, weight_decay, second, epsilon, decoupled=True)


def sum_squares(gradient):
    """The sum of squares of numbers, rounded once."""
    return math.fsum(float(g) * float(g) for g in gradient)
