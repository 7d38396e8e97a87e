"""Run a NetX file of make.py on Lava with lava-dl's own loader: `python netx_witness.py FOLDER`, if both are installed.

Run on Python 3.10 with lava-nc 0.10.0, lava-dl 0.6.0 and torch (its package imports it); qpsnn is not needed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from lava.lib.dl.netx import hdf5
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi1SimCfg
from lava.proc import io

MESSAGE_BITS = 8
"""Of the input: images of counts; 0 where it is spikes."""


def main(folder: Path) -> None:
    """All samples in one stream; each layer's spikes against qpsnn's, one step later for each layer."""
    answers = np.load(folder / "plain.npz")
    images = answers["images"]  # [T, B, C, H, W]
    steps, batch = images.shape[:2]
    network = hdf5.Network(
        net_config=str(folder / "plain.net"),
        input_message_bits=MESSAGE_BITS,
        reset_interval=steps,
        reset_offset=1,
    )
    print(network)
    total = steps * batch + len(network) + 1
    stream = np.zeros((*images.shape[:1:-1], total), int)  # W, H, C, then time
    stream[..., : steps * batch] = images.swapaxes(0, 1).reshape(-1, *images.shape[2:]).transpose(3, 2, 1, 0)
    source = io.source.RingBuffer(data=stream)
    source.s_out.connect(network.inp)
    sinks = [io.sink.RingBuffer(shape=layer.out.shape, buffer=total) for layer in network.layers]
    for layer, sink in zip(network.layers, sinks, strict=True):
        layer.out.connect(sink.a_in)
    potentials = []
    for _ in range(total):
        network.run(condition=RunSteps(num_steps=1), run_cfg=Loihi1SimCfg(select_tag="fixed_pt"))
        potentials.append(network.layers[-1].neuron.v.get().copy())
    spikes = [np.moveaxis(sink.data.get(), -1, 0) for sink in sinks]
    network.stop()
    names = [key for key in answers.files if key.startswith("spikes.")]
    for index, name in enumerate(names):
        want = answers[name].swapaxes(0, 1)  # [B, T, ...]
        found = spikes[index][index + 1 : index + 1 + steps * batch]
        found = found.reshape(batch, steps, *found.shape[1:])
        if found.ndim == 5:
            found = found.transpose(0, 1, 4, 3, 2)
        differ = int((found.reshape(want.shape) != want).sum())
        print(f"{name}: {differ} of {want.size} spikes differ ({int(want.sum())} fired)")
    last = np.array(potentials)[len(names) + 1 :][steps - 1 : steps * batch : steps] / 64
    print(f"readout: off by {np.abs(last - answers['readout']).max():g}; it fired {int(spikes[-1].sum())} times")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
