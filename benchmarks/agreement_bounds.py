"""How far a peer's network may be from ours, by the precision of its form."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.contestants import AUTOCAST, FLOAT32


class Bounds(NamedTuple):
    """What may differ. spikes: the share of a layer's; logits: of the largest logit; norm, largest: of a weight
    gradient, as a share of its own norm and of its own largest entry."""

    spikes: float
    logits: float
    norm: float
    largest: float


BOUNDS = {FLOAT32: Bounds(1e-4, 1e-4, 1e-2, 5e-1), AUTOCAST: Bounds(1e-2, 1e-2, 2e-1, 1.0)}
"""By the precision of a peer's form.

Float32: rounding moves a membrane by 1e-6 or so; measured are 0 to 4e-5 of the spikes. Of a weight gradient the norm
decides: a wrong formula (a reset detached, another surrogate's width) costs 0.1 of it and more. A single entry may move
by more where one spike that differs reset a membrane (0.17 was seen in ResNet20, where our gradients agreed to 1e-4
with those of the engine's first kernels).

Autocast: bfloat16 has 8 bits of mantissa and rounds by up to 2^-9 = 2e-3 of a number; weights, sums, membranes and the
gradients that go back are all rounded. Measured are 0.1 to 0.3% of the spikes, 0.2 to 0.4% of the largest logit, and 1
to 9% of a gradient's norm, most in the deepest networks; the bounds are two to four times that. They are too wide to
find a wrong formula: the same modules are held to the float32 bounds in the float32 form."""
