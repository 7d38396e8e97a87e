"""One case, all contestants: their best forms are found, then they take turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks import contestants, measure
from benchmarks.contestants import OURS, Run
from benchmarks.measure import Effort
from benchmarks.networks import Case
from benchmarks.results import RIVAL

GROUPS = {"train": ("train",), "inference": ("infer_integer", "infer_float")}
"""Works that are timed in turns with one another."""

TRIAL = Effort(0.5, 2, 5)
Told = Callable[[str], None]


def best_forms(
    case: Case, work: str, names: tuple[str, ...], forms: dict[str, tuple[str, ...]], tell: Told
) -> list[Run]:
    """Each contestant's run in its fastest form, by a few repeats of each."""
    chosen = []
    for name in names:
        found: list[tuple[float, Run]] = []
        for form in forms.get(name, ("",)):
            for run in contestants.runs(name, work, case, (form,)):
                (times,) = measure.alternate(
                    {0: run.call}, TRIAL if len(forms.get(name, "")) > 1 else Effort(0, 1, 1)
                ).values()
                found.append((min(times), run))
        if len(found) > 1:
            tell(f"  {name}, {work}: " + ", ".join(f"{run.form} {time * 1e3:.1f} ms" for time, run in found))
        chosen += [min(found, key=lambda one: one[0])[1]] if found else []
    return chosen


def race(case: Case, runs: list[Run], threads: int, effort: Effort) -> list[dict[str, Any]]:
    """A record of each run: minimum and median, and for ours the ratio to the fastest peer's."""
    contestants.set_threads(threads, peers=any(run.contestant != OURS for run in runs))
    times = measure.alternate({(run.contestant, run.work): run.call for run in runs}, effort)
    records = []
    for run in runs:
        own = sorted(times[run.contestant, run.work])
        record = {
            "network": case.name,
            "T": case.steps,
            "work": run.work,
            "threads": threads,
            "contestant": run.contestant,
            "min_s": own[0],
            "median_s": own[len(own) // 2],
            "repeats": len(own),
            "form": run.form,
            "batch": len(case.images),
            "rate": case.rate,
        }
        rivals = [(min(t), t) for (name, work), t in times.items() if name != OURS and work == RIVAL[run.work]]
        if run.contestant == OURS and rivals:
            record["ratio"] = measure.ratio(min(rivals)[1], times[run.contestant, run.work])._asdict()
        records.append(record)
    return records
