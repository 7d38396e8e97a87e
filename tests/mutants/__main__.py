"""`python -m mutants`: draw mutants, run each against the tests that reach it, print those that live."""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

from mutants import pool, sample
from mutants.equivalent import equivalents
from mutants.records import Records
from mutants.session import Session

ROOT = Path(__file__).resolve().parents[2]
KILLED = ("killed", "timed out")


def main() -> None:
    """Draw, record, run, report."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="a part of the file's name")
    chosen = parser.parse_args()
    build = ROOT / "build" / "mutants"
    tree = _snapshot(build / "tree")
    os.environ |= {"NUMBA_DISABLE_JIT": "1", "PYTHONDONTWRITEBYTECODE": "1", "QPSNN_THREADS": "1"}
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    paths = [str(tree / ".links"), str(tree)]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    sys.path[:0] = paths
    os.chdir(tree)
    mutants = [one for one in _drawn(tree, build, chosen.count, chosen.seed) if chosen.only in one.file]
    records, results = Records(tree, build / "records"), {}

    def work(session: Session) -> None:
        records.make(session, chosen.jobs)
        results.update(_run(mutants, records, session, build, chosen.jobs))

    status = Session(work).run(records.files())
    if not results:
        sys.exit(f"Stopped, pytest's status is {status}. The same command goes on from here.")
    sys.exit(_report(mutants, results, build / f"report-{chosen.count}-{chosen.seed}.json"))


def _snapshot(tree: Path) -> Path:
    """A copy of the checkout, tracked or new files, so that work on it goes on meanwhile."""
    listed = subprocess.run(
        ["git", "ls-files", "-zco", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    names = {name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()}
    for path in [path for path in tree.rglob("*") if path.is_file() and path.suffix != ".pyc"]:
        if not path.is_relative_to(tree / ".links") and path.relative_to(tree).as_posix() not in names:
            path.unlink()
    for name in names:
        copy = tree / name
        if not copy.exists() or copy.read_bytes() != (ROOT / name).read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy)
    (tree / ".links").mkdir(exist_ok=True)
    for folder, package in sample.PACKAGES.items():
        if not (tree / ".links" / package).is_symlink():
            (tree / ".links" / package).symlink_to(tree / folder)
    return tree


def _drawn(tree: Path, build: Path, count: int, seed: int) -> list[sample.Mutant]:
    """The sample; drawing takes half a minute, so that it is kept until a file of the core, or the drawing, changes."""
    texts = [Path(sample.__file__).read_bytes()]
    texts += [path.read_bytes() for folder in sample.CORE for path in sorted((tree / folder).rglob("*.py"))]
    kept = build / f"sample-{count}-{seed}-{sample.digest(*texts)}.json"
    if not kept.exists():
        for old in build.glob(f"sample-{count}-{seed}-*.json"):
            old.unlink()
        kept.write_text(json.dumps(sample.draw(tree, count, seed)))
    return [sample.Mutant(*fields) for fields in json.loads(kept.read_text())]


def _run(
    mutants: list[sample.Mutant], records: Records, session: Session, build: Path, at_once: int
) -> dict[str, dict[str, Any]]:
    """The result of each mutant; those of an earlier run hold while the files that they rest on are the same."""
    log, results = build / "results.jsonl", {}
    for line in log.read_text().splitlines() if log.exists() else ():
        result = json.loads(line)
        results[result["key"]] = result
    suite = sample.digest(*(path.read_bytes() for path in sorted((records.tree / "tests").rglob("*.py"))))

    def rests_on(mutant: sample.Mutant, killer: str) -> str:
        ours = (records.tree / mutant.file).read_bytes()
        test = records.tree / killer.partition("::")[0]
        return sample.digest(ours, test.read_bytes() if killer else suite)

    def job(mutant: sample.Mutant, round_: int) -> pool.Job:
        tests = records.rounds(mutant)[round_]
        limits = {test: 10 + 10 * records.seconds[test] for test in tests}
        run = functools.partial(session.check, mutant.module, mutant.source, limits)
        return pool.Job(f"{mutant.key}-{round_}", run, (mutant, round_), 600)

    listed = equivalents()
    open_ = []
    for mutant in mutants:
        known = results.get(mutant.key, {"on": "", "killer": ""})
        if known["on"] == rests_on(mutant, known["killer"]) and (known["killer"] or mutant.change not in listed):
            continue
        results[mutant.key] = {"key": mutant.key, "status": "equivalent", "killer": "", "tests": 0, "of": 0}
        if mutant.change not in listed:
            open_.append(mutant)
    (build / "runs").mkdir(exist_ok=True)
    jobs, begun, done = deque(job(mutant, 0) for mutant in open_), time.monotonic(), 0
    for ended in pool.run(jobs, at_once, records.tree, build / "runs"):
        mutant, round_ = ended.job.about
        first, rest = records.rounds(mutant)
        if ended.status in (0, 5) and round_ == 0 and rest:
            jobs.append(job(mutant, 1))
            continue
        named = json.loads(ended.out.read_text() or "[]") if ended.out.exists() else []
        status = "survived" if ended.status in (0, 5) else "killed" if ended.status > 0 else "timed out"
        killer = "" if status == "survived" else (named or (rest if round_ else first))[0]
        some = {
            "status": status,
            "killer": killer,
            "tests": len(first) + len(rest),
            "of": len(records.cases(mutant)),
        }
        results[mutant.key] = {"key": mutant.key, "on": rests_on(mutant, killer), **some}
        with log.open("a") as file:
            file.write(json.dumps(results[mutant.key]) + "\n")
        done += 1
        print(
            f"[{done}/{len(open_)}, {time.monotonic() - begun:.0f} s] {status}: {mutant.file}:{mutant.number}",
            flush=True,
        )
    _control(mutants, results, session, build)
    return results


def _control(mutants: list[sample.Mutant], results: dict[str, dict[str, Any]], session: Session, build: Path) -> None:
    """A test that fails where nothing is changed proves nothing: what it killed is not killed."""
    killers = sorted({results[mutant.key]["killer"] for mutant in mutants} - {""})
    limits = dict.fromkeys(killers, 100.0)
    for name, run in (("as-collected", session.check), ("imported-again", session.imported)):
        job = pool.Job(f"control-{name}", functools.partial(run, "", "", limits), None, 3600)
        for ended in pool.run(deque([job]), 1, Path.cwd(), build / "runs"):
            failed = json.loads(ended.out.read_text() or "[]") if ended.out.exists() else []
            if ended.status and not failed:
                sys.exit(f"Unchanged code could not be tested: see {ended.out.with_suffix('.log')}")
            for mutant in mutants:
                if results[mutant.key]["killer"] in failed:
                    results[mutant.key] |= {"status": "survived", "killer": ""}


def _report(mutants: list[sample.Mutant], results: dict[str, dict[str, Any]], out: Path) -> int:
    """Print figures by room and each survivor; write all as JSON. 1 where under 95% of those that count are killed."""
    reasons, rows = equivalents(), []
    for mutant in mutants:
        result = dict(results[mutant.key])
        if result["status"] in ("survived", "equivalent") and mutant.change in reasons:
            result |= {"status": "equivalent", "reason": reasons[mutant.change]}
        rows.append({**mutant._asdict(), **result, "room": mutant.room})
        rows[-1].pop("source")
    kinds = ("killed", "timed out", "equivalent", "survived")
    print(f"\n{'room':<26}{'run':>6}" + "".join(f"{kind:>12}" for kind in kinds))
    for room in [*sorted({row["room"] for row in rows}), "all"]:
        counts = Counter(row["status"] for row in rows if room in (row["room"], "all"))
        print(f"{room:<26}{sum(counts.values()):>6}" + "".join(f"{counts[kind]:>12}" for kind in kinds))
    for row in (row for row in rows if row["status"] == "survived"):
        print(f"\n{row['file']}:{row['number']} {row['function']} ({row['tests']} of {row['of']} tests)")
        print(
            "\n".join(
                f"  {sign} {text}"
                for sign, part in (("-", "line"), ("+", "mutated"))
                for text in row[part].splitlines()
            )
        )
    out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    totals = Counter(row["status"] for row in rows)
    counted = len(rows) - totals["equivalent"]
    share = (totals["killed"] + totals["timed out"]) / counted if counted else 1.0
    print(f"\n{share:.1%} of {counted} mutants that are not equivalent were killed; {out.relative_to(ROOT)} lists all.")
    return int(share < 0.95)


if __name__ == "__main__":
    main()
