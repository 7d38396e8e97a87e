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
Forms = dict[str, tuple[str, ...]]
Entries = dict[Run, dict[str, float]]
"""Who takes part, and the seconds that each form took when it was tried."""


def best_forms(case: Case, work: str, names: tuple[str, ...], forms: Forms, tell: Told) -> Entries:
    """Each contestant's run in its fastest form, by a few repeats of each."""
    chosen = {}
    for name in names:
        tried = [run for form in forms.get(name, ("",)) for run in contestants.runs(name, work, case, (form,))]
        times = {run: min(measure.alternate({run: run.call}, TRIAL)[run]) for run in tried if len(tried) > 1}
        if times:
            tell(f"  {name}, {work}: " + ", ".join(f"{run.form} {time * 1e3:.1f} ms" for run, time in times.items()))
            tried = [min(times, key=times.__getitem__)]
        chosen |= {run: {one.form: time for one, time in times.items()} for run in tried}
    return chosen


def race(case: Case, runs: Entries, threads: int, effort: Effort) -> list[dict[str, Any]]:
    """A record of each run: minimum and median; of ours also the ratio to the fastest peer's."""
    peers = any(run.contestant != OURS for run in runs)
    contestants.set_threads(threads, peers)
    times = measure.alternate({run: run.call for run in runs}, effort)
    records = []
    for run, tried in runs.items():
        own = sorted(times[run])
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
            "tried_s": tried,
            "batch": len(case.images),
            "rate": case.rate if run.work == "train" else case.resting,
        }
        rivals = [times[one] for one in runs if one.contestant != OURS and one.work == RIVAL[run.work]]
        if run.contestant == OURS and rivals:
            record["ratio"] = measure.ratio(min(rivals, key=min), times[run])._asdict()
        records.append(record)
    return records
