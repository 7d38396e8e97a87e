"""snnTorch's neurons: Leaky, step by step, with the same surrogate as a function of its own."""

from __future__ import annotations

from typing import Any

import torch
from snntorch import Leaky
from torch import Tensor, nn

from qpsnn_core.network.nodes import LIF


class Triangle(torch.autograd.Function):
    """Spike where the distance from the threshold is not negative; backward `max(0, 1 - |distance|)`."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor) -> Tensor:
        """1 or 0."""
        ctx.save_for_backward(distance)
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The triangle of width 1."""
        (distance,) = ctx.saved_tensors
        return gradient * (1 - distance.abs()).clamp_(min=0)


class Neuron(nn.Module):
    """`u = beta*mem + x`, spike at `u >= threshold`, reset to zero in the same step."""

    def __init__(self, node: LIF) -> None:
        super().__init__()
        plain = node.membrane is None and not node.learn
        if not plain or (node.surrogate, node.width, node.detach_reset, node.reset) != ("triangle", 1.0, False, "zero"):
            raise NotImplementedError(
                f"{node.name}: the twin has a triangle of width 1, a reset to zero, not detached, and learns nothing"
            )
        self.lif = Leaky(
            beta=node.beta,
            threshold=node.threshold,
            spike_grad=Triangle.apply,
            reset_mechanism="zero",
            reset_delay=False,
            init_hidden=True,
        )
        # snnTorch branches on a buffer, at which torch.compile breaks off; a number says the same.
        value = int(self.lif.reset_mechanism_val)
        del self.lif.reset_mechanism_val
        self.lif.reset_mechanism_val = value

    def forward(self, currents: Tensor) -> Tensor:
        """Spikes from currents, both [T, B, H, W, C]."""
        self.lif.mem = torch.zeros_like(currents[0])
        return torch.stack([self.lif(current) for current in currents])

    def rest(self) -> None:
        """Forget the membrane, and the graph that made it."""
        self.lif.mem = torch.zeros(0)
