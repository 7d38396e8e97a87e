"""What a fresh process waits for: the import, and the first training step with a cold and with a warm compile cache."""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from benchmarks import fresh

IMPORTS = {
    "qpsnn": "import qpsnn_core",
    "spikingjelly": "from spikingjelly.activation_based import neuron",
    "snntorch": "import snntorch",
}
NETWORK, STEPS, BATCH = "vgg_small", 4, 16


def import_seconds(contestant: str, repeats: int = 7) -> dict[str, Any]:
    """{min_s, median_s} of the import alone, each in a fresh interpreter."""
    code = f"import time; began = time.perf_counter(); {IMPORTS[contestant]}; print(time.perf_counter() - began)"
    times = sorted(fresh.run("-c", code) for _ in range(repeats))
    return {"contestant": contestant, "min_s": times[0], "median_s": times[len(times) // 2], "repeats": repeats}


def first_step(contestant: str, repeats: int = 3) -> list[dict[str, Any]]:
    """Wall and CPU seconds from the start of a process to the end of its first training step, by cache.

    cold: with an empty cache of compiled code, once; warm: with what that left. Peers run eagerly, and have no cache.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder:
        cache = {"NUMBA_CACHE_DIR": folder}
        times = {"cold": [_first(contestant, cache)]} if contestant == "qpsnn" else {}
        times["warm"] = [_first(contestant, cache) for _ in range(repeats)]
    for name, runs in times.items():
        walls, processors = sorted(run["wall_s"] for run in runs), sorted(run["cpu_s"] for run in runs)
        medians = {"wall_median_s": walls[len(walls) // 2], "cpu_median_s": processors[len(runs) // 2]}
        found.append({"contestant": contestant, "cache": name, "wall_s": walls[0], "cpu_s": processors[0], **medians})
    return found


def _first(contestant: str, environment: Mapping[str, str]) -> dict[str, float]:
    began = time.time()
    told = fresh.run("-m", "benchmarks.startup", contestant, environment=environment)
    return {"wall_s": told["at"] - began, "cpu_s": told["cpu_s"]}


def _step(contestant: str) -> None:
    """One step, as small a program as its user would write; only what it needs is imported."""
    import numpy as np

    import qpsnn_core as qp
    from benchmarks import contestants
    from benchmarks.networks import SHAPE, Case

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, *SHAPE)).astype(np.uint8)
    model = qp.initialise(qp.build(NETWORK, SHAPE, 10, steps=STEPS), 0)
    case = Case(NETWORK, model, images, rng.integers(0, 10, BATCH))
    form = next(iter(contestants.FORMS)) if contestant == contestants.OURS else "eager"
    contestants.one_run(contestant, "train", case, form).call()


def main() -> None:
    """The fresh process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("contestant")
    _step(parser.parse_args().contestant)
    at = time.time()
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"at": at, "cpu_s": sum(part.ru_utime + part.ru_stime for part in parts)}))


if __name__ == "__main__":
    main()
