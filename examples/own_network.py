"""A network of one's own: write it, train it on scikit-learn's digits, look inside, and lower it to integers.

`python examples/own_network.py`; docs/own_network.md explains it. With a folder as its argument it writes two figures
there, which need the extra [plot].
"""

from __future__ import annotations

import sys
from pathlib import Path

import qpsnn_core as qp
from qpsnn_core.layers import LIF, AvgPool, Branches, Conv, Linear, MaxPool, Shortcut
from qpsnn_datasets import Dataset


def make(shape: tuple[int, int, int], classes: int, *, steps: int = 4) -> qp.Network:
    """Three convolutions with a residual between them; a recipe can name this function."""
    return qp.sequential(
        shape,
        [
            Conv(32),
            LIF(),
            MaxPool(2),
            Branches([Conv(32), LIF(), Conv(32)], [Shortcut()]),
            LIF(),
            Conv(64),
            LIF(threshold=0.5),
            AvgPool(None),
            Linear(classes),
        ],
        steps=steps,
        bits=4,
    )


def figures(trained: qp.Model, digits: Dataset, folder: Path) -> None:
    """The spikes and the membranes of one image, and the network."""
    from matplotlib import pyplot

    seen = qp.inspect(trained, digits.images[:1])
    _, axes = pyplot.subplots(1, 3, figsize=(16, 6), layout="constrained")
    qp.plot.raster(seen, axes[0])
    qp.plot.membrane(seen, "lif4", axes[1])
    qp.plot.network(trained, axes[2])
    folder.mkdir(parents=True, exist_ok=True)
    pyplot.savefig(folder / "own_network.png", dpi=120)


def main() -> None:
    """Train it, lower it, and print what came out."""
    digits = qp.load_data("digits")
    network = make((8, 8, 1), len(digits.train.classes))
    print(network, end="\n\n")
    model = qp.train(network, digits.train, qp.TrainConfig(epochs=12, optimizer="adam", lr=0.01)).model
    integers = qp.lower(model).network

    answers = qp.predict(integers, digits.test)
    sure = answers.probabilities.max(1)
    print(f"first test image: {answers.names[0]}, with a probability of {sure[0]:.2f}")
    seen = qp.inspect(integers, digits.test, "lif2")
    print(f"lif2, first step: {seen.spikes['lif2'][0].mean():.1%} of its neurons fire\n")

    print(f"{'network':<10}  {'accuracy':>8}  {'firing rate':>11}")
    for name, one in (("trained", model), ("integers", integers)):
        found = qp.evaluate(one, digits.test)
        print(f"{name:<10}  {found.accuracy:>8.2%}  {found.firing_rate:>11.2%}")
    if len(sys.argv) > 1:
        figures(model, digits.test, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
