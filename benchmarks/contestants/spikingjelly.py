"""SpikingJelly's neurons: LIFNode in multi-step mode, which runs the library's own operator over all steps."""

from __future__ import annotations

from spikingjelly.activation_based import surrogate
from spikingjelly.activation_based.neuron import LIFNode
from torch import Tensor, nn

from qpsnn_core.network.nodes import LIF


class Neuron(nn.Module):
    """`u = (1 - 1/tau)*v + x`, spike at `u >= threshold`, reset to zero."""

    def __init__(self, node: LIF) -> None:
        super().__init__()
        if (node.surrogate, node.reset, node.membrane, node.learn) != ("triangle", "zero", None, ()):
            raise NotImplementedError(
                f"{node.name}: the twin has the triangle and a reset to zero, no levels, learns none"
            )
        self.lif = LIFNode(
            tau=1 / (1 - node.beta),
            decay_input=False,
            v_threshold=node.threshold,
            v_reset=0.0,
            surrogate_function=surrogate.PiecewiseQuadratic(alpha=1 / node.width),
            detach_reset=node.detach_reset,
            step_mode="m",
        )

    def forward(self, currents: Tensor) -> Tensor:
        """Spikes from currents, both [T, B, H, W, C]."""
        return self.lif(currents)

    def rest(self) -> None:
        """Forget the membrane; outside of what torch.compile sees, which would compile it anew at every step."""
        self.lif.reset()
