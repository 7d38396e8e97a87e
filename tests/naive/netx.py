"""A NetX file run by loops: lava-dl's layout, Lava's stock LIF, one step of delay left out."""

from __future__ import annotations

import h5py
import numpy as np


def layers(path):
    """The layers of a file as plain dictionaries."""

    def plain(group):
        return {name: plain(item) if isinstance(item, h5py.Group) else item[()] for name, item in group.items()}

    with h5py.File(path, "r") as file:
        root = plain(file["layer"])
    return [root[str(index)] for index in range(len(root))]


def current(layer, spikes):
    """[out channels, H, W] or [features] from spikes [C, H, W] or flat."""
    weight = layer["weight"].astype(int)
    if layer["type"][0] == b"dense":
        return weight @ spikes.reshape(-1).astype(int)
    out = np.zeros(layer["shape"], int)
    stride, padding = int(layer["stride"][0]), int(layer["padding"][0])
    _, height, width = spikes.shape
    for o, y, x in np.ndindex(*out.shape):
        for i, ky, kx in np.ndindex(*weight.shape[1:]):
            row, col = y * stride + ky - padding, x * stride + kx - padding
            if 0 <= row < height and 0 <= col < width:
                out[o, y, x] += weight[o, i, ky, kx] * int(spikes[i, row, col])
    return out


def run(path, frames):
    """Spikes of each layer [T, ...] and the last membrane / 64, for frames [T, C, H, W] of one sample."""
    found = [layer for layer in layers(path) if layer["type"][0] in (b"conv", b"dense")]
    spikes = [[] for _ in found]
    states = [None] * len(found)
    for frame in frames:
        value = frame
        for index, layer in enumerate(found):
            arrived = current(layer, value)
            neuron = layer["neuron"]
            column = (-1,) + (1,) * (arrived.ndim - 1)
            bias, threshold = (np.reshape(array, column).astype(int) for array in (layer["bias"], neuron["vThMant"]))
            before = np.zeros_like(arrived) if states[index] is None else states[index]
            leaked = np.sign(before) * ((np.abs(before) * (4096 - int(neuron["vDecay"]))) >> 12)
            state = leaked + 64 * (arrived + bias)
            value = (state > 64 * threshold).astype(int)
            states[index] = np.where(value, 0, state)
            spikes[index].append(value)
    return [np.array(each) for each in spikes], states[-1] / 64
