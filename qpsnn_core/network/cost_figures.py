"""The figures of a network's cost: of a node, of all of them, and the energy of their operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

ACCUMULATE_PJ = 0.9  # a 32-bit floating-point addition in 45 nm: Horowitz, ISSCC 2014, Fig. 1.1.9
MULTIPLY_ACCUMULATE_PJ = 4.6  # and a multiplication (3.7) with it; the same source


class NodeCost(NamedTuple):
    """Of one node. quantized, real: parameters kept as codes, and in floating point (biases and batch norm are).

    Weights that are known to be 0 count nowhere, but the bits say where the others are. bits: of Eq. 16, quantizer
    steps not counted. saved_bits: of the integer network, see `cost`. macs: multiply-accumulates per step of a network
    without spikes, padding included. sops: additions per image over all T steps, None if unknown. membrane_bits: of
    what its neurons store from one step to the next, for one image, whatever T.
    """

    name: str
    kind: str
    quantized: int = 0
    real: int = 0
    bits: int = 0
    saved_bits: int = 0
    macs: int = 0
    sops: float | None = None
    membrane_bits: int = 0


@dataclass(frozen=True)
class Cost:
    """Of a network: its nodes in order, and their sums. `image_macs`: multiply-accumulates on the image, per image."""

    nodes: tuple[NodeCost, ...]
    steps: int
    image_macs: int

    def __repr__(self) -> str:
        """The sums, not the nodes."""
        sops = "unknown" if self.sops is None else f"{self.sops:,.0f}"
        return f"Cost({len(self.nodes)} nodes, {self.parameters:,} parameters, {self.size_mb:.4g} MB, SOPs {sops})"

    @property
    def quantized(self) -> int:
        """Parameters kept as codes."""
        return sum(node.quantized for node in self.nodes)

    @property
    def real(self) -> int:
        """Parameters in floating point."""
        return sum(node.real for node in self.nodes)

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.quantized + self.real

    @property
    def size_mb(self) -> float:
        """Eq. 16 in the paper's convention, in 10**6 bytes: quantizer steps are not counted."""
        return sum(node.bits for node in self.nodes) / 8e6

    @property
    def saved_mb(self) -> float:
        """The integer network's arrays, in 10**6 bytes: with gains, thresholds and biases."""
        return sum(node.saved_bits for node in self.nodes) / 8e6

    @property
    def membranes_mb(self) -> float:
        """What the neurons store from step to step, in 10**6 bytes: 32 bits each, or those of its levels."""
        return sum(node.membrane_bits for node in self.nodes) / 8e6

    @property
    def memory_mb(self) -> float:
        """Weights (Eq. 16) and membranes together."""
        return self.size_mb + self.membranes_mb

    @property
    def macs(self) -> int:
        """Multiply-accumulates per step: what a network without spikes would need."""
        return sum(node.macs for node in self.nodes)

    @property
    def sops(self) -> float | None:
        """Synaptic operations (additions caused by spikes) per image, the total over T steps; None if unknown."""
        known = [node.sops for node in self.nodes if node.sops is not None]
        return sum(known) if known else None

    @property
    def sops_per_step(self) -> float | None:
        """The paper's figure (Tables 6 and 7)."""
        return None if self.sops is None else self.sops / self.steps

    @property
    def energy_mj(self) -> float | None:
        """Energy per image in millijoules, see `energy_mj`; None if the synaptic operations are unknown."""
        return None if self.sops is None else energy_mj(self.sops, self.image_macs)


def energy_mj(sops: float, macs: float) -> float:
    """`0.9 pJ * sops + 4.6 pJ * macs` in millijoules; both are totals per image (45 nm)."""
    return (ACCUMULATE_PJ * sops + MULTIPLY_ACCUMULATE_PJ * macs) * 1e-9
