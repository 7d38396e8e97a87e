"""What a search for formats finds: evaluations as files, candidates, their front and the choice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qpsnn_core.common.errors import FormatError, Unquoted, expected
from qpsnn_core.local_learning.decolle_formats import DecolleFormats
from qpsnn_core.local_learning.exploration import choose, pareto
from qpsnn_core.local_learning.formats import NeuronFormats, NumberFormats
from qpsnn_core.local_learning.plain_form import NONE, from_plain


class Evaluation(NamedTuple):
    """A network in some formats. samples: that it learnt from. memory: of float32's (Eq. 6). saturated: as LocalScore.

    loss: of accuracy, against the float32 network that learnt from the same samples. formats: as JSON data.
    """

    scheme: str
    rounding: str
    formats: dict[str, Any]
    samples: int
    accuracy: float
    loss: float
    memory: float
    memory_bits: int
    saturated: tuple[int, ...]
    minutes: float

    @property
    def title(self) -> str:
        """As `name_of` its formats."""
        return name_of(formats_of(self.formats))


class Found(NamedTuple):
    """All that was evaluated; those within the target; their front; the one with the highest reward, or None."""

    baseline: float
    evaluations: tuple[Evaluation, ...]
    candidates: tuple[Evaluation, ...]
    front: tuple[Evaluation, ...]
    chosen: Evaluation | None


class Measure(NamedTuple):
    """A network's accuracy, its memory and that of its float32 form, and how often variables left their ranges."""

    accuracy: float
    memory_bits: int
    float32_bits: int
    saturated: tuple[int, ...]


def formats_of(plain: Mapping[str, Any]) -> NumberFormats | DecolleFormats:
    """The formats of an evaluation."""
    neurons = plain["neurons"]
    if plain["weights"] == NONE or not isinstance(neurons, Mapping) or "threshold" in neurons:
        return from_plain(plain, NumberFormats)
    return from_plain(plain, DecolleFormats)


def name_of(formats: NumberFormats | DecolleFormats) -> str:
    """W(X)-N(Y) of the paper; Y has the formats of V and Vth where their fractions differ."""
    n = formats.neurons
    if not isinstance(n, NeuronFormats) or n.membrane.fraction == n.threshold.fraction:
        return str(formats)
    return f"W({formats.weights or 'FP32'})-N({n.membrane}, {n.threshold})"


def within(loss: float, target: float) -> bool:
    """Whether a loss of accuracy is at most the target; both may be rounded in their last bits."""
    return loss <= target + 1e-12


def key_of(depends: Mapping[str, Any]) -> str:
    """The SHA-256 of what an evaluation depends on: the name of its file."""
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()


def read_json(path: Path) -> Any:
    """FormatError where it is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: not a file of a search: {error}") from error


def read_evaluation(path: Path, depends: Mapping[str, Any] | None = None) -> Evaluation:
    """One file of a search; FormatError where it is damaged or of something else."""
    found = read_json(path)
    try:
        if depends is not None and found["depends"] != depends:
            raise FormatError(expected(str(path), "what its name says", Unquoted("another evaluation")))
        result = dict(found["result"])
        return Evaluation(**{**result, "saturated": tuple(result["saturated"])})
    except (LookupError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: not an evaluation: {error}") from error


def select(
    baseline: float, samples: int, evaluations: Sequence[Evaluation], target: float, mu: float, memory: float
) -> Found:
    """The candidates within the target and the memory, their front and the choice; samples: of the training part."""
    fit = [one for one in evaluations if within(one.loss, target) and one.memory <= memory]
    whole = [one for one in fit if one.samples == samples] or fit
    return Found(baseline, tuple(evaluations), tuple(fit), tuple(pareto(whole)), choose(whole, mu))


def as_json(found: Found) -> dict[str, Any]:
    """All of it as JSON data, with the number of evaluations."""

    def plain(one: Evaluation | None) -> dict[str, Any] | None:
        return None if one is None else {"title": one.title, **one._asdict()}

    lists = {name: [plain(one) for one in getattr(found, name)] for name in ("candidates", "front", "evaluations")}
    return {"baseline": found.baseline, "count": len(found.evaluations), "chosen": plain(found.chosen), **lists}
