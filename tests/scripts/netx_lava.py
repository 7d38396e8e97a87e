"""A NetX file on Lava's stock processes, built by hand as lava-dl does: `python netx_lava.py FILE IN.npz OUT.npz`.

IN: `stream` [steps, C, H, W], samples one after the other; `interval` T; `bits` of an input message. OUT: `s0`, `s1`,
... [steps, W, H, C] or [steps, N]. A process of its own: Lava wants to be the first to fork.
"""

from __future__ import annotations

import sys

import h5py
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi1SimCfg
from lava.proc import io
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense
from lava.proc.lif.process import LIFReset


def neuron(layer, shape, interval, index):
    own = layer["neuron"]
    bias = layer["bias"][()]
    return LIFReset(
        shape=shape,
        vth=own["vThMant"][()],
        du=int(own["iDecay"][()]) - 1,
        dv=int(own["vDecay"][()]),
        bias_mant=np.broadcast_to(bias, shape).astype(np.int32),
        bias_exp=6,
        reset_interval=interval,
        reset_offset=index + 2,
    )


def main(path, given, written):
    data = np.load(given)
    stream, interval, bits = data["stream"], int(data["interval"]), int(data["bits"])
    steps = len(stream)
    source = io.source.RingBuffer(data=stream.transpose(3, 2, 1, 0).astype(int))
    port, shape, sinks = source.s_out, tuple(stream.shape[:0:-1]), []
    with h5py.File(path, "r") as file:
        layers = [file["layer"][str(index)] for index in range(len(file["layer"]))]
        index = 0
        for layer in layers:
            kind = layer["type"][0]
            if kind == b"flatten":
                port = port.transpose((2, 1, 0)).flatten()
            if kind not in (b"conv", b"dense"):
                continue
            weight = layer["weight"][()].astype(int)
            message = {"num_message_bits": bits if index == 0 else 0}
            if kind == b"conv":
                turned = weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)
                stride, padding = (tuple(int(v) for v in layer[name][()]) for name in ("stride", "padding"))
                synapse = Conv(weight=turned, input_shape=shape, stride=stride, padding=padding, **message)
                shape = tuple(layer["shape"][()][::-1])
            else:
                synapse = Dense(weights=2 * weight, weight_exp=-1, **message)  # 8 bits, mixed: the lowest is dropped
                shape = (len(weight),)
            port.connect(synapse.s_in)
            fires = neuron(layer, shape, interval, index)
            synapse.a_out.connect(fires.a_in)
            port = fires.s_out
            sinks.append(io.sink.RingBuffer(shape=shape, buffer=steps))
            port.connect(sinks[-1].a_in)
            index += 1
    source.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi1SimCfg(select_tag="fixed_pt"))
    spikes = {f"s{place}": np.moveaxis(sink.data.get(), -1, 0) for place, sink in enumerate(sinks)}
    source.stop()
    np.savez(written, **spikes)


if __name__ == "__main__":
    main(*sys.argv[1:])
