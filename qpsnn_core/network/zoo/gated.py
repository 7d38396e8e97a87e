"""Puts gates into a network that has none: each hidden convolution gets a predictor and the masks that it asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.validation import check, check_kind, choices, least, place, positive, typed
from qpsnn_core.network.gates import SAMPLINGS, ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.graph import Network
from qpsnn_core.network.nodes import LIF, AvgPool, MaxPool, Node
from qpsnn_core.network.synapses import Conv, Linear

PRIORS = ("membrane", "spikes")


@dataclass(frozen=True)
class GateOptions:
    """Which gates a network gets. channels, places: whether masks of these are predicted.

    size: of ChannelGate. target, weight: of both. start: the shift with which their predictors begin (of places that of
    batch norm, in deviations of Z), so that nearly all is open at first. sampling, temperature: of SpatialGate; not the
    paper's "gumbel", whose noise a test does not have (docs/gates.md has both). prior: what places are predicted from,
    the "membrane" that the neurons before stored, or their pooled "spikes". Membranes of few levels and spikes have an
    integer form.
    """

    channels: bool = True
    places: bool = False
    size: int = ChannelGate.size
    target: float = ChannelGate.target
    weight: float = ChannelGate.weight
    sampling: str = "straight-through"
    temperature: float = SpatialGate.temperature
    prior: str = "membrane"
    start: float = 2.0

    def __post_init__(self) -> None:
        typed(self)
        choices(self, prior=PRIORS, sampling=SAMPLINGS)
        least(self, size=1)
        positive(self, "temperature")
        check(self, "start", math.isfinite(self.start), "a finite number")
        check(self, "target", 0 < self.target <= 1, "a number above 0, at most 1")
        check(self, "weight", 0 <= self.weight < math.inf, "a number of at least 0")
        if not (self.channels or self.places):
            want = "one of them true, or both"
            raise ConfigError(expected(place(self, "channels, places"), want, Unquoted("neither")))


def with_gates(network: Network, options: GateOptions | None = None) -> Network:
    """The network with gates at every Conv that reads spikes of a square map and drives a LIF.

    A mask of places closes sums of the Conv. A mask of channels closes its sums, unless one of places does, and the
    same channels of what the next Conv reads. Predictors are named by their Conv: `conv2.pool`, `conv2.which`,
    `conv2.channels`; `conv2.prior`, `conv2.where`, `conv2.places`. Raises ConfigError where no Conv can be gated.
    """
    options = options or GateOptions()
    check_kind("with_gates.network", network, Network)
    check_kind("with_gates.options", options, GateOptions)
    chosen = [node for node in network.of(Conv) if _can(network, node)]
    if not chosen:
        want = "a network with a Conv that reads spikes of a square map"
        raise ConfigError(expected("gates", want, Unquoted("none")))
    closing: dict[str, str] = {}
    nodes: list[Node] = []
    for node in network.nodes:
        if isinstance(node, Conv):
            predictors, conv = _gated(network, node, options) if node in chosen else ([], node)
            source = _neuron(network, node.source)
            gate = closing.get(source) if options.channels else None
            if gate is not None and network.values[node.source].kind == "spikes":
                conv = replace(conv, input_gate=gate)
            nodes += [*predictors, conv]
            if options.channels and node in chosen:
                for reader in network.consumers(node.name):
                    if len(reader.sources) == 1:
                        closing[reader.name] = f"{node.name}.channels"
        else:
            nodes.append(node)
    return Network(_read_only(nodes), network.steps)


def _can(network: Network, node: Conv) -> bool:
    value = network.values[node.source]
    drives = all(isinstance(reader, LIF) for reader in network.consumers(node.name))
    plain = node.plain and node.gate is None and node.input_gate is None
    return (
        plain
        and drives
        and value.kind == "spikes"
        and value.shape[0] == value.shape[1]
        and bool(_neuron(network, node.source))
    )


def _neuron(network: Network, name: str) -> str:
    """The LIF whose spikes these are, through pools; "" where there are several or none."""
    node = network[name]
    if isinstance(node, (MaxPool, AvgPool)):
        return _neuron(network, node.source)
    return name if isinstance(node, LIF) else ""


def _gated(network: Network, node: Conv, options: GateOptions) -> tuple[list[Node], Conv]:
    """The predictors of a Conv, and the Conv itself with its gate."""
    name, (side, _, _) = node.name, network.shape(node.source)
    made: list[Node] = []
    if options.channels:
        if node.channels % options.size:
            raise ConfigError(expected("gates.size", f"a divisor of {node.channels} ({name}.channels)", options.size))
        made += [
            AvgPool(f"{name}.pool", node.source, side),
            Linear(f"{name}.which", f"{name}.pool", node.channels // options.size, initial_shift=options.start),
            ChannelGate(f"{name}.channels", f"{name}.which", options.size, options.target, options.weight),
        ]
    gate = f"{name}.channels"
    if options.places:
        height, width, _ = network.shape(name)
        neuron = _neuron(network, node.source)
        source, kind = (neuron, Membrane) if options.prior == "membrane" else (node.source, AvgPool)
        size = max(1, network.shape(source)[0] // max(1, min(height, width) // 2))
        gate = f"{name}.places"
        made += [
            kind(f"{name}.prior", source, size),
            Conv(f"{name}.where", f"{name}.prior", 1, initial_shift=options.start),
            SpatialGate(
                gate,
                f"{name}.where",
                (height, width),
                options.sampling,
                options.temperature,
                options.target,
                options.weight,
            ),
        ]
    return made, replace(node, gate=gate)


def _read_only(nodes: list[Node]) -> tuple[Node, ...]:
    """Without the predictors of masks that nothing takes in the end."""
    while True:
        read = {source for node in nodes for source in node.sources}
        kept = [node for node in nodes[:-1] if node.name in read] + nodes[-1:]
        if len(kept) == len(nodes):
            return tuple(nodes)
        nodes = kept
