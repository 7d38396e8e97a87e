"""How fast boxes are suppressed and matched: the page has the figures of the file, which reach the targets."""

from __future__ import annotations

import json
import re

import numpy as np

from benchmarks.suppression import CANDIDATES, TARGET, candidates
from naive.detection import suppress as by_loops
from qpsnn_core.kernels.boxes import suppress


def test_the_page_has_the_figures_of_the_file(root):
    found = json.loads((root / "benchmarks/suppression.json").read_text(encoding="utf-8"))["images_per_second"]
    page = (root / "docs/detection.md").read_text(encoding="utf-8").split("| images/s |")[1]
    told = [int(one.replace(",", "")) for one in re.findall(r"\| ([\d,]+) \|$", page, re.MULTILINE)]
    assert told == [round(one) for one in found.values()]
    assert min(found["suppression"], found["matching"]) >= TARGET
    (stay,) = re.findall(r"of which ([\d,]+) stay", page)
    kept = np.zeros(CANDIDATES, np.int64)
    assert suppress(*candidates(0), 0.6, CANDIDATES, kept) == int(stay.replace(",", ""))


def test_its_candidates_are_suppressed_as_by_loops():
    boxes, classes = (array[:150] for array in candidates(0))
    kept = np.zeros(150, np.int64)
    count = suppress(boxes, classes, 0.6, 150, kept)
    assert kept[:count].tolist() == by_loops(boxes, classes, 0.6, 150)
