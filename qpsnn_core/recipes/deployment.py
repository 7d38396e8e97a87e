"""The tables [simulate] and [export] of a recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qpsnn_core.common.validation import check, check_choice, least, place, typed

FORMATS = ("c", "nir", "netx")


@dataclass(frozen=True)
class SimulateConfig:
    """On what the integer network runs, each compared with the exact simulator spike for spike.

    backends: "c", "lava", "exact", or another that is registered. images: at most so many test images, 0 for all.
    """

    backends: tuple[str, ...]
    images: int = 100

    def __post_init__(self) -> None:
        typed(self)
        listed = isinstance(self.backends, tuple) and all(isinstance(one, str) for one in self.backends)
        check(self, "backends", listed and bool(self.backends), 'names of backends, such as ["c", "lava"]')
        check(self, "backends", len(set(self.backends)) == len(self.backends), "each backend once")
        least(self, images=0)


@dataclass(frozen=True)
class ExportConfig:
    """In which forms the network is written for other machines, as `qpsnn export` does it.

    formats: of FORMATS. name: what the functions of the C begin with. vectors: test images that the C is checked with.
    host_first: of NetX, the first layer is left to the host. exact: of NIR, the integers as they are; false: the
    trained network for simulators in floating point. dt: of NIR, the time step, 0: 1 if exact, else 1e-4.
    """

    formats: tuple[str, ...]
    name: str = "network"
    vectors: int = 100
    host_first: bool = False
    exact: bool = False
    dt: float = 0.0

    def __post_init__(self) -> None:
        typed(self)
        listed = isinstance(self.formats, tuple) and bool(self.formats)
        check(self, "formats", listed, f"some of {', '.join(FORMATS)}")
        for index, one in enumerate(self.formats):
            check_choice(f"{place(self, 'formats')}[{index}]", one, FORMATS)
        check(self, "formats", len(set(self.formats)) == len(self.formats), "each format once")
        least(self, vectors=1)
        check(self, "dt", 0 <= self.dt < math.inf, "a number of at least 0")
