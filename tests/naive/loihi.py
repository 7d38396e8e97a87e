"""Cores, axons and synapses of an integer network by loops: every synapse is listed, then counted."""

from __future__ import annotations

from qpsnn_core.integer.nodes import (
    IntConcat,
    IntConv,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
)


def neurons_behind(network, name, y, x, c):
    """The neurons (population, y, x, c) whose spikes a count is made of."""
    node = network[name]
    if isinstance(node, (IntInput, IntLIF, IntMaxPool)):
        return [(name, y, x, c)]
    if isinstance(node, IntSum):
        return [one for source in node.sources for one in neurons_behind(network, source, y, x, c)]
    if isinstance(node, IntConcat):
        for source in node.sources:
            size = network.shape(source)[2]
            if c < size:
                return neurons_behind(network, source, y, x, c)
            c -= size
    assert isinstance(node, IntSumPool)
    found = []
    (rows, columns), (down, right) = (s if isinstance(s, tuple) else (s, s) for s in (node.size, node.step))
    for dy in range(rows):
        for dx in range(columns):
            found += neurons_behind(network, node.source, y * down + dy, x * right + dx, c)
    return found


def read_by(network, name, y, x, c):
    """(synapse node, neuron) of every synapse that ends on neuron (y, x, c) of a LIF, max-pool or readout."""
    node = network[name]
    synapses = [network[source] for source in node.sources] if isinstance(node, IntLIF) else []
    if isinstance(node, IntReadout):
        synapses = [network[node.source]]
    if isinstance(node, IntMaxPool):
        synapses = [node]
    found = []
    for synapse in synapses:
        height, width, channels = network.shape(synapse.source)
        places = []
        if isinstance(synapse, IntLinear):
            places = [(i, j, k) for i in range(height) for j in range(width) for k in range(channels)]
        elif isinstance(synapse, IntShortcut):
            k = synapse.channel_map[c]
            places = [(y * synapse.stride, x * synapse.stride, k)] if k >= 0 else []
        else:
            is_conv = isinstance(synapse, IntConv)
            sizes = synapse.kernel if is_conv else synapse.size, synapse.stride, synapse.padding
            (rows, columns), (down, right), (top, left) = (s if isinstance(s, tuple) else (s, s) for s in sizes)
            groups = synapse.groups if is_conv else channels
            outputs = network.shape(synapse.name)[2]
            for dy in range(rows):
                for dx in range(columns):
                    i, j = y * down + dy - top, x * right + dx - left
                    if 0 <= i < height and 0 <= j < width:
                        places += [
                            (i, j, k) for k in range(channels) if k * groups // channels == c * groups // outputs
                        ]
        for i, j, k in places:
            found += [(synapse.name, one) for one in neurons_behind(network, synapse.source, i, j, k)]
    return found


def tile_of(tile, y, x, c):
    return (y // tile[0], x // tile[1], c // tile[2])


def cores(network, name, tile):
    """By tile: {"neurons": count, "axons": {(synapse, source neuron): synapses}}."""
    height, width, channels = network.shape(name)
    found = {}
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                core = found.setdefault(tile_of(tile, y, x, c), {"neurons": 0, "axons": {}})
                core["neurons"] += 1
                for axon in read_by(network, name, y, x, c):
                    core["axons"][axon] = core["axons"].get(axon, 0) + 1
    return found


def out_axons(network, name, tile, reader, reader_tile):
    """By tile of `name`: how many (neuron, synapse node, core of the reader) there are."""
    found = {}
    for core in cores(network, reader, reader_tile).values():
        for _, (source, y, x, c) in core["axons"]:
            if source == name:
                where = tile_of(tile, y, x, c)
                found[where] = found.get(where, 0) + 1
    return found


def memory(synapses, width):
    """Bits of an axon's synapses: blocks of up to 64, each with a head of 10 bits and rounded up to 64 bits."""
    bits = 0
    while synapses > 0:
        block = min(synapses, 64)
        used = block * width + 10
        while used % 64:
            used += 1
        bits += used
        synapses -= block
    return bits


def weight_bits(weights, shift_max, scale):
    """The fewest bits b such that, for a shift, all weights * 2**scale are mantissas of b bits times 2**shift."""
    values = [int(weight) * 2**scale for weight in weights]
    mixed = min(values) < 0 < max(values)
    best = None
    for shift in range(shift_max + 1):
        if any(value % 2**shift for value in values):
            continue
        mantissas = [value // 2**shift for value in values]
        bits = 1
        while not all(-(2 ** (bits - 1)) <= m < 2 ** (bits - 1) if mixed else abs(m) < 2**bits for m in mantissas):
            bits += 1
        best = bits if best is None else min(best, bits)
    return best


def stock_spikes(currents, bias, threshold, steps, scale):
    """Loihi 1's neuron, leak 1/2 rounded towards zero, all scaled by 2**scale: it fires above `mantissa * 64`."""
    mantissa = threshold * 2 ** (scale - 6) - 1
    state, spikes = 0, []
    for t in range(steps):
        leaked = (abs(state) * 2048) // 4096
        state = (leaked if state >= 0 else -leaked) + (currents[t] + bias) * 2**scale
        spikes.append(int(state > mantissa * 64))
        if spikes[-1]:
            state = 0
    return spikes
