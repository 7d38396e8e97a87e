"""Neurons as exporters with other units of time write them to NIR, and their own spikes: nir/units.npz.

Not part of any test run: `python make_nir_units.py`. Made on Python 3.11 with torch 2.13.0, nir 1.0.8, nirtorch 2.6,
norse 1.1.0, sinabs 3.1.3 and rockpool 3.1.0; qpsnn is not needed. Each network is one linear layer and its neurons.
Rockpool's own function makes its node; those of Norse and Sinabs have the numbers that their exporters give them. The
spikes are those of the library's own neurons. Sinabs and Rockpool may give several in a step, so they are held to one.
"""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import torch

STEPS, BATCH, INPUTS, NEURONS = 12, 3, 6, 8


def drawn(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    layer = torch.nn.Linear(INPUTS, NEURONS)
    layer.weight.data = torch.randn(NEURONS, INPUTS, generator=generator) * scale
    layer.bias.data = torch.randn(NEURONS, generator=generator) * scale / 2
    return layer, torch.rand(STEPS, BATCH, INPUTS, generator=generator)


def full(value):
    return np.full(NEURONS, value, np.float32)


def save(found, name, layer, node, images, spikes):
    """The numbers of the layer and of the node, from which a test makes the graph."""
    fields = {key: np.asarray(getattr(node, key)) for key in ("tau", "r", "v_threshold") if hasattr(node, key)}
    arrays = {"weight": layer.weight.detach().numpy(), "bias": layer.bias.detach().numpy(), **fields}
    arrays |= {"images": images.numpy(), "spikes": np.asarray(spikes, np.uint8)}
    found.update({f"{name}/{key}": array for key, array in arrays.items()})


def norse(found):
    from norse.torch import IAFCell, LIFBoxCell, LIFBoxParameters

    layer, images = drawn(1, 4.0)
    cell = LIFBoxCell(LIFBoxParameters(tau_mem_inv=torch.full((NEURONS,), 200.0), v_th=torch.full((NEURONS,), 0.7)))
    node = nir.LIF(tau=full(1 / 200), r=full(1), v_leak=full(0), v_threshold=full(0.7), v_reset=full(0))
    save(found, "norse_lif", layer, node, images, stepped(cell, layer, images))
    layer, images = drawn(2, 0.3)
    node = nir.IF(r=full(1), v_threshold=full(1), v_reset=full(0))
    save(found, "norse_if", layer, node, images, stepped(IAFCell(), layer, images))


def stepped(cell, layer, images):
    state, found = None, []
    with torch.no_grad():
        for image in images:
            spikes, state = cell(layer(image), state)
            found.append(spikes.numpy())
    return np.array(found)


def sinabs(found):
    import sinabs.layers as sl
    from sinabs.activation import SingleSpike

    for name, seed, cell, node in (
        ("sinabs_lif", 3, sl.LIF(tau_mem=5.0, spike_fn=SingleSpike), nir.LIF),
        ("sinabs_if", 4, sl.IAF(spike_fn=SingleSpike), nir.IF),
    ):
        layer, images = drawn(seed, 3.0 if node is nir.LIF else 0.5)
        more = {"tau": full(5), "v_leak": full(0)} if node is nir.LIF else {}
        with torch.no_grad():
            spikes = cell(layer(images).swapaxes(0, 1)).swapaxes(0, 1)
        made = node(r=full(1), v_threshold=full(1), v_reset=full(0), **more)
        save(found, name, layer, made, images, spikes.numpy())


def rockpool(found):
    from rockpool.nn.modules.torch import LIFNeuronTorch
    from rockpool.nn.modules.torch.nir import _extract_rockpool_module

    layer, images = drawn(5, 0.6)
    cell = LIFNeuronTorch(NEURONS, tau_mem=0.02, dt=1e-3, max_spikes_per_dt=1)
    with torch.no_grad():
        spikes, _, _ = cell(layer(images).swapaxes(0, 1))
    made = _extract_rockpool_module(cell)
    save(found, "rockpool", layer, made, images, spikes.swapaxes(0, 1).numpy())


if __name__ == "__main__":
    made: dict[str, np.ndarray] = {}
    for each in (norse, sinabs, rockpool):
        each(made)
    np.savez_compressed(Path(__file__).parent / "nir" / "units.npz", **made)
