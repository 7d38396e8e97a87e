"""Networks that learn by local losses (DECOLLE) as data: hyper-parameters only, their equations in the docstrings."""

from __future__ import annotations

from dataclasses import dataclass

from qpsnn_core.common.errors import ConfigError, ShapeError, expected
from qpsnn_core.common.types import Shape
from qpsnn_core.common.validation import check, check_at_least, check_kind, choices, least, positive, typed
from qpsnn_core.integer.local.decolle_maps import LayerMap

DYNAMICS = ("normalised", "plain")


@dataclass(frozen=True)
class LocalConv:
    """A convolution, its neurons, and the pool (highest membrane) of its spikes. padding: zeros around the map."""

    channels: int
    kernel: int
    padding: int = 0
    pool: int = 1

    def __post_init__(self) -> None:
        typed(self)
        least(self, channels=1, kernel=1, padding=0, pool=1)


@dataclass(frozen=True)
class LocalDense:
    """Neurons that each see all spikes below."""

    neurons: int

    def __post_init__(self) -> None:
        typed(self)
        least(self, neurons=1)


@dataclass(frozen=True)
class LocalNeuron:
    """`V = w*P + b - inhibition*R`, with the traces P, Q of spikes S from below and R of the neuron's own.

    dynamics "normalised": `Q' = beta*Q + (1-beta)*S; P' = alpha*P + (1-alpha)*Q; R' = gamma*R + (1-gamma)*S`, a spike
    at `V > threshold` (DECOLLE, threshold 0). "plain": the same without the factors 1-beta, 1-alpha, 1-gamma, a spike
    at `V >= threshold` (Q-SpiNN, Eq. 2). Within a step P' takes the old Q, R' the old S, and V the new P' and R'. (By
    its indices, Eq. 2 gives each layer its spikes one step later.) slope: of the surrogate gradient
    `1 / (slope*|V - threshold| + 1)**2`.
    """

    dynamics: str
    threshold: float
    alpha: float = 0.97
    beta: float = 0.92
    gamma: float = 0.65
    inhibition: float = 1.0
    slope: float = 10.0

    def __post_init__(self) -> None:
        typed(self)
        choices(self, dynamics=DYNAMICS)
        for name in ("alpha", "beta", "gamma"):
            check(self, name, 0 <= getattr(self, name) < 1, "a number in [0, 1)")
        check(self, "inhibition", self.inhibition >= 0, "a number of at least 0")
        positive(self, "slope")


@dataclass(frozen=True)
class Decolle:
    """Layers that each have a fixed random readout and a loss of their own (Kaiser, Mostafa and Neftci 2020).

    inputs: (height, width, channels) of a frame of counted events. readout: weights and biases of the readouts are
    drawn from `U(-readout, readout) / sqrt(features)`. dropout: the share of spikes that a readout misses while the
    network learns, a multiple of 1/256.
    """

    inputs: Shape
    classes: int
    layers: tuple[LocalConv | LocalDense, ...]
    neuron: LocalNeuron
    readout: float = 0.5
    dropout: float = 0.5

    def __post_init__(self) -> None:
        typed(self)
        check_kind("Decolle.neuron", self.neuron, LocalNeuron)
        for index, side in enumerate(self.inputs):
            check_at_least(f"Decolle.inputs[{index}]", side, 1)
        least(self, classes=2)
        positive(self, "readout")
        check(self, "layers", bool(self.layers), "at least one layer")
        shares = 256 * self.dropout
        check(self, "dropout", 0 <= self.dropout < 1 and shares == int(shares), "a multiple of 1/256 in [0, 1)")
        for index, layer in enumerate(self.layers):
            check_kind(f"Decolle.layers[{index}]", layer, LocalConv, LocalDense)
        self.maps  # noqa: B018 - shapes are computed to be checked

    @property
    def maps(self) -> tuple[LayerMap, ...]:
        """The maps of all layers. ShapeError where a kernel or a pool is larger than its map."""
        found: list[LayerMap] = []
        shape = self.inputs
        for index, layer in enumerate(self.layers):
            place = f"Decolle.layers[{index}]"
            if isinstance(layer, LocalDense):
                layer, shape = LocalConv(layer.neurons, 1), (1, 1, shape[0] * shape[1] * shape[2])
            height, width = (side + 2 * layer.padding - layer.kernel + 1 for side in shape[:2])
            if min(height, width) < 1:
                want = f"a kernel of at most {min(shape[:2]) + 2 * layer.padding}"
                raise ShapeError(expected(f"{place}.kernel", want, layer.kernel))
            if min(height, width) < layer.pool:
                raise ShapeError(expected(f"{place}.pool", f"at most {min(height, width)}", layer.pool))
            found.append(LayerMap(shape, layer.kernel, layer.padding, (height, width, layer.channels), layer.pool))
            shape = found[-1].pooled
        if sum(one.lanes * one.outputs[0] * one.outputs[1] for one in found) >= 2**31:
            raise ConfigError(expected("Decolle.layers", "fewer than 2**31 neurons", "more"))
        return tuple(found)


@dataclass(frozen=True)
class LocalTraining:
    """How a network of local losses learns: an update at each step, Adamax with momentum 0.

    steps: of a window, cut at random from longer samples; test_steps: of the window that is tested, the first ones.
    burnin: first steps of either from which nothing is learnt or read. burnin_form "real": the network runs through
    them; "public": as the authors' code does, through the first alone, then goes on at step `burnin`. lr: divided by
    `factor * (epoch // every)` from epoch `every` on. decay: of Adamax's largest gradients.
    """

    steps: int
    test_steps: int
    burnin: int
    epochs: int
    batch: int
    seed: int = 0
    burnin_form: str = "real"
    lr: float = 3.6e-4
    decay: float = 0.95
    every: int = 30
    factor: float = 5.0
    lsuv: int = 100

    def __post_init__(self) -> None:
        typed(self)
        least(self, steps=1, test_steps=1, burnin=0, epochs=1, batch=1, seed=0, every=1, lsuv=0)
        choices(self, burnin_form=("real", "public"))
        positive(self, "lr", "factor")
        check(self, "seed", self.seed < 2**32, "a whole number below 2**32")
        check(self, "decay", 0 <= self.decay < 1, "a number in [0, 1)")
        check(self, "burnin", self.burnin < min(self.steps, self.test_steps), "fewer than steps and test_steps")

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        return self.lr if epoch < self.every else self.lr / (self.factor * (epoch // self.every))

    def plan(self, steps: int) -> list[tuple[int, bool]]:
        """The steps of a window in their order, and whether each counts."""
        first = range(self.burnin) if self.burnin_form == "real" else range(min(1, self.burnin))
        return [(t, False) for t in first] + [(t, True) for t in range(self.burnin, steps)]
