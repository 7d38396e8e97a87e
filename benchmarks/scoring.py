"""SVS against PyTorch: singular values above epsilon, counted by us for all channels, there by `matrix_rank` per map.

    python -m benchmarks.scoring [--repeats 15] [--threads 1 2] [--seed 0] [--out benchmarks/scoring.json]

Contestants take turns in one process, one thread each and then two: ours; `torch.linalg.matrix_rank` of each map, in
float64 with our threshold (equal scores, checked) and in float32 with its default, as in the paper's public code; and,
more than the comparison asks for, one call for all maps. Ratios are of minima, against the faster of the two per map.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from qpsnn_core.compression.channels.score import count_significant_singular_values
from qpsnn_core.kernels import threads as parallel

try:
    import torch
except ImportError:
    torch = None

STEPS = 4
EPSILON = 1e-6
SIZES = {2: (4, 512), 4: (4, 256), 8: (4, 128), 16: (4, 64), 32: (4, 32), 48: (4, 16)}
"""Height and width of a map: images and channels."""
RATES = (0.05, 0.15)
PER_MAP = ("torch per map, float64", "torch per map, float32")

Contestants = dict[str, Callable[[], Any]]


def spikes(size: int, rate: float, seed: int) -> np.ndarray:
    """Independent spikes summed over the steps, uint8 [B, H, W, C]: nearly of full rank, the hardest case."""
    images, channels = SIZES[size]
    rng = np.random.default_rng((seed, size, round(1000 * rate)))
    return (rng.random((STEPS, images, size, size, channels)) < rate).sum(0, dtype=np.uint8)


def contestants(counts: np.ndarray) -> Contestants:
    """What is timed; raises SystemExit where PyTorch's ranks with our threshold are not our scores."""
    found: Contestants = {"qpsnn": lambda: count_significant_singular_values(counts, STEPS, EPSILON)}
    if torch is None:
        return found
    double = torch.from_numpy(np.ascontiguousarray(counts.transpose(0, 3, 1, 2), np.float64)) / STEPS
    single, rank = double.float(), torch.linalg.matrix_rank
    found[PER_MAP[0]] = lambda: [[rank(one, atol=EPSILON, rtol=0.0) for one in image] for image in double]
    found[PER_MAP[1]] = lambda: [[rank(one) for one in image] for image in single]
    found["torch in one call, float64"] = lambda: rank(double, atol=EPSILON, rtol=0.0)
    want = np.array([[int(one) for one in image] for image in found[PER_MAP[0]]()])
    if not np.array_equal(want, found["qpsnn"]()):
        raise SystemExit("scores differ from PyTorch's")
    return found


def timed(named: Contestants, repeats: int) -> dict[str, list[float]]:
    """Seconds of every repeat; the contestants alternate."""
    seconds: dict[str, list[float]] = {name: [] for name in named}
    for _ in range(repeats):
        for name, work in named.items():
            began = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def use_threads(count: int) -> None:
    """So many for everyone."""
    parallel.set_threads(count)
    if torch is not None:
        torch.set_num_threads(count)


def measure(repeats: int, threads: list[int], seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Records of every contestant, and ratios per size, rate and number of threads; prints a line for each of these."""
    records, ratios = [], []
    print(f"{'map':>7} {'rate':>5} {'threads':>7} {'us/map':>8} {'torch':>8} {'ratio':>7} {'one call':>8}")
    for size, (images, channels) in SIZES.items():
        for rate in RATES:
            named = contestants(spikes(size, rate, seed))
            for count in threads:
                use_threads(count)
                case = {"size": size, "maps": images * channels, "rate": rate, "threads": count}
                seconds = timed(named, repeats)
                least = {name: min(taken) for name, taken in seconds.items()}
                records += [
                    {**case, "contestant": name, "min_s": least[name], "median_s": statistics.median(taken)}
                    for name, taken in seconds.items()
                ]
                line = f"{size:>3}x{size:<3} {rate:5.2f} {count:7} {least['qpsnn'] / images / channels * 1e6:8.2f}"
                if torch is not None:
                    best = min(least[name] for name in PER_MAP)
                    together = least["torch in one call, float64"] / least["qpsnn"]
                    ratios.append({**case, "ratio": best / least["qpsnn"], "ratio_one_call": together})
                    line += f" {best / images / channels * 1e6:8.2f} {best / least['qpsnn']:7.1f} {together:8.1f}"
                print(line, flush=True)
    return records, ratios


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="SVS against PyTorch's matrix_rank")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/scoring.json"))
    options = parser.parse_args()
    if torch is None:
        print("PyTorch is not installed: our times alone")
    records, ratios = measure(options.repeats, options.threads, options.seed)
    geomean = {
        f"threads{count}": prod(chosen) ** (1 / len(chosen))
        for count in options.threads
        if (chosen := [each["ratio"] for each in ratios if each["threads"] == count])
    }
    for name, value in geomean.items():
        print(f"geometric mean of ratios, {name}: {value:.1f}")
    result = {
        "command": f"python -m benchmarks.scoring --repeats {options.repeats} --seed {options.seed}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": None if torch is None else torch.__version__,
        "steps": STEPS,
        "epsilon": EPSILON,
        "seed": options.seed,
        "geomean": geomean,
        "ratios": ratios,
        "records": records,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
