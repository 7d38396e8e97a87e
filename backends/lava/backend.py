"""Runs an integer network on Intel's Lava simulator, all samples one after another in one run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, get_args

import numpy as np
import numpy.typing as npt

from qpsnn_backends.lava import limits, stock
from qpsnn_backends.lava.job import Job, Progress
from qpsnn_backends.lava.plan import plan, to_lava
from qpsnn_backends.lava.planner import LavaPlan
from qpsnn_backends.lava.wiring import LavaProcessSpec, Wiring
from qpsnn_core.common.errors import ConfigError, UnsupportedError, expected
from qpsnn_core.common.input_range import image_type
from qpsnn_core.integer.backends import Record, Run
from qpsnn_core.integer.dead import warn_dead_integers
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.simulate import integer_images


@dataclass(frozen=True)
class LavaBackend:
    """The network as Lava processes: Lava's own Conv and Dense as synapses, ours as neurons, in a process of its own.

    timeout: seconds that one run may take, starting Lava included.
    stock_conv: let Lava's own model compute the convolutions; equal results, up to hundreds of times slower.
    stock: Lava's own LIF, Conv and Dense compute everything but the readout's sum over T: a chain of layers with leaks
        of 1/2, its integers scaled by 2**(T-1); the same spikes and readout, no membranes, or refused with figures.
    progress: called with (images done, images) while it runs.
    """

    timeout: float = 300.0
    stock_conv: bool = False
    stock: bool = False
    progress: Progress | None = None
    name: ClassVar[str] = "lava"

    def check(self, network: IntegerNetwork) -> None:
        """Raises UnsupportedError, with figures, where Lava or this machine cannot run the network."""
        self._plan(network)

    def _plan(self, network: IntegerNetwork, spikes: bool = True) -> LavaPlan:
        limits.check_installed()
        planned = stock.plan(network, spikes) if self.stock else plan(network)
        if self.stock_conv or self.stock:
            limits.check_stock_conv(network)
        limits.check_wiring(planned.wiring)
        return planned

    def run(self, network: IntegerNetwork, images: npt.NDArray[Any], record: Record = "spikes") -> Run:
        """Run the images, [B, H, W, C] or frames [T, B, H, W, C], and return what was asked for.

        record: "none", "spikes" of all LIF, or "all" their spikes and membranes.
        Raises before anything starts: ShapeError, DataError, NumericsError (images), ConfigError (record),
        UnsupportedError; then BackendTimeout, or BackendError with the child's traceback.
        """
        if record not in get_args(Record):
            raise ConfigError(expected("record", f"one of {', '.join(get_args(Record))}", record))
        images = integer_images(network, images)
        images = images.astype(image_type(network.input.low, network.input.peak), copy=False)
        if self.stock and record == "all":
            want = "'none' or 'spikes' (Lava's own LIF tells no membranes)"
            raise UnsupportedError(expected("lava: stock: record", want, record))
        planned = self._plan(network, record != "none")
        warn_dead_integers("lava", network)
        wiring = replace(
            planned.wiring,
            samples=images.shape[-4],
            spikes=record != "none",
            membranes=record == "all",
            stock_conv=self.stock_conv,
        )
        limits.check_disk(wiring, planned.arrays, images.nbytes)
        with Job(self.timeout) as job:
            job.run(wiring, planned.arrays, to_lava(images), self.progress)
            readouts = {one.name: answered(job, one, network, wiring.samples) for one in wiring.readouts}
            lifs = wiring.of("lif")
            spikes = {lif.name: recorded(job, lif, wiring, "spikes", "uint8") for lif in lifs if wiring.spikes}
            membranes = {lif.name: recorded(job, lif, wiring, "membranes", "int32") for lif in lifs if wiring.membranes}
        return Run(readouts, spikes, membranes)


def answered(job: Job, readout: LavaProcessSpec, network: IntegerNetwork, samples: int) -> npt.NDArray[Any]:
    """What a readout wrote, [B, K] or [B, H, W, K]."""
    return job.result(f"{readout.name}.readout", "int64", (samples, *network.answer_shape(readout.name)))


def recorded(job: Job, lif: LavaProcessSpec, wiring: Wiring, what: str, dtype: str) -> npt.NDArray[Any]:
    """What a LIF wrote, [T, B, H, W, C]."""
    written = job.result(f"{lif.name}.{what}", dtype, (wiring.samples, wiring.steps, *lif.inputs))
    return np.ascontiguousarray(written.transpose(1, 0, 3, 2, 4))
