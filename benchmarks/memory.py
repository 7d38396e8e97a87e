"""Peak memory of a training step: each contestant in a fresh process, by the same definition.

The step's bytes are the largest resident set during STEPS training steps, less the resident set just before the first
of them. By then the model, the optimizer and the images are there, and one step with a single image has loaded the
code; its memory has been given back to the system. Gradients, activations, workspaces and whatever the contestant
keeps for the next step all count. A compiled PyTorch step is compiled for its batch: its first whole step comes before
the measurement, which can only flatter it.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import resource
import sys
from pathlib import Path
from typing import Any

from benchmarks import fresh

STEPS = 3
STATUS = Path("/proc/self/status")


def measure(contestant: str, form: str, network: str, steps: int, batch: int, weights: Path) -> dict[str, Any]:
    """{step_bytes, peak_bytes} of a fresh process with one thread."""
    found: dict[str, Any] = fresh.run("-m", "benchmarks.memory", contestant, form, network, steps, batch, weights)
    return found


def resident() -> int:
    """Bytes that are in memory now."""
    return _status("VmRSS")


def forget_peak() -> None:
    """Let the system's record of the peak begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """The largest resident set since then; elsewhere than on Linux since the process began."""
    if STATUS.exists():
        return _status("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def give_back() -> None:
    """Garbage is collected, and free memory returned to the system."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _status(name: str) -> int:
    for line in STATUS.read_text().split("\n"):
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{STATUS} says nothing of {name}")


def _child(contestant: str, form: str, name: str, steps: int, batch: int, weights: Path) -> dict[str, Any]:
    from benchmarks import contestants, networks, training

    contestants.set_threads(1, peers=contestant != contestants.OURS)
    kept = training.stored(name, weights)
    case = networks.case(name, kept.model, steps, kept.images[:batch], kept.labels[:batch])
    del kept
    run = contestants.one_run(contestant, "train", case, form)
    if contestants.compilation(form) == "compiled":
        run.call()
    else:
        single = case._replace(images=case.images[:1], labels=case.labels[:1])
        first = contestants.one_run(contestant, "train", single, form)
        first.call()
        del first
    give_back()
    before = resident()
    forget_peak()
    for _ in range(STEPS):
        run.call()
    return {"step_bytes": peak() - before, "peak_bytes": peak(), "before_bytes": before}


def main() -> None:
    """The fresh process."""
    parser = argparse.ArgumentParser()
    for name, kind in {"contestant": str, "form": str, "network": str, "steps": int, "batch": int}.items():
        parser.add_argument(name, type=kind)
    parser.add_argument("weights", type=Path)
    given = parser.parse_args()
    print(json.dumps(_child(*vars(given).values())))


if __name__ == "__main__":
    main()
