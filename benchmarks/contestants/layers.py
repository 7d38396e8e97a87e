"""Layers of a qpsnn network as PyTorch modules, with weights quantized as qpsnn quantizes them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.synapses import BN_EPSILON, BN_MOMENTUM, Conv, Linear, Shortcut
from qpsnn_core.quantization.formats import SCALED, Quantizer

Named = dict[str, Any]


class ReScaW(torch.autograd.Function):
    """`gamma * (round((clamp(W/gamma, -1, 1) + 1)*n)/n - 1)`, n = (2**bits - 1)/2; gradient where |W| <= gamma."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, gamma: Tensor, n: float) -> Tensor:
        """weight: [C_out, ...]; gamma: the same number of axes, those that share it of size 1."""
        ctx.save_for_backward(weight.abs() <= gamma)
        return (weight / gamma).clamp_(-1, 1).add_(1).mul_(n).round_().div_(n).sub_(1).mul_(gamma)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Straight through, clipped."""
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None


def fake_quantized(weight: Tensor, quantizer: Quantizer | None) -> Tensor:
    """The weight as it is used; its gamma has no gradient."""
    if quantizer is None:
        return weight
    if quantizer.ste != "clip" or quantizer.gamma not in ("mean", SCALED, "max"):
        raise NotImplementedError(f"the twin has no {quantizer}")
    magnitude = weight.detach().abs()
    axes = tuple(range(1 if quantizer.granularity == "channel" else 0, weight.ndim))
    gamma = magnitude.amax(axes, keepdim=True) if quantizer.gamma == "max" else magnitude.mean(axes, keepdim=True)
    if quantizer.gamma == SCALED:
        gamma = gamma * ((2**quantizer.bits - 1) / 2 ** (quantizer.bits - 1))
    return ReScaW.apply(weight, gamma, quantizer.levels / 2)


class Convolution(nn.Module):
    """Conv2d with quantized weights. Its batch norm, over (T, B, H, W), is kept here and runs with the neurons."""

    def __init__(self, node: Conv, params: Named, state: Named) -> None:
        super().__init__()
        self.sizes, self.quantizer = (node.stride, node.padding), node.quantizer
        weight = torch.from_numpy(params["weight"].transpose(3, 2, 0, 1).copy())
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        self.bias = _parameter(params["bias"]) if "bias" in params else None
        self.norm = nn.BatchNorm2d(node.channels, BN_EPSILON, BN_MOMENTUM)
        arrays = {"weight": params["bn_weight"], "bias": params["bn_bias"]}
        arrays |= {"running_mean": state["mean"], "running_var": state["var"]}
        self.norm.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, strict=False)
        self.quantized = fake_quantized
        self.folded: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Sums [N, C_out, H', W'] from maps [N, C_in, H, W]."""
        if self.folded is not None:
            return functional.conv2d(x, *self.folded, *self.sizes)
        weight = self.quantized(self.weight, self.quantizer)
        return functional.conv2d(x, weight, self.bias, *self.sizes)

    def fold(self, dtype: torch.dtype) -> None:
        """Batch norm's running statistics go into the weights and a bias."""
        ratio = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        mean = self.norm.running_mean - (self.bias if self.bias is not None else 0)
        weight = fake_quantized(self.weight, self.quantizer) * ratio[:, None, None, None]
        weight = weight.to(dtype).contiguous(memory_format=torch.channels_last)
        self.folded = (weight, (self.norm.bias - mean * ratio).to(dtype))


class StreamConvolution(Convolution):
    """One whose current several layers read: it runs its batch norm itself, once."""

    def forward(self, x: Tensor) -> Tensor:
        """Currents [N, C_out, H', W']."""
        sums = super().forward(x)
        return sums if self.folded is not None else self.norm(sums)


class Attention(nn.Module):
    """`scale * (q k^T) v` of each head, in the order of products that takes fewer multiplications."""

    def __init__(self, node: SelfAttention) -> None:
        super().__init__()
        self.heads, self.scale = node.heads, node.scale

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Currents [N, C_v, H, W] from spikes [N, C, H, W], [N, C, H, W] and [N, C_v, H, W]."""
        q, k, v = (self._split(x) for x in (query, key, value))
        tokens, matched, given = q.shape[2], q.shape[3], v.shape[3]
        first = tokens * (matched + given) < 2 * matched * given
        x = (q @ k.transpose(2, 3)) @ v if first else q @ (k.transpose(2, 3) @ v)
        return (x * self.scale).transpose(1, 2).reshape(len(x), *value.shape[2:], -1).permute(0, 3, 1, 2)

    def _split(self, x: Tensor) -> Tensor:
        """[N, heads, H*W, C of a head]."""
        return x.permute(0, 2, 3, 1).flatten(1, 2).unflatten(2, (self.heads, -1)).transpose(1, 2)


class Classifier(nn.Module):
    """The readout's linear layer, over (H, W, C) as qpsnn flattens them: in channels-last memory a view."""

    def __init__(self, node: Linear | CurrentReadout, params: Named) -> None:
        super().__init__()
        self.quantizer = node.quantizer
        self.weight = _parameter(params["weight"].T)
        self.bias = _parameter(params["bias"]) if "bias" in params else None
        self.folded: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, K] from maps [N, C, H, W]."""
        weight = fake_quantized(self.weight, self.quantizer) if self.folded is None else self.folded
        return functional.linear(x.permute(0, 2, 3, 1).flatten(1), weight, self.bias)

    def fold(self, dtype: torch.dtype) -> None:
        """Quantize once."""
        self.folded = fake_quantized(self.weight, self.quantizer).to(dtype)


class MeanClassifier(Classifier):
    """A readout of currents, of the mean over places."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, K] from the sum of currents [N, C, H, W]."""
        return super().forward(x.mean((2, 3), keepdim=True))


class Soma(nn.Module):
    """Batch norm of every current, their sum, and the neurons: all that is between convolutions, element by element."""

    def __init__(self, norms: list[nn.Module | None], neuron: nn.Module) -> None:
        super().__init__()
        self.norms = nn.ModuleList([norm or nn.Identity() for norm in norms])
        self.neuron = neuron

    def forward(self, steps: int, batch: int, *currents: Tensor) -> Tensor:
        """Spikes [T, B, H, W, C] from currents [T*B, C, H, W], or [B, C, H, W] where it is the same at every step."""
        x, *others = (norm(current) for norm, current in zip(self.norms, currents, strict=True))
        for other in others:
            x = x + other
        x = x.permute(0, 2, 3, 1).unflatten(0, (-1, batch))
        return self.neuron(x.expand(steps, *x.shape[1:]))

    def fold(self, _: torch.dtype) -> None:
        """Batch norm has gone into the weights."""
        self.norms = nn.ModuleList([nn.Identity() for _ in self.norms])


class Subsample(nn.Module):
    """A shortcut without weights: every stride-th place, and channels of zeros."""

    def __init__(self, node: Shortcut, inputs: int) -> None:
        super().__init__()
        self.stride, self.extra = node.stride, node.channels - inputs

    def forward(self, x: Tensor) -> Tensor:
        """Currents [N, C_out, H', W'] from spikes [N, C_in, H, W]."""
        x = x[..., :: self.stride, :: self.stride] if self.stride > 1 else x
        return functional.pad(x, (0, 0, 0, 0, 0, self.extra)) if self.extra else x


def _parameter(array: Any) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(array.copy()))
