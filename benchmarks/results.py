"""What was measured, as a dictionary that goes to results.json, and the ratios that follow from it."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

from benchmarks import processor
from benchmarks.contestants import AUTOCAST, FLOAT32, OURS, PEERS, PRECISIONS, precision
from benchmarks.measure import geometric_mean

FORMAT = 2
"""Of the files. 1 had float32 peers alone, with one `ratio` for a record, and no features of the processor."""

BETTER = "better"
"""The faster of a peer's float32 and autocast forms, network by network."""

AGAINST = (FLOAT32, AUTOCAST, BETTER)

BUSY = 0.05
"""The share of the processors' time above which other programs are mentioned, and two threads not judged."""

RIVAL = {"train": "train", "infer_float": "infer_float", "infer_integer": "infer_float"}
"""Our work, and the peers' that it is compared with."""

Record = dict[str, Any]
Place = tuple[str, int]
"""A network and its T."""


def of_kind(form: str, against: str) -> bool:
    """Whether a peer's form counts as FLOAT32, AUTOCAST or BETTER."""
    return against in (BETTER, precision(form))


def our_forms(records: list[Record], work: str) -> list[str]:
    """The forms of qpsnn that were measured, as they come: the default's first."""
    return list(dict.fromkeys(one["form"] for one in records if (one["contestant"], one["work"]) == (OURS, work)))


def default_form(records: list[Record], work: str) -> str:
    """The first of `our_forms`; empty if qpsnn was not measured."""
    return next(iter(our_forms(records, work)), "")


def fastest(records: list[Record], work: str, against: str, place: Place, threads: int = 1) -> Record | None:
    """The record of the peers that our `work` is compared with."""
    rivals = [
        one
        for one in _chosen(records, RIVAL[work], threads, PEERS)
        if (one["network"], one["T"]) == place and of_kind(one["form"], against)
    ]
    return min(rivals, key=lambda one: one["min_s"], default=None)


def ratios(
    records: list[Record], work: str, against: str = BETTER, form: str = "", threads: int = 1
) -> dict[Place, float]:
    """By network and T: how many times longer the fastest peer takes, by minima. form: of qpsnn; empty: its default."""
    found = {}
    wanted = form or default_form(records, work)
    for own in _chosen(records, work, threads, (OURS,)):
        place = (own["network"], own["T"])
        rival = fastest(records, work, against, place, threads)
        if own["form"] == wanted and rival is not None:
            found[place] = rival["min_s"] / own["min_s"]
    return found


def scaling(results: dict[str, Any]) -> dict[Place, float]:
    """By (network, T): our training on one thread, in turns with that on two, against two."""
    own = [one for one in results["scaling"] if one["threads"] == 2]
    return {(one["network"], one["T"]): one["one_thread_s"] / one["min_s"] for one in own}


def memory_ratios(memory: list[Record], against: str = FLOAT32) -> dict[Place, float]:
    """By (network, T): the bytes that a step adds, those of the thriftiest peer against ours."""
    found = {}
    for own in memory:
        if own["contestant"] == OURS:
            place = (own["network"], own["T"])
            held = [one for one in memory if one["contestant"] != OURS and (one["network"], one["T"]) == place]
            rivals = [one["step_bytes"] for one in held if of_kind(one["form"], against)]
            if rivals:
                found[place] = min(rivals) / max(own["step_bytes"], 1)
    return found


def geometric_means(results: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """Over all networks and T, for our default form: by figure, and by what it is compared with."""
    records = results["records"]
    found: dict[str, dict[str, float | None]] = {
        work: {against: _mean(ratios(records, work, against)) for against in AGAINST} for work in RIVAL
    }
    found["memory"] = {against: _mean(memory_ratios(results["memory"], against)) for against in PRECISIONS}
    found["threads2"] = {"one thread": _mean(scaling(results))}
    return found


def _mean(values: dict[Place, float]) -> float | None:
    return geometric_mean(list(values.values()))


def machine() -> dict[str, Any]:
    """The processor with its features, the system, and the versions of everything that takes part."""
    from importlib.metadata import PackageNotFoundError, version

    names = ("qpsnn", "torch", "spikingjelly", "snntorch", "numpy", "numba", "scipy")
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        **processor.describe(),
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
    """Write the results, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def load_race(path: Path) -> dict[str, Any]:
    """A run of `python -m benchmarks`, also of format 1. Raises ValueError of a later format."""
    found = load(path)
    written = found.get("format", 1)
    if written > FORMAT:
        raise ValueError(f"{path}: format: expected at most {FORMAT}, got {written}: a later qpsnn wrote it")
    if written < 2:
        found["machine"] = {"design": None, "features": None, **found["machine"]}
        for record in found["records"]:
            ratio = record.pop("ratio", None)
            if ratio is not None:
                record["ratios"] = {FLOAT32: ratio, BETTER: ratio}
        found.update(format=FORMAT, geomean=geometric_means(found))
    return found


def ticks() -> dict[str, float]:
    """Seconds of processor time so far: `all`, `stolen` by the host, `busy` here, and `own`: this process and those
    that it waited for. Zeros where the system does not say."""
    own = sum(os.times()[:4])
    path = Path("/proc/stat")
    if not path.exists():
        return {"all": 0.0, "stolen": 0.0, "busy": 0.0, "own": own}
    words = [int(word) / os.sysconf("SC_CLK_TCK") for word in path.read_text().split("\n")[0].split()[1:9]]
    return {"all": sum(words), "stolen": words[7], "busy": sum(words) - words[3] - words[4] - words[7], "own": own}


def load_of(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Between two of `ticks`, shares of all processor time: `stolen` by the host, and `others`' on this system."""
    spent = {name: after[name] - before[name] for name in before}
    whole = max(spent["all"], 1e-9)
    return {"stolen": spent["stolen"] / whole, "others": max(spent["busy"] - spent["own"], 0.0) / whole}


def _chosen(records: list[Record], work: str, threads: int, contestants: tuple[str, ...]) -> list[Record]:
    return [
        one for one in records if (one["work"], one["threads"]) == (work, threads) and one["contestant"] in contestants
    ]
