"""Local learning against BindsNET: one sample of Diehl & Cook's network, learning and not, on one thread.

`python -m benchmarks.local --data FOLDER` takes MNIST's four IDX files. `--bindsnet FOLDER` names a copy of BindsNET's
repository (its package is imported from there) and needs PyTorch; without it, only ours is measured, and the page says
so. Both get the same network: 784 inputs, `--neurons` neurons that inhibit each other by 120 mV, 250 steps, STDP with
weight dependence. Ours turns each image into spikes within the time that is measured, but where spikes are given;
BindsNET's samples are encoded before. Times are of the processor, per sample, the least of rounds that take turns.
"""

from __future__ import annotations

import argparse
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import show
from qpsnn_core.kernels.neurons.diehl_cook import history_for, present_one
from qpsnn_core.kernels.spike_trains import encode
from qpsnn_core.kernels.threads import set_threads
from qpsnn_core.local_learning import DiehlCook, LocalModel, NeuronFormats, NumberFormats, initialise, learn, respond
from qpsnn_core.local_learning.arithmetic import arithmetic
from qpsnn_core.local_learning.formats import FLOAT
from qpsnn_core.local_learning.trains import intervals
from qpsnn_core.quantization.fixed_point import FixedPoint
from qpsnn_datasets.mnist import load_mnist

INHIBITION, SETTLED = 120.0, 200
TARGETS = {True: 100, False: 500}
"""How many times BindsNET we must be, learning and not."""

parse = FixedPoint.parse
FORMS = {
    "float32": FLOAT,
    "W(Q1.6)-N(Qi.6), nearest": NumberFormats(
        parse("Q1.6"), NeuronFormats(parse("Q11.6"), parse("Q11.6"), parse("Q7.0"), parse("Q1.6")), "nearest"
    ),
    "W(Q1.8)-N(Qi.8), nearest": NumberFormats(
        parse("Q1.8"), NeuronFormats(parse("Q11.8"), parse("Q11.8"), parse("Q7.0"), parse("Q1.8")), "nearest"
    ),
    "W(Q1.6)-N(Qi.6), stochastic": NumberFormats(
        parse("Q1.6"), NeuronFormats(parse("Q11.6"), parse("Q11.6"), parse("Q7.0"), parse("Q1.6")), "stochastic"
    ),
}


def ours(images: np.ndarray, neurons: int) -> dict[tuple[str, bool], tuple[Callable[[], object], int]]:
    """By form and whether it learns: one round, and its samples. The network has settled on some samples before."""
    found: dict[tuple[str, bool], tuple[Callable[[], object], int]] = {}
    for name, formats in FORMS.items():
        model, _ = learn(initialise(DiehlCook(784, neurons, "single", INHIBITION), formats, 1), images[:SETTLED])
        part = images[SETTLED : SETTLED + 50]
        found[name, True] = (lambda model=model, part=part: learn(model, part), len(part))
        found[name, False] = (lambda model=model, part=part: respond(model, part), len(part))
        found[f"{name}, spikes given", False] = (spikes_given(model, part[:10]), 10)
    return found


def spikes_given(model: LocalModel, images: np.ndarray) -> Callable[[], object]:
    """One round that does not learn from spikes which are there before, as BindsNET's."""
    (layers, like), trains = arithmetic(model.network, model.formats, model.seed), model.network.trains
    steps, inputs = trains.steps, model.network.inputs
    room = [np.zeros(size, kind) for size, kind in ((inputs, np.int32), (inputs, np.int32), (inputs, np.uint64))]
    samples = []
    for n, image in enumerate(images.reshape(len(images), inputs)):
        first, events = np.zeros(steps + 1, np.int32), np.zeros(inputs * steps, np.int32)
        encode(image, intervals(trains, 1.0), np.uint64(n), first, events, np.zeros_like(events), *room)
        samples.append((first, events, np.zeros(0, np.int32)))
    arrays = (model.weights, model.adaptation, layers, like, False, 0)
    counts, lost = np.zeros(model.network.neurons, np.int64), np.zeros(3, np.int64)
    out = (np.zeros(steps, np.int32), counts, np.zeros(0), lost, history_for(0, model.adaptation))
    return lambda: [present_one(*sample, *arrays, *out) for sample in samples]


def theirs(folder: Path, images: np.ndarray, neurons: int) -> dict[tuple[str, bool], tuple[Callable[[], object], int]]:
    """The same of BindsNET, which meets two samples a round; they are encoded before."""
    import torch

    torch.set_num_threads(1)
    package = types.ModuleType("bindsnet")
    package.__path__ = [str(folder / "bindsnet")]
    sys.modules["bindsnet"] = package
    from bindsnet import network
    from bindsnet import encoding, learning  # isort: skip - BindsNET's imports go in a circle otherwise
    from bindsnet.network import nodes, topology

    def made(learns: bool) -> Any:
        net = network.Network(dt=1.0, learning=learns)
        source = nodes.Input(n=784, traces=True, tc_trace=20.0)
        layer = nodes.DiehlAndCookNodes(
            n=neurons, traces=True, rest=-65.0, reset=-65.0, thresh=-52.0, refrac=5, tc_decay=100.0, tc_trace=20.0
        )
        net.add_layer(source, name="X")
        net.add_layer(layer, name="Y")
        others = torch.ones(neurons, neurons) - torch.eye(neurons)
        forward = topology.Connection(
            source,
            layer,
            w=0.3 * torch.rand(784, neurons),
            update_rule=learning.WeightDependentPostPre,
            nu=(1e-4, 1e-2),
            wmin=0.0,
            wmax=1.0,
            norm=78.4,
        )
        net.add_connection(forward, source="X", target="Y")
        recurrent = topology.Connection(layer, layer, w=-INHIBITION * others, wmin=-INHIBITION, wmax=0)
        net.add_connection(recurrent, source="Y", target="Y")
        layer.learning = learns
        return net

    rates = torch.from_numpy(images[:2].reshape(2, 784).astype(np.float32)) / 255 * 128
    samples = [encoding.poisson(one, time=250, dt=1.0).unsqueeze(1) for one in rates]

    def run(net: Any) -> None:
        for sample in samples:
            net.run({"X": sample}, time=250)
            net.reset_state_variables()

    nets = {learns: made(learns) for learns in (True, False)}
    return {("BindsNET", learns): (lambda net=net: run(net), len(samples)) for learns, net in nets.items()}


def measure(contestants: dict[tuple[str, bool], tuple[Callable[[], object], int]], rounds: int) -> dict[Any, float]:
    """Milliseconds of the processor per sample: the least of so many rounds, in turns."""
    least = dict.fromkeys(contestants, float("inf"))
    for call, _ in contestants.values():
        call()
    for _ in range(rounds):
        for key, (call, samples) in contestants.items():
            begin = time.thread_time()
            call()
            least[key] = min(least[key], 1e3 * (time.thread_time() - begin) / samples)
    return least


def main(arguments: list[str] | None = None) -> int:
    """Print the table; status 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bindsnet", type=Path)
    parser.add_argument("--neurons", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    set_threads(1)
    images = np.asarray(load_mnist(options.data, limit=SETTLED + 50).train.images)
    contestants = ours(images, options.neurons)
    if options.bindsnet is not None:
        contestants |= theirs(options.bindsnet, images, options.neurons)
    found = measure(contestants, options.rounds)
    rows, missed = [], 0
    for (name, learns), milliseconds in found.items():
        other = found.get(("BindsNET", learns))
        ratio = "" if other is None or name == "BindsNET" else f"{other / milliseconds:.0f}"
        missed += bool(ratio) and float(ratio) < TARGETS[learns]
        rows.append([name, "learning" if learns else "not learning", f"{milliseconds:.3f}", ratio])
    show("Per sample", ["network", "", "ms", "times BindsNET"], rows)
    if options.bindsnet is None:
        print("BindsNET was not measured: --bindsnet FOLDER names a copy of its repository.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
