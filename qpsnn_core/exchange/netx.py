"""An integer network as lava-dl's NetX HDF5 file, for Lava's stock LIF: the same spikes, or refused with figures.

Its integers are ours times 2**k, as `qpsnn_core.integer.stock` says; NetX has no exponents, so biases grow too.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.errors import UnsupportedError, Words, expected
from qpsnn_core.integer.bounds import Array, Longs
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntLIF, IntLinear
from qpsnn_core.integer.stock import BIAS_MAX, STATE_MAX, THRESHOLD_MAX, at_most, chain, reach, scale, thresholds
from qpsnn_core.storage import writing

KIND = "lava-dl-netx"
VERSION = 1

WHO = "netx"

DENSE_MAX = 127
"""NetX's dense layers: weights of 8 bits with their sign; even ones up to twice as large."""

DECAY = 2**12
"""What NetX's decays are shares of."""


class NetxLayer(NamedTuple):
    """A layer as written. scale: the power of two k of its integers. thresholds: how many; NetX's own files have one.

    rounding: of the readout's bias, at most, in units of its weights.
    """

    name: str
    neuron: str
    kind: str
    scale: int
    weight_bits: int
    thresholds: int
    rounding: float


def save_netx(
    path: str | os.PathLike[str], network: IntegerNetwork, *, host_first: bool = False
) -> tuple[NetxLayer, ...]:
    """Write the network; NetX loads it with `input_message_bits` where inputs are more than spikes.

    host_first: leave out the first layer, which reads images; the file's input is its spikes, computed on the host.

    A layer is a Conv or Linear with its LIF; the readout becomes a neuron that never fires: its `v / 64`, over T steps,
    are the readout's sums (divided by its gain, the bias rounded by `rounding` at most). Layer i gives step t of a
    sample i+1 steps later; with `reset_interval=T, reset_offset=1` samples follow each other without a gap.
    Raises UnsupportedError, naming the node: pools, sums, branches; weights, biases, thresholds, states out of range.
    """
    layers = chain(network, WHO)
    height, width, channels = network.input.shape
    if host_first:
        (_, first), *layers = layers
        if not layers:
            want = "a layer of spikes besides the first"
            raise UnsupportedError(expected("netx: host_first", want, Words("none")))
        height, width, channels = network.shape(first.name)
    written = []
    with writing(path, KIND, VERSION) as file:
        root = file.create_group("layer")
        _put(root, 0, {"type": "input", "shape": [channels, height, width]})
        index = 1
        for synapse, neuron in layers:
            data, made = _layer(network, synapse, neuron)
            if isinstance(synapse, IntLinear) and network.shape(synapse.source)[:2] != (1, 1):
                _put(root, index, {"type": "flatten"})
                index += 1
            _put(root, index, data)
            index += 1
            written.append(made)
    return tuple(written)


def _layer(network: IntegerNetwork, synapse: IntConv | IntLinear, neuron: Any) -> tuple[dict[str, Any], NetxLayer]:
    """What is written of a layer, and what is told of it."""
    spiking = isinstance(neuron, IntLIF)
    k = scale(neuron, network.steps, WHO)
    weights, bias, rounding = _integers(network, synapse, neuron)
    weights, bias = weights << k, bias << k
    threshold = _threshold(network, neuron, k)
    bits = _weight_range(synapse, weights)
    at_most(f"{WHO}: {neuron.name}.bias", int(np.abs(bias).max()), BIAS_MAX, k)
    state = reach(network, neuron) << k if spiking else _sums(network, synapse, weights, bias)
    at_most(f"{WHO}: {neuron.name}.state", state, STATE_MAX, k)
    data = {
        **_synapse(network, synapse, weights),
        "bias": bias,
        "neuron": {
            "type": "CUBA",
            "iDecay": DECAY,
            "vDecay": DECAY - ((neuron.multiplier * DECAY) >> neuron.shift) if spiking else 0,
            "vThMant": threshold,
            "refDelay": 1,
            "gradedSpike": False,
        },
    }
    return data, NetxLayer(synapse.name, neuron.name, data["type"], k, bits, np.size(threshold), rounding)


def _integers(network: IntegerNetwork, synapse: IntConv | IntLinear, neuron: Any) -> tuple[Longs, Longs, float]:
    """Weights and bias. The readout's are divided by its gain, where that is one for all classes."""
    codes = network.arrays[synapse.name]["codes"].astype(np.int64)
    gain = network.arrays[synapse.name]["gain"].astype(np.int64)
    bias = network.arrays[neuron.name]["bias"].astype(np.int64)
    if isinstance(neuron, IntLIF) or len(np.unique(gain)) > 1 or gain[0] < 1:
        return codes * gain, bias, 0.0
    rounded = np.rint(bias / gain).astype(np.int64)
    return codes, rounded, float(np.abs(rounded - bias / gain).max())


def _threshold(network: IntegerNetwork, neuron: Any, k: int) -> Any:
    """One for all channels, or one for each: lava-dl's files have one, its loader and Lava's LIF take either."""
    if not isinstance(neuron, IntLIF):
        return THRESHOLD_MAX
    found = thresholds(network, neuron, k, WHO)
    return found if len(np.unique(found)) > 1 else int(found[0])


def _weight_range(synapse: IntConv | IntLinear, weights: Longs) -> int:
    """Bits of the weights with their sign; UnsupportedError where a dense layer would clip or round them."""
    low, high = int(weights.min()), int(weights.max())
    even = not (weights % 2).any()
    if isinstance(synapse, IntLinear):
        least, most = (-2 * DENSE_MAX - 2, 2 * DENSE_MAX) if even else (-DENSE_MAX - 1, DENSE_MAX)
        if low < least or high > most or low == high == 0:
            want = f"weights from {least} to {most}, not all 0 (NetX's dense layers)"
            raise UnsupportedError(expected(f"netx: {synapse.name}.weight", want, Words(f"{low} to {high}")))
    return max(high.bit_length(), (-low).bit_length()) + (low < 0)


def _sums(network: IntegerNetwork, synapse: IntConv | IntLinear, weights: Longs, bias: Longs) -> int:
    """What the readout's neuron, without a leak, can reach in T steps."""
    peak = network.values[synapse.source].peak
    each = np.abs(weights).reshape(-1, weights.shape[-1]).sum(0) * peak + np.abs(bias)
    return int(each.max()) * network.steps


def _synapse(network: IntegerNetwork, node: IntConv | IntLinear, weights: Longs) -> dict[str, Any]:
    """Weights as NetX has them: OIHW of a convolution; [out, in] of a dense layer, in from (C, H, W)."""
    height, width, channels = network.shape(node.source)
    out = network.shape(node.name)
    if isinstance(node, IntLinear):
        rows = weights.reshape(height, width, channels, node.features).transpose(3, 2, 0, 1)
        return {
            "type": "dense",
            "shape": [node.features],
            "inFeatures": height * width * channels,
            "outFeatures": node.features,
            "weight": rows.reshape(node.features, -1),
        }
    return {
        "type": "conv",
        "shape": [out[2], out[0], out[1]],
        "inChannels": channels,
        "outChannels": node.channels,
        "kernelSize": [node.kernel, node.kernel],
        "stride": [node.stride, node.stride],
        "padding": [node.padding, node.padding],
        "dilation": [1, 1],
        "groups": 1,
        "weight": weights.transpose(3, 2, 0, 1),
    }


def _put(root: Any, name: int | str, data: dict[str, Any]) -> None:
    """One layer: everything a data set; texts of fixed length."""
    group = root.create_group(str(name))
    for key, value in data.items():
        if isinstance(value, dict):
            _put(group, key, value)
        elif isinstance(value, str):
            group.create_dataset(key, data=np.array([value], "S10"))
        else:
            group.create_dataset(key, data=_plain(value))


def _plain(value: Any) -> Array:
    array = np.asarray(value)
    return array if array.dtype == bool else array.astype(np.int32)
