"""docs/c-export.md: its commands run, and its C compiles."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from compiled import SANITIZED, needs_cc
from pages import blocks, links, run

import qpsnn_core as qp

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "c-export.md"

pytestmark = [needs_cc, pytest.mark.cli]


MAIN = """
int classify(const network_value *image);
int follow(const network_value *frame, int first);
static network_value image[NETWORK_HEIGHT * NETWORK_WIDTH * NETWORK_CHANNELS];
int main(void)
{
    const int answer = classify(image);
    int streamed = -1;
    for (int t = 0; t < NETWORK_STEPS; t++) streamed = follow(image, t == 0);
    return answer < 0 || answer != streamed;
}
"""


@pytest.mark.slow
def test_its_commands_run_and_its_c_compiles(tmp_path):
    pytest.importorskip("typer")
    pytest.importorskip("sklearn")
    noise = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1)).astype(np.uint8)
    built = qp.build("vgg_small", (8, 8, 1), 10, steps=2, width=0.1)
    qp.save_integer(tmp_path / "network.h5", qp.lower(qp.recalibrate(qp.initialise(built, 0), noise)).network)
    (listed,) = blocks(PAGE, "sh")
    for line in listed.strip().split("\n"):
        assert run(shlex.split(line), tmp_path).strip(), line
    (snippet,) = blocks(PAGE, "python")
    run([sys.executable, "-c", snippet], tmp_path)
    assert "are the same" in run(["make", "-C", "from-python", "check"], tmp_path)
    (example,) = blocks(PAGE, "c")
    (tmp_path / "firmware" / "main.c").write_text(example + MAIN)
    words = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", *SANITIZED, "network.c", "main.c"]
    subprocess.run([*words, "-o", "main"], cwd=tmp_path / "firmware", check=True)
    assert subprocess.run([tmp_path / "firmware" / "main"], check=False).returncode == 0


def test_every_file_that_it_links_to_is_there():
    found = links(PAGE)
    assert found
    assert [link for link in found if not (ROOT / "docs" / link).exists()] == []


def test_its_table_says_what_was_measured():
    text = PAGE.read_text(encoding="utf-8")
    published = json.loads((ROOT / "benchmarks" / "c_export.json").read_text(encoding="utf-8"))
    assert published["command"] in text
    for name, one in published["networks"].items():
        cells = [name, " x ".join(map(str, one["input"])), f"{one['firing_rate']:.1%}"]
        cells += [f"{one['flash_bytes']['with code, -Os']:,}", f"{sum(one['ram_bytes'].values()):,}"]
        order = ("C -O2", "C -O3", "exact, an image at a time", "exact, all at once")
        cells += [f"{one['ms_per_image'][who]:.3g} ms" for who in order]
        assert f"| {' | '.join(cells)} |" in text


def test_its_table_of_processors_says_what_was_measured():
    text = PAGE.read_text(encoding="utf-8")
    published = json.loads((ROOT / "benchmarks" / "cortex_m.json").read_text(encoding="utf-8"))
    assert published["command"] in text
    assert set(published["network"]["processors"]) == {"Cortex-M4", "Cortex-M0"}
    for name, one in published["network"]["processors"].items():
        cells = (one["text"], one["data"] + one["bss"], one["stack"], one["instructions"], one["instructions at most"])
        assert f"| {name} | {' | '.join(f'{cell:,}' for cell in cells)} |" in text
