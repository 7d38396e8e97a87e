"""Write what snnTorch's and SpikingJelly's own neurons fire with a reset by subtraction: resets.npz and files in nir/.

Not part of any test run. First `python make_resets.py network` where qpsnn is installed: it writes nir/subtract.nir.
Then `python make_resets.py` on Python 3.11 with torch 2.13.0, nir 1.0.8, nirtorch 2.6, snntorch 1.0.0 and spikingjelly
2.0.0, without qpsnn: it runs their neurons on drawn currents, lets their NIR readers load nir/subtract.nir, and lets
snnTorch's exporter write nir/snntorch_subtract.nir (SpikingJelly's refuses: "NIR does not distinguish soft reset").

Both readers make neurons that reset to zero, so `subtracting` sets them as the nodes' metadata say. snnTorch takes a
membrane that is above its threshold after a reset for one that has not been reset (test_resets.py shows it), so the
networks' currents are too small for that, which `left_above` counts.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
STEPS, NEURONS, BATCH = 12, 200, 4
THRESHOLD = 0.9
BETAS = (0.25, 0.5, 0.9, 1.0)
STRENGTHS = (0.2, 0.5, 2.0)


def network():
    """Write a convolution and two dense layers with one threshold each."""
    import qpsnn_core as qp
    from qpsnn_core.exchange.nir_export import save_nir
    from qpsnn_core.network import LIF, Conv, Input, Linear, Network, Quantizer, Readout

    weights = Quantizer(4, "mean", granularity="layer")
    nodes = (
        Input("input", (5, 5, 2), 7, 1 / 7),
        Conv("conv", "input", 4, stride=2, quantizer=weights, bias=True),
        LIF("lif1", ("conv",), 1.0, 0.5, reset="subtract"),
        Linear("fc", "lif1", 12, quantizer=weights),
        LIF("lif2", ("fc",), 1.0, 0.75, reset="subtract"),
        Linear("linear", "lif2", 3),
        Readout("readout", "linear"),
    )
    model = qp.initialise(Network(nodes, STEPS), 3)
    model.params["conv"]["bn_bias"][:] = 0.65
    model.params["conv"]["bn_weight"][:] = 0.3
    model.params["fc"]["bias"][:] = 0.3
    save_nir(HERE / "nir" / "subtract.nir", model)


def neurons():
    """`{name: array}`: currents [T, N] by strength, spikes by strength and beta, snnTorch's membranes."""
    import snntorch
    import torch
    from spikingjelly.activation_based import neuron

    found = {}
    for strength in STRENGTHS:
        x = np.random.default_rng(0).normal(strength, 0.6, (STEPS, NEURONS)).astype(np.float32)
        found[f"{strength}/currents"] = x
        for beta in BETAS:
            leaky = snntorch.Leaky(beta=beta, threshold=THRESHOLD, reset_mechanism="subtract", reset_delay=False)
            options = {"v_threshold": THRESHOLD, "v_reset": None}
            other = (
                neuron.IFNode(**options)
                if beta == 1
                else neuron.LIFNode(tau=1 / (1 - beta), decay_input=False, **options)
            )
            membrane, given, kept, theirs = torch.zeros(NEURONS), [], [], []
            with torch.no_grad():
                for current in torch.tensor(x):
                    spikes, membrane = leaky(current, membrane)
                    given.append(spikes.numpy())
                    kept.append(membrane.numpy() > np.float32(THRESHOLD))
                    theirs.append(other(current).numpy())
            found[f"{strength}/{beta}/snntorch"] = np.packbits(np.array(given, bool))
            found[f"{strength}/{beta}/above"] = np.packbits(np.array(kept))
            found[f"{strength}/{beta}/spikingjelly"] = np.packbits(np.array(theirs, bool))
    return found


def subtracting(module, graph):
    """Neurons that a reader has made of nodes whose metadata say "subtract", set so."""
    for name, node in graph.nodes.items():
        if node.metadata.get("reset") != "subtract":
            continue
        for path, part in module.named_modules():
            if name not in path.split("."):
                continue
            if type(part).__name__ == "Leaky":
                part.reset_mechanism = "subtract"
                part.state_function = part._base_sub  # what the constructor chooses
            if type(part).__name__ in ("LIFNode", "IFNode"):
                part.v_reset = None
    return module


def listening(module, seen, above):
    """What neurons give, by name, and how often a membrane of snnTorch's is left above its threshold."""

    def listen(name):
        def note(part, inputs, output):
            spikes = output[0] if isinstance(output, tuple) else output
            seen.setdefault(name, []).append(spikes.detach().numpy().copy())
            if type(part).__name__ == "Leaky":
                above.append(int((output[1] > part.threshold).sum()))

        return note

    for path, part in module.named_modules():
        if path.split(".")[-1] in ("lif1", "lif2"):
            part.register_forward_hook(listen(path.split(".")[-1]))


def readers(path):
    """`{name: array}`: images [T, B, C, H, W], and the spikes of both, after their own readers."""
    import nir
    import torch
    from snntorch.import_nir import import_from_nir as into_snntorch
    from spikingjelly.activation_based.nir_exchange import import_from_nir as into_spikingjelly

    images = np.random.default_rng(1).integers(0, 8, (STEPS, BATCH, 2, 5, 5))
    found, above = {"images": images.astype(np.uint8)}, []
    for simulator, load in (("snntorch", into_snntorch), ("spikingjelly", into_spikingjelly)):
        module = subtracting(load(nir.read(path)), nir.read(path))
        seen, state = {}, None
        listening(module, seen, above)
        with torch.no_grad():
            for image in images:
                _, state = module(torch.tensor(image, dtype=torch.float32) / 7, state)
        for name, spikes in seen.items():
            found[f"{simulator}/{name}"] = np.array(spikes).astype(np.uint8)
    return {**found, "left_above": sum(above)}


def exported():
    """snnTorch's file of neurons that subtract, and what they fire: as make_nir.py does."""
    import nir
    import snntorch
    import torch
    from snntorch.export_nir import export_to_nir

    def leaky(size, beta, threshold):
        return snntorch.Leaky(
            beta=torch.full((size,), beta),
            threshold=torch.full((size,), threshold),
            reset_mechanism="subtract",
            reset_delay=False,
            init_hidden=True,
        )

    torch.manual_seed(0)
    images = torch.rand(STEPS, BATCH, 40)
    parts = [torch.nn.Linear(40, 20), leaky(20, 0.5, 1.0), torch.nn.Linear(20, 10), leaky(10, 0.75, 1.0)]
    for part in parts[::2]:
        part.bias.data += 0.4
    given, above = [[] for _ in parts], 0
    with torch.no_grad():
        for value in images:
            for index, part in enumerate(parts):
                value = part(value)
                given[index].append(value.numpy())
                above += int((part.mem > part.threshold).sum()) if index % 2 else 0
    path = HERE / "nir" / "snntorch_subtract.nir"
    nir.write(path, export_to_nir(torch.nn.Sequential(*parts), images[0, :1], ignore_dims=[0]))
    first, second = np.array(given[1]), np.array(given[3])
    arrays = {"images": images.numpy(), "first": first, "second": second, "last": second.mean(0)}
    np.savez_compressed(path.with_suffix(".npz"), **arrays)
    print("exported: left above", above, "rates", first.mean(), second.mean())  # noqa: T201 - a script's report


def main():
    if sys.argv[1:] == ["network"]:
        network()
        return
    np.savez_compressed(HERE / "resets.npz", **neurons())
    found = readers(HERE / "nir" / "subtract.nir")
    np.savez_compressed(HERE / "nir" / "subtract.npz", **found)
    rates = {name: float(array.mean()) for name, array in found.items() if "/" in name}
    print(rates, "left above", found["left_above"])  # noqa: T201 - a script's report
    exported()


if __name__ == "__main__":
    main()
