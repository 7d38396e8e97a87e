"""What a chip sees: populations of neurons, and the projections that end on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from qpsnn_backends.loihi.windows import outer
from qpsnn_core.common.types import Bools, Longs

Kind = Literal["input", "neurons", "pool", "readout"]


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from a population: output (y, x, c) reads source (i, j, k) where rows[i, y], cols[j, x], channels[k, c].

    synapse: the node whose weights these are. weights: of each synapse or of the kernel, integers as the state sees
    them (codes times gain). shared: weights of one kernel, 0 where each synapse has its own. regular: whether every
    neuron of a core reads each axon, so that targets need no index.
    """

    synapse: str
    source: str
    rows: Bools
    cols: Bools
    channels: Bools
    weights: Longs
    shared: int
    regular: bool

    @property
    def synapses(self) -> int:
        """How many, unrolled, padding not counted."""
        return int(self.rows.sum()) * int(self.cols.sum()) * int(self.channels.sum())

    @property
    def fanout(self) -> Longs:
        """Synapses of each source neuron, [H, W, C] of the source."""
        return outer(self.rows.sum(1), self.cols.sum(1), self.channels.sum(1))


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons (H, W, C) of one node, and what they read; `node` is an IntInput, IntLIF, IntMaxPool or IntReadout."""

    node: Any
    kind: Kind
    shape: tuple[int, int, int]
    projections: tuple[Projection, ...]

    @property
    def name(self) -> str:
        """That of the node."""
        return str(self.node.name)

    @property
    def neurons(self) -> int:
        """How many."""
        return int(np.prod(self.shape))
