"""The command: networks are trained, contestants checked, timed in turns and weighed; then a table, a plot, a file.

python -m benchmarks                                        everything, into build/bench/
python -m benchmarks --networks vgg_small --steps 4 --works train --threads 1 --seconds 5
python -m benchmarks --quick                                one thread, T = 4, in about ten minutes
python -m benchmarks --publish                              everything, into benchmarks/published/, docs and README
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import (
    agreement_runs,
    contestants,
    memory,
    networks,
    plot,
    publish,
    race,
    report,
    results,
    scaling,
    startup,
    targets,
    training,
)
from benchmarks.contestants import OURS, PEERS
from benchmarks.measure import Effort
from benchmarks.options import BUILD, ROOT, Options, arguments, forms, scaled_to


class Bench:
    """A run of the benchmark: what was asked for, and what has been found so far."""

    def __init__(self, asked: Options, console: Console, progress: Progress) -> None:
        self.asked, self.console, self.progress = asked, console, progress
        self.peers = any(name in PEERS for name in asked.contestants)
        self.bar = progress.add_task("benchmark", total=self._total())
        self.began, self.ticks = time.time(), results.ticks()
        self.found: dict[str, Any] = {
            "format": results.FORMAT,
            "command": results.command(sys.argv[1:]),
            "machine": results.machine(),
            "networks": [],
            "agreement": [],
            "records": [],
            "scaling": [],
            "memory": [],
            "import_s": [],
            "first_step_s": [],
        }

    def run(self) -> dict[str, Any]:
        """All of it; what has been found is saved after every case."""
        for name in self.asked.networks:
            kept = training.trained(
                name, lambda: training.images(self.asked.data), self.asked.train_seconds, BUILD / "weights", self.tell
            )
            self.found["networks"].append({"network": name, **kept.note})
            self.advance(f"{name} is trained: {kept.note['updates']} updates on {kept.note['data']}")
            for steps in self.asked.steps:
                size = slice(0, self.asked.batch)
                case = networks.case(name, kept.model, steps, kept.images[size], kept.labels[size])
                self.case(networks.measured(networks.calibrated(case, kept.images)))
        if "startup" in self.asked.parts:
            self.startup()
        self.save()
        return self.found

    def case(self, case: networks.Case) -> None:
        """One network at one T: agreement, times, memory."""
        self.found["networks"][-1][f"rates_T{case.steps}"] = case.rates
        rates = ", ".join(f"{rate:.1%}" for rate in case.rates.values())
        self.tell(f"{case.name}, T={case.steps}: firing {case.rate:.1%} ({rates}), in inference {case.resting:.1%}")
        contestants.set_threads(1, self.peers)
        tried = [
            (name, form)
            for name in self.asked.contestants
            for form in forms(self.asked, "train").get(name, ())
            if contestants.compilation(form) != "compiled"
        ]
        self.found["agreement"] += agreement_runs.check_all(case, tried, BUILD / "weights" / f"{case.name}.npz")
        self.advance(f"{case.name}, T={case.steps}: checked")
        for part in [part for part in race.GROUPS if part in self.asked.parts]:
            self.times(case, part)
        if OURS in self.asked.contestants and "scaling" in self.asked.parts:
            self.scaling(case)
        if "memory" in self.asked.parts:
            self.memory(case)
        self.save()

    def times(self, case: networks.Case, part: str) -> None:
        """Training, or inference, on each number of threads."""
        effort = Effort(self.asked.seconds, 2 if self.asked.quick else 3, self.asked.repeats)
        contestants.set_threads(1, self.peers)
        chosen: race.Entries = {}
        for work in race.GROUPS[part]:
            tried = forms(self.asked, work)
            chosen |= race.best_forms(case, work, self.asked.contestants, tried, self.tell, self.clock(1))
        for threads in self.asked.threads:
            self.advance(f"{case.name}, T={case.steps}: {part}, {threads} thread{'s' * (threads > 1)}", 0)
            records = race.race(case, chosen, threads, effort, self.clock(threads))
            self.found["records"] += records
            for record in records:
                said = "".join(
                    f"  {against}: {ratio['minima']:.2f}x ({ratio['low']:.2f} to {ratio['high']:.2f})"
                    for against, ratio in record.get("ratios", {}).items()
                )
                times = (
                    f"{record['min_s'] * 1e3:9.1f} ms, median {record['median_s'] * 1e3:9.1f} of {record['repeats']}"
                )
                self.tell(
                    f"  {record['contestant']:12} {record['work']:13} {threads} {record['form']:14} {times}{said}"
                )
            self.advance(f"{case.name}, T={case.steps}: {part}")
        if self.peers:
            from benchmarks.contestants import pytorch

            pytorch.forget()

    def clock(self, threads: int) -> race.Clock:
        """Wall time; on one thread of a busy machine, the processor's time of this process."""
        return time.process_time if self.asked.busy and threads == 1 else time.perf_counter

    def scaling(self, case: networks.Case) -> None:
        """Our own training on more threads than one, against one."""
        effort = Effort(self.asked.seconds, 5, self.asked.repeats)
        weights = BUILD / "weights" / f"{case.name}.npz"
        for threads in scaled_to(self.asked):
            one = scaling.scaled(case.name, case.steps, len(case.images), threads, effort, weights)
            self.found["scaling"].append({"network": case.name, "T": case.steps, **one})
            times = f"{one['one_thread_s'] * 1e3:.1f} ms on one thread, {one['min_s'] * 1e3:.1f} ms on {threads}"
            self.tell(f"  qpsnn, train, alone: {times}: {one['one_thread_s'] / one['min_s']:.2f}x")

    def memory(self, case: networks.Case) -> None:
        """The peak of a training step, each contestant in its own process, peers in the thriftiest form of a precision.

        qpsnn is measured in the form that targets name.
        """
        weights = BUILD / "weights" / f"{case.name}.npz"
        for name in self.asked.contestants:
            tried = (contestants.targeted_form(),) if name == OURS else forms(self.asked, "memory")[name]
            sizes = [
                {"form": form, **memory.measure(name, form, case.name, case.steps, len(case.images), weights)}
                for form in tried
            ]
            for kind in contestants.PRECISIONS:
                counted = [size for size in sizes if contestants.precision(size["form"]) == kind]
                if counted:
                    least = min(counted, key=lambda size: size["step_bytes"])
                    self.found["memory"].append({"network": case.name, "T": case.steps, "contestant": name, **least})
            words = ", ".join(f"{s['form']} {s['step_bytes'] / report.MEBI:.0f} MiB".strip() for s in sizes)
            self.tell(f"  {name:12} memory of a step: {words}")
            self.advance(f"{case.name}, T={case.steps}: memory")

    def startup(self) -> None:
        """Import, and first step."""
        for name in self.asked.contestants:
            self.found["import_s"].append(startup.import_seconds(name))
            self.found["first_step_s"] += startup.first_step(name)
            self.advance("start-up")
        for one in [*self.found["import_s"], *self.found["first_step_s"]]:
            self.tell("  " + ", ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{v}" for k, v in one.items()))

    def save(self) -> None:
        """The results as they stand."""
        self.found["machine"].update(results.load_of(self.ticks, results.ticks()))
        self.found["duration_s"] = time.time() - self.began
        self.found["geomean"] = results.geometric_means(self.found)
        results.save(self.found, self.asked.out)

    def tell(self, words: str) -> None:
        """A line above the bar."""
        self.console.print(words, highlight=False, markup=False, soft_wrap=True)
        self.console.file.flush()

    def advance(self, words: str, steps: int = 1) -> None:
        """What is being done now."""
        self.progress.update(self.bar, advance=steps, description=words)

    def _total(self) -> int:
        asked = self.asked
        timed = len(asked.threads) * sum(part in asked.parts for part in race.GROUPS)
        each = 1 + timed + len(asked.contestants) * ("memory" in asked.parts)
        start = len(asked.contestants) * ("startup" in asked.parts)
        return len(asked.networks) * (1 + len(asked.steps) * each) + start


def main() -> None:
    """Run, then show the table; with --publish write the figures that are committed."""
    asked = arguments()
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(BUILD / "inductor"))
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        found = Bench(asked, console, progress).run()
    if found["records"]:
        console.print(report.section(found), markup=False, soft_wrap=True)
        plot.draw(found, asked.out.with_suffix(".png"))
    if asked.publish:
        publish.publish(found, ROOT)
    for line in targets.short_of(found):
        console.print(f"short of its target: {line}", markup=False, soft_wrap=True)
    console.print(f"{asked.out}, after {found['duration_s'] / 60:.1f} minutes", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
