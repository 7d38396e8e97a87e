"""Training on several threads against one: qpsnn in a fresh process, alone in it, as whoever trains with it has it.

Beside PyTorch it scales worse: its calls hand work over through the interpreter, and PyTorch's threads and libraries
are then looked through as well.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import fresh, measure
from benchmarks.measure import Effort


def scaled(network: str, steps: int, batch: int, threads: int, effort: Effort, weights: Path) -> dict[str, Any]:
    """{threads, one_thread_s, min_s, repeats} of a training step, on one thread and on `threads` in turns."""
    found: dict[str, Any] = fresh.run("-m", "benchmarks.scaling", network, steps, batch, threads, *effort, weights)
    return found


def in_turns(call: Callable[[], Any], threads: int, effort: Effort) -> dict[str, Any]:
    """What `scaled` gives, of this call in this process."""
    from benchmarks import contestants

    def on(count: int) -> Callable[[], Any]:
        def run() -> None:
            contestants.set_threads(count, peers=False)
            call()

        return run

    times = measure.alternate({count: on(count) for count in (1, threads)}, effort)
    return {
        "threads": threads,
        "one_thread_s": min(times[1]),
        "min_s": min(times[threads]),
        "repeats": len(times[1]),
    }


def main() -> None:
    """The fresh process."""
    from benchmarks import contestants, networks, training

    parser = argparse.ArgumentParser()
    parser.add_argument("network")
    for name in ("steps", "batch", "threads"):
        parser.add_argument(name, type=int)
    parser.add_argument("seconds", type=float)
    for name in ("least", "most"):
        parser.add_argument(name, type=int)
    parser.add_argument("weights", type=Path)
    given = parser.parse_args()
    kept = training.stored(given.network, given.weights)
    size = slice(0, given.batch)
    case = networks.case(given.network, kept.model, given.steps, kept.images[size], kept.labels[size])
    calibrated = networks.calibrated(case, kept.images)
    run = contestants.one_run(contestants.OURS, "train", calibrated, contestants.targeted_form())
    print(json.dumps(in_turns(run.call, given.threads, Effort(given.seconds, given.least, given.most))))


if __name__ == "__main__":
    main()
