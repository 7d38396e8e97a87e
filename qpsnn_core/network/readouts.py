"""The Readout: how currents, or spikes, of one pixel become logits and an answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from qpsnn_core.common.errors import ConfigError, ShapeError, expected
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.serialization import ADDED_LATER
from qpsnn_core.common.validation import check_choice, check_name, check_number
from qpsnn_core.network.leak import Unsaid, leak_of
from qpsnn_core.network.values import ValueSpec, check_kind

MODES = ("mean", "last", "max")
READ_PLACES = ("one", "each")


@dataclass(frozen=True)
class Readout:
    """`U[t] = beta*U[t-1] + X[t]`, which never fires; the network's answer is the `mode` of U over T: of a class.

    mode: "mean"; "last", U[T]; "max", the largest U[t] (Cramer et al., IEEE TNNLS 2022, train both on spike trains).
    beta: the leak, 0 to 1, or `tau` as of a LIF. None, for "mean" alone, is 0: the logits are the currents. Spikes as X
    are counted: their mean, without a leak; the class that fires most is the answer. Of equal classes, the lowest is.
    Logits are U [T, B, K] for "mean", else the chosen [1, B, K]. places: "one", what is read is a map of one pixel;
    "each": logits of every place of a map, [T or 1, B, H, W, K], as a detector's.
    """

    name: str
    source: str
    mode: str = field(default="mean", metadata=ADDED_LATER)
    beta: float | None = field(default=None, metadata=ADDED_LATER)
    tau: float | None = field(default=None, metadata=ADDED_LATER)
    places: str = field(default="one", metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        check_choice(f"{self.name}.mode", self.mode, MODES)
        check_choice(f"{self.name}.places", self.places, READ_PLACES)
        if self.tau is not None:
            given = Unsaid(0.0) if self.beta is None else self.beta
            object.__setattr__(self, "beta", leak_of(self.name, given, self.tau))
            object.__setattr__(self, "tau", None)
        if self.beta is None and self.mode != "mean":
            want = f"a leak for mode={self.mode!r} (beta from 0 to 1, 1: the sum so far; or tau)"
            raise ConfigError(expected(f"{self.name}.beta", want, None))
        if self.beta is not None:
            check_number(f"{self.name}.beta", self.beta, "a number from 0 to 1", lambda beta: 0 <= beta <= 1)

    @property
    def sources(self) -> tuple[str, ...]:
        """The one value it reads."""
        return (self.source,)

    @property
    def leak(self) -> float:
        """beta, with None read as 0."""
        return self.beta or 0.0

    def output(self, value: ValueSpec) -> ValueSpec:
        """Logits of shape (1, 1, classes), or (H, W, classes)."""
        check_kind(self.name, self.source, value, "current", "spikes")
        if value.shape[:2] != (1, 1) and self.places == "one":
            raise ShapeError(expected(f"{self.name} (from {self.source})", "a shape (1, 1, classes)", value.shape))
        if value.kind == "spikes":
            for label, found, plain in (("mode", self.mode, "mean"), ("beta", self.beta, None)):
                if found != plain:
                    want = f"{plain!r} for spikes, which are counted (a membrane reads a current: Linear's)"
                    raise ConfigError(expected(f"{self.name}.{label}", want, found))
        return ValueSpec("analog", value.shape)
