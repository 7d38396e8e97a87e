"""What lowering changed: roundings, signs, channels that can never fire; as figures, as JSON, as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.text_table import aligned
from qpsnn_core.network.ordered_graph import only


@dataclass(frozen=True)
class SynapseReport:
    """A Conv or Linear: bits of its codes, channels whose sign was flipped, and whether its weights were real."""

    name: str
    bits: int
    flipped: int
    rounded: bool


@dataclass(frozen=True, eq=False)
class NeuronReport:
    """A LIF.

    fraction_bits: the fewest and the most of any channel, those in `coarse` left out. leak: (multiplier, shift).
    gain, bias, threshold: the largest rounding of each, as a share of the threshold (the gain's at the largest count).
    unit: U_real = U_int * unit. margin: given the same inputs and the same spikes so far, U_int * unit is this near to
    the U~ of training, whose float32 roundings are counted, and trained and integer neurons fire differently only where
    U~ is this near to the threshold. Both float64 [C]; `rounding` is the largest margin of a channel that can fire, as
    a share of the threshold, and `float32` that part of it that training's own roundings are.
    exact: bool [C], where trained and integer neurons fire alike for certain: there the margin is 0.
    dead: channels that can never fire; firing: those that fire at every step; coarse: those whose weights are so weak
    beside threshold and bias that their unit comes from these.
    """

    name: str
    beta: float
    leak: tuple[int, int]
    fraction_bits: tuple[int, int]
    gain: float
    bias: float
    threshold: float
    rounding: float
    float32: float
    unit: npt.NDArray[np.float64]
    margin: npt.NDArray[np.float64]
    exact: npt.NDArray[np.bool_]
    dead: tuple[int, ...]
    firing: tuple[int, ...]
    coarse: tuple[int, ...]

    @property
    def beta_rounding(self) -> float:
        """By how much the integer leak differs from beta."""
        multiplier, shift = self.leak
        return abs(self.beta - multiplier / float(1 << shift))


@dataclass(frozen=True)
class ReadoutReport:
    """The readout: its fraction bits (-1: its weights are too weak for any), and how far a logit can be off."""

    name: str
    fraction_bits: int
    rounding: float


@dataclass(frozen=True)
class LoweringReport:
    """What lowering changed, node by node; `fraction_bits` is what was asked for."""

    fraction_bits: int
    synapses: tuple[SynapseReport, ...]
    neurons: tuple[NeuronReport, ...]
    readouts: tuple[ReadoutReport, ...]

    def __repr__(self) -> str:
        """Its size; `str` gives all of it."""
        layers = f"{len(self.synapses)} synapses, {len(self.neurons)} LIF"
        return f"LoweringReport({self.fraction_bits} fraction bits, {layers})"

    @property
    def readout(self) -> ReadoutReport:
        """The only one. Raises NetworkError where there are several."""
        return only({part.name: part for part in self.readouts})

    def __getitem__(self, name: str) -> SynapseReport | NeuronReport | ReadoutReport:
        parts: tuple[SynapseReport | NeuronReport | ReadoutReport, ...]
        parts = (*self.synapses, *self.neurons, *self.readouts)
        return {part.name: part for part in parts}[name]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; of `unit` and `margin`, the range."""
        ends = [asdict(part) for part in self.readouts]
        return {
            "fraction_bits": self.fraction_bits,
            "synapses": {
                part.name: {"bits": part.bits, "flipped": part.flipped, "rounded": part.rounded}
                for part in self.synapses
            },
            "neurons": {part.name: _neuron(part) for part in self.neurons},
            **({"readout": ends[0]} if len(ends) == 1 else {"readouts": ends}),
        }

    def __str__(self) -> str:
        rows = [["neuron", "fraction bits", "gain", "bias", "threshold", "margin", "never fire", "always fire"]]
        for part in self.neurons:
            least, most = part.fraction_bits
            bits = f"{most}" if least == most else f"{least} to {most}"
            figures = (f"{100 * x:.3g}%" for x in (part.gain, part.bias, part.threshold, part.rounding))
            rows.append([part.name, bits, *figures, f"{len(part.dead)}", f"{len(part.firing)}"])
        return "\n".join([*aligned(rows), *self._remarks()])

    def _remarks(self) -> Iterator[str]:
        yield "Roundings are the largest of any channel, as a share of the threshold."
        if any(part.float32 for part in self.neurons):
            most = max(part.float32 for part in self.neurons)
            yield f"Margins count the float32 arithmetic of training, at most {100 * most:.2g}%."
        for readout in self.readouts:
            yield f"{readout.name}: {_digits(readout.fraction_bits)}, logits off by at most {readout.rounding:.2g}"
        for synapse in self.synapses:
            if synapse.flipped:
                yield f"{synapse.name}: codes changed sign in {synapse.flipped} channels (negative batch-norm scale)"
            if synapse.rounded:
                yield (
                    f"{synapse.name}: weights trained in floating point are now {synapse.bits}-bit codes; "
                    "trained and integer spikes will differ"
                )
        for part in self.neurons:
            if part.exact.any():
                some = "" if part.exact.all() else f"{part.exact.sum()} of {len(part.exact)} channels "
                yield f"{part.name}: {some}exact: trained and integer neurons fire alike on the same inputs"
            if part.beta_rounding:
                multiplier, shift = part.leak
                yield f"{part.name}: beta {part.beta} is {multiplier}/{2**shift}, off by {part.beta_rounding:.2g}"
            fewer = part.fraction_bits[0] < self.fraction_bits and not part.exact.all()
            if fewer and len(part.coarse) < len(part.unit):
                yield f"{part.name}: {_digits(part.fraction_bits[0])} in some channels, so that all fits int32"
            if len(part.dead) == len(part.unit):
                yield f"{part.name}: WARNING: no channel can ever fire"
            if part.coarse:
                yield f"{part.name}: {len(part.coarse)} channels hardly depend on their input"


def _digits(bits: int) -> str:
    return "no fraction bits" if bits < 1 else f"{bits} fraction bits"


def _neuron(part: NeuronReport) -> dict[str, Any]:
    return {
        "fraction_bits": list(part.fraction_bits),
        "leak": {"beta": part.beta, "multiplier": part.leak[0], "shift": part.leak[1], "rounding": part.beta_rounding},
        "gain": part.gain,
        "bias": part.bias,
        "threshold": part.threshold,
        "rounding": part.rounding,
        "float32": part.float32,
        "exact": bool(part.exact.all()),
        "exact_channels": int(part.exact.sum()),
        "unit": [float(part.unit.min()), float(part.unit.max())],
        "margin": [float(part.margin.min()), float(part.margin.max())],
        "dead": list(part.dead),
        "always_firing": list(part.firing),
        "coarse": list(part.coarse),
    }
