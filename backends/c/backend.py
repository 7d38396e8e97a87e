"""Runs an integer network as the C that an export gives, compiled for this machine."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import numpy.typing as npt

from qpsnn_backends.base import Record, Run
from qpsnn_backends.c.compiler import called, command, compiled
from qpsnn_backends.c.driver import RUN
from qpsnn_backends.c.plan import Plan, plan
from qpsnn_backends.c.source import header, source
from qpsnn_core.errors import ConfigError, expected
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntLIF
from qpsnn_core.integer.simulate import check_images


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

    def run(self, network: IntegerNetwork, images: npt.NDArray[Any], record: Record = "spikes") -> Run:
        """Run the images, [B, H, W, C] or frames [T, B, H, W, C], and return what was asked for.

        record: "none", "spikes" of all LIF, or "all" their spikes and membranes.
        Raises ShapeError, DataError, NumericsError (images), ConfigError (record), UnsupportedError, BackendTimeout,
        or BackendError with what the compiler or the program said.
        """
        if record not in get_args(Record):
            raise ConfigError(expected("record", f"one of {', '.join(get_args(Record))}", record))
        images = check_images(network, images)
        self.check(network)
        planned = plan(network)
        watched = record != "none" and bool(planned.neurons)
        with tempfile.TemporaryDirectory(prefix="qpsnn-c-") as name:
            folder = Path(name)
            (folder / "network.h").write_text(header(planned, "network"), encoding="ascii")
            (folder / "network.c").write_text(source(planned, "network"), encoding="ascii")
            (folder / "run.c").write_text(RUN, encoding="ascii")
            flags = (*self.flags, "-DNETWORK_OBSERVE") if watched else self.flags
            program = compiled(folder, ("network.c", "run.c"), flags, self.compiler, self.timeout)
            inputs = frames_of(images, planned)
            inputs.tofile(folder / "inputs")
            files = ["spikes" if watched else "-", "membranes" if watched and record == "all" else "-"]
            words = [str(program), "inputs", *map(str, inputs.shape[:2]), "readouts", *files]
            called(words, folder, self.timeout, "program")
            readout = np.fromfile(folder / "readouts", np.int64).reshape(len(inputs), -1)
            spikes = _recorded(folder / "spikes", np.uint8, network, len(inputs)) if watched else {}
            moved = _recorded(folder / "membranes", np.int32, network, len(inputs)) if record == "all" else {}
        return Run(readout, spikes, moved)


def frames_of(images: npt.NDArray[Any], planned: Plan) -> npt.NDArray[Any]:
    """Images [B, 1, H, W, C] or frames [B, T, H, W, C], in the type of the C input."""
    kind = np.uint8 if planned.input.kind == "u8" else np.uint16
    frames = images[:, None] if images.ndim == 4 else images.swapaxes(0, 1)
    return np.ascontiguousarray(frames, kind)


def _recorded(path: Path, kind: Any, network: IntegerNetwork, count: int) -> dict[str, Any]:
    """What was written step by step, layer after layer, as an array [T, B, H, W, C] of each LIF."""
    lifs = [node.name for node in network.of(IntLIF)]
    shapes = {name: network.shape(name) for name in lifs}
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    if not sizes:
        return {}
    written = np.fromfile(path, kind).reshape(count, network.steps, sum(sizes))
    parts = np.split(written, np.cumsum(sizes)[:-1], axis=2)
    return {
        name: np.ascontiguousarray(part.reshape(count, network.steps, *shape).swapaxes(0, 1))
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }
