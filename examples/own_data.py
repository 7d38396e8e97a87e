"""Your own arrays, from NumPy to a deployed network: floats of both signs with words as labels.

Run it: python examples/own_data.py [FOLDER]. It writes patterns.h5 (the data), trained.h5 and network.h5 to FOLDER, and
ends with a table of accuracies, each of them at least 85%. Replace `patterns` with your own arrays.
"""

import sys
from pathlib import Path

import numpy as np

import qpsnn_core as qp


def patterns(count, seed=0):
    """Images [N, 10, 10] of stripes in one of three directions with noise, in -1..1, and the direction as a word."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(["across", "down", "slanted"], count)
    y, x = np.mgrid[:10, :10]
    along = {"across": y, "down": x, "slanted": x + y}
    phase = rng.uniform(0, 2 * np.pi, count)
    waves = np.stack([np.sin(1.5 * along[label] + shift) for label, shift in zip(labels, phase, strict=True)])
    return np.clip(0.6 * waves + rng.normal(0, 0.8, waves.shape), -1, 1), labels


def main(folder):
    """Train, evaluate, lower, evaluate again, and compare with the generated C where there is a compiler."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = patterns(1200)
    data = qp.Dataset.from_arrays(images, labels, test=0.2, validation=0.1, seed=0, name="patterns", scale="measured")
    print(data.train, data.test, data.validation, sep="\n")
    data.save(folder / "patterns.h5")

    network = qp.build(
        "vgg_small",
        data.train.image_shape,
        len(data.train.classes),
        steps=2,
        width=0.25,
        input_range=data.train.input_range,
    )
    settings = qp.TrainConfig(epochs=6, batch=32, optimizer="adam", lr=0.01)
    trained = qp.train(network, data, settings, checkpoint=folder / "trained.h5")
    lowered = qp.lower(trained.model)
    qp.save_integer(folder / "network.h5", lowered.network)

    new, words = patterns(5, seed=1)
    integers = data.train.input_range.quantize(new[..., np.newaxis])
    answers = qp.simulate(lowered.network, integers).readout.argmax(1)
    print("new patterns:", ", ".join(words))
    print("answers:     ", ", ".join(data.train.classes[answer] for answer in answers))

    accuracies = {
        "validation, while training": trained.history[-1].validation,
        "test, trained network": qp.evaluate(trained.model, data.test).accuracy,
        "test, integers": qp.evaluate(lowered.network, data.test).accuracy,
    }
    for name, accuracy in accuracies.items():
        print(f"{name:<28}{accuracy:7.2%}")
    return accuracies


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "own_data"))
