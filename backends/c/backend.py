"""Runs an integer network as the C that an export gives, compiled for this machine."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np

from qpsnn_backends.c.compiler import called, command, compiled
from qpsnn_backends.c.driver import RUN
from qpsnn_backends.c.memory import memory
from qpsnn_backends.c.plan import plan
from qpsnn_backends.c.planned import CPlan
from qpsnn_backends.c.source import header, source
from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.input_range import image_type
from qpsnn_core.common.types import Array
from qpsnn_core.integer.backends import Record, Run
from qpsnn_core.integer.dead import warn_dead_integers
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntInput, IntLIF
from qpsnn_core.integer.simulate import integer_images


@dataclass(frozen=True)
class CBackend:
    """The exported C file in a program of its own, in a temporary folder.

    compiler: the command that compiles; "" for $CC, else cc. flags: besides `-std=c99` and every warning as an error.
    timeout: seconds that the compiler, and then the program, may take.
    """

    compiler: str = ""
    flags: tuple[str, ...] = ("-O2",)
    timeout: float = 600.0
    name: ClassVar[str] = "c"

    def check(self, network: IntegerNetwork) -> None:
        """Raises UnsupportedError where this machine has no C compiler."""
        command(self.compiler)

    def run(self, network: IntegerNetwork, images: Array, record: Record = "spikes") -> Run:
        """Run the images, [B, H, W, C] or frames [T, B, H, W, C], and return what was asked for.

        record: "none", "spikes" of all LIF, or "all" their spikes and membranes.
        Raises ShapeError, DataError, NumericsError (images), ConfigError (record), UnsupportedError, BackendTimeout,
        or BackendError with what the compiler or the program said.
        """
        if record not in get_args(Record):
            raise ConfigError(expected("record", f"one of {', '.join(get_args(Record))}", record))
        images = integer_images(network, images)
        self.check(network)
        warn_dead_integers("c", network)
        return self.stream(network, frames_of(network.input, images), network.steps, record)

    def stream(self, network: IntegerNetwork, frames: Array, steps: int, record: Record = "spikes") -> Run:
        """As `run`, for any number of steps. frames: as `frames_of`; the last one is shown to the end."""
        planned = plan(network)
        watched = record != "none" and bool(planned.neurons)
        with tempfile.TemporaryDirectory(prefix="qpsnn-c-") as name:
            folder = Path(name)
            program = self.build(planned, folder, watched)
            frames.tofile(folder / "inputs")
            files = ["spikes" if watched else "-", "membranes" if watched and record == "all" else "-"]
            words = [str(program), "inputs", *map(str, frames.shape[:2]), str(steps), "readouts", *files]
            called(words, folder, self.timeout, "program")
            readouts = _split(np.fromfile(folder / "readouts", np.int64).reshape(len(frames), -1), network)
            shape = (len(frames), steps)
            spikes = _recorded(folder / "spikes", np.uint8, network, shape) if watched else {}
            moved = _recorded(folder / "membranes", np.int32, network, shape) if watched and record == "all" else {}
        return Run(readouts, spikes, moved)

    def build(self, planned: CPlan, folder: Path, watched: bool) -> Path:
        """The program in that folder; watched: it tells what neurons do."""
        found = memory(planned)
        texts = {"network.h": header(planned, found, "network"), "network.c": source(planned, found, "network")}
        for file, text in {**texts, "run.c": RUN}.items():
            (folder / file).write_text(text, encoding="ascii")
        flags = (*self.flags, "-DNETWORK_OBSERVE") if watched else self.flags
        return compiled(folder, ("network.c", "run.c"), flags, self.compiler, self.timeout)


def frames_of(node: IntInput, images: Array) -> Array:
    """Images as [B, 1, H, W, C], frames as [B, T, H, W, C], in the type of the C input."""
    frames = images[:, None] if images.ndim == 4 else images.swapaxes(0, 1)
    return np.ascontiguousarray(frames, image_type(node.low, node.peak))


def _split(answers: Array, network: IntegerNetwork) -> dict[str, Array]:
    """What was written of all readouts, one after the other, by their names."""
    sizes = [int(np.prod(network.shape(node.name))) for node in network.readouts]
    parts = np.split(answers, np.cumsum(sizes)[:-1], axis=1)
    shapes = {node.name: (len(answers), *network.answer_shape(node.name)) for node in network.readouts}
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def _recorded(path: Path, kind: Any, network: IntegerNetwork, written: tuple[int, int]) -> dict[str, Array]:
    """What was written image by image, step by step, layer after layer, as an array [T, B, H, W, C] of each LIF."""
    shapes = {node.name: network.shape(node.name) for node in network.of(IntLIF)}
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    parts = np.split(np.fromfile(path, kind).reshape(*written, sum(sizes)), np.cumsum(sizes)[:-1], axis=2)
    return {
        name: np.ascontiguousarray(part.reshape(*written, *shape).swapaxes(0, 1))
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }
