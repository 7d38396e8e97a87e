"""What is wanted of the speed, by kind of processor, and what a run has reached of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks import processor
from benchmarks.contestants import AUTOCAST, EXACT, FLOAT32, NATIVE, OURS
from benchmarks.measure import geometric_mean
from benchmarks.results import BETTER, BUSY, default_form, memory_ratios, our_forms, ratios, scaling

STEPS = 4
"""T of the targets."""

FLOOR = 0.6
"""No network may be below this share of a target of speed."""

ONE_PART = f"{NATIVE}, one part"
"""The form of qpsnn (contestants.FORMS) whose gradients take one bf16 part; NATIVE takes three where it has tiles."""

ONE_THREAD = "one thread"


class Target(NamedTuple):
    """At least `least` times better than `against`, in the geometric mean over the networks; better `aim` times.

    form: of qpsnn; None: whichever was measured. floor: whether each network must reach FLOOR of it.
    """

    figure: str
    form: str | None
    against: str
    least: float
    aim: float | None = None
    floor: bool = True


SPEED = {
    True: (
        Target("train", NATIVE, FLOAT32, 4.0),
        Target("train", NATIVE, AUTOCAST, 1.7),
        Target("train", ONE_PART, FLOAT32, 5.0, 6.0),
        Target("train", ONE_PART, AUTOCAST, 2.1, 2.5),
        Target("infer_integer", EXACT, FLOAT32, 10.0, 12.0),
        Target("infer_integer", EXACT, AUTOCAST, 3.0, 4.0),
    ),
    False: (Target("train", NATIVE, BETTER, 4.0), Target("infer_integer", EXACT, BETTER, 9.0)),
}
"""On one thread, by whether the processor has tiles (AMX)."""

EVERYWHERE = (
    Target("memory", None, FLOAT32, 8.0, floor=False),
    Target("threads2", None, ONE_THREAD, 1.7, floor=False),
)

SECONDS = {"import_s": (0.5, 0.2), "first_warm_s": (3.0, 1.0), "first_cold_cpu_s": (40.0, 15.0)}
"""At most, and the aim."""


class Reached(NamedTuple):
    """The geometric mean, the form of qpsnn that was measured, and the worst network. `of`: how many networks."""

    value: float
    form: str
    network: str
    worst: float
    of: int


def of(kind: processor.Kind) -> tuple[Target, ...]:
    """The targets on a processor."""
    return (*SPEED[processor.tiles(kind)], *EVERYWHERE)


def reached(results: dict[str, Any], target: Target) -> Reached | None:
    """What the run has of it, at T = 4; None if it did not measure that, or two threads on a busy machine.

    A target of the native arithmetic is compared with the default's figure while qpsnn has one arithmetic only.
    """
    records, form = results["records"], ""
    if target.figure == "memory":
        found = memory_ratios(results["memory"], target.against)
    elif target.figure == "threads2":
        found = scaling(results) if results["machine"].get("others", 0.0) <= BUSY else {}
    else:
        forms = our_forms(records, target.figure)
        form = target.form if target.form in forms else ""
        if not form and target.form in (NATIVE, EXACT):
            form = default_form(records, target.figure) if len(forms) == 1 else ""
        found = ratios(records, target.figure, target.against, form) if form else {}
    values = {network: value for (network, steps), value in found.items() if steps == STEPS}
    mean = geometric_mean(list(values.values()))
    if mean is None:
        return None
    worst = min(values, key=values.__getitem__)
    return Reached(mean, form, worst, values[worst], len(values))


def short_of(results: dict[str, Any]) -> list[str]:
    """A line for each target that the run measured and missed, and for each network below its floor."""
    missed = []
    for target in of(results["machine"]):
        found = reached(results, target)
        if found is None:
            continue
        name = f"{target.figure}, against {target.against}" + (f" ({found.form})" if found.form else "")
        if found.value < target.least:
            missed.append(f"{name}: {found.value:.3g}x, expected {target.least:g}x")
        if target.floor and found.worst < FLOOR * target.least:
            missed.append(f"{name}, {found.network}: {found.worst:.3g}x, expected {FLOOR * target.least:.3g}x")
    for figure, (most, _) in SECONDS.items():
        value = seconds(results, figure)
        if value is not None and value > most:
            missed.append(f"{figure}: {value:.3g} s, expected at most {most:g} s")
    return missed


def seconds(results: dict[str, Any], name: str) -> float | None:
    """A figure of SECONDS, of qpsnn."""
    if name == "import_s":
        return next((one["min_s"] for one in results["import_s"] if one["contestant"] == OURS), None)
    cache, key = ("cold", "cpu_s") if "cold" in name else ("warm", "wall_s")
    steps = results["first_step_s"]
    return next((one[key] for one in steps if (one["contestant"], one["cache"]) == (OURS, cache)), None)
