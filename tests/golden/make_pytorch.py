"""Write pytorch/*.npz: small quantized spiking networks trained for ten steps by plain PyTorch autograd.

Not part of any test run: PyTorch is no dependency. With `pip install torch==2.13.0 numpy`: `python make_pytorch.py`.
Nothing of qpsnn is used. Layers are written as their users write them; ReScaW, the neuron and its surrogate as in the
paper (Eqs. 1 to 3, 9, 10, Appendix D), the reset not detached. Arrays are saved in qpsnn's layout: channels last.

A membrane that lies next to the threshold, or a weight next to the edge of its code, may fall to either side in another
float32 sum, and the runs part there. So each network is trained from SEEDS seeds, and that one is written in which the
nearest decision was the farthest away; the distance is in the file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

FOLDER = Path(__file__).with_name("pytorch")
STEPS, BATCH, CLASSES, SEEDS = 10, 4, 5, 200
DECAY = 1e-4

# (network, bits, straight-through, whether the first and last layers are 8-bit, learning rate)
RUNS = [
    ("vgg", 2, "clip", False, 0.05),
    ("vgg", 4, "clip", True, 0.05),
    ("vgg", 8, "pass", False, 0.005),
    ("resnet", 2, "pass", True, 0.005),
    ("resnet", 4, "clip", False, 0.05),
    ("resnet", 8, "clip", True, 0.05),
]


class Nearest:
    """How near any decision came to its edge."""

    distance = float("inf")

    @classmethod
    def note(cls, values):
        cls.distance = min(cls.distance, float(values.abs().min()))


class Triangle(torch.autograd.Function):
    """Spike where the distance from the threshold is not negative; backward the triangle of width 1."""

    @staticmethod
    def forward(ctx, distance):
        ctx.save_for_backward(distance)
        return (distance >= 0).float()

    @staticmethod
    def backward(ctx, gradient):
        (distance,) = ctx.saved_tensors
        return gradient * (1 - distance.abs()).clamp(min=0)


class LIF(nn.Module):
    """`u = mem/2 + x; s = u >= 1; mem = u*(1 - s)`, over [T, B, ...]."""

    def forward(self, current):
        mem, spikes = torch.zeros_like(current[0]), []
        for x in current:
            u = 0.5 * mem + x
            Nearest.note(u.detach() - 1)
            s = Triangle.apply(u - 1)
            mem = u * (1 - s)
            spikes.append(s)
        self.spikes = torch.stack(spikes)
        return self.spikes


class Unmasked(torch.autograd.Function):
    """Rounded levels of W/gamma, times gamma; the gradient as if that were W/gamma itself."""

    @staticmethod
    def forward(ctx, ratio, gamma, n):
        return gamma * (torch.round((ratio.clamp(-1, 1) + 1) * n) / n - 1)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None, None


def rescaw(weight, bits, ste, gamma):
    """`gamma * (round((clamp(W/gamma, -1, 1) + 1)*n)/n - 1)`, n = (2**bits - 1)/2; gamma has no gradient."""
    n = (2**bits - 1) / 2
    ratio = weight / gamma
    place = (ratio.detach().clamp(-1, 1) + 1) * n
    Nearest.note(place - place.floor() - 0.5)
    if ste == "pass":
        return Unmasked.apply(ratio, gamma, n)
    clamped = ratio.clamp(-1, 1)
    levels = torch.round((clamped + 1) * n) / n - 1
    return gamma * (clamped + (levels - clamped).detach())


class Conv(nn.Conv2d):
    """A convolution of T*B images with quantized weights, then batch norm."""

    def __init__(self, inputs, outputs, *, stride=1, bias=False, bits=None, ste="clip", first=False):
        super().__init__(inputs, outputs, 3, stride, 1, bias=bias)
        nn.init.kaiming_normal_(self.weight, mode="fan_out")
        self.norm, self.bits, self.ste, self.first = nn.BatchNorm2d(outputs), bits, ste, first
        nn.init.uniform_(self.norm.bias, 0.2, 0.6)

    def forward(self, x):
        weight = self.weight
        if self.bits:
            magnitude = weight.detach().abs()
            gamma = magnitude.amax((1, 2, 3), keepdim=True) if self.first else magnitude.mean((1, 2, 3), keepdim=True)
            weight = rescaw(weight, self.bits, self.ste, gamma)
        y = functional.conv2d(x.flatten(0, 1), weight, self.bias, self.stride, self.padding)
        return self.norm(y).unflatten(0, x.shape[:2])


class Classifier(nn.Linear):
    """The readout at every step; its 8-bit weights share one gamma, the largest."""

    def __init__(self, inputs, bits):
        super().__init__(inputs, CLASSES)
        nn.init.normal_(self.weight, 0, 0.3)
        self.bits = bits

    def forward(self, x):
        weight = self.weight
        if self.bits:
            weight = rescaw(weight, self.bits, "clip", weight.detach().abs().amax())
        return functional.linear(x.flatten(2), weight, self.bias)


def each_step(pool, x, magnitude):
    return pool(x.flatten(0, 1), magnitude).unflatten(0, x.shape[:2])


class VGG(nn.Module):
    """conv6 - conv6 - max-pool 2 - conv8 - average-pool 2 - linear; T = 4."""

    T = 4

    def __init__(self, bits, ste, ends):
        super().__init__()
        self.conv1 = Conv(3, 6, bias=True, bits=ends, first=True)
        self.conv2 = Conv(6, 6, bits=bits, ste=ste)
        self.conv3 = Conv(6, 8, bits=bits, ste=ste)
        self.lif1, self.lif2, self.lif3 = LIF(), LIF(), LIF()
        self.linear = Classifier(8 * 2 * 2, ends)

    def forward(self, x):
        x = self.lif2(self.conv2(self.lif1(self.conv1(x))))
        x = self.lif3(self.conv3(each_step(functional.max_pool2d, x, 2)))
        return self.linear(each_step(functional.avg_pool2d, x, 2))


class ResNet(nn.Module):
    """conv6, a block of 6 channels, a block of 8 with stride 2, global average-pool, linear; T = 2."""

    T = 2

    def __init__(self, bits, ste, ends):
        super().__init__()
        self.conv0 = Conv(3, 6, bits=ends, first=True)
        self.conv1, self.conv2 = (Conv(6, 6, bits=bits, ste=ste) for _ in range(2))
        self.conv3 = Conv(6, 8, stride=2, bits=bits, ste=ste)
        self.conv4 = Conv(8, 8, bits=bits, ste=ste)
        self.lif0, self.lif1, self.lif2, self.lif3, self.lif4 = (LIF() for _ in range(5))
        self.linear = Classifier(8, ends)

    def forward(self, x):
        x = self.lif0(self.conv0(x))
        x = self.lif2(self.conv2(self.lif1(self.conv1(x))) + x)
        shortcut = functional.pad(x[..., ::2, ::2], (0, 0, 0, 0, 0, 2))
        x = self.lif4(self.conv4(self.lif3(self.conv3(x))) + shortcut)
        return self.linear(each_step(functional.avg_pool2d, x, 4))


def channels_last(name, array):
    """PyTorch's layout of a parameter as qpsnn's."""
    array = array.detach().numpy()
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0).copy()
    if array.ndim == 2:
        side = 2 if array.shape[1] == 32 else 1
        return array.reshape(len(array), -1, side, side).transpose(2, 3, 1, 0).reshape(-1, len(array)).copy()
    return array.copy()


def named(model, value):
    """`{node/array: value(parameter)}` with qpsnn's names."""
    return {
        name.replace(".norm.", "/bn_").replace(".", "/"): channels_last(name, value(parameter))
        for name, parameter in model.named_parameters()
    }


def train(network, bits, ste, ends, rate, seed):
    """One run: (what the file will hold, how near a decision came to its edge)."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (STEPS, BATCH, 8, 8, 3)).astype(np.uint8)
    labels = rng.integers(0, CLASSES, (STEPS, BATCH))
    model = {"vgg": VGG, "resnet": ResNet}[network](bits, ste, 8 if ends else None)
    weights = [parameter for name, parameter in model.named_parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    groups = [{"params": weights, "weight_decay": DECAY}, {"params": others}]
    optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9)
    record = {f"initial/{name}": value for name, value in named(model, lambda p: p).items()}
    Nearest.distance, losses = float("inf"), []
    for step in range(STEPS):
        x = torch.tensor(images[step]).permute(0, 3, 1, 2) / 255
        logits = model(x.expand(model.T, *x.shape))
        loss = functional.cross_entropy(logits.mean(0), torch.tensor(labels[step]))
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            record["logits"] = logits.detach().numpy()
            record |= {f"gradient/{name}": value for name, value in named(model, lambda p: p.grad).items()}
            for name, module in model.named_modules():
                if isinstance(module, LIF):
                    spikes = module.spikes.detach().permute(0, 1, 3, 4, 2).numpy()
                    record[f"spikes/{name}"] = np.packbits(spikes.astype(np.uint8))
        optimizer.step()
        losses.append(loss.item())
    record |= {f"final/{name}": value for name, value in named(model, lambda p: p).items()}
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            node = name.removesuffix(".norm")
            record[f"statistics/{node}/mean"] = module.running_mean.numpy().copy()
            record[f"statistics/{node}/var"] = module.running_var.numpy().copy()
    settings = {"seed": seed, "bits": bits, "ste": ste, "ends": ends, "rate": rate, "decay": DECAY}
    record |= {"images": images, "labels": labels, "losses": np.array(losses), "nearest": Nearest.distance, **settings}
    return record, Nearest.distance


def main():
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    for network, bits, ste, ends, rate in RUNS:
        runs = (train(network, bits, ste, ends, rate, seed) for seed in range(SEEDS))
        record, distance = max(runs, key=lambda run: run[1])
        path = FOLDER / f"{network}_{bits}bit_{ste}.npz"
        np.savez_compressed(path, **record)
        losses = record["losses"]
        line = f"{path.name}: seed {record['seed']}, nearest {distance:.1e}, loss {losses[0]:.3f} to {losses[-1]:.3f}"
        print(line)  # noqa: T201 - a script's report


if __name__ == "__main__":
    main()
