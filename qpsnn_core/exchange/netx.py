"""An integer network as lava-dl's NetX HDF5 file, for Lava's stock LIF: the same spikes, or refused with figures.

Its integers are ours times 2**k, as `qpsnn_core.integer.lava_lif` says; NetX has no exponents, so biases grow too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import Unquoted, UnsupportedError, expected
from qpsnn_core.common.hdf5 import writing
from qpsnn_core.common.kind_table import KindTable, OptionTable, Refusal
from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Array, Longs, Shape
from qpsnn_core.integer.dead import warn_dead_integers
from qpsnn_core.integer.lava_lif import (
    BIAS_MAX,
    NO_LAYER,
    STATE_MAX,
    THRESHOLD_MAX,
    StockLayer,
    at_most,
    chain,
    reach,
    scale,
    thresholds,
)
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntAttention,
    IntConcat,
    IntConv,
    IntCurrentReadout,
    IntGate,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntMembrane,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
    IntUpsample,
)

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


class Scaled(NamedTuple):
    """What a neuron makes of a layer's integers: all times 2**k.

    weights: int64, in our order; bias: int64 [C]. threshold: of all channels, or int64 [C]. decay: `vDecay`. state:
    the largest magnitude on the way to its membrane. rounding: see `NetxLayer`.
    """

    k: int
    weights: Longs
    bias: Longs
    threshold: int | Longs
    decay: int
    state: int
    rounding: float


Group = dict[str, Any]
"""A layer of the file: data sets, texts and further groups by name."""


def save_netx(
    path: str | os.PathLike[str], network: IntegerNetwork, *, host_first: bool = False
) -> tuple[NetxLayer, ...]:
    """Write the network; NetX loads it with `input_message_bits` where inputs are more than spikes.

    host_first: leave out the first layer, which reads images; the file's input is its spikes, computed on the host.

    A layer is a Conv or Linear with its LIF; the readout becomes a neuron that never fires: its `v / 64`, over T steps,
    are the readout's sums (divided by its gain, the bias rounded by `rounding` at most). A readout that counts spikes
    is not written: the last layer's neurons are those that are counted. Layer i gives step t of a
    sample i+1 steps later; with `reset_interval=T, reset_offset=1` samples follow each other without a gap.
    Raises UnsupportedError, naming the node: signed images, pools, sums, branches, a readout with a leak; weights,
    biases, thresholds, states out of range.
    """
    layers = netx_layers(network, host_first=host_first)
    warn_dead_integers(WHO, network)
    shape = network.shape(chain(network, WHO)[0].neuron.name) if host_first else network.input.shape
    groups: list[Group] = NETX[network.input](shape)
    written = []
    for layer in layers:
        more, made = _layer(network, layer)
        groups += more
        written.append(made)
    with writing(path, KIND, VERSION) as file:
        root = file.create_group("layer")
        for index, group in enumerate(groups):
            _put(root, index, group)
    return tuple(written)


def netx_layers(network: IntegerNetwork, *, host_first: bool = False) -> list[StockLayer]:
    """The layers that a file has, whatever their integers are. Raises UnsupportedError as `save_netx`."""
    layers = chain(network, WHO)
    if network.input.low and not host_first:
        want = "0, as messages of NetX's first layer are not negative (host_first leaves it to the host)"
        raise UnsupportedError(expected(f"{WHO}: {network.input.name}.low", want, network.input.low))
    if host_first and len(layers) < 2:
        raise UnsupportedError(expected("netx: host_first", "a layer of spikes besides the first", Unquoted("none")))
    return layers[1:] if host_first else layers


def _layer(network: IntegerNetwork, layer: StockLayer) -> tuple[list[Group], NetxLayer]:
    """What is written of a layer, and what is told of it."""
    synapse, neuron = layer
    made: Scaled = NETX[neuron](network, synapse, neuron)
    groups: list[Group] = NETX[synapse](network, synapse, made.weights)
    at_most(f"{WHO}: {neuron.name}.bias", int(np.abs(made.bias).max()), BIAS_MAX, made.k)
    at_most(f"{WHO}: {neuron.name}.state", made.state, STATE_MAX, made.k)
    groups[-1]["bias"] = made.bias
    groups[-1]["neuron"] = {
        "type": "CUBA",
        "iDecay": DECAY,
        "vDecay": made.decay,
        "vThMant": made.threshold,
        "refDelay": 1,
        "gradedSpike": False,
    }
    told = synapse.name, neuron.name, groups[-1]["type"]
    return groups, NetxLayer(*told, made.k, _bits(made.weights), np.size(made.threshold), made.rounding)


def _bits(weights: Longs) -> int:
    """Of the weights, with their sign."""
    low, high = int(weights.min()), int(weights.max())
    return max(high.bit_length(), (-low).bit_length()) + (low < 0)


def _input(shape: Shape) -> list[Group]:
    height, width, channels = shape
    return [{"type": "input", "shape": [channels, height, width]}]


def _conv(network: IntegerNetwork, node: IntConv, weights: Longs) -> list[Group]:
    """Weights OIHW."""
    height, width, channels = network.shape(node.name)
    return [
        {
            "type": "conv",
            "shape": [channels, height, width],
            "inChannels": network.shape(node.source)[2],
            "outChannels": node.channels,
            "kernelSize": list(both(node.kernel)),
            "stride": list(both(node.stride)),
            "padding": list(both(node.padding)),
            "dilation": [1, 1],
            "groups": node.groups,
            "weight": weights.transpose(3, 2, 0, 1),
        }
    ]


def _dense(network: IntegerNetwork, node: IntLinear, weights: Longs) -> list[Group]:
    """Weights [out, in], in from (C, H, W). UnsupportedError where NetX would clip or round them."""
    low, high = int(weights.min()), int(weights.max())
    even = not (weights % 2).any()
    least, most = (-2 * DENSE_MAX - 2, 2 * DENSE_MAX) if even else (-DENSE_MAX - 1, DENSE_MAX)
    if low < least or high > most or low == high == 0:
        want = f"weights from {least} to {most}, not all 0 (NetX's dense layers)"
        raise UnsupportedError(expected(f"netx: {node.name}.weight", want, Unquoted(f"{low} to {high}")))
    height, width, channels = network.shape(node.source)
    rows = weights.reshape(height, width, channels, node.features).transpose(3, 2, 0, 1)
    flatten: list[Group] = [] if height == width == 1 else [{"type": "flatten"}]
    return [
        *flatten,
        {
            "type": "dense",
            "shape": [node.features],
            "inFeatures": height * width * channels,
            "outFeatures": node.features,
            "weight": rows.reshape(node.features, -1),
        },
    ]


def _lif(network: IntegerNetwork, synapse: IntConv | IntLinear, node: IntLIF) -> Scaled:
    """One threshold for all channels, or one for each: NetX's files have one, its loader and Lava's LIF take either."""
    k = scale(node, network.steps, WHO)
    weights, bias = _integers(network, synapse, node)
    found = thresholds(network, node, k, WHO)
    threshold = found if len(np.unique(found)) > 1 else int(found[0])
    decay = DECAY - ((node.multiplier * DECAY) >> node.shift)
    return Scaled(k, weights << k, bias << k, threshold, decay, reach(network, node) << k, 0.0)


def _readout(network: IntegerNetwork, synapse: IntConv | IntLinear, node: IntReadout) -> Scaled:
    """A neuron without a leak that never fires; divided by its gain, where that is one for all classes."""
    MODES[node]
    if node.multiplier:
        want = "0, as what is read of a neuron that never fires is the sum over all steps"
        raise UnsupportedError(expected(f"{WHO}: {node.name}.multiplier", want, node.multiplier))
    weights, bias = _integers(network, synapse, node)
    gain, rounding = network.arrays[synapse.name]["gain"].astype(np.int64), 0.0
    if len(np.unique(gain)) == 1 and gain[0] >= 1:
        weights, exact = weights // gain, bias / gain
        bias = np.rint(exact).astype(np.int64)
        rounding = float(np.abs(bias - exact).max())
    max_count = network.values[synapse.source].max_count
    each = np.abs(weights).reshape(-1, weights.shape[-1]).sum(0) * max_count + np.abs(bias)
    return Scaled(0, weights, bias, THRESHOLD_MAX, 0, int(each.max()) * network.steps, rounding)


def _integers(
    network: IntegerNetwork, synapse: IntConv | IntLinear, neuron: IntLIF | IntReadout
) -> tuple[Longs, Longs]:
    """Weights and bias."""
    codes, gain = (network.arrays[synapse.name][name].astype(np.int64) for name in ("codes", "gain"))
    return codes * gain, network.arrays[neuron.name]["bias"].astype(np.int64)


MODES: OptionTable[None] = OptionTable(
    "NetX",
    "mode",
    {
        "mean": None,
        "last": Refusal("a file of lava-dl has no neuron that is read at the last step alone"),
        "max": Refusal("a file of lava-dl has no neuron that keeps the largest of its membranes"),
    },
)
"""What may be read of the readout; nothing is written for it."""

NETX: KindTable[Callable[..., Any]] = KindTable(
    "NetX",
    {
        IntInput: _input,
        IntConv: _conv,
        IntLinear: _dense,
        IntShortcut: NO_LAYER,
        IntLIF: _lif,
        IntMaxPool: NO_LAYER,
        IntSumPool: NO_LAYER,
        IntSum: NO_LAYER,
        IntConcat: NO_LAYER,
        IntUpsample: NO_LAYER,
        IntGate: NO_LAYER,
        IntAttention: NO_LAYER,
        IntMembrane: NO_LAYER,
        IntReadout: _readout,
        IntCurrentReadout: NO_LAYER,
    },
    UnsupportedError,
)
"""From node kind to the groups of an input or a synapse, or to what a neuron makes of its layer's integers."""


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
