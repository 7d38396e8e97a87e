"""One run in Markdown: the processor, the targets and what was reached, then every network's times and memory."""

from __future__ import annotations

from typing import Any

from benchmarks import networks, processor, targets
from benchmarks.contestants import EXACT, OURS, PEERS, PRECISIONS
from benchmarks.measure import geometric_mean
from benchmarks.results import AGAINST, BUSY, RIVAL, Place, Record, memory_ratios, of_kind, our_forms, ratios, scaling
from benchmarks.table import markdown

MEBI = 2**20
FIGURES = {
    "train": "training step",
    "infer_integer": "inference as deployed (integers)",
    "infer_float": "inference in floating point",
    "memory": "memory added by a training step",
    "threads2": "training step on two threads",
    "import_s": "`import qpsnn_core`",
    "first_warm_s": "first training step of a new process, warm cache",
    "first_cold_cpu_s": "first training step, cold cache: CPU time including all compilation",
}
NAMES = {"spikingjelly": "SpikingJelly", "snntorch": "snnTorch"}
RIVALS = {
    "float32": "PyTorch, float32",
    "autocast": "PyTorch, bf16 autocast",
    "better": "PyTorch, the faster of float32 and autocast",
    targets.ONE_THREAD: targets.ONE_THREAD,
}
"""What a figure is compared with, in words; PyTorch: the faster of the libraries that take part, network by network."""


def title(results: dict[str, Any]) -> str:
    """The processor in words."""
    return processor.words(results["machine"])


def about(results: dict[str, Any]) -> str:
    """The command, the versions, and how busy the machine was."""
    made = results["machine"]
    versions = [f"{name} {made['versions'][name]}" for name in ("torch", *PEERS) if name in made["versions"]]
    batch = results["records"][0]["batch"]
    said = f"`{results['command']}`, {', '.join([*versions, f'batch {batch}', 'one thread'])}."
    if any(one.get("clock") == "processor" for one in results["records"]):
        said += " Times on one thread are processor time of the process, without what other programs took."
    others = made.get("others", 0.0)
    if others > BUSY:
        said += (
            f" **The machine was busy: other programs took {others:.0%} of the time of its {made['processors']} "
            "processors.** Times are longer than on an idle machine; ratios, taken in turns, suffer less. "
            "Two threads need two free processors and were not judged."
        )
    return said


def summary(results: dict[str, Any]) -> str:
    """Each target of this kind of processor, and what was reached at T = 4."""
    rows = []
    for target in targets.of(results["machine"]):
        found = targets.reached(results, target)
        said = [f"{target.least:g}x", f"{target.aim:g}x" if target.aim else ""]
        worst = floor = ""
        reached = "not measured"
        if found is not None:
            notes = [f"as `{found.form}`"] if found.form != (target.form or "") else []
            notes += [f"{found.of} of {len(networks.NAMES)} networks"] if found.of < len(networks.NAMES) else []
            reached = f"{_short(found.value)}x" + (f" ({', '.join(notes)})" if notes else "")
            worst = f"{_short(found.worst)}x ({found.network})"
        if target.floor:
            floor = f"{_short(targets.FLOOR * target.least)}x"
        form = f"`{target.form}`" if target.form else ""
        rows.append([FIGURES[target.figure], form, RIVALS[target.against], *said, reached, worst, floor])
    for name, (most, aim) in targets.SECONDS.items():
        value = targets.seconds(results, name)
        if value is not None:
            rows.append([FIGURES[name], "", "", f"at most {most:g} s", f"{aim:g} s", f"{_short(value)} s", "", ""])
    head = ["geometric mean over the networks, T = 4", "form of qpsnn", "against", "target", "aim", "reached"]
    return markdown([*head, "worst network", "no network below"], rows)


def speed(results: dict[str, Any], works: tuple[str, ...], threads: int = 1) -> str:
    """Milliseconds of every network, T and form of qpsnn, and the ratios; then their geometric means."""
    records = [one for one in results["records"] if one["threads"] == threads]
    peers = [
        (peer, kind)
        for peer in PEERS
        for kind in PRECISIONS
        if any(one["contestant"] == peer and of_kind(one["form"], kind) for one in records)
    ]
    rows, means = [], []
    for work in works:
        for form in our_forms(records, work):
            found = {against: ratios(records, work, against, form, threads) for against in AGAINST}
            own = [one for one in records if (one["contestant"], one["work"], one["form"]) == (OURS, work, form)]
            name = "integers" if form == EXACT else f"`{form}`"
            for one in own:
                place = (one["network"], one["T"])
                times = [_milliseconds(_least(records, RIVAL[work], peer, kind, place)) for peer, kind in peers]
                cells = [one["network"], one["T"], f"{one['rate']:.0%}", name, _milliseconds(one["min_s"]), *times]
                rows.append([*cells, *(_times(found[against].get(place)) for against in AGAINST)])
            for steps in dict.fromkeys(one["T"] for one in own):
                cells = ["**geometric mean**", steps, "", name, *[""] * (1 + len(peers))]
                means.append([*cells, *(_times(_mean(found[against], steps)) for against in AGAINST)])
    head = ["network", "T", "firing rate", "form of qpsnn", "qpsnn, ms"]
    head += [f"{NAMES[peer]}, {kind}, ms" for peer, kind in peers]
    return markdown([*head, *(f"ratio to {against}" for against in AGAINST)], [*rows, *means])


def memory(results: dict[str, Any]) -> str:
    """Mebibytes that a training step adds, and the ratios."""
    held = {(m["network"], m["T"], m["contestant"], m["form"]): m["step_bytes"] / MEBI for m in results["memory"]}
    peers = [
        (peer, kind)
        for peer in PEERS
        for kind in PRECISIONS
        if any(who == peer and of_kind(form, kind) for _, _, who, form in held)
    ]
    found = {kind: memory_ratios(results["memory"], kind) for kind in PRECISIONS}
    rows = []
    for (network, steps, who, _), size in held.items():
        if who == OURS:
            place = (network, steps)
            sizes = [
                min(
                    (b for (n, t, w, f), b in held.items() if (n, t, w) == (*place, peer) and of_kind(f, kind)),
                    default=None,
                )
                for peer, kind in peers
            ]
            cells = [network, steps, _short(size), *("" if one is None else _short(one) for one in sizes)]
            rows.append([*cells, *(_times(found[kind].get(place)) for kind in PRECISIONS)])
    for steps in dict.fromkeys(row[1] for row in rows):
        cells = ["**geometric mean**", steps, *[""] * (1 + len(peers))]
        rows.append([*cells, *(_times(_mean(found[kind], steps)) for kind in PRECISIONS)])
    head = ["network", "T", "qpsnn, MiB", *(f"{NAMES[peer]}, {kind}, MiB" for peer, kind in peers)]
    return markdown([*head, *(f"ratio to {kind}" for kind in PRECISIONS)], rows)


def two_threads(results: dict[str, Any]) -> str:
    """Our training step on one thread and on several, in turns."""
    rows: list[list[Any]] = []
    for one in results["scaling"]:
        single, several = one["one_thread_s"], one["min_s"]
        cells = [one["network"], one["T"], _milliseconds(single), one["threads"], _milliseconds(several)]
        rows.append([*cells, _times(single / several)])
    found = scaling(results)
    for steps in dict.fromkeys(steps for _, steps in found):
        rows.append(["**geometric mean**", steps, "", 2, "", _times(_mean(found, steps))])
    return markdown(["network", "T", "one thread, ms", "threads", "ms", "ratio"], rows)


def section(results: dict[str, Any]) -> str:
    """The run as a section of docs/benchmarks.md; the processor stands over each table."""
    kind = title(results)
    parts = [f"## {kind}", about(results)]
    tables = {
        "targets": summary(results),
        "training step": speed(results, ("train",)),
        "inference": speed(results, ("infer_integer", "infer_float")),
        "memory of a training step": memory(results) if results["memory"] else "",
        "training on more threads than one": two_threads(results) if _judged(results) else "",
    }
    for words, table in tables.items():
        if table:
            parts += [f"{kind}: {words}", table]
    return "\n\n".join(parts)


def _judged(results: dict[str, Any]) -> bool:
    return bool(results["scaling"]) and results["machine"].get("others", 0.0) <= BUSY


def _least(records: list[Record], work: str, peer: str, kind: str, place: Place) -> float | None:
    times = [
        one["min_s"]
        for one in records
        if (one["work"], one["contestant"], one["network"], one["T"]) == (work, peer, *place)
        and of_kind(one["form"], kind)
    ]
    return min(times, default=None)


def _mean(values: dict[Place, float], steps: int) -> float | None:
    return geometric_mean([value for (_, own), value in values.items() if own == steps])


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{_short(value)}x"


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else _short(seconds * 1e3)
