"""Small integer networks, one for each pair of kinds that may stand beside each other, and each way to the readout.

PAIRS has a name for each. `lif-max_pool-conv`: a max-pool of spikes, which a convolution takes to the readout.
`sum-conv-lif`: a convolution of sums that drives neurons. `lif:conv+shortcut`: both drive the same neurons.
`sum:lif+input`: what a sum adds up. `max_pool-readout`: counts that the readout sums.
Each name has a network in every one of VARIANTS.
"""

from __future__ import annotations

from itertools import combinations_with_replacement, product

import numpy as np

from generators.integer_networks import LEAKS, MEMBRANES, Builder
from qpsnn_core.common.errors import NumericsError
from qpsnn_core.common.input_range import image_type
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntConcat,
    IntConv,
    IntInput,
    IntLinear,
    IntMaxPool,
    IntReadout,
    IntSum,
    IntSumPool,
    IntUpsample,
)
from qpsnn_core.network.nodes import RESETS
from qpsnn_core.network.readouts import MODES

COUNTS = ("input", "lif", "max_pool", "sum_pool", "sum")
"""What gives counts."""

SYNAPSES = ("conv", "linear", "shortcut")
"""What reads counts and gives currents, to neurons or to the readout."""

WINDOWS = ("rectangle", "groups", "depthwise")
"""Convolutions whose windows are not square, in groups of channels, and of each channel alone."""

POOLS = ("max_current", "sum_current")
"""Pools of currents."""

JOINED = ("added", "beside", "finer")
"""Sums, concatenations and upsampling of currents; of counts, too, "finer"."""

JOINS = ("max_pool", "sum_pool", "sum")
"""What reads counts and gives counts."""

VARIANTS = ("point", "map", "wide")
"""Maps of one pixel; larger ones with strides and padding; channels in several words, large counts, pruned codes."""

PAIRS = (
    *(f"{source}-{synapse}" for source, synapse in product(COUNTS, SYNAPSES)),
    *(f"{source}-{synapse}-lif" for source, synapse in product(COUNTS, SYNAPSES)),
    *(f"{source}-{join}-{synapse}" for source, join, synapse in product(COUNTS, JOINS, SYNAPSES)),
    *(f"lif:{'+'.join(some)}" for n in (2, 3) for some in combinations_with_replacement(SYNAPSES, n)),
    *(f"sum:{'+'.join(some)}" for some in combinations_with_replacement(COUNTS, 2) if some != ("input", "input")),
    *(f"{source}-readout" for source in COUNTS),
    *(f"{source}-{synapse}" for source, synapse in product(("input", "lif", "sum_pool"), WINDOWS)),
    *(f"lif-{synapse}-lif" for synapse in WINDOWS),
    *(f"{source}-{join}-conv" for source, join in product(("input", "lif"), ("max_rectangle", "sum_rectangle"))),
    *(f"lif-{synapse}-{pool}-lif" for synapse in ("conv", "shortcut", "groups") for pool in POOLS),
    *("lif-linear-max_current-lif", "input-linear-sum_current-lif"),
    *(f"lif-conv-{one}-{other}-lif" for one, other in product(POOLS, POOLS)),
    *(f"signed-{join}-{synapse}" for join in ("max_pool", "sum_rectangle") for synapse in ("conv", "linear")),
    *(f"signed-{one}-{other}-conv" for one, other in product(("max_rectangle", "sum_pool"), ("max_pool", "sum_pool"))),
    *("signed-conv", "signed-linear"),
    *(f"concat-{synapse}" for synapse in (*SYNAPSES, "readout", "groups")),
    *(f"{source}-concat-{synapse}" for source, synapse in product(COUNTS, ("conv", "shortcut"))),
    *(f"concat-{join}-conv" for join in (*JOINS, "concat")),
    *("lif-linear-max_current-readout", "lif-linear-sum_current-readout"),
    "lif-conv-added-added-beside-beside-finer-lif",
    "lif-shortcut-finer-finer-added-readout",
    "lif-linear-finer-beside-max_current-added-max_current-lif",
    "lif-conv-beside-sum_current-added-sum_current-beside-readout",
    "lif-shortcut-finer-max_current-finer-sum_current-finer-readout",
    *("lif-linear-added-finer-lif", "lif-shortcut-added-beside-lif", "lif-shortcut-beside-added-lif"),
    *("lif-conv-finer-lif", "lif-linear-beside-max_current-beside-lif"),
    *("input-finer-finer-max_pool-finer-conv", "lif-finer-sum_pool-finer-linear"),
    *("lif-finer-sum-finer-shortcut", "lif-finer-concat-finer-conv", "finer-readout"),
)


def pair_network(name, variant):
    """(network, images): T from 1 to 4; 3 images [B, H, W, C] or frames [T, B, H, W, C]."""
    for attempt in range(20):
        try:
            seed = PAIRS.index(name), VARIANTS.index(variant), attempt
            return PairBuilder(seed, variant, name == "input-readout" or variant == "point").pair(name)
        except NumericsError:  # now and then sums of large counts leave int32
            continue
    raise ValueError(f"no network of {name}, {variant}")


class PairBuilder(Builder):
    """Adds the kinds of a name to what a Builder can add."""

    def __init__(self, seed, variant, point):
        super().__init__(seed, RESETS, MEMBRANES)
        rng, self.variant = self.rng, variant
        self.read_rng = np.random.default_rng([*seed, 29])
        wide = variant == "wide"
        self.channels = (1, 31, 32, 33, 40, 64, 70) if wide else (1, 2, 3, 5)
        self.steps = int(rng.integers(1, 5))
        sizes = (1, 1) if point else tuple(int(size) for size in rng.integers(*((2, 4) if wide else (3, 6)), 2))
        peak = int(rng.choice((1, 17, 300, 65535) if wide else (1, 1, 3, 255)))
        shape = (*sizes, int(rng.choice((1, 3, 33) if wide else (1, 2, 3))))
        self.put(IntInput("input", shape, peak), shape, (peak / 2) ** 2 + peak**2 / 12 if peak > 1 else 0.5)

    def pair(self, name):
        form, _, some = name.partition(":")
        if some:
            getattr(self, f"several_{form}")(some.split("+"))
            last = ("conv",)
        else:
            first, *last = name.split("-")
        if last == ["readout"]:
            self.count(first)
        elif any(kind in (*POOLS, *JOINED) for kind in last[1:]) and last[0] in (*SYNAPSES, *WINDOWS):
            getattr(self, f"give_{first}")()
            self.pool_current(last)
        else:
            if not some:
                getattr(self, f"give_{first}")()
            for kind in last[:-1] if last[-1] != "lif" else ():
                getattr(self, f"add_{kind}")()
            self.end(*(last[-2:] if last[-1] == "lif" else last[-1:]))
        frames = (self.steps,) if self.rng.random() < 0.5 else ()
        network = IntegerNetwork(tuple(self.nodes), self.arrays, self.steps)
        peak, shape = network.input.peak, network.input.shape
        images = self.rng.integers(0, peak + 1, (*frames, 3, *shape)).astype(np.uint8 if peak < 256 else np.uint16)
        if network.input.low:
            images = self.rng.integers(-peak, peak + 1, images.shape).astype(image_type(-peak, peak))
        images[..., 0, :, :, :] = peak
        return network, images

    def end(self, synapse, lif=""):
        """The synapse reaches the readout, by itself or through neurons and a second one of its kind."""
        last = self.whole(synapse, self.top, int(self.rng.integers(2, 5)))
        if lif:
            self.lif(last)
            last = self.whole(synapse, self.top, int(self.rng.integers(2, 5)))
        classes = self.shapes[last][2]
        bias = self.rng.integers(-500, 501, classes).astype(np.int32)
        mode, (multiplier, shift) = "mean", (0, 0)
        if self.read_rng.random() < 0.6:
            mode = str(self.read_rng.choice(MODES))
            multiplier, shift = LEAKS[int(self.read_rng.integers(len(LEAKS)))]
        self.put(IntReadout("readout", last, 0.5, mode, multiplier, shift), (1, 1, classes), 0.0, bias=bias)

    def count(self, kind):
        """The counts of one pixel, which the readout sums."""
        if kind != "input":
            self.lif(self.whole("linear", self.top, self.some_channels()))
        if kind == "max_pool":
            self.top = self.put(IntMaxPool(self.name(kind), self.top, 3, 1, 1), self.shapes[self.top], 0.5)
        elif kind in ("sum_pool", "sum", "concat", "finer"):
            getattr(self, f"add_{kind}")()
        self.put(
            IntReadout("readout", self.top, places=self.places(self.top)),
            self.shapes[self.top],
            0.0,
            bias=np.zeros(self.shapes[self.top][2], np.int32),
        )

    def places(self, name):
        """Of a readout that reads it."""
        return "one" if self.shapes[name][:2] == (1, 1) else "each"

    def pool_current(self, kinds):
        """A synapse, pools of what it gives, and neurons or the readout behind them."""
        synapse, *pools, end = kinds
        current = self.whole(synapse, self.top, 3) if synapse == "linear" else self.same(synapse, self.top, 3)
        for kind in pools:
            if kind in JOINED:
                current = self.joined(kind, current)
                continue
            height, width, channels = self.shapes[current]
            size = tuple(int(self.rng.integers(1, min(3, edge) + 1)) for edge in (height, width))
            stride = tuple(int(step) for step in self.rng.integers(1, 3, 2))
            padding = tuple(int(self.rng.integers(0, one)) for one in size) if kind == "max_current" else (0, 0)
            edges = zip((height, width), size, stride, padding, strict=True)
            shape = (*((edge + 2 * pad - tap) // step + 1 for edge, tap, step, pad in edges), channels)
            window = (size, stride, padding) if kind == "max_current" else (size, stride)
            made = {"max_current": IntMaxPool, "sum_current": IntSumPool}[kind]
            current = self.put(made(self.name(kind), current, *window), shape, self.powers[current] * size[0] * size[1])
        if end == "lif":
            self.lif(current)
            current = self.whole("linear", self.top, 3)
        bias = self.rng.integers(-500, 501, self.shapes[current][2]).astype(np.int32)
        node = IntReadout("readout", current, 0.5, places=self.places(current))
        self.put(node, self.shapes[current], 0.0, bias=bias)

    def joined(self, kind, current):
        """A current with the largest of its neighbours, and where it fits one more; or each pixel twice."""
        height, width, channels = self.shapes[current]
        if kind == "finer":
            factor = 3 if height == 1 else 2
            shape = (factor * height, factor * width, channels)
            return self.put(IntUpsample(self.name(kind), current, factor), shape, self.powers[current])
        pool = IntMaxPool(self.name("max"), current, 3, 1, 1)
        sources = [current, self.put(pool, (height, width, channels), self.powers[current])]
        if (height, width) == self.shapes[self.top][:2]:
            sources.append(self.conv(self.top, channels, 1))
        sources = tuple(str(one) for one in self.rng.permutation(sources))
        power = sum(self.powers[source] for source in sources)
        if kind == "added":
            return self.put(IntSum(self.name(kind), sources), (height, width, channels), power)
        whole = sum(self.shapes[source][2] for source in sources)
        return self.put(IntConcat(self.name(kind), sources), (height, width, whole), power)

    def codes(self, *shape):
        """Half of those of wide networks are pruned."""
        codes = super().codes(*shape)
        if self.variant == "wide":
            codes[self.rng.random(shape) < self.rng.choice((0.0, 0.9))] = 0
        return codes

    def whole(self, kind, source, channels):
        """A synapse of that kind to one pixel."""
        rng, (height, width, inputs) = self.rng, self.shapes[source]
        if kind == "shortcut":
            return self.shortcut(source, max(height, width) + int(rng.integers(0, 2)), channels, self.powers[source])
        if kind == "linear":
            codes, gain, shape = self.codes(height * width * inputs, channels), self.gain(channels), (1, 1, channels)
            node = IntLinear(self.name("linear"), source, channels)
        elif kind in WINDOWS:
            return self.window(kind, source, channels)
        else:
            least = min(height, width)
            kernel = int(rng.integers(1, least + 3))
            padding = int(rng.integers(max(0, -(-(kernel - least) // 2)), kernel))
            stride = max(1, max(height, width) + 2 * padding - kernel + 1) + int(rng.integers(0, 2))
            codes, gain = self.codes(kernel, kernel, inputs, channels), self.gain(channels)
            shape = (1, 1, channels)
            node = IntConv(self.name("conv"), source, channels, kernel, stride, padding)
        squares = (codes.astype(float) ** 2).reshape(-1, channels).sum(0).mean()
        power = squares * self.powers[source] * (gain.astype(float) ** 2).mean()
        return self.put(node, shape, power, codes=codes, gain=gain)

    def window(self, kind, source, channels):
        """A convolution of another kind to one pixel; in groups where its source has channels for them."""
        rng, (height, width, inputs) = self.rng, self.shapes[source]
        divisors = [size for size in range(2, inputs + 1) if inputs % size == 0]
        groups = {"rectangle": 1, "groups": (divisors or [1])[0], "depthwise": inputs}[kind]
        kernel = tuple(int(rng.integers(1, size + 1)) for size in (height, width))
        padding = tuple(int(rng.integers(0, min(size, 2))) for size in kernel)
        places = zip((height, width), kernel, padding, strict=True)
        stride = tuple(size + 2 * edge - tap + 1 + int(rng.integers(0, 2)) for size, tap, edge in places)
        channels = groups * -(-channels // groups)
        codes, gain = self.codes(*kernel, inputs // groups, channels), self.gain(channels)
        node = IntConv(self.name("conv"), source, channels, kernel, stride, padding, groups)
        squares = (codes.astype(float) ** 2).reshape(-1, channels).sum(0).mean()
        power = squares * self.powers[source] * (gain.astype(float) ** 2).mean()
        return self.put(node, (1, 1, channels), power, codes=codes, gain=gain)

    def same(self, kind, source, channels):
        """A synapse of that kind to as many pixels as there are."""
        power = self.powers[source]
        return self.conv(source, channels, 1) if kind == "conv" else self.shortcut(source, 1, channels, power)

    def give_input(self):
        """Is there already."""

    def give_signed(self):
        """The input, of images with negative numbers."""
        node = self.nodes[0]
        peak = min(node.peak, 300)
        self.nodes[0] = IntInput(node.name, node.shape, peak, -peak)

    def add_max_rectangle(self):
        height, width, channels = self.shapes[self.top]
        size = (min(2, height), min(3, width))
        shape = (height - size[0] + 1, (width + 2 * (size[1] // 2) - size[1]) // 2 + 1, channels)
        node = IntMaxPool(self.name("max"), self.top, size, (1, 2), (0, size[1] // 2))
        self.top = self.put(node, shape, self.powers[self.top])

    def add_sum_rectangle(self):
        height, width, channels = self.shapes[self.top]
        size = (min(3, height), min(2, width))
        shape = (height - size[0] + 1, (width - size[1]) // 2 + 1, channels)
        power = self.powers[self.top] * (size[0] * size[1]) ** 2 / 2
        self.top = self.put(IntSumPool(self.name("sum"), self.top, size, (1, 2)), shape, power)

    def give_lif(self):
        self.lif(self.conv(self.top, None, 1))

    def give_max_pool(self):
        self.give_lif()
        self.add_max_pool()

    def give_sum_pool(self):
        self.give_lif()
        self.add_sum_pool()

    def give_sum(self):
        self.give_lif()
        self.add_sum()

    def add_max_pool(self):
        height, width, channels = self.shapes[self.top]
        size = int(self.rng.integers(1, 4))
        padding = int(self.rng.integers(0, size))
        size = min(size, min(height, width) + 2 * padding)
        padding = min(padding, size - 1)
        stride = int(self.rng.integers(1, 4))
        if min(height, width) + 2 * padding < size:
            size, padding = 1, 0
        shape = (*((edge + 2 * padding - size) // stride + 1 for edge in (height, width)), channels)
        node = IntMaxPool(self.name("max_pool"), self.top, size, stride, padding)
        self.top = self.put(node, shape, self.powers[self.top])

    def add_sum(self):
        before = self.top
        self.lif(self.conv(before, self.shapes[before][2], 1))
        self.add(before, self.top)

    def give_finer(self):
        self.give_lif()
        self.add_finer()

    def add_finer(self):
        height, width, channels = self.shapes[self.top]
        node = IntUpsample(self.name("finer"), self.top, 2)
        self.top = self.put(node, (2 * height, 2 * width, channels), self.powers[self.top])

    def give_concat(self):
        self.give_lif()
        self.add_concat()

    def add_concat(self):
        """The counts, spikes of them, and the counts' neighbours."""
        height, width, _ = self.shapes[self.top]
        before, power = self.top, self.powers[self.top]
        node = IntMaxPool(self.name("max_pool"), before, 3, 1, 1)
        other = self.put(node, self.shapes[before], power)
        self.lif(self.conv(before, self.some_channels(), 1))
        sources = [str(one) for one in self.rng.permutation((before, self.top, other))]
        whole = sum(self.shapes[source][2] for source in sources)
        self.top = self.put(IntConcat(self.name("concat"), tuple(sources)), (height, width, whole), power)

    def add(self, *sources):
        sources = [str(one) for one in self.rng.permutation(sources)]
        power = sum(self.powers[source] for source in sources)
        self.top = self.put(IntSum(self.name("sum"), tuple(sources)), self.shapes[sources[0]], 2 * power)

    def several_sum(self, kinds):
        """Summands of each kind, all as large as the image."""
        made = []
        for kind in kinds:
            if kind == "input":
                made.append("input")
                continue
            self.lif(self.conv("input", self.shapes["input"][2], 1))
            if kind == "max_pool":
                node = IntMaxPool(self.name(kind), self.top, 3, 1, 1)
                self.top = self.put(node, self.shapes[self.top], self.powers[self.top])
            elif kind == "sum_pool":
                node = IntSumPool(self.name(kind), self.top, 1)
                self.top = self.put(node, self.shapes[self.top], self.powers[self.top])
            elif kind == "sum":
                before = self.top
                self.lif(self.conv("input", self.shapes[before][2], 1))
                self.add(before, self.top)
            made.append(self.top)
        self.add(*made)

    def several_lif(self, kinds):
        """Currents of each kind, in turn of spikes or sums of them, and of the image."""
        getattr(self, str(self.rng.choice(("give_lif", "give_sum"))))()
        sources, channels = [str(one) for one in self.rng.permutation((self.top, "input"))], self.some_channels()
        make = self.whole if "linear" in kinds else self.same
        self.lif(*(make(kind, sources[i % 2], channels) for i, kind in enumerate(kinds)))
