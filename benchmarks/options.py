"""What the command was asked for: networks, T, threads, contestants and their forms, effort, and where results go."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import networks, processor
from benchmarks.contestants import AUTOCAST, NAMES, PEERS

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
PARTS = ("train", "inference", "memory", "scaling", "startup")
Options = argparse.Namespace

COMPILATIONS = {
    ("spikingjelly", "train"): ("eager", "parts"),
    ("spikingjelly", "infer_float"): ("eager", "parts", "compiled"),
    ("spikingjelly", "memory"): ("eager", "parts"),
    ("snntorch", "train"): ("eager", "parts"),
    ("snntorch", "infer_float"): ("eager", "parts"),
    ("snntorch", "memory"): ("eager", "parts"),
}
"""Those that have a chance, in float32 and under autocast. Compiled as a whole, training was slower than in parts, and
takes minutes to compile."""

QUICK_FORMS = {"train": ("parts", f"{AUTOCAST} parts"), "infer_float": ("parts", f"{AUTOCAST} parts")}
"""Of SpikingJelly; its memory in float32 alone, which the target names."""

QUICK: dict[str, Any] = {
    "contestants": ("qpsnn", "spikingjelly"),
    "steps": (4,),
    "threads": (1,),
    "parts": ("train", "inference", "memory", "scaling"),
    "seconds": 3.0,
    "repeats": 15,
    "train_seconds": 15.0,
}
"""T = 4 alone, since PyTorch compiles for every T anew; of the peers the one that has been the faster everywhere."""


def arguments(given: Sequence[str] | None = None) -> Options:
    """What was asked for. --quick changes defaults: an option that is given beside it counts."""
    given = sys.argv[1:] if given is None else given
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    add = parser.add_argument
    known = ",".join((*networks.NAMES, *networks.TRANSFORMERS))
    add("--networks", type=_words, default=networks.NAMES, help=f"of {known}")
    add("--steps", type=_numbers, default=networks.STEPS, help="T, such as 2,4")
    add("--works", type=_words, default=PARTS, dest="parts", help=f"of {','.join(PARTS)}")
    add("--threads", type=_numbers, default=(1, 2))
    add("--contestants", type=_words, default=NAMES, help=f"of {','.join(NAMES)}")
    add("--forms", type=_words, help="such as eager,'autocast parts', for all work; else those that have a chance")
    add("--batch", type=int, default=networks.BATCH)
    add("--seconds", type=float, default=10.0, help="of measuring, for each contestant and work")
    add("--repeats", type=int, default=100, help="at most")
    add("--train-seconds", type=float, default=120.0, help="of training for each network; kept for later runs")
    add("--data", type=Path, default=ROOT.parent / "shared" / "data" / "cifar10_jpeg.h5", help="CIFAR-10")
    add("--out", type=Path, default=BUILD / "results.json")
    add(
        "--busy",
        action="store_true",
        help="the machine is busy with other work: on one thread, count this process's own time; no scaling",
    )
    add(
        "--quick",
        action="store_true",
        help="T = 4, one thread, against SpikingJelly alone, no start-up, few repeats",
    )
    add("--publish", action="store_true", help="write benchmarks/published/, docs/benchmarks.md and README")
    if "--quick" in given:
        parser.set_defaults(**QUICK)
    found = parser.parse_args(given)
    unknown = set(found.parts) - set(PARTS)
    if unknown:
        parser.error(f"--works: expected some of {','.join(PARTS)}, got {','.join(sorted(unknown))}")
    if found.busy:
        found.parts = tuple(part for part in found.parts if part != "scaling")
    if found.publish:
        forced = ", ".join(f"{name}={value}" for name, value in processor.forced().items())
        if forced:
            parser.error(f"--publish: expected this processor's own code, got {forced}: unset it")
    return found


def forms(asked: Options, work: str) -> dict[str, tuple[str, ...]]:
    """The forms in which each peer is tried. work: of contestants.WORKS, or "memory"."""
    if asked.forms:
        return dict.fromkeys(PEERS, asked.forms)
    if asked.quick:
        return dict.fromkeys(PEERS, QUICK_FORMS.get(work, ("parts",)))
    each = {peer: COMPILATIONS.get((peer, work), ()) for peer in PEERS}
    return {peer: (*tried, *(f"{AUTOCAST} {one}" for one in tried)) for peer, tried in each.items()}


def scaled_to(asked: Options) -> tuple[int, ...]:
    """The numbers of threads that training is compared on with one: two where only one thread is asked for."""
    return tuple(threads for threads in asked.threads if threads > 1) or (2,)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))
