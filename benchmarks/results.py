"""What was measured, as a dictionary that goes to results.json, and the ratios that follow from it."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

from benchmarks.contestants import OURS, PEERS
from benchmarks.measure import geometric_mean

TARGETS = {
    "train": (3.0, 5.0),
    "infer_integer": (6.0, 12.0),
    "memory": (4.0, 8.0),
    "threads2": (1.6, 1.85),
    "import_s": (0.5, 0.2),
    "first_warm_s": (3.0, 1.0),
    "first_cold_cpu_s": (40.0, 15.0),
}
"""Of each figure: at least, and aim. Ratios are how many times better; seconds are at most."""

FLOOR = 1.5
"""No network may be below, in training and integer inference."""

RIVAL = {"train": "train", "infer_float": "infer_float", "infer_integer": "infer_float"}
"""Our work, and the peers' that it is compared with."""

Record = dict[str, Any]


def ratios(records: list[Record], work: str, threads: int = 1) -> dict[tuple[str, int], float]:
    """By (network, T): how many times longer the faster of the peers takes, by minima."""
    found = {}
    for own in _chosen(records, work, threads, (OURS,)):
        place = (own["network"], own["T"])
        rivals = _chosen(records, RIVAL[work], threads, PEERS)
        times = [one["min_s"] for one in rivals if (one["network"], one["T"]) == place]
        if times:
            found[place] = min(times) / own["min_s"]
    return found


def scaling(results: dict[str, Any]) -> dict[tuple[str, int], float]:
    """By (network, T): our training on one thread, in turns with that on two, against two."""
    own = [one for one in results["scaling"] if one["threads"] == 2]
    return {(one["network"], one["T"]): one["one_thread_s"] / one["min_s"] for one in own}


def memory_ratios(memory: list[Record]) -> dict[tuple[str, int], float]:
    """By (network, T): the bytes that a step adds, those of the thriftier peer against ours."""
    found = {}
    for own in memory:
        if own["contestant"] == OURS:
            place = (own["network"], own["T"])
            rivals = [m["step_bytes"] for m in memory if m["contestant"] != OURS and (m["network"], m["T"]) == place]
            if rivals:
                found[place] = min(rivals) / max(own["step_bytes"], 1)
    return found


def geometric_means(results: dict[str, Any]) -> dict[str, float | None]:
    """Over networks and T: training, inference, memory, and two threads against one."""
    records = results["records"]
    by_name = {work: ratios(records, work) for work in RIVAL}
    by_name |= {"memory": memory_ratios(results["memory"]), "threads2": scaling(results)}
    return {name: geometric_mean(list(values.values())) for name, values in by_name.items()}


def machine() -> dict[str, Any]:
    """The processor, the system, and the versions of everything that takes part."""
    from importlib.metadata import PackageNotFoundError, version

    names = ("qpsnn", "torch", "spikingjelly", "snntorch", "numpy", "numba", "scipy")
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "cpu": _processor(),
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }


def command(given: list[str]) -> str:
    """The command line; of files of this machine only their names, since results are published."""
    return " ".join(
        ["python -m benchmarks", *(Path(word).name if Path(word).is_absolute() else word for word in given)]
    )


def save(results: dict[str, Any], path: Path) -> None:
    """Write results.json, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def stolen() -> tuple[int, int]:
    """(ticks that the host took from this machine, all ticks) so far; zeros where the system does not say."""
    path = Path("/proc/stat")
    if not path.exists():
        return (0, 0)
    ticks = [int(word) for word in path.read_text().split("\n")[0].split()[1:9]]
    return (ticks[7], sum(ticks))


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().split("\n") if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _chosen(records: list[Record], work: str, threads: int, contestants: tuple[str, ...]) -> list[Record]:
    return [
        one for one in records if (one["work"], one["threads"]) == (work, threads) and one["contestant"] in contestants
    ]
