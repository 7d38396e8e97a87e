"""Write networks, images and the expected spikes for the witnesses beside this file: `python make.py FOLDER`.

Written for each case: the file, and `NAME.npz` with `images` [T, B, C, H, W] as the file's input takes them, and
`spikes.NODE` [T, B, ...] and `readout` [B, K] (summed over T) as qpsnn computes them.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import qpsnn_core as qp
from qpsnn_core.exchange.netx import save_netx
from qpsnn_core.exchange.nir_export import save_nir
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout

STEPS, BATCH, PEAK = 4, 8, 7


def trained(kind: str) -> qp.Model:
    """A network for images 8x8x2 whose layers all fire, as if it had been trained.

    kind: "plain" convolutions, "pool" with a mean-pool after them, "max" with a max-pool, "dense" layers only, or
    "subtract": plain, and neurons that reset by subtraction.
    """
    neuron = LIF("lif", ("conv",), reset="subtract" if kind == "subtract" else "zero")
    inner, last = Quantizer(4, "mean", granularity="layer"), Quantizer(7, gamma="max", granularity="layer")
    maps: list[Any] = [
        Conv("conv1", "input", 6, quantizer=inner, bias=True),
        neuron.like("lif1", "conv1"),
        Conv("conv2", "lif1", 8, stride=2, quantizer=inner),
        neuron.like("lif2", "conv2"),
    ]
    flat: list[Any] = [Linear("fc1", "input", 24, quantizer=inner), LIF("lif2", ("fc1",))]
    nodes = (
        Input("input", (8, 8, 2), PEAK, 1 / PEAK),
        *(flat if kind == "dense" else maps),
        *({"pool": [AvgPool("pool", "lif2", 2)], "max": [MaxPool("pool", "lif2", 2)]}.get(kind, [])),
        Linear("fc", "pool" if kind in ("pool", "max") else "lif2", 16, quantizer=inner),
        replace(neuron.like("lif3", "fc"), threshold=0.5),
        Linear("linear", "lif3", 10, quantizer=last),
        Readout("readout", "linear"),
    )
    model = qp.initialise(Network(nodes, STEPS))
    rng = np.random.default_rng(0)
    for arrays in model.params.values():
        for name, array in arrays.items():
            arrays[name] = (array + rng.normal(0.2 * name.endswith("bias"), 0.1, array.shape)).astype(np.float32)
    return model


def make(folder: Path) -> None:
    """NIR files of five networks and a NetX file."""
    images = np.random.default_rng(1).integers(0, PEAK + 1, (STEPS, BATCH, 8, 8, 2)).astype(np.uint8)
    for name in ("plain", "pool", "max", "dense", "subtract"):
        model = trained(name)
        done = qp.forward(model, images, save_for_backward=True)
        spikes = {lif.name: done.values[lif.name] for lif in model.network.of(LIF)}
        save_nir(folder / f"float_{name}.nir", model)
        _answers(folder / f"float_{name}.npz", images / PEAK, spikes, done.logits.sum(0))
        lowered = qp.lower(model, fraction_bits=4, readout_bits=0).network
        run = qp.simulate(lowered, images, record="spikes")
        for case, dt in ((f"exact_{name}", 1.0), (f"exact_{name}_snntorch", 1e-4)):
            print(case, save_nir(folder / f"{case}.nir", lowered, exact=True, dt=dt))
            _answers(folder / f"{case}.npz", images, run.spikes, run.readout)
    plain = qp.lower(trained("plain"), fraction_bits=0, readout_bits=0).network
    run = qp.simulate(plain, images, record="spikes")
    print(save_netx(folder / "plain.net", plain))
    _answers(folder / "plain.npz", images, run.spikes, run.readout)


def _answers(path: Path, images: Any, spikes: dict[str, Any], readout: Any) -> None:
    first = {f"spikes.{name}": np.moveaxis(value, -1, 2) for name, value in spikes.items()}
    np.savez(path, images=np.moveaxis(images, -1, 2), readout=readout, **first)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
