"""Exported C on the Cortex-M4 and the Cortex-M0 that QEMU emulates: flash, RAM, stack and instructions of an image.

    python -m benchmarks.cortex_m [--images 100] [--out benchmarks/cortex_m.json]

The network is the small one of `benchmarks.c_export`, trained on scikit-learn's digits; its inputs are test images.
`make m4` and `make m0` of the export compare every spike, membrane and readout before they measure. Figures are exact
counts, which depend on the compiler and not on this machine.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import qpsnn_core as qp
from benchmarks import results
from benchmarks.c_export import digits
from qpsnn_backends.c.export import export
from qpsnn_core.integer.network import IntegerNetwork

TARGETS = {"Cortex-M4": "m4", "Cortex-M0": "m0"}


def measured(network: IntegerNetwork, images: Any) -> dict[str, Any]:
    """What `make` prints for each processor. SystemExit where a check fails or a tool is missing."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        done = export(network, name, "network", images)
        for title, target in TARGETS.items():
            made = subprocess.run(["make", "-C", name, target], capture_output=True, text=True, check=False)
            if made.returncode:
                raise SystemExit(f"make {target}: {made.stderr.strip()[-500:]}")
            found[title] = figures(made.stdout)
    return {
        "input": list(network.input.shape),
        "T": network.steps,
        "images": len(images),
        "header": {"constants": done.constants, "state": done.state, "scratch": done.scratch},
        "processors": found,
    }


def figures(printed: str) -> dict[str, int]:
    """The numbers in what `make m4` prints."""
    stack = re.search(r"^stack: (\d+) bytes$", printed, re.MULTILINE)
    instructions = re.search(r"^instructions an image: (\d+) on average, (\d+) at most$", printed, re.MULTILINE)
    sizes = re.search(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s+\d+\s+\w+\s+build/m\d/\w+\.o$", printed, re.MULTILINE)
    if stack is None or instructions is None or sizes is None:
        raise SystemExit(f"make printed no figures: {printed.strip()[-500:]}")
    names = ("text", "data", "bss", "stack", "instructions", "instructions at most")
    numbers = (*sizes.groups(), stack[1], *instructions.groups())
    return dict(zip(names, map(int, numbers), strict=True))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Exported C on an emulated Cortex-M")
    parser.add_argument("--images", type=int, default=100, help="test images")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/cortex_m.json"))
    options = parser.parse_args()
    network, test = digits()
    versions = {
        tool: subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
        for tool in ("arm-none-eabi-gcc", "qemu-system-arm")
    }
    record = {
        "command": results.command(sys.argv[1:]).replace("-m benchmarks", "-m benchmarks.cortex_m"),
        "tools": versions,
        "accuracy": qp.evaluate(network, test).accuracy,
        "network": measured(network, test.images[: options.images]),
    }
    results.save(record, options.out)


if __name__ == "__main__":
    main()
