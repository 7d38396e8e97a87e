"""Write losses.json: losses of a few logits with label smoothing and class weights, and their gradients, by PyTorch.

Not part of any test run: PyTorch is no dependency. With `pip install torch==2.13.0`: `python make_pytorch_losses.py`.
Nothing of qpsnn is used. In float64; the mean over steps is taken of the logits ("mean") or of the losses ("tet").
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

STEPS, BATCH, CLASSES = 3, 5, 4
WEIGHTS = [0.5, 1.0, 3.0, 0.25]
OPTIONS = [(0.0, None), (0.1, None), (0.0, WEIGHTS), (0.3, WEIGHTS)]


def main() -> None:
    generator = torch.Generator().manual_seed(21)
    logits = torch.randint(-96, 97, (STEPS, BATCH, CLASSES), generator=generator).double() / 32  # exact in float32
    labels = torch.randint(0, CLASSES, (BATCH,), generator=generator)
    cases = []
    for smoothing, weights in OPTIONS:
        options = {"label_smoothing": smoothing, "weight": torch.tensor(weights).double() if weights else None}
        for name in ("mean", "tet"):
            leaf = logits.clone().requires_grad_()
            each = [leaf.mean(0)] if name == "mean" else list(leaf)
            loss = sum(cross_entropy(one, labels, **options) for one in each) / len(each)
            loss.backward()
            cases.append(
                {
                    "name": name,
                    "smoothing": smoothing,
                    "weights": weights,
                    "loss": loss.item(),
                    "gradient": leaf.grad.tolist(),
                }
            )
    record = {"torch": torch.__version__, "logits": logits.tolist(), "labels": labels.tolist(), "cases": cases}
    Path(__file__).with_name("losses.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
