"""Random small integer networks with images that make them fire: every node kind, odd shapes, all ranges."""

from __future__ import annotations

import numpy as np

from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntConv,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
)

LEAKS = ((1, 1), (1, 1), (1, 2), (3, 2), (1, 0), (0, 0), (3481, 12))
"""(multiplier, shift): 1/2, 1/4, 3/4, no leak, no memory, 0.85."""


def random_integer_network(seed):
    """(network, images): T from 1 to 10; 2 images [B, H, W, C] or frames [T, B, H, W, C], uint8."""
    return Builder(seed).build()


class Builder:
    """Adds node after node; `top` names the newest counts."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.arrays, self.shapes, self.powers = [], {}, {}, {}
        self.steps = int(self.rng.integers(1, 11))
        self.top = "input"

    def build(self):
        rng = self.rng
        shape = (int(rng.integers(4, 8)), int(rng.integers(4, 8)), int(rng.integers(1, 4)))
        peak = int(rng.choice([1, 3, 255]))
        self.put(IntInput("input", shape, peak), shape, (peak / 2) ** 2 + peak**2 / 12 if peak > 1 else 0.5)
        self.lif(self.conv(self.top))
        steps = {"conv": 3, "max_pool": 1, "sum_pool": 1, "residual": 2, "two_convs": 1, "sum": 2}
        kinds = [kind for kind, weight in steps.items() for _ in range(weight)]
        for kind in rng.choice(kinds, rng.integers(1, 4)):
            getattr(self, f"add_{kind}")()
        self.readout()
        frames = (self.steps,) if rng.random() < 0.5 else ()
        images = rng.integers(0, peak + 1, (*frames, 2, *shape)).astype(np.uint8)
        return IntegerNetwork(tuple(self.nodes), self.arrays, self.steps), images

    def put(self, node, shape, power, **arrays):
        """power: the expected square of one element."""
        self.nodes.append(node)
        self.arrays[node.name] = arrays
        self.shapes[node.name], self.powers[node.name] = shape, power
        return node.name

    def name(self, kind):
        return f"{kind}{len(self.nodes)}"

    def codes(self, *shape):
        """Odd integers as quantized layers have them, or now and then any."""
        limit = 2 ** int(self.rng.integers(2, 9)) - 1
        codes = self.rng.integers(-limit, limit + 1, shape)
        if self.rng.random() < 0.8:
            codes = 2 * self.rng.integers(0, limit + 1, shape) - limit
        return codes.astype(np.int8 if limit <= 127 else np.int16)

    def gain(self, channels):
        """One power of two, or different integers, some of them negative."""
        if self.rng.random() < 0.5:
            return np.full(channels, 2 ** int(self.rng.integers(0, 7)), np.int32)
        return self.rng.integers(-40, 41, channels).astype(np.int32)

    def conv(self, source, channels=None, stride=None):
        """A convolution of any kernel, stride and padding that fits; or, of a given stride, one with its edges padded.

        The latter gives maps of ceil(size / stride).
        """
        rng, (height, width, inputs) = self.rng, self.shapes[source]
        kernel = int(rng.integers(1, 6))
        padding = int(rng.integers(0, kernel))
        if stride is not None:
            kernel, padding = (1, 0) if rng.random() < 0.3 else (3, 1)
        stride = stride or int(rng.integers(1, 4))
        while min(height, width) + 2 * padding < kernel:
            kernel -= 1
            padding = min(padding, kernel - 1)
        channels = channels or int(rng.integers(1, 6))
        shape = (*((size + 2 * padding - kernel) // stride + 1 for size in (height, width)), channels)
        codes, gain = self.codes(kernel, kernel, inputs, channels), self.gain(channels)
        power = (
            (codes.astype(float) ** 2).sum((0, 1, 2)).mean() * self.powers[source] * (gain.astype(float) ** 2).mean()
        )
        node = IntConv(self.name("conv"), source, channels, kernel, stride, padding)
        return self.put(node, shape, power, codes=codes, gain=gain)

    def shortcut(self, source, stride, channels, power):
        """A shortcut about as strong as a current of this power, its channels mapped anyhow."""
        height, width, inputs = self.shapes[source]
        chosen = tuple(int(c) for c in self.rng.integers(-1, inputs, channels))
        limit = int(np.sqrt(power)) + 2
        gain = self.rng.integers(-limit // 4, limit + 1, channels).astype(np.int32)
        node = IntShortcut(self.name("shortcut"), source, channels, stride, chosen)
        return self.put(node, (-(-height // stride), -(-width // stride), channels), power, gain=gain)

    def lif(self, *sources):
        """Thresholds and biases of each channel's own, about as large as the currents."""
        rng, shape = self.rng, self.shapes[sources[0]]
        strength = np.sqrt(sum(self.powers[source] for source in sources)) + 1
        threshold = np.ceil(strength * rng.uniform(0.05, 1.5, shape[2])).astype(np.int32)
        bias = np.rint(strength * rng.normal(0.2, 0.4, shape[2])).astype(np.int32)
        multiplier, shift = LEAKS[rng.integers(len(LEAKS))]
        node = IntLIF(self.name("lif"), sources, multiplier, shift)
        self.top = self.put(node, shape, 0.4, threshold=threshold, bias=bias)

    def add_conv(self):
        self.lif(self.conv(self.top))

    def add_max_pool(self):
        height, width, channels = self.shapes[self.top]
        size = min(int(self.rng.integers(2, 4)), height, width)
        stride, padding = int(self.rng.integers(1, 3)), int(self.rng.integers(0, size))
        shape = (*((edge + 2 * padding - size) // stride + 1 for edge in (height, width)), channels)
        node = IntMaxPool(self.name("max_pool"), self.top, size, stride, padding)
        self.top = self.put(node, shape, self.powers[self.top])

    def add_sum_pool(self):
        height, width, channels = self.shapes[self.top]
        size = min(2, height, width)
        node = IntSumPool(self.name("sum_pool"), self.top, size)
        power = self.powers[self.top] * size**4 / 2
        self.top = self.put(node, (height // size, width // size, channels), power)

    def add_residual(self):
        """Two convolutions with a shortcut around them, as in a basic block."""
        start, stride = self.top, int(self.rng.integers(1, 3))
        height, width, _ = self.shapes[start]
        shape = (-(-height // stride), -(-width // stride), int(self.rng.integers(1, 6)))
        self.lif(self.conv(start, shape[2], stride))
        last = self.conv(self.top, shape[2], 1)
        self.lif(last, self.shortcut(start, stride, shape[2], self.powers[last]))

    def add_two_convs(self):
        stride = int(self.rng.integers(1, 3))
        first = self.conv(self.top, None, stride)
        self.lif(first, self.conv(self.top, self.shapes[first][2], stride))

    def add_sum(self):
        """A convolution's spikes plus the spikes before it, as in SEW."""
        before = self.top
        self.lif(self.conv(before, self.shapes[before][2], 1))
        node = IntSum(self.name("sum"), (self.top, before))
        self.top = self.put(node, self.shapes[before], 2 * self.powers[before] + 1)

    def readout(self):
        size, classes = int(np.prod(self.shapes[self.top])), int(self.rng.integers(2, 5))
        codes, gain = self.codes(size, classes), self.gain(classes)
        last = self.put(IntLinear("linear", self.top, classes), (1, 1, classes), 0.0, codes=codes, gain=gain)
        bias = self.rng.integers(-500, 501, classes).astype(np.int32)
        self.put(IntReadout("readout", last, 0.5), (1, 1, classes), 0.0, bias=bias)
