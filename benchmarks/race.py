"""One case, all contestants: the peers' best forms are found, of each precision, then all take turns."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

from benchmarks import contestants, measure
from benchmarks.contestants import OURS, PRECISIONS, Run, precision
from benchmarks.measure import Effort
from benchmarks.networks import Case
from benchmarks.results import AGAINST, RIVAL, of_kind

GROUPS = {"train": ("train",), "inference": ("infer_integer", "infer_float")}
"""Works that are timed in turns with one another."""

TRIAL = Effort(0.5, 2, 5)
CLOCKS = {perf_counter: "wall", process_time: "processor"}
Told = Callable[[str], None]
Clock = Callable[[], float]
Forms = dict[str, tuple[str, ...]]
Entries = dict[Run, dict[str, float]]
"""Who takes part, and the seconds that each form took when it was tried."""


def best_forms(
    case: Case, work: str, names: tuple[str, ...], forms: Forms, tell: Told, clock: Clock = perf_counter
) -> Entries:
    """Each peer's run in its fastest form of each precision, by a few repeats of each; qpsnn in all its forms."""
    chosen: Entries = {}
    for name in names:
        if name == OURS:
            chosen |= {run: {} for run in contestants.runs(name, work, case, ())}
            continue
        for kind in PRECISIONS:
            wanted = [form for form in forms.get(name, ()) if precision(form) == kind]
            tried = [run for form in wanted for run in contestants.runs(name, work, case, (form,))]
            times = {
                run: min(measure.alternate({run: run.call}, TRIAL, clock=clock)[run]) for run in tried if len(tried) > 1
            }
            if times:
                said = ", ".join(f"{run.form} {time * 1e3:.1f} ms" for run, time in times.items())
                tell(f"  {name}, {work}: {said}")
                tried = [min(times, key=times.__getitem__)]
            chosen |= {run: {one.form: time for one, time in times.items()} for run in tried}
    return chosen


def race(case: Case, runs: Entries, threads: int, effort: Effort, clock: Clock = perf_counter) -> list[dict[str, Any]]:
    """A record of each run: minimum and median; of ours also the ratios to the fastest peer's, by its precision."""
    peers = any(run.contestant != OURS for run in runs)
    contestants.set_threads(threads, peers)
    times = measure.alternate({run: run.call for run in runs}, effort, clock=clock)
    records = []
    for run, tried in runs.items():
        own = sorted(times[run])
        record = {
            "network": case.name,
            "T": case.steps,
            "work": run.work,
            "threads": threads,
            "clock": CLOCKS[clock],
            "contestant": run.contestant,
            "min_s": own[0],
            "median_s": own[len(own) // 2],
            "repeats": len(own),
            "form": run.form,
            "tried_s": tried,
            "batch": len(case.images),
            "rate": case.rate if run.work == "train" else case.resting,
        }
        if run.contestant == OURS:
            record["ratios"] = {}
            for against in AGAINST:
                rivals = [one for one in runs if one.contestant != OURS and one.work == RIVAL[run.work]]
                counted = [times[one] for one in rivals if of_kind(one.form, against)]
                if counted:
                    record["ratios"][against] = measure.ratio(min(counted, key=min), times[run])._asdict()
        records.append(record)
    return records
