"""What a run of an integer network gives, whoever ran it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Record = Literal["none", "spikes", "all"]
"""What is kept besides the readout: nothing, the spikes of all LIF, or their spikes and membranes."""


@dataclass(frozen=True, eq=False)
class Run:
    """What came out of a network.

    readout: int64 [B, K], the sum over T. spikes: of each recorded LIF, uint8 [T, B, H, W, C]. membranes: of each
    recorded LIF, int32 [T, B, H, W, C], after the reset. counts: of every node that gives counts, their sum over all
    steps and images, int64 [H, W, C] (only from the exact simulator): times the fan-out, the synaptic operations.
    """

    readout: npt.NDArray[np.int64]
    spikes: dict[str, npt.NDArray[np.uint8]]
    membranes: dict[str, npt.NDArray[np.int32]]
    counts: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
