"""Random small integer networks with images that make them fire: every node kind, odd shapes, all ranges."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.errors import NumericsError
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntConv,
    IntInput,
    IntLevels,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
)

MEMBRANES = (
    *(None,) * 5,
    *(IntLevels(-1, 1), IntLevels(-3, 1), IntLevels(-2, 1, 3), IntLevels(0, 1), IntLevels(-1, 7, 16)),
)
"""What a neuron may store: all, in half of them; or 3, 5, 10, 2 and 129 levels."""

LEAKS = ((1, 1), (1, 1), (1, 2), (3, 2), (1, 0), (0, 0), (3481, 12))
"""(multiplier, shift): 1/2, 1/4, 3/4, no leak, no memory, 0.85."""


def random_integer_network(seed, resets=("zero",), membranes=(None,)):
    """(network, images): T from 1 to 10; 2 images [B, H, W, C] or frames [T, B, H, W, C], uint8.

    resets, membranes (IntLevels or None): of which each neuron draws its own; whichever there are, the rest of the
    network is the same, but for thresholds, which are multiples of `parts`.
    """
    return Builder(seed, resets, membranes).build()


def random_wide_network(seed, resets=("zero",), membranes=(None,)):
    """As `random_integer_network`: channels in several words, a hidden Linear, three currents, large counts."""
    for attempt in range(10):
        try:
            return WideBuilder((seed, attempt), resets, membranes).build()
        except NumericsError:  # now and then sums of large counts leave int32
            continue
    raise ValueError(f"no network of seed {seed}")


class Builder:
    """Adds node after node; `top` names the newest counts."""

    peaks: tuple[int, ...] = (1, 3, 255)
    channels: tuple[int, ...] = (1, 2, 3, 4, 5)
    blocks: tuple[tuple[str, int], ...] = (
        *(("conv", 3), ("max_pool", 1), ("sum_pool", 1)),
        *(("residual", 2), ("two_convs", 1), ("sum", 2)),
    )

    def __init__(self, seed, resets, membranes):
        self.rng = np.random.default_rng(seed)
        self.resets, self.reset_rng = resets, np.random.default_rng([*np.atleast_1d(seed), 17])
        self.membranes, self.membrane_rng = membranes, np.random.default_rng([*np.atleast_1d(seed), 23])
        self.nodes, self.arrays, self.shapes, self.powers = [], {}, {}, {}
        self.steps = int(self.rng.integers(1, 11))
        self.top = "input"

    def build(self):
        rng = self.rng
        shape = (int(rng.integers(4, 8)), int(rng.integers(4, 8)), int(rng.integers(1, 4)))
        peak = int(rng.choice(self.peaks))
        self.put(IntInput("input", shape, peak), shape, (peak / 2) ** 2 + peak**2 / 12 if peak > 1 else 0.5)
        self.lif(self.conv(self.top))
        kinds = [kind for kind, weight in self.blocks for _ in range(weight)]
        for kind in rng.choice(kinds, rng.integers(1, 4)):
            getattr(self, f"add_{kind}")()
        self.readout()
        frames = (self.steps,) if rng.random() < 0.5 else ()
        images = rng.integers(0, peak + 1, (*frames, 2, *shape)).astype(np.uint8 if peak < 256 else np.uint16)
        return IntegerNetwork(tuple(self.nodes), self.arrays, self.steps), images

    def put(self, node, shape, power, **arrays):
        """power: the expected square of one element."""
        self.nodes.append(node)
        self.arrays[node.name] = arrays
        self.shapes[node.name], self.powers[node.name] = shape, power
        return node.name

    def name(self, kind):
        return f"{kind}{len(self.nodes)}"

    def some_channels(self):
        return self.channels[int(self.rng.integers(0, len(self.channels)))]

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
        channels = channels or self.some_channels()
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
        membrane = self.membranes[int(self.membrane_rng.integers(len(self.membranes)))]
        if membrane is not None:
            threshold = -(-threshold // membrane.parts) * np.int32(membrane.parts)
        node = IntLIF(self.name("lif"), sources, multiplier, shift, str(self.reset_rng.choice(self.resets)), membrane)
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
        shape = (-(-height // stride), -(-width // stride), self.some_channels())
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


class WideBuilder(Builder):
    """What is rare or missing above."""

    peaks = (1, 12, 17, 255, 300, 65535)
    channels = (1, 3, 8, 31, 32, 33, 40, 64, 70)
    blocks = (
        *(("conv", 2), ("max_pool", 2), ("sum_pool", 2), ("residual", 1), ("sum", 1)),
        *(("linear", 2), ("three_currents", 2), ("input_pool", 1), ("quiet", 1)),
    )

    def add_linear(self):
        """A hidden Linear; what follows is one pixel."""
        size, features = int(np.prod(self.shapes[self.top])), self.some_channels()
        codes, gain = self.codes(size, features), self.gain(features)
        power = (codes.astype(float) ** 2).sum(0).mean() * self.powers[self.top] * (gain.astype(float) ** 2).mean()
        self.lif(
            self.put(
                IntLinear(self.name("linear"), self.top, features), (1, 1, features), power, codes=codes, gain=gain
            )
        )

    def add_three_currents(self):
        """Two convolutions and a shortcut in one neuron; a second one reads the first of them too."""
        start, channels = self.top, self.some_channels()
        first, second = self.conv(start, channels, 1), self.conv(start, channels, 1)
        self.lif(first, second, self.shortcut(start, 1, channels, self.powers[first]))
        other = self.top
        self.lif(first)
        self.top = self.put(IntSum(self.name("sum"), (self.top, other)), self.shapes[other], 1.6)

    def add_input_pool(self):
        """Large counts: a pool of the images, and a pool of that."""
        height, width, channels = self.shapes["input"]
        power = self.powers["input"]
        largest = self.put(
            IntMaxPool(self.name("max_pool"), "input", 2, 1, 1), (height + 1, width + 1, channels), power
        )
        shape = ((height + 1) // 2, (width + 1) // 2, channels)
        total = self.put(IntSumPool(self.name("sum_pool"), largest, 2), shape, 16 * power)
        before = self.top
        self.lif(self.shortcut(total, 1, self.some_channels(), 16 * power))
        pooled = self.top
        size = int(np.prod(self.shapes[pooled]))
        features = self.shapes[before][2]
        codes, gain = self.codes(size, features), self.gain(features)
        linear = self.put(
            IntLinear(self.name("linear"), pooled, features), (1, 1, features), 0.4 * size, codes=codes, gain=gain
        )
        height, width, _ = self.shapes[before]
        if (height, width) != (1, 1):
            every = self.codes(height * width * features, features)
            other = self.put(
                IntLinear(self.name("linear"), before, features), (1, 1, features), 1.0, codes=every, gain=gain
            )
            self.lif(linear, other)
        else:
            self.lif(linear, self.shortcut(before, 1, features, 1.0))

    def add_quiet(self):
        """Constant codes, and neurons of narrow membranes."""
        channels = self.some_channels()
        source = self.conv(self.top, channels, 1)
        self.arrays[source]["codes"][:] = 1
        self.arrays[source]["gain"][:] = 1
        kernel, _, inputs, _ = self.arrays[source]["codes"].shape
        self.powers[source] = kernel**2 * inputs
        self.lif(source)
