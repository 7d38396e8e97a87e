"""Small networks for training, one for each pair of kinds that may stand beside each other, with random parameters.

Names as in `integer_pairs`; an input is an `image`, which only weights read, or `events`.
"""

from __future__ import annotations

from itertools import combinations_with_replacement, product

import numpy as np

from qpsnn_core.network import (
    LIF,
    AvgPool,
    Concat,
    Conv,
    Dropout,
    Input,
    Linear,
    MaxPool,
    Network,
    Quantizer,
    Readout,
    Shortcut,
    Sum,
    Upsample,
)
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import RESETS
from qpsnn_core.network.readouts import MODES

SPIKES = ("events", "lif", "max_pool", "avg_pool", "sum")
"""What a pair is made of in all ways; a concatenation, which came later, stands in fewer."""
SYNAPSES = ("conv", "linear", "shortcut")
WINDOWS = ("rectangle", "groups", "depthwise")
POOLS = ("max_current", "avg_current")
JOINED = ("added", "beside", "finer")
"""A sum, a concatenation and an upsampling of currents; of spikes, too, "finer"."""
JOINS = ("max_pool", "avg_pool", "sum")

READ = (*product(SPIKES, SYNAPSES), ("image", "conv"), ("image", "linear"))

NETWORK_PAIRS = (
    *(f"{source}-{synapse}" for source, synapse in READ),
    *(f"{source}-{synapse}-lif" for source, synapse in READ),
    *(f"{source}-{join}-{synapse}" for source, join, synapse in product(SPIKES, JOINS, SYNAPSES)),
    *(f"lif:{'+'.join(some)}" for n in (2, 3) for some in combinations_with_replacement(SYNAPSES, n)),
    *(f"{source}-readout" for source in SPIKES),
    *(f"{source}-{synapse}" for source, synapse in product(("image", "lif", "avg_pool"), WINDOWS)),
    *(f"lif-{synapse}-lif" for synapse in WINDOWS),
    *(f"{source}-{join}-conv" for source, join in product(("image", "lif"), ("max_rectangle", "avg_rectangle"))),
    *(f"{source}-{pool}-conv" for source, pool in product(("image", "signed"), ("max_pool", "avg_pool"))),
    *(f"{source}-conv-{pool}-lif" for source, pool in product(("image", "lif"), POOLS)),
    *(f"lif-{synapse}-{pool}-readout" for synapse, pool in product(("linear", "shortcut"), POOLS)),
    *("lif-conv-avg_current-max_current-lif", "lif-conv-max_current-avg_current-lif"),
    *("lif-conv-avg_current-avg_current-lif", "lif-conv-max_current-max_current-lif"),
    *("image-dropout-conv", "lif-dropout-linear", "lif-dropout-dropout-max_pool-conv", "concat-dropout-conv"),
    *(f"concat-{synapse}" for synapse in (*SYNAPSES, "readout", "groups")),
    *(f"{source}-concat-conv" for source in SPIKES),
    *(f"concat-{join}-conv" for join in (*JOINS, "concat")),
    *("image-max_pool-avg_pool-linear", "image-avg_pool-max_pool-linear"),
    *("image-max_pool-max_pool-conv", "image-avg_pool-avg_pool-conv"),
    "lif-conv-added-added-beside-beside-finer-lif",
    "lif-shortcut-finer-finer-added-readout",
    "lif-linear-finer-beside-max_current-added-max_current-lif",
    "lif-conv-beside-avg_current-added-avg_current-beside-readout",
    "lif-shortcut-finer-max_current-finer-avg_current-finer-readout",
    *("lif-linear-added-finer-lif", "lif-shortcut-added-beside-lif", "lif-shortcut-beside-added-lif"),
    *("lif-conv-finer-lif", "lif-linear-beside-max_current-beside-lif"),
    *("events-finer-finer-max_pool-finer-conv", "lif-finer-avg_pool-finer-linear"),
    *("lif-finer-sum-finer-shortcut", "lif-finer-concat-finer-conv", "finer-readout"),
)

BETAS = (1.0, 0.75, 0.5, 0.3, 0.0)

QUANTIZERS = (
    *(Quantizer(bits, "mean") for bits in (2, 3, 4, 8)),
    *(Quantizer(8, gamma="max", granularity="layer"), Quantizer(4, "mean", zero=True)),
)


def trainable_pair(name, variant):
    """(model, images): "point": maps of one pixel; "map": larger ones. T from 1 to 4, 4 images or frames."""
    return PairNetwork((NETWORK_PAIRS.index(name), variant == "map"), variant).pair(name)


class PairNetwork:
    """Adds node after node; `top` names the newest spikes."""

    def __init__(self, seed, variant):
        self.rng = np.random.default_rng(seed)
        self.variant, self.nodes, self.values = variant, [], {}
        self.steps = int(self.rng.integers(1, 5))
        self.reset = str(self.rng.choice(RESETS))
        self.read_rng = np.random.default_rng([*seed, 29])

    def pair(self, name):
        _, _, some = name.partition(":")
        first, *last = ("lif", "conv") if some else name.split("-")
        sizes = (
            (1, 1)
            if self.variant == "point" or name == "events-readout"
            else tuple(int(size) for size in self.rng.integers(3, 6, 2))
        )
        events = first == "events" or (first not in ("image", "signed") and self.rng.random() < 0.5)
        peak = int(self.rng.choice((1, 3))) if events else 255
        low = -100 if first == "signed" else 0
        self.top = self.put(Input("input", (*sizes, int(self.rng.integers(1, 4))), peak, 1 / peak, events, low))
        first = "image" if first == "signed" else first
        pools = [kind for kind in last if kind in (*POOLS, *JOINED)] if last[0] in SYNAPSES else []
        if pools:
            self.pooled(first, last[0], pools, last[-1])
            last = ["readout"]
        elif last == ["readout"]:
            self.count(first)
        elif some:
            self.neurons(some.split("+"))
        elif first not in ("image", "events"):
            self.add_lif()
            if first != "lif":
                getattr(self, f"add_{first}")()
        for kind in last[:-1] if last[-1] != "lif" else ():
            getattr(self, f"add_{kind}")()
        synapse = last[-2] if last[-1] == "lif" else last[-1]
        if last[-1] == "lif":
            self.fire(self.whole(synapse, self.top, 4))
        if synapse == "readout":
            places = "one" if self.values[self.top].shape[:2] == (1, 1) else "each"
            self.put(Readout("readout", self.top, *(self.reading() if pools else ()), places=places))
        else:
            self.put(Readout("readout", self.whole(synapse, self.top, 4), *self.reading()))
        network = Network(tuple(self.nodes), self.steps)
        frames = (self.steps,) if events else ()
        images = self.rng.integers(low, peak + 1, (*frames, 4, *network.input.shape))
        images = images.astype(np.int16 if low else np.uint8)
        return Model(network, *self.parameters(network)), images

    def count(self, kind):
        """The spikes of one pixel, which the readout counts."""
        if kind != "events":
            self.fire(self.whole("linear", self.top, 4))
            if kind != "lif":
                getattr(self, f"add_{kind}")()

    def pooled(self, first, synapse, pools, end):
        """A synapse, pools of what it gives, and neurons, or the readout, behind them."""
        if first == "lif":
            self.add_lif()
        current = self.whole("linear", self.top, 4) if synapse == "linear" else self.same(synapse, self.top, 4)
        last = end == "readout" and not set(pools) & set(JOINED)
        for kind in pools:
            height, width, _ = self.values[current].shape
            size = (min(2, height), min(3, width))
            if kind in JOINED:
                current = self.joined(kind, current)
                continue
            if last:
                size = (height, width)
            if kind == "max_current":
                node = MaxPool(self.name(kind), current, size, (1, 2), tuple(one // 2 for one in size))
                node = MaxPool(self.name(kind), current, size) if last else node
            else:
                node = AvgPool(self.name(kind), current, size, 0 if last else (2, 1))
            current = self.put(node)
        self.top = current
        if end == "lif":
            self.fire(current)
            self.top = self.whole("linear", self.top, 4)

    def joined(self, kind, current):
        """A current with the largest of its neighbours, and where it fits one more; or each pixel twice."""
        if kind == "finer":
            return self.put(Upsample(self.name(kind), current))
        (*_, channels), sources = self.values[current].shape, [current]
        sources.append(self.put(MaxPool(self.name("max"), current, 3, 1, 1)))
        if self.values[current].shape[:2] == self.values[self.top].shape[:2]:
            sources.append(self.same("conv", self.top, channels))
        sources = tuple(str(one) for one in self.rng.permutation(sources))
        return self.put((Sum if kind == "added" else Concat)(self.name(kind), sources))

    def add_finer(self):
        self.top = self.put(Upsample(self.name("finer"), self.top))

    def add_max_rectangle(self):
        height, width, _ = self.values[self.top].shape
        size = (min(2, height), min(3, width))
        self.top = self.put(MaxPool(self.name("max"), self.top, size, (1, 2), (0, size[1] // 2)))

    def add_avg_rectangle(self):
        height, width, _ = self.values[self.top].shape
        self.top = self.put(AvgPool(self.name("avg"), self.top, (min(3, height), min(2, width)), (1, 2)))

    def reading(self):
        """Mode and beta of a readout."""
        mode = str(self.read_rng.choice(MODES))
        return mode, None if mode == "mean" and self.read_rng.random() < 0.8 else float(self.read_rng.choice(BETAS))

    def put(self, node):
        self.nodes.append(node)
        self.values[node.name] = node.output(*(self.values[source] for source in node.sources))
        return node.name

    def name(self, kind):
        return f"{kind}{len(self.nodes)}"

    def weights(self):
        """Quantizer, bias and batch norm of a synapse."""
        rng = self.rng
        quantizer = QUANTIZERS[int(rng.integers(len(QUANTIZERS)))]
        return {"quantizer": quantizer, "bias": bool(rng.random() < 0.5), "batch_norm": bool(rng.random() < 0.5)}

    def whole(self, kind, source, channels):
        """A synapse of that kind to one pixel."""
        height, width, inputs = self.values[source].shape
        if kind == "linear":
            return self.put(Linear(self.name(kind), source, channels, **self.weights()))
        if kind == "shortcut":
            chosen = tuple(int(c) for c in self.rng.integers(-1, inputs, channels))
            return self.put(Shortcut(self.name(kind), source, channels, max(height, width), chosen))
        if kind in WINDOWS:
            divisors = [size for size in range(2, inputs + 1) if inputs % size == 0]
            groups = {"rectangle": 1, "groups": (divisors or [1])[0], "depthwise": inputs}[kind]
            kernel = max(1, height - 1), max(1, width - 2)
            padding = min(1, kernel[0] - 1), 0
            stride = height + 2 * padding[0] - kernel[0] + 1, width - kernel[1] + 1
            size, window = groups * -(-channels // groups), (kernel, stride, padding)
            return self.put(Conv(self.name("conv"), source, size, *window, **self.weights(), groups=groups))
        kernel = min(height, width)
        stride = max(height, width) - kernel + 1
        return self.put(Conv(self.name(kind), source, channels, kernel, stride, 0, **self.weights()))

    def same(self, kind, source, channels):
        """A synapse of that kind to as many pixels."""
        if kind == "shortcut":
            chosen = tuple(int(c) for c in self.rng.integers(-1, self.values[source].shape[2], channels))
            return self.put(Shortcut(self.name(kind), source, channels, 1, chosen))
        return self.put(Conv(self.name(kind), source, channels, 3, 1, 1, **self.weights()))

    def fire(self, *sources):
        beta, threshold = float(self.rng.choice((0.5, 0.75, 0.3))), float(self.rng.choice((0.5, 0.8, 1.0)))
        node = LIF(self.name("lif"), sources, threshold, beta, reset=self.reset)
        self.top = self.put(node)

    def add_lif(self):
        self.fire(self.same("conv", self.top, int(self.rng.integers(2, 5))))

    def add_max_pool(self):
        size = min(2, *self.values[self.top].shape[:2])
        self.top = self.put(MaxPool(self.name("max_pool"), self.top, size, 1, size - 1))

    def add_avg_pool(self):
        size = min(2, *self.values[self.top].shape[:2])
        self.top = self.put(AvgPool(self.name("avg_pool"), self.top, size))

    def add_sum(self):
        """What a sum adds up has one scale: spikes, and the largest of their neighbours."""
        other = self.put(MaxPool(self.name("max_pool"), self.top, 3, 1, 1))
        self.top = self.put(Sum(self.name("sum"), (self.top, other)))

    def add_dropout(self):
        """Which integers have not."""
        self.top = self.put(Dropout(self.name("dropout"), self.top, 0.3))

    def add_concat(self):
        """The spikes, and the largest of their neighbours."""
        other = self.put(MaxPool(self.name("max_pool"), self.top, 3, 1, 1))
        self.top = self.put(Concat(self.name("concat"), (self.top, other)))

    def neurons(self, kinds):
        """Each kind of current, in turn of spikes and of the input; a shortcut reads no image."""
        self.add_lif()
        spikes, make = self.top, self.whole if "linear" in kinds else self.same
        images = "input" if self.values["input"].kind == "spikes" else spikes
        self.fire(*(make(kind, (spikes, images)[i % 2], 3) for i, kind in enumerate(kinds)))

    def parameters(self, network):
        rng, params, state = self.rng, {}, {}
        for node in network.of(Conv, Linear):
            shape = node.weight_shape(network.inputs_of(node)[0])
            own = {"weight": rng.normal(0.2, 2 / np.sqrt(np.prod(shape[:-1])), shape)}
            if node.bias:
                own["bias"] = rng.normal(0, 0.2, node.channels)
            if node.batch_norm:
                own["bn_weight"] = rng.choice([-1.5, 1.0, 0.7], node.channels)
                own["bn_bias"] = rng.normal(0.3, 0.3, node.channels)
                state[node.name] = {
                    "mean": rng.normal(0, 0.1, node.channels),
                    "var": rng.uniform(0.3, 1.5, node.channels),
                }
            params[node.name] = own
        return single(params), single(state)


def single(arrays):
    return {node: {name: array.astype(np.float32) for name, array in own.items()} for node, own in arrays.items()}
