"""The process that imports Lava: builds the wiring found in its working folder, runs it, ends.

Started as `python -m qpsnn_backends.lava.child` in a session and a folder of its own, its standard input held open by
the parent. It reads wiring.json, arrays.npz and images.npy; its processes write their results; a failure goes to
failure.txt. Lava sets the start method of multiprocessing when imported, and forks: nothing else may run here.
"""

from __future__ import annotations

import logging
import os
import resource
import select
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi1SimCfg
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense
from lava.proc.lif.process import LIFReset
from lava.utils.weightutils import SignMode

from qpsnn_backends.lava.channels import use_direct_channels
from qpsnn_backends.lava.processes.adaptive import AdaptiveNeurons, AdaptiveNeuronsModel
from qpsnn_backends.lava.processes.attention import Attention, AttentionModel, Stream, StreamModel
from qpsnn_backends.lava.processes.flow import Readout, ReadoutModel, Relay, RelayModel, Source, SourceModel
from qpsnn_backends.lava.processes.gates import Gate, GateModel, Mask, MaskModel
from qpsnn_backends.lava.processes.guard import tell_failure
from qpsnn_backends.lava.processes.local import LocalLayer, LocalLayerModel, Votes, VotesModel
from qpsnn_backends.lava.processes.neuron import IntLIF, IntLIFModel
from qpsnn_backends.lava.processes.record import Record, RecordModel
from qpsnn_backends.lava.processes.synapses import FastConvModel, FastDenseModel, Shortcut, ShortcutModel
from qpsnn_backends.lava.wiring import Kind, LavaProcessSpec, Wiring, wiring_from_json

MODELS = {
    Source: SourceModel,
    Conv: FastConvModel,
    Dense: FastDenseModel,
    Shortcut: ShortcutModel,
    IntLIF: IntLIFModel,
    Relay: RelayModel,
    Gate: GateModel,
    Mask: MaskModel,
    Record: RecordModel,
    Readout: ReadoutModel,
    Attention: AttentionModel,
    Stream: StreamModel,
    AdaptiveNeurons: AdaptiveNeuronsModel,
    LocalLayer: LocalLayerModel,
    Votes: VotesModel,
}
"""Told to Lava process by process: for a class it would execute every file beside it, once for each process."""

MASK_PORT = "m_in"
"""Where a mask comes in; besides it, and the `ports` of a part, every process has one InPort at most."""

LEVELS_PORT = "m_out"
"""Where neurons send what they store; every process has one other OutPort at most."""

CHANNEL_SIZE = 2
"""Messages that a channel holds. Lava's default of 64 costs 32 times the shared memory; a step sends one."""

OPEN_FILES = 2**16


def conv(part: LavaProcessSpec, wiring: Wiring, weight: Any) -> AbstractProcess:
    """Lava's convolution."""
    settings = part.settings
    return Conv(
        weight=weight,
        input_shape=part.inputs,
        stride=tuple(settings["stride"]),
        padding=tuple(settings["padding"]),
        groups=settings["groups"],
        num_message_bits=settings["message_bits"],
        name=part.name,
    )


def dense(part: LavaProcessSpec, wiring: Wiring, weight: Any) -> AbstractProcess:
    """Lava's dense synapses; stock ones with an exponent."""
    settings = part.settings
    given = {"weight_exp": settings["weight_exp"], "sign_mode": SignMode.MIXED} if wiring.stock else {}
    return Dense(weights=weight, num_message_bits=settings["message_bits"], name=part.name, **given)


def lif(part: LavaProcessSpec, wiring: Wiring, **own: Any) -> AbstractProcess:
    """Our neuron, or Lava's own."""
    return stock_lif(part, wiring, **own) if wiring.stock else IntLIF(part, wiring, **own)


def stock_lif(part: LavaProcessSpec, wiring: Wiring, vth: Any, bias: Any) -> AbstractProcess:
    """Lava's own neuron: currents without memory, a leak of a half, cleared when a sample's first step arrives."""
    return LIFReset(
        shape=part.inputs,
        du=4095,
        dv=2048,
        vth=vth,
        bias_mant=np.broadcast_to(bias, part.inputs).astype(np.int32),
        bias_exp=part.settings["bias_exp"],
        reset_interval=wiring.steps,
        reset_offset=part.latency + 1,
        name=part.name,
    )


MADE: dict[Kind, Callable[..., AbstractProcess]] = {
    "source": Source,
    "conv": conv,
    "dense": dense,
    "shortcut": lambda part, wiring, **own: Shortcut(part, **own),
    "lif": lif,
    "prior": lambda part, wiring: Relay(part),
    "pool": lambda part, wiring: Relay(part),
    "delay": lambda part, wiring: Relay(part),
    "gate": lambda part, wiring, **own: Gate(part, **own),
    "mask": lambda part, wiring: Mask(part),
    "record": Record,
    "readout": Readout,
    "attention": lambda part, wiring, **own: Attention(part, **own),
    "stream": Stream,
    "adaptive": AdaptiveNeurons,
    "local": LocalLayer,
    "votes": Votes,
}
"""How the process of each kind of part is made, from the part, the wiring and the part's arrays."""


def made(part: LavaProcessSpec, wiring: Wiring, arrays: Mapping[str, Any]) -> AbstractProcess:
    """The Lava process of one part."""
    own = {name.rpartition(".")[2]: arrays[name] for name in arrays if name.rpartition(".")[0] == part.name}
    return MADE[part.kind](part, wiring, **own)


def build(wiring: Wiring, arrays: Mapping[str, Any]) -> list[AbstractProcess]:
    """All processes, connected; they run through any one of them."""
    processes: dict[str, AbstractProcess] = {}
    for part in wiring:
        process = made(part, wiring, arrays)
        processes[part.name] = process
        for source in part.reads:
            out = out_port(processes[source], part)
            (into,) = (port for port in process.in_ports.members if port.name not in (MASK_PORT, *part.ports))
            if out.shape != part.inputs:
                out = out.reshape(part.inputs)
            if into.shape != part.inputs:
                out = out.reshape(into.shape)
            out.connect(into)
        for port, sources in part.ports.items():
            for source in sources:
                out_port(processes[source], part).connect(getattr(process, port))
        if part.opened_by:
            out_port(processes[part.opened_by], part).connect(getattr(process, MASK_PORT))
    return list(processes.values())


def out_port(process: AbstractProcess, reader: LavaProcessSpec) -> OutPort:
    """Where a part gets what it reads: a prior the membranes of neurons, all others what a process has to send."""
    (port,) = (one for one in process.out_ports.members if (one.name == LEVELS_PORT) == (reader.kind == "prior"))
    return port


def watch(finished: threading.Event) -> None:
    """End the whole group when the parent is gone; tell of a process that died before the run was over.

    Runs from before the first fork, as Lava waits for ever for a process that died while it was built.
    """
    while not finished.is_set():
        if select.select([0], [], [], 0.1)[0] and not os.read(0, 1):
            os.killpg(os.getpgrp(), signal.SIGTERM)
        dead = None
        with suppress(ChildProcessError):  # none has been forked yet
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if dead is not None and not finished.is_set():
            how = "exited with" if dead.si_code == os.CLD_EXITED else "was ended by"
            what = dead.si_status if dead.si_code == os.CLD_EXITED else signal.Signals(dead.si_status).name
            tell_failure(f"one of Lava's processes {how} {what}")
            return


def raise_descriptors() -> None:
    """As many open files as the system lets a process have, up to OPEN_FILES."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES if hard < 0 else min(OPEN_FILES, hard), hard))


def run_job() -> None:
    """Read the job, build it, run it to its last step."""
    raise_descriptors()
    if sys.platform == "linux":  # where the value of a semaphore can be asked for
        use_direct_channels()
    tempfile.tempdir = "."  # what multiprocessing leaves goes with the job's folder; and a socket's path must be short
    wiring = wiring_from_json(Path("wiring.json").read_text(encoding="utf-8"))
    with np.load("arrays.npz", allow_pickle=False) as arrays:
        processes = build(wiring, arrays)
    lavas = {Conv, Dense} if wiring.stock else {Conv} if wiring.stock_conv else set()
    models = {process: MODELS[type(process)] for process in processes if type(process) in MODELS.keys() - lavas}
    config = Loihi1SimCfg(select_tag="fixed_pt", exception_proc_model_map=models, loglevel=logging.CRITICAL)
    compiled = {"pypy_channel_size": CHANNEL_SIZE, "loglevel": logging.CRITICAL}
    finished = threading.Event()
    threading.Thread(target=watch, args=(finished,), daemon=True).start()
    processes[0].create_runtime(run_cfg=config, compile_config=compiled)
    processes[0].run(condition=RunSteps(num_steps=wiring.duration), run_cfg=config)
    finished.set()
    processes[0].stop()


def main() -> int:
    """Run the job in the working folder; 0 where all went well."""
    try:
        run_job()
    except BaseException:
        tell_failure(traceback.format_exc())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
