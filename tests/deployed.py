"""Small networks that learnt locally, in fixed point, and samples for them: for tests of what they are deployed to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qpsnn_core.local_learning import (
    STDP,
    AdaptiveLIF,
    DiehlCook,
    InhibitoryLIF,
    LabelledNeurons,
    LocalModel,
    NeuronFormats,
    NumberFormats,
    SpikeTrains,
    quantized,
)
from qpsnn_core.local_learning.decolle import Decolle, LocalConv, LocalDense, LocalNeuron, LocalTraining
from qpsnn_core.local_learning.decolle_formats import DecolleFormats, LocalNeuronFormats
from qpsnn_core.local_learning.decolle_model import DecolleModel, initialise_decolle, quantized_decolle
from qpsnn_core.local_learning.deployment import lower_decolle, lower_local
from qpsnn_core.local_learning.formats import FLOAT
from qpsnn_core.quantization.fixed_point import FixedPoint

Q = FixedPoint.parse
INPUTS, NEURONS, STEPS, CLASSES = 30, 7, 25, 3


def stdp_model(form: str = "single", rounding: str = "nearest", membrane: str = "Q11.6") -> LocalModel:
    """A network of seven neurons whose formats saturate now and then."""
    network = DiehlCook(
        INPUTS,
        NEURONS,
        form,
        17.5 if form == "three" else 40.0,
        neuron=AdaptiveLIF(theta_tau=None, refractory=2),
        inhibitory=InhibitoryLIF() if form == "three" else None,
        trains=SpikeTrains(steps=STEPS),
        rule=STDP(pre=0.02, post=0.2, total=12.0),
    )
    rng = np.random.default_rng(3)
    weights = rng.uniform(0.5, 1.5, (INPUTS, NEURONS)).astype(np.float32)
    model = LocalModel(network, FLOAT, weights, rng.uniform(0, 1, NEURONS).astype(np.float32), 5)
    neurons = NeuronFormats(Q(membrane), Q("Q8.6"), Q("Q7.1"), Q("Q1.6"))
    return quantized(model, NumberFormats(Q("Q1.8"), neurons, rounding))


def named() -> LabelledNeurons:
    """Classes of the seven neurons, of which one has none."""
    assignments = np.array([0, 1, 2, 0, -1, 2, 2])
    return LabelledNeurons(assignments, np.ones((NEURONS, CLASSES)), np.ones((NEURONS, CLASSES)))


def stdp_network(form: str = "single", rounding: str = "nearest", membrane: str = "Q11.6"):
    """`stdp_model`, lowered."""
    return lower_local(stdp_model(form, rounding, membrane), named())


def spikes(count: int = 3, seed: int = 1) -> np.ndarray:
    """Samples for it; the first is silent."""
    found = (np.random.default_rng(seed).random((count, STEPS, INPUTS)) < 0.4).astype(np.uint8)
    found[0] = 0
    return found


TRAINING = LocalTraining(8, 8, 2, 1, 4)


def decolle_model(dynamics: str = "normalised", rounding: str = "nearest") -> DecolleModel:
    """A convolution with a pool, one without a margin, and three neurons."""
    threshold = 0.0 if dynamics == "normalised" else 0.5
    layers = (LocalConv(5, 3, 1, 2), LocalConv(4, 2), LocalDense(6))
    network = Decolle((5, 6, 2), CLASSES, layers, LocalNeuron(dynamics, threshold, 0.8, 0.7))
    share = Q("Q0.10")
    neurons = LocalNeuronFormats(Q("Q2.8"), Q("Q4.8"), Q("Q3.8"), Q("Q2.8"), share, share, share, Q("Q1.8"))
    model = initialise_decolle(network, 2)
    loud = replace(model, weights=tuple(2 * one for one in model.weights))
    return quantized_decolle(loud, DecolleFormats(Q("Q4.6"), neurons, rounding))


def decolle_network(dynamics: str = "normalised", rounding: str = "nearest"):
    """`decolle_model`, lowered."""
    return lower_decolle(decolle_model(dynamics, rounding), TRAINING)


def frames(count: int = 3, seed: int = 1) -> np.ndarray:
    """Samples for it, counts of events."""
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 3, (count, 8, 5, 6, 2)) * (rng.random((count, 8, 5, 6, 2)) < 0.4)).astype(np.uint8)
