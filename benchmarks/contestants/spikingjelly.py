"""SpikingJelly's neurons: LIFNode in multi-step mode, which runs the library's own operator over all steps."""

from __future__ import annotations

from spikingjelly.activation_based import surrogate
from spikingjelly.activation_based.neuron import LIFNode
from torch import Tensor, nn

from qpsnn_core.network.nodes import LIF

SURROGATES = {"triangle": surrogate.PiecewiseQuadratic, "sigmoid": surrogate.Sigmoid}
"""Both with the slope 1/width times that of width 1."""


class Neuron(nn.Module):
    """`u = (1 - 1/tau)*v + x`, spike at `u >= threshold`, reset to zero."""

    def __init__(self, node: LIF) -> None:
        super().__init__()
        if node.surrogate not in SURROGATES or (node.reset, node.membrane, node.learn) != ("zero", None, ()):
            known = " and ".join(SURROGATES)
            raise NotImplementedError(f"{node.name}: the twin has {known}, a reset to zero, no levels, learns none")
        self.lif = LIFNode(
            tau=1 / (1 - node.beta),
            decay_input=False,
            v_threshold=node.threshold,
            v_reset=0.0,
            surrogate_function=SURROGATES[node.surrogate](alpha=1 / node.width),
            detach_reset=node.detach_reset,
            step_mode="m",
        )

    def forward(self, currents: Tensor) -> Tensor:
        """Spikes from currents, both [T, B, H, W, C]."""
        return self.lif(currents)

    def rest(self) -> None:
        """Forget the membrane; outside of what torch.compile sees, which would compile it anew at every step."""
        self.lif.reset()
