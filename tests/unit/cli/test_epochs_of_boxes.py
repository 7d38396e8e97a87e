"""The table of a detector's epochs: every convention, and the best beside the last epoch."""

from __future__ import annotations

import pytest

pytest.importorskip("typer")
from qpsnn_core.cli import show
from qpsnn_core.training.history import Epoch

NAMES = ("coco mAP@0.5:0.95", "voc mAP@0.5")


def test_the_best_and_the_last_epoch_are_printed(capsys):
    scores = [(0.1, 0.3), (0.25, 0.5), (0.2, 0.625)]
    history = [
        Epoch(n, 0.5, None, score, 0.1, 0.2, 1.0, (), 0.6, None, dict(zip(NAMES, (score, other), strict=True)))
        for n, (score, other) in enumerate(scores, 1)
    ]
    show.epochs("train", history, "", "")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        "best epoch (2): coco mAP@0.5:0.95 0.2500, voc mAP@0.5 0.5000",
        "last epoch (3): coco mAP@0.5:0.95 0.2000, voc mAP@0.5 0.6250",
    ]
    plain = [Epoch(1, 0.5, 0.5, 0.5, 0.1, 0.2, 1.0)]
    show.epochs("train", plain, "", "")
    assert "best epoch" not in capsys.readouterr().out
