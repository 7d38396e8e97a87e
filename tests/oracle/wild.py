"""Networks that nobody would draw: any kind of node behind any other that it can read, from a seed."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.errors import ConfigError, ShapeError
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout, Shortcut, Sum
from qpsnn_core.network.nodes import RESETS
from qpsnn_core.network.surrogates import SURROGATES
from qpsnn_core.quantization.formats import GAMMAS, GRANULARITIES, STRAIGHT_THROUGH


class Draw:
    """Nodes so far and what each gives; a node that does not fit what is there is not added."""

    def __init__(self, rng):
        self.rng, self.nodes, self.values, self.read = rng, [], {}, set()

    def add(self, make, *arguments):
        """The node that `make` makes, if it fits."""
        try:
            node = make(*arguments)
            self.values[node.name] = node.output(*(self.values[source] for source in node.sources))
        except (ConfigError, ShapeError):
            return
        self.nodes.append(node)
        self.read.update(node.sources)

    def pick(self, *items):
        return items[self.rng.integers(len(items))]

    def names(self, *kinds):
        return [name for name, value in self.values.items() if value.kind in kinds]

    def unread(self, *kinds):
        return [name for name in self.names(*kinds) if name not in self.read]

    def quantizer(self):
        if self.rng.random() < 0.25:
            return None
        kind = self.pick(*GAMMAS), self.pick(*GRANULARITIES), self.pick(*STRAIGHT_THROUGH)
        return Quantizer(int(self.rng.integers(2, 9)), *kind, 0.9)

    def lif(self, name, *sources):
        neuron = self.pick(0.7, 1.0), self.pick(0.0, 0.5, 0.9, 1.0), self.pick(*SURROGATES), self.pick(0.8, 1.0, 1.7)
        return LIF(name, sources, *neuron, bool(self.rng.integers(2)), self.pick(*RESETS))

    def conv(self, name):
        kernel, flags = int(self.rng.integers(1, 4)), (bool(self.rng.integers(2)), bool(self.rng.integers(2)))
        sizes = int(self.rng.integers(1, 5)), kernel, int(self.rng.integers(1, 3)), int(self.rng.integers(kernel))
        return Conv(name, self.pick(*self.names("spikes", "analog")), *sizes, self.quantizer(), *flags)

    def shortcut(self, name):
        source, outputs = self.pick(*self.names("spikes")), int(self.rng.integers(1, 5))
        mapping = tuple(int(c) for c in self.rng.integers(-1, self.values[source].shape[2], outputs))
        return Shortcut(name, source, outputs, int(self.rng.integers(1, 3)), self.pick(None, mapping))

    def fire(self, name):
        return self.lif(name, *self.alike("current", 1))

    def pool(self, name):
        source, size = self.pick(*self.names("spikes")), int(self.rng.integers(1, 4))
        stride, padding = int(self.rng.integers(3)), int(self.rng.integers(size))
        return self.pick(AvgPool(name, source, min(size, 2)), MaxPool(name, source, size, stride, padding))

    def sum(self, name):
        return Sum(name, self.alike("spikes", 2))

    def alike(self, kind, least):
        """Some values of a kind and of one shape and scale."""
        first = self.values[self.pick(*self.names(kind))]
        same = [
            n for n in self.names(kind) if (self.values[n].shape, self.values[n].scale) == (first.shape, first.scale)
        ]
        count = min(len(same), int(self.rng.integers(least, 4)))
        return tuple(map(str, self.rng.choice(same, count, replace=False)))

    def kind(self):
        """A kind of node that there is something to read for."""
        kinds = [self.conv] * 2
        if self.names("current"):
            kinds += [self.fire] * 3
        if self.names("spikes"):
            kinds += [self.shortcut, self.pool, self.sum]
        return self.pick(*kinds)


def network(seed):
    """An Input, some ten nodes, and layers that gather what nobody has read into one readout."""
    rng = np.random.default_rng([seed, 3])
    draw = Draw(rng)
    shape = tuple(int(size) for size in rng.integers(2, 6, 3))
    draw.add(Input, "input", shape, *draw.pick((255, 1 / 255), (None,), (3, 0.5, True)))
    for index in range(14):
        draw.add(draw.kind(), f"n{index}")
    for name in draw.unread("current"):
        draw.add(draw.lif, f"fire_{name}", name)
    for name in draw.unread("spikes", "analog"):
        flags = bool(rng.integers(2)), bool(rng.integers(2))
        draw.add(Linear, f"linear_{name}", name, 5, draw.quantizer(), *flags)
    draw.add(draw.lif, "gather", *draw.unread("current"))
    draw.add(Linear, "linear", "gather", 3, draw.quantizer())
    return Network((*draw.nodes, Readout("readout", "linear")), int(rng.integers(1, 5)))
