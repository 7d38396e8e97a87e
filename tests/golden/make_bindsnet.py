"""Write bindsnet/*.npz: single samples of Diehl & Cook's network, simulated by BindsNET.

Not part of any test run: BindsNET is no dependency. Run with torch==2.13.0, numpy and BindsNET's repository at
34ee2920cf3b605a8d29e777ad6af1bf4bd04036, of which only `network`, `learning` and `encoding` are used:
`python make_bindsnet.py FOLDER_OF_THE_REPOSITORY`. Nothing of qpsnn is used.

The network is put together from BindsNET's layers and connections, in the order X, Ae, Ai; its own models choose
another reset potential or rule of learning. Of the neurons that cross their thresholds BindsNET draws one by chance;
the file holds which. A membrane that lies next to its threshold may fall to either side in another float32 sum, so each
sample is taken from SEEDS seeds; of those in which no membrane came nearer than LEAST_DISTANCE (mV), the one in which
most neurons spiked, and they most often, is written. The distance is in the file.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).with_name("bindsnet")
INPUTS, NEURONS, STEPS, SEEDS = 64, 20, 150, 40
TOTAL, LEAST_DISTANCE = 24.0, 0.002

# (name, three layers, inhibition, weight-dependent, learning)
RUNS = [
    ("single", False, 17.5, True, True),
    ("single_strong", False, 120.0, True, True),
    ("pair", False, 17.5, False, True),
    ("frozen", False, 17.5, True, False),
    ("three", True, 17.5, True, True),
]


def bindsnet(root):
    """The modules of BindsNET that are needed, without those that want a screen or a game."""
    package = types.ModuleType("bindsnet")
    package.__path__ = [str(Path(root) / "bindsnet")]
    sys.modules["bindsnet"] = package
    from bindsnet import network
    from bindsnet import encoding, learning  # isort: skip - after network, or BindsNET's imports go in a circle
    from bindsnet.network import nodes, topology

    return encoding, learning, network, nodes, topology


def simulate(modules, run, seed):
    _, three, inhibition, weight_dependent, learns = run
    encoding, learning, network, nodes, topology = modules
    torch.manual_seed(seed)
    net = network.Network(dt=1.0, learning=learns)
    source = nodes.Input(n=INPUTS, traces=True, tc_trace=20.0)
    neurons = nodes.DiehlAndCookNodes(
        n=NEURONS,
        traces=True,
        rest=-65.0,
        reset=-65.0,
        thresh=-52.0,
        refrac=5,
        tc_decay=100.0,
        tc_trace=20.0,
        theta_plus=0.05,
        tc_theta_decay=1e7,
    )
    net.add_layer(source, name="X")
    net.add_layer(neurons, name="Ae")
    weights = 0.2 + 0.3 * torch.rand(INPUTS, NEURONS)
    weights *= TOTAL / weights.sum(0)
    rule = learning.WeightDependentPostPre if weight_dependent else learning.PostPre
    forward = topology.Connection(
        source=source,
        target=neurons,
        w=weights.clone(),
        update_rule=rule,
        nu=(1e-2, 1e-1),
        wmin=0.0,
        wmax=1.0,
        norm=TOTAL,
    )
    net.add_connection(forward, source="X", target="Ae")
    others = torch.ones(NEURONS, NEURONS) - torch.eye(NEURONS)
    if three:
        inhibitory = nodes.LIFNodes(
            n=NEURONS, traces=False, rest=-60.0, reset=-45.0, thresh=-40.0, tc_decay=10.0, refrac=2
        )
        net.add_layer(inhibitory, name="Ai")
        excite = topology.Connection(source=neurons, target=inhibitory, w=22.5 * torch.eye(NEURONS), wmin=0, wmax=22.5)
        inhibit = topology.Connection(
            source=inhibitory, target=neurons, w=-inhibition * others, wmin=-inhibition, wmax=0
        )
        net.add_connection(excite, source="Ae", target="Ai")
        net.add_connection(inhibit, source="Ai", target="Ae")
    else:
        recurrent = topology.Connection(
            source=neurons, target=neurons, w=-inhibition * others, wmin=-inhibition, wmax=0
        )
        net.add_connection(recurrent, source="Ae", target="Ae")
    theta = torch.rand(NEURONS) * 2
    neurons.theta.copy_(theta)
    neurons.learning = learns
    spikes = encoding.poisson(128 * torch.rand(INPUTS) * (torch.rand(INPUTS) < 0.7), time=STEPS, dt=1.0)
    distance = float("inf")
    winners, membranes = [], []
    forward_once = neurons.forward

    def watched(x):
        nonlocal distance
        before = neurons.theta.clone() * (neurons.theta_decay if learns else 1)
        v = neurons.decay * (neurons.v - neurons.rest) + neurons.rest + (neurons.refrac_count <= 0).float() * x
        distance = min(distance, float((v - neurons.thresh - before).abs().min()))
        forward_once(x)
        fired = neurons.s.flatten().nonzero().flatten().tolist()
        winners.append(fired[0] if fired else -1)
        membranes.append(neurons.v.flatten().numpy().copy())

    neurons.forward = watched
    net.run({"X": spikes.unsqueeze(1)}, time=STEPS)
    return distance, {
        "weights": weights.numpy(),
        "theta": theta.numpy(),
        "spikes": spikes.numpy(),
        "winners": np.array(winners, np.int32),
        "membrane_range": np.array([np.min(membranes), np.max(membranes)]),
        "weights_after": forward.w.detach().numpy().copy(),
        "theta_after": neurons.theta.numpy().copy(),
        "distance": distance,
    }


def main(root):
    FOLDER.mkdir(exist_ok=True)
    modules = bindsnet(root)
    for run in RUNS:
        tried = [simulate(modules, run, seed) for seed in range(SEEDS)]
        clear = [one for one in tried if one[0] >= LEAST_DISTANCE]
        distance, found = max(clear, key=lambda one: (len(set(one[1]["winners"])), (one[1]["winners"] >= 0).sum()))
        spiked = int((found["winners"] >= 0).sum())
        print(f"{run[0]}: distance {distance:.5f} mV, {spiked} spikes of {len(set(found['winners'])) - 1} neurons")
        found.update(three=run[1], inhibition=run[2], weight_dependent=run[3], learning=run[4])
        np.savez_compressed(FOLDER / f"{run[0]}.npz", **found)


if __name__ == "__main__":
    main(sys.argv[1])
