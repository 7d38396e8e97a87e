"""Results as a run of the benchmark would leave them, with figures that are easy to check."""

from __future__ import annotations

import benched  # noqa: F401 - makes the benchmarks importable
from benchmarks import results

FEATURES = ["AVX2", "AVX-512", "VNNI", "bf16"]
TILES = [*FEATURES, "AMX int8", "AMX bf16"]


def record(network, steps, work, contestant, seconds, form, threads=1):
    names = ("network", "T", "work", "threads", "contestant", "min_s", "median_s")
    row = dict(zip(names, (network, steps, work, threads, contestant, seconds, seconds * 1.1), strict=True))
    return {**row, "clock": "wall", "repeats": 5, "form": form, "batch": 16, "rate": 0.15}


def found(features=FEATURES, cpu="A processor", others=0.0):
    """Two networks: of "a" qpsnn trains in two forms, at T = 2 and 4; "b" trains in one, and autocast is slower."""
    records = []
    for steps in (2, 4):
        for who, form, seconds in (
            ("qpsnn", "safe", 1.0),
            ("qpsnn", "fast", 0.5),
            ("spikingjelly", "parts", 4.0),
            ("spikingjelly", "autocast parts", 5.0),
            ("snntorch", "eager", 6.0),
            ("snntorch", "autocast eager", 3.0),
        ):
            records.append(record("a", steps, "train", who, seconds, form))
        records.append(record("a", steps, "train", "qpsnn", 0.6, "safe", threads=2))
        records.append(record("a", steps, "infer_integer", "qpsnn", 0.5, "exact"))
        records.append(record("a", steps, "infer_float", "qpsnn", 1.0, "safe"))
        records.append(record("a", steps, "infer_float", "spikingjelly", 4.0, "compiled"))
        records.append(record("a", steps, "infer_float", "spikingjelly", 2.0, "autocast compiled"))
    records.append(record("b", 4, "train", "qpsnn", 2.0, "safe"))
    records.append(record("b", 4, "train", "snntorch", 2.0, "parts"))
    records.append(record("b", 4, "train", "snntorch", 4.0, "autocast parts"))
    held = [
        ("qpsnn", "", 10),
        ("spikingjelly", "parts", 50),
        ("snntorch", "parts", 40),
        ("snntorch", "autocast parts", 20),
    ]
    whole = {
        "format": results.FORMAT,
        "command": "python -m benchmarks",
        "duration_s": 60.0,
        "machine": {
            "cpu": cpu,
            "design": "Zen 4",
            "features": features,
            "processors": 2,
            "others": others,
            "versions": {"torch": "2.13.0", "spikingjelly": "2.0.0"},
        },
        "networks": [],
        "agreement": [],
        "records": records,
        "scaling": [{"network": "a", "T": steps, "threads": 2, "one_thread_s": 1.0, "min_s": 0.5} for steps in (2, 4)],
        "memory": [
            {"network": "a", "T": 4, "contestant": who, "form": form, "step_bytes": size * 2**20, "peak_bytes": 0}
            for who, form, size in held
        ],
        "import_s": [{"contestant": "qpsnn", "min_s": 0.1, "median_s": 0.2, "repeats": 3}],
        "first_step_s": [
            {"contestant": "qpsnn", "cache": "cold", "wall_s": 30.0, "cpu_s": 50.0},
            {"contestant": "qpsnn", "cache": "warm", "wall_s": 2.0, "cpu_s": 1.5},
        ],
    }
    return {**whole, "geomean": results.geometric_means(whole)}
