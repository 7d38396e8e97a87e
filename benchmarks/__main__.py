"""The command: networks are trained, contestants checked, timed in turns and weighed; then a table, a plot, a file.

python -m benchmarks                                        everything, into build/bench/
python -m benchmarks --networks vgg_small --steps 4 --works train --threads 1 --seconds 5
python -m benchmarks --quick                                one thread, T = 4, in under ten minutes
python -m benchmarks --publish                              everything, into benchmarks/ and README
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import contestants, memory, networks, plot, race, results, scaling, startup, table, training
from benchmarks.contestants import NAMES, OURS, PEERS
from benchmarks.measure import Effort

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
PARTS = ("train", "inference", "memory", "startup")
FORMS = {
    ("spikingjelly", "train"): ("eager", "parts"),
    ("spikingjelly", "infer_float"): ("eager", "parts", "compiled"),
    ("snntorch", "train"): ("eager", "parts"),
    ("snntorch", "infer_float"): ("eager", "parts"),
}
"""Those that have a chance. Compiled as a whole, training was slower than in parts, and takes minutes to compile."""

QUICK = {
    "contestants": ("qpsnn", "spikingjelly"),
    "steps": (4,),
    "threads": (1,),
    "parts": ("train", "inference"),
    "seconds": 3.0,
    "repeats": 15,
    "train_seconds": 15.0,
}
"""T = 4 alone, since PyTorch compiles for every T anew; of the peers the one that has been the faster everywhere."""


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--networks", type=_words, default=networks.NAMES, help=f"of {','.join(networks.NAMES)}")
    add("--steps", type=_numbers, default=networks.STEPS, help="T, such as 2,4")
    add("--works", type=_words, default=PARTS, dest="parts", help=f"of {','.join(PARTS)}")
    add("--threads", type=_numbers, default=(1, 2))
    add("--contestants", type=_words, default=NAMES, help=f"of {','.join(NAMES)}")
    add("--forms", type=_words, help="of eager,parts,compiled, for all work; else those that have a chance")
    add("--batch", type=int, default=networks.BATCH)
    add("--seconds", type=float, default=10.0, help="of measuring, for each contestant and work")
    add("--repeats", type=int, default=100, help="at most")
    add("--train-seconds", type=float, default=120.0, help="of training for each network; kept for later runs")
    add("--data", type=Path, default=ROOT.parent / "shared" / "data" / "cifar10_jpeg.h5", help="CIFAR-10")
    add("--out", type=Path, default=BUILD / "results.json")
    add(
        "--quick",
        action="store_true",
        help="T = 4, one thread, against SpikingJelly alone, training and inference, few repeats",
    )
    add("--publish", action="store_true", help="write benchmarks/results.json and .png, and README")
    found = parser.parse_args(given)
    if found.quick:
        for name, value in QUICK.items():
            setattr(found, name, value)
    if found.publish:
        found.out = ROOT / "benchmarks" / "results.json"
    return found


def forms(asked: argparse.Namespace, work: str) -> dict[str, tuple[str, ...]]:
    """The forms in which each peer is tried."""
    if asked.forms:
        return dict.fromkeys(PEERS, asked.forms)
    if asked.quick:
        return {"spikingjelly": ("parts",)}
    return {peer: FORMS.get((peer, work), ()) for peer in PEERS}


class Bench:
    """A run of the benchmark: what was asked for, and what has been found so far."""

    def __init__(self, asked: argparse.Namespace, console: Console, progress: Progress) -> None:
        self.asked, self.console, self.progress = asked, console, progress
        self.peers = any(name in PEERS for name in asked.contestants)
        self.bar = progress.add_task("benchmark", total=self._total())
        self.began, self.stolen = time.time(), results.stolen()
        self.found: dict[str, Any] = {
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
        place = {"network": case.name, "T": case.steps}
        self.found["networks"][-1][f"rates_T{case.steps}"] = case.rates
        rates = ", ".join(f"{rate:.1%}" for rate in case.rates.values())
        self.tell(f"{case.name}, T={case.steps}: firing {case.rate:.1%} ({rates}), in inference {case.resting:.1%}")
        contestants.set_threads(1, self.peers)
        for name in self.asked.contestants:
            for form in forms(self.asked, "train").get(name, ()):
                if form in ("eager", "parts"):
                    from benchmarks import agreement

                    found = agreement.check(name, case, form)._asdict()
                    self.found["agreement"].append({**place, "contestant": name, "form": form, **found})
        self.advance(f"{case.name}, T={case.steps}: checked")
        for part in [part for part in race.GROUPS if part in self.asked.parts]:
            self.times(case, part)
        if OURS in self.asked.contestants and "train" in self.asked.parts:
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
            chosen |= race.best_forms(case, work, self.asked.contestants, forms(self.asked, work), self.tell)
        for threads in self.asked.threads:
            self.advance(f"{case.name}, T={case.steps}: {part}, {threads} thread{'s' * (threads > 1)}", 0)
            records = race.race(case, chosen, threads, effort)
            self.found["records"] += records
            for record in records:
                ratio = record.get("ratio")
                said = "" if ratio is None else f"  {ratio['minima']:.2f}x ({ratio['low']:.2f} to {ratio['high']:.2f})"
                times = (
                    f"{record['min_s'] * 1e3:9.1f} ms, median {record['median_s'] * 1e3:9.1f} of {record['repeats']}"
                )
                self.tell(f"  {record['contestant']:12} {record['work']:13} {threads} {record['form']:8} {times}{said}")
            self.advance(f"{case.name}, T={case.steps}: {part}")
        if self.peers:
            from benchmarks.contestants import pytorch

            pytorch.forget()

    def scaling(self, case: networks.Case) -> None:
        """Our own training on more threads than one, against one."""
        effort = Effort(self.asked.seconds, 5, self.asked.repeats)
        weights = BUILD / "weights" / f"{case.name}.npz"
        for threads in [threads for threads in self.asked.threads if threads > 1]:
            one = scaling.scaled(case.name, case.steps, len(case.images), threads, effort, weights)
            self.found["scaling"].append({"network": case.name, "T": case.steps, **one})
            times = f"{one['one_thread_s'] * 1e3:.1f} ms on one thread, {one['min_s'] * 1e3:.1f} ms on {threads}"
            self.tell(f"  qpsnn, train, alone: {times}: {one['one_thread_s'] / one['min_s']:.2f}x")

    def memory(self, case: networks.Case) -> None:
        """The peak of a training step, each contestant in its own process, peers in the thriftier form."""
        weights = BUILD / "weights" / f"{case.name}.npz"
        for name in self.asked.contestants:
            tried = ("",) if name == OURS else forms(self.asked, "train")[name]
            sizes = [
                {"form": form, **memory.measure(name, form, case.name, case.steps, len(case.images), weights)}
                for form in tried
            ]
            least = min(sizes, key=lambda size: size["step_bytes"])
            self.found["memory"].append({"network": case.name, "T": case.steps, "contestant": name, **least})
            words = ", ".join(f"{s['form']} {s['step_bytes'] / table.MEBI:.0f} MiB".strip() for s in sizes)
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
        """results.json as it stands."""
        stolen = [after - before for before, after in zip(self.stolen, results.stolen(), strict=True)]
        self.found["machine"]["stolen"] = stolen[0] / max(stolen[1], 1)
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
        console.print(table.summary(found), "", table.details(found), sep="\n", markup=False, soft_wrap=True)
        plot.draw(found, asked.out.with_suffix(".png"))
    if asked.publish:
        table.write(found, ROOT / "README.md")
    for line in table.short_of(found):
        console.print(f"short of its target: {line}", markup=False, soft_wrap=True)
    console.print(f"{asked.out}, after {found['duration_s'] / 60:.1f} minutes", markup=False, soft_wrap=True)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


if __name__ == "__main__":
    main()
