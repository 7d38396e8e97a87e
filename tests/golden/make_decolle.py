"""Write decolle/*.npz: networks that learn by local losses, simulated by PyTorch's own convolutions and autograd.

Not part of any test run: PyTorch is no dependency. Run with torch==2.13.0 and numpy: `python make_decolle.py`. Nothing
of qpsnn is used.

Traces, membranes, spikes, pools, readouts and losses are written as the equations say; gradients come of autograd, with
a surrogate in the place of the spike's; PyTorch's Adamax makes the updates. A membrane that lies next to its threshold
may fall to either side in another float32 sum, and so may the order of two in a pool: of SEEDS seeds the one is written
where the nearest are farthest apart, and how far that is. Readouts see all spikes (no dropout): random streams differ.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

FOLDER = Path(__file__).with_name("decolle")
SAMPLES, STEPS, BURNIN, CLASSES, SEEDS, RATE = 3, 24, 6, 3, 100, 2e-3
SIDE, CHANNELS = 6, 2
# (channels, kernel, padding, pool); the last layer sees all spikes
LAYERS = [(5, 3, 1, 2), (7, 2, 0, 1), (9, None, 0, 1)]
ALPHA, BETA, GAMMA, SLOPE = 0.9, 0.8, 0.6, 10.0


class Spike(torch.autograd.Function):
    """1 above 0 (or at 0, too); its gradient is that of the fast sigmoid."""

    @staticmethod
    def forward(context, x, inclusive):
        context.save_for_backward(x)
        return (x >= 0 if inclusive else x > 0).float()

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return gradient / (SLOPE * x.abs() + 1) ** 2, None


class Layer:
    def __init__(self, kind, inputs, normalised, threshold, generator):
        self.channels, self.kernel, self.padding, self.pool = kind
        self.normalised, self.threshold = normalised, threshold
        shape = (self.channels, inputs[0], self.kernel, self.kernel)
        if self.kernel is None:
            shape = (self.channels, int(np.prod(inputs)))
        scale = 2.0 if normalised else 0.15
        self.w = (scale * (torch.rand(shape, generator=generator) - 0.48)).requires_grad_()
        self.b = (0.1 * torch.rand(self.channels, generator=generator)).requires_grad_()
        self.p = self.q = torch.zeros(SAMPLES, *inputs)
        self.r = self.s = torch.zeros(self.currents(self.p).shape)
        self.features = int(np.prod(self.pooled(self.r).shape[1:]))
        bound = 0.5 / self.features**0.5
        self.g = bound * (2 * torch.rand(CLASSES, self.features, generator=generator) - 1)
        self.c = bound * (2 * torch.rand(CLASSES, generator=generator) - 1)

    def currents(self, p):
        if self.kernel is None:
            return functional.linear(p.flatten(1), self.w, self.b)[..., None, None]
        return functional.conv2d(p, self.w, self.b, padding=self.padding)

    def pooled(self, v):
        return functional.max_pool2d(v, self.pool) if self.pool > 1 else v

    def gap(self, v):
        """How far the highest membrane of a pool is from the next, if they differ: who is higher gets the gradient."""
        if self.pool == 1:
            return np.inf
        windows = functional.unfold(v.reshape(-1, 1, *v.shape[2:]), self.pool, stride=self.pool)
        first, second = windows.topk(2, 1).values.unbind(1)
        apart = (first - second)[first > second]
        return float(apart.min()) if len(apart) else np.inf

    def step(self, spikes):
        """Pooled spikes, their membranes, and the readout."""
        with torch.no_grad():
            if self.normalised:
                q = BETA * self.q + (1 - BETA) * spikes
                p = ALPHA * self.p + (1 - ALPHA) * self.q
                r = GAMMA * self.r + (1 - GAMMA) * self.s
            else:
                q, p, r = BETA * self.q + spikes, ALPHA * self.p + self.q, GAMMA * self.r + self.s
            self.q, self.p, self.r = q, p, r
        v = self.currents(self.p) - self.r
        inclusive = not self.normalised
        self.s = Spike.apply(v - self.threshold, inclusive).detach()
        high = self.pooled(v)
        out = Spike.apply(high - self.threshold, inclusive)
        # channels last, as the readouts of the fixture are
        return out.detach(), v.detach(), functional.linear(out.permute(0, 2, 3, 1).flatten(1), self.g, self.c)


def simulate(normalised, threshold, seed):
    generator = torch.Generator().manual_seed(seed)
    frames = (torch.rand(SAMPLES, STEPS, CHANNELS, SIDE, SIDE, generator=generator) < 0.25).float()
    frames += (torch.rand(frames.shape, generator=generator) < 0.05).float()
    labels = torch.arange(SAMPLES) % CLASSES
    target = functional.one_hot(labels, CLASSES).float()
    layers, shape = [], (CHANNELS, SIDE, SIDE)
    for kind in LAYERS:
        layers.append(Layer(kind, shape, normalised, threshold, generator))
        shape = tuple(layers[-1].pooled(layers[-1].r).shape[1:])
    before = [(one.w.detach().clone(), one.b.detach().clone()) for one in layers]
    optimizer = torch.optim.Adamax([each for one in layers for each in (one.w, one.b)], lr=RATE, betas=(0.0, 0.95))
    losses, fired, nearest, first = [], [], np.inf, None
    for t in range(STEPS):
        x, own = frames[:, t], []
        for one in layers:
            x, v, y = one.step(x)
            nearest = min(nearest, float((v - threshold).abs().min()), one.gap(v))
            own.append(functional.smooth_l1_loss(y, target))
            if t == STEPS - 1:
                fired.append(one.s)
        if t >= BURNIN:
            optimizer.zero_grad()
            sum(own).backward()
            if first is None:
                first = [(one.w.grad.clone(), one.b.grad.clone()) for one in layers]
            optimizer.step()
            losses.append([loss.item() for loss in own])
    found = {"frames": last(frames), "labels": labels.numpy(), "losses": np.array(losses), "nearest": nearest}
    for k, one in enumerate(layers):
        for name, (w, b) in (("before", before[k]), ("gradient", first[k]), ("after", (one.w, one.b))):
            found[f"w_{name}{k}"], found[f"b_{name}{k}"] = kernels(one, w), b.detach().numpy()
        found[f"readout{k}"], found[f"readout_bias{k}"] = one.g.numpy().T, one.c.numpy()
        found[f"spikes{k}"] = last(fired[k]).astype(np.uint8)
    return found


def last(array):
    """Channels last."""
    return np.moveaxis(array.numpy(), -3, -1)


def kernels(layer, w):
    """`[kernel, kernel, inputs, outputs]`; of the last layer, its inputs in the order of channels last."""
    w = w.detach()
    if layer.kernel is None:
        channels, height, width = layer.p.shape[1:]
        w = w.reshape(-1, channels, height, width).permute(2, 3, 1, 0).reshape(1, 1, -1, layer.channels)
        return w.numpy()
    return w.permute(2, 3, 1, 0).numpy()


def rates(found):
    return [float(found[f"spikes{k}"].mean()) for k in range(len(LAYERS))]


def main():
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    for name, normalised, threshold in (("normalised", True, 0.0), ("plain", False, 1.0)):
        runs = [simulate(normalised, threshold, seed) for seed in range(SEEDS)]
        runs = [run for run in runs if all(0.04 < rate < 0.96 for rate in rates(run))]
        best = max(runs, key=lambda run: run["nearest"])
        np.savez_compressed(FOLDER / f"{name}.npz", **best)


if __name__ == "__main__":
    main()
