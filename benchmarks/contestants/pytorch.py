"""A qpsnn network as a PyTorch module, at PyTorch's best; only its neurons come from the library that competes.

Maps are [T*B, C, H, W] in channels-last memory: the same bytes that the neurons see as [T, B, H, W, C], so nothing is
copied between convolution, batch norm and neurons. The image's first convolution and batch norm are computed once for
all steps. For inference weights are quantized once, and batch norm is folded into them. Under autocast PyTorch itself
chooses what runs in bfloat16: convolutions and the linear layer, and what follows them in the dtype that they give.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.contestants import AUTOCAST, FLOAT32, MOMENTUM, RATE, compilation, precision
from benchmarks.contestants.layers import (
    Attention,
    Classifier,
    Convolution,
    MeanClassifier,
    Soma,
    StreamConvolution,
    Subsample,
    fake_quantized,
)
from benchmarks.networks import Case
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF, AvgPool, CurrentReadout, MaxPool, Readout, SelfAttention
from qpsnn_core.network.synapses import Conv, Linear, Shortcut

WORKS = ("train", "infer_float")
COMPILATIONS = ("eager", "parts", "compiled")
"""Plain PyTorch; torch.compile of what stands between convolutions; of the whole network, without a graph break."""

FORMS = (*COMPILATIONS, *(f"{AUTOCAST} {one}" for one in COMPILATIONS))
DTYPES = {FLOAT32: torch.float32, AUTOCAST: torch.bfloat16}

torch._dynamo.config.recompile_limit = 64  # one for each shape; above 8, it would go back to eager without a word
Hook = Callable[[str, Tensor], Tensor]


class Twin(nn.Module):
    """The network, node by node. neuron: makes of a LIF a module from currents to spikes, both [T, B, H, W, C].

    hook: called with the name and the spikes of each LIF; what it gives is handed on in their place.
    """

    def __init__(self, model: Model, neuron: Callable[[LIF], nn.Module]) -> None:
        super().__init__()
        self.network = model.network
        self.hook: Hook | None = None
        self.streams = _streams(model.network)
        self.parts = nn.ModuleDict()
        for node in model.network.nodes[1:]:
            self.parts[_key(node.name)] = self._part(model, node, neuron)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [T, B, K] from images [B, C, H, W]."""
        steps, batch = self.network.steps, len(images)
        values = {self.network.input.name: images}
        sums: dict[tuple[str, ...], Tensor] = {}
        for node in self.network.nodes[1:]:
            part = self.parts[_key(node.name)]
            sources = [values[source] for source in node.sources]
            if isinstance(node, LIF | CurrentReadout) and set(node.sources) <= self.streams:
                sources = [_added(node.sources, values, sums)]
            if isinstance(node, LIF):
                spikes = part(steps, batch, *sources)
                spikes = self.hook(node.name, spikes) if self.hook else spikes
                values[node.name] = spikes.flatten(0, 1).permute(0, 3, 1, 2)
            else:
                values[node.name] = part(*sources)
        return values[self.network.readout.name].unflatten(0, (steps, batch))

    def rest(self) -> None:
        """All neurons as before the first step."""
        for part in self._of(Soma):
            part.neuron.rest()

    def fold(self, dtype: torch.dtype = torch.float32) -> None:
        """Make ready for inference: weights quantized once, batch norm folded, both rounded once to `dtype`."""
        for part in self._of(Convolution, Classifier, Soma):
            part.fold(dtype)

    def compile_parts(self) -> None:
        """Compile what stands between the convolutions, for each shape, and the quantization of weights."""
        quantized = torch.compile(fake_quantized, fullgraph=True, dynamic=True)
        for part in self._of(Convolution):
            part.quantized = quantized
        for part in self._of(Soma):
            part.compile(fullgraph=True, dynamic=False)

    def named_gradients(self) -> dict[str, Any]:
        """The gradients of all parameters as qpsnn names and lays them out."""
        names = {"norm.weight": "bn_weight", "norm.bias": "bn_bias"}
        found: dict[str, Any] = {}
        for node in self.network.nodes[1:]:
            part = self.parts[_key(node.name)]
            if isinstance(part, Convolution | Classifier):
                own = part.named_parameters()
                found[node.name] = {names.get(name, name): _ours(parameter.grad) for name, parameter in own}
        return found

    def _of(self, *kinds: type) -> list[Any]:
        return [part for part in self.parts.values() if isinstance(part, kinds)]

    def _part(self, model: Model, node: Any, neuron: Callable[[LIF], nn.Module]) -> nn.Module:
        own = model.params.get(node.name, {})
        if isinstance(node, Conv) and node.plain:
            kind = StreamConvolution if node.name in self.streams else Convolution
            return kind(node, own, model.state[node.name])
        if isinstance(node, SelfAttention):
            return Attention(node)
        if isinstance(node, CurrentReadout) and node.places == "mean":
            return MeanClassifier(node, own)
        if isinstance(node, Linear):
            return Classifier(node, own)
        if isinstance(node, LIF) and set(node.sources) <= self.streams:
            return Soma([None], neuron(node))
        if isinstance(node, LIF):
            return Soma([getattr(self.parts[_key(source)], "norm", None) for source in node.sources], neuron(node))
        if isinstance(node, MaxPool):
            return nn.MaxPool2d(node.size, node.step, node.padding)
        if isinstance(node, AvgPool):
            return nn.AvgPool2d(node.size, node.step)
        if isinstance(node, Shortcut):
            return Subsample(node, model.network.inputs_of(node)[0].shape[2])
        if isinstance(node, Readout) and node.mode == "mean" and not node.leak:
            return nn.Identity()
        raise NotImplementedError(f"{node.name}: the twin has no {type(node).__name__}")


def _streams(network: Network) -> set[str]:
    """The convolutions whose current several layers read, or a readout of currents."""
    read = {name for node in network.of(CurrentReadout) for name in node.sources}
    return {node.name for node in network.of(Conv) if node.name in read or len(network.consumers(node.name)) > 1}


def _added(names: tuple[str, ...], values: dict[str, Tensor], sums: dict[tuple[str, ...], Tensor]) -> Tensor:
    """The sum of currents, from that of the first few where an earlier layer has read these."""
    if names not in sums:
        own = values[names[-1]]
        sums[names] = _added(names[:-1], values, sums) + own if len(names) > 1 else own
    return sums[names]


def call(neuron: Callable[[LIF], nn.Module], work: str, form: str, case: Case) -> Callable[[], Any]:
    """The work on a twin of its own, in one of FORMS. Raises ValueError of another form."""
    if form not in FORMS:
        raise ValueError(f"form: expected one of {', '.join(FORMS)}, got {form!r}")
    twin = Twin(case.model, neuron)
    images, labels = tensors(case)
    if work == "infer_float":
        twin.eval()
        with torch.no_grad():
            twin.fold(DTYPES[precision(form)])
    whole = compilation(form) == "compiled"
    forward = torch.compile(twin, fullgraph=True, dynamic=False) if whole else twin
    if compilation(form) == "parts":
        twin.compile_parts()
    if work == "infer_float":

        def infer() -> Tensor:
            with torch.inference_mode(), mixed(form):
                logits = forward(images).float().mean(0)
            twin.rest()
            return logits

        return infer
    optimizer = torch.optim.SGD(twin.parameters(), lr=RATE, momentum=MOMENTUM, fused=True)

    def train() -> float:
        optimizer.zero_grad(set_to_none=True)
        with mixed(form):
            loss = functional.cross_entropy(forward(images).float().mean(0), labels)
        loss.backward()
        optimizer.step()
        twin.rest()
        return loss.item()

    return train


def mixed(form: str) -> AbstractContextManager[Any]:
    """What a forward pass of that form runs in. The backward pass follows the dtypes that it finds."""
    return torch.autocast("cpu", torch.bfloat16) if precision(form) == AUTOCAST else nullcontext()


def forget() -> None:
    """Drop all compiled code."""
    torch._dynamo.reset()


def tensors(case: Case) -> tuple[Tensor, Tensor]:
    """Scaled images [B, C, H, W] in channels-last memory, and labels: made before anything is timed."""
    scaled = torch.from_numpy(case.images).permute(0, 3, 1, 2).float() * case.model.network.input.scale
    return scaled.contiguous(memory_format=torch.channels_last), torch.from_numpy(case.labels)


def _ours(gradient: Tensor) -> Any:
    axes = (2, 3, 1, 0) if gradient.ndim == 4 else tuple(reversed(range(gradient.ndim)))
    return gradient.permute(axes).numpy()


def _key(name: str) -> str:
    return name.replace(".", "/")
