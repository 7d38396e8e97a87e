"""Table 5 of the QP-SNN paper (appendix B): the sizes of its detector, of the backbone alone and in all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from qpsnn_core.compression.channels.rates import kept_count
from qpsnn_core.network.cost import cost
from qpsnn_core.network.graph import Network
from qpsnn_core.network.zoo.detector import BACKBONE, DETECTOR, detector
from qpsnn_core.quantization.formats import FULL_PRECISION, Quantizer

CLASSES = 10
"""Of NWPU VHR-10, the first of the paper's two sets."""

RATE = 0.13
"""Of the channels in the middle of the backbone's blocks: with no other rate of theirs is the size the printed one."""

SIDE = 640

MIDDLES = (1, 3, 5, 7)
"""Where the channels in the middle of the backbone's blocks stand in DETECTOR."""

PRINTED: Mapping[tuple[int, float], float] = {(FULL_PRECISION, 0.0): 19.29, (4, RATE): 2.15}
"""By bits and rate, in 10**6 bytes; both sets have the same."""


class DetectorSize(NamedTuple):
    """One row. rate: of the channels that are pruned. parameters, size_mb (Eq. 16), saved_mb (the integer network).

    printed_mb: the paper's, of the backbone; None where it prints nothing. part: "backbone" or "whole".
    """

    part: str
    bits: int
    rate: float
    parameters: int
    size_mb: float
    printed_mb: float | None
    saved_mb: float


def pruned_widths(rate: float) -> tuple[int, ...]:
    """DETECTOR's channels, with this share of those in the middle of the backbone's blocks removed."""
    return tuple(kept_count(width, rate) if place in MIDDLES else width for place, width in enumerate(DETECTOR))


def sizes() -> Iterator[DetectorSize]:
    """At 32 bits, at 4 bits, and at 4 bits pruned, of both parts; the first convolution in floating point, as there."""
    for part in ("backbone", "whole"):
        for bits, rate in ((FULL_PRECISION, 0.0), (4, 0.0), (4, RATE)):
            yield _size(part, bits, rate)


def _size(part: str, bits: int, rate: float) -> DetectorSize:
    quantizer = None if bits == FULL_PRECISION else Quantizer(bits, "mean")
    made, deployed = (_built(rate, quantizer, ends) for ends in ("float", "integer"))
    rows, saved = ([one for one in cost(network).nodes if _counts(part, one.name)] for network in (made, deployed))
    parameters = sum(one.quantized + one.real for one in rows)
    printed = PRINTED.get((bits, rate)) if part == "backbone" else None
    figures = sum(one.bits for one in rows) / 8e6, printed, sum(one.saved_bits for one in saved) / 8e6
    return DetectorSize(part, bits, rate, parameters, *figures)


def _built(rate: float, quantizer: Quantizer | None, ends: str) -> Network:
    shape = (SIDE, SIDE, 3)
    return detector(shape, CLASSES, widths=pruned_widths(rate), quantizer=quantizer, ends=ends)


def _counts(part: str, name: str) -> bool:
    return part == "whole" or name.partition(".")[0] in BACKBONE
