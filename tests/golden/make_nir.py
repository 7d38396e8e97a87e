"""NIR files as snnTorch and SpikingJelly export them, with the spikes that they give: `python make_nir.py FOLDER`.

Made on Python 3.11 with torch 2.14.1, nir 1.0.8, nirtorch 2.6, snntorch 1.0.0, spikingjelly 2.0.0; qpsnn is not needed.
snnTorch's exporter loses the shape of neurons behind a convolution, hence linear layers there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nir
import numpy as np
import snntorch
import torch
from snntorch.export_nir import export_to_nir as from_snntorch
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir as from_spikingjelly

STEPS, BATCH = 6, 4


def leaky(size, beta, threshold):
    return snntorch.Leaky(
        beta=torch.full((size,), beta),
        threshold=torch.full((size,), threshold),
        reset_mechanism="zero",
        reset_delay=False,
        init_hidden=True,
    )


def run(parts, images):
    """What each part gives at each step."""
    given = [[] for _ in parts]
    with torch.no_grad():
        for value in images:
            for index, part in enumerate(parts):
                value = part(value)
                given[index].append(value.numpy())
    return [np.array(values) for values in given]


def save(folder, name, graph, images, first, second, last):
    nir.write(folder / f"{name}.nir", graph)
    np.savez_compressed(folder / f"{name}.npz", images=images.numpy(), first=first, second=second, last=last.mean(0))


def main(folder):
    torch.manual_seed(0)
    images = torch.rand(STEPS, BATCH, 40)
    parts = [torch.nn.Linear(40, 20), leaky(20, 0.5, 0.3), torch.nn.Linear(20, 10), leaky(10, 0.75, 0.15)]
    given = run(parts, images)
    graph = from_snntorch(torch.nn.Sequential(*parts), images[0, :1], ignore_dims=[0])
    save(folder, "snntorch", graph, images, given[1], given[3], given[3])

    images = torch.rand(STEPS, BATCH, 2, 8, 8)
    parts = [
        layer.Conv2d(2, 5, 3, stride=2, padding=1),
        neuron.LIFNode(tau=2.0, decay_input=True, v_threshold=0.2, v_reset=0.0),
        layer.Flatten(),
        layer.Linear(80, 12),
        neuron.IFNode(v_threshold=0.3, v_reset=0.0),
        layer.Linear(12, 3),
    ]
    given = run(parts, images)
    whole = torch.nn.Sequential(*parts)
    functional.reset_net(whole)
    save(folder, "spikingjelly", from_spikingjelly(whole, images[0, :1]), images, given[1], given[4], given[5])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
