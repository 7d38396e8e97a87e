"""What the synapses have in a current: of each its channels, through pools, sums, concatenations and upsampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import LoweringError, Unquoted, expected
from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.common.types import Doubles, Longs
from qpsnn_core.integer.bounds import INT32_MAX, Interval
from qpsnn_core.integer.lowering.fold import Affine
from qpsnn_core.integer.lowering.margin import HALF_ULP
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.graph import Network
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Node, Readout, Sum, Upsample
from qpsnn_core.network.synapses import Conv, Linear, Shortcut


class Share(NamedTuple):
    """What one synapse has in a current. channels: int64 [C], the synapse's channel that each has, -1: none of them.

    area: of the windows whose mean it is, by the AvgPool `pool`; 1 of none. roundings: of float32 on its way, beyond
    those of a synapse that a LIF reads itself. real: whether its accumulators are sums of real numbers by then.
    """

    synapse: str
    channels: Longs
    area: int = 1
    pool: str = ""
    roundings: int = 0
    real: bool = False


Shares = tuple[Share, ...]


def shares(network: Network) -> dict[str, Shares]:
    """Those of every current, by its name."""
    found: dict[str, Shares] = {}
    for node in network:
        if network.values[node.name].kind == "current":
            found[node.name] = SHARES[node](network, node, found)
    return found


def _itself(network: Network, node: Node, found: dict[str, Shares]) -> Shares:
    return (Share(node.name, np.arange(network.shape(node.name)[2])),)


def _same(network: Network, node: MaxPool | Upsample, found: dict[str, Shares]) -> Shares:
    """The largest of sums is that of the largest sum, as no scale is negative; copies are what they are of."""
    return found[node.source]


def _mean(network: Network, node: AvgPool, found: dict[str, Shares]) -> Shares:
    """The mean of a current is that of its sums, and its own shift; sums of real numbers round."""
    given = found[node.source]
    return tuple(
        one._replace(area=one.area * node.area, pool=node.name, roundings=one.roundings + node.area * one.real)
        for one in given
    )


def _added(network: Network, node: Sum, found: dict[str, Shares]) -> Shares:
    """All of them, in order; each is multiplied out and added to those before."""
    every = (one for source in node.sources for one in found[source])
    return tuple(one._replace(roundings=one.roundings + len(node.sources), real=True) for one in every)


def _side_by_side(network: Network, node: Concat, found: dict[str, Shares]) -> Shares:
    """Each at its source's place, among channels that have none of it."""
    first, every = 0, []
    for source in node.sources:
        size = network.shape(source)[2]
        for one in found[source]:
            channels = np.full(network.shape(node.name)[2], -1)
            channels[first : first + size] = one.channels
            every.append(one._replace(channels=channels))
        first += size
    return tuple(every)


_NO_CURRENT = Refusal("it gives no current")

SHARES: KindTable[Callable[[Network, Any, dict[str, Shares]], Shares]] = KindTable(
    "the shares of currents",
    {
        Input: _NO_CURRENT,
        Conv: _itself,
        Linear: _itself,
        Shortcut: _itself,
        LIF: _NO_CURRENT,
        MaxPool: _same,
        AvgPool: _mean,
        Sum: _added,
        Concat: _side_by_side,
        Upsample: _same,
        Dropout: _NO_CURRENT,
        ChannelGate: _NO_CURRENT,
        SpatialGate: _NO_CURRENT,
        Membrane: _NO_CURRENT,
        SelfAttention: _itself,
        Readout: _NO_CURRENT,
        CurrentReadout: _NO_CURRENT,
    },
    LoweringError,
)
"""From the kind of a node that gives a current to what each synapse has in it."""


def of_share(share: Share, leaf: Affine, channels: Longs) -> Affine:
    """What a synapse has in these channels of its own: `leaf` is its current; of a mean, its sums and their part.

    Raises LoweringError where sums of windows exceed int32.
    """
    area = share.area
    reach = Interval(*(end[channels] * area for end in leaf.reach))
    if area > 1 and reach.largest.max() > INT32_MAX:
        got = f"up to {reach.largest.max()} (channel {channels[reach.largest.argmax()]} of {share.synapse})"
        raise LoweringError(expected(share.pool, f"sums of at most {INT32_MAX}", got))
    scale = leaf.scale[channels] if area == 1 else _single(leaf.scale[channels] * _single(np.array(1 / area)))
    shift = leaf.shift[channels]
    noise = HALF_ULP * share.roundings * (scale * reach.largest + np.abs(shift))
    return leaf._replace(
        codes=None,
        scale=scale,
        shift=shift,
        plain_scale=leaf.plain_scale[channels] / area,
        plain_shift=leaf.plain_shift[channels],
        reach=reach,
        flipped=leaf.flipped[channels],
        off=leaf.off[channels] + noise,
    )


def spread(share: Share, leaf: Affine) -> Affine:
    """What a synapse has in a current, [C]: 0 in the channels that have none of it."""
    here = share.channels >= 0
    own, size = of_share(share, leaf, share.channels[here]), len(here)

    def whole(part: Any) -> Any:
        every = np.zeros(size, part.dtype)
        every[here] = part
        return every

    arrays = {name: whole(getattr(own, name)) for name in ("scale", "shift", "plain_scale", "plain_shift", "off")}
    return own._replace(reach=Interval(*map(whole, own.reach)), flipped=whole(own.flipped), **arrays)


def only_reader(network: Network, one: Share, other: Share) -> str:
    """The message for a current that is summed up over windows here, and not, or over others, there."""
    pool = max(one, other, key=lambda share: share.area).pool
    readers = ", ".join(reader.name for reader in network.consumers(one.synapse))
    return expected(one.synapse, f"{pool} as its only reader, whose gain it takes", Unquoted(readers))


def _single(values: Doubles) -> Doubles:
    """Rounded to float32."""
    return values.astype(np.float32).astype(np.float64)
