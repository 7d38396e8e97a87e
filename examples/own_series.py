"""Sensor data to a deployed network: three axes of an accelerometer, 24 samples in time, four movements.

Run it: python examples/own_series.py [FOLDER]. It writes movements.npz, trained.h5, trained.toml (the recipe that names
the data) and network.h5 to FOLDER, and ends with a table: accuracies, and in how many spikes C and Lava differ from the
exact simulator (none).
Replace `movements` with your own recordings `[N, L, D]`.
"""

import shutil
import sys
from pathlib import Path

import numpy as np

import qpsnn_backends
import qpsnn_core as qp

LENGTH = 24
CLASSES = ("still", "walk", "run", "shake")


def movements(count, seed=0):
    """Accelerations [N, 24, 3] in m/s^2, without gravity, of both signs; and which movement each is."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(CLASSES), count)
    rate = np.array([0.0, 1.0, 2.0, 4.0])[labels, None, None] * rng.uniform(0.9, 1.1, (count, 1, 1))
    size = np.array([0.0, 3.0, 8.0, 6.0])[labels, None, None] * rng.uniform(0.7, 1.3, (count, 1, 3))
    time = np.linspace(0, 2, LENGTH)[None, :, None]
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 3))
    return size * np.sin(2 * np.pi * rate * time + phase) + rng.normal(0, 0.8, (count, LENGTH, 3)), labels


def differing(network, frames, name, **options):
    """In how many spikes a backend differs from the exact simulator."""
    ref = qpsnn_backends.get("exact").run(network, frames, "spikes")
    comp = qpsnn_backends.get(name, **options).run(network, frames, "spikes")
    return sum(int((comp.spikes[lif] != spikes).sum()) for lif, spikes in ref.spikes.items())


def main(folder, lava=True):
    """Train on frames in time, lower, and run the integers as C and on Lava, where they are installed."""
    folder.mkdir(parents=True, exist_ok=True)
    series, labels = movements(1600)
    np.savez(folder / "movements.npz", images=series, labels=labels, classes=np.array(CLASSES))
    data = qp.load_data("arrays", folder / "movements.npz", test=0.25, series="frames", scale="measured")
    print(data.train, data.test, sep="\n")

    options = {"steps": LENGTH, "widths": (48, 32), "input_range": data.train.input_range}
    network = qp.build("mlp", data.train.image_shape, len(CLASSES), **options)
    settings = qp.TrainConfig(epochs=12, batch=32, optimizer="adam", lr=0.01)
    trained = qp.train(network, data, settings, checkpoint=folder / "trained.h5")
    (folder / "trained.toml").write_text(qp.recipe_from_dict(trained.checkpoint.recipe).to_toml(only=("data",)))
    lowered = qp.lower(trained.model)
    qp.save_integer(folder / "network.h5", lowered.network)

    rows = {
        "accuracy, trained network": f"{qp.evaluate(trained.model, data.test).accuracy:.2%}",
        "accuracy, integers": f"{qp.evaluate(lowered.network, data.test).accuracy:.2%}",
    }
    frames = data.test.images[:20].swapaxes(0, 1)
    if shutil.which("cc"):
        rows["spikes that differ in C"] = str(differing(lowered.network, frames, "c"))
    if lava:
        try:
            rows["spikes that differ on Lava"] = str(differing(lowered.network, frames, "lava"))
        except qp.errors.UnsupportedError as error:
            rows["spikes that differ on Lava"] = f"not run: {error}"
    for name, value in rows.items():
        print(f"{name:<28}{value:>8}")
    return rows


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "own_series"))
