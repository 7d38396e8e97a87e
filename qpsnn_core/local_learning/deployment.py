"""From networks in fixed point to those that are deployed: what cannot be is refused by name."""

from __future__ import annotations

import math

import numpy as np

from qpsnn_core.common.errors import LoweringError, expected
from qpsnn_core.common.types import Images
from qpsnn_core.common.validation import check_kind
from qpsnn_core.integer.local.networks import TESTED, Codes, IntDecolle, IntDiehlCook
from qpsnn_core.kernels.counter_random import sample_key
from qpsnn_core.kernels.neurons.diehl_cook import SPIKES, Layers
from qpsnn_core.kernels.spike_trains import encode
from qpsnn_core.local_learning.arithmetic import arithmetic
from qpsnn_core.local_learning.decolle import LocalTraining
from qpsnn_core.local_learning.decolle_formats import decolle_memory_bits, dynamics
from qpsnn_core.local_learning.decolle_model import DecolleModel
from qpsnn_core.local_learning.formats import memory_bits
from qpsnn_core.local_learning.labels import LabelledNeurons
from qpsnn_core.local_learning.model import LocalModel
from qpsnn_core.local_learning.present import check_images
from qpsnn_core.local_learning.trains import intervals
from qpsnn_core.quantization.fixed_point import FixedPoint

READOUT_BITS = 16
"""Of the integers that a DECOLLE network's last readout becomes, its sign included."""

REMEDY = "in fixed point: `quantized` gives a network formats, `qpsnn qspinn` finds some"


def lower_local(model: LocalModel, named: LabelledNeurons | None = None) -> IntDiehlCook:
    """The network in integers: every number is the one that training computes with.

    named: what its neurons stand for; None: it answers with their spikes alone. Raises LoweringError, naming the
    weights or neurons that are float32.
    """
    check_kind("model", model, LocalModel)
    formats = model.formats
    if formats.weights is None:
        raise LoweringError(expected("formats.weights", f"weights {REMEDY}", "float32"))
    if formats.neurons is None:
        raise LoweringError(expected("formats.neurons", f"neurons {REMEDY}", "float32"))
    layers, _ = arithmetic(model.network, formats, model.seed)
    if not isinstance(layers, Layers):
        want = "None: networks with conductances run where they are trained, and are not deployed"
        raise LoweringError(expected("DiehlCook.conductances", want, "Conductances"))
    return IntDiehlCook(
        layers=layers,
        weights=model.weights,
        thresholds=model.adaptation,
        steps=model.network.trains.steps,
        membrane=_codes(formats.neurons.membrane),
        threshold=_codes(formats.neurons.threshold),
        weight=_codes(formats.weights),
        form=str(formats),
        bits=memory_bits(model.network, formats),
        assignments=None if named is None else named.assignments,
        classes=0 if named is None else named.rates.shape[1],
    )


def lower_decolle(model: DecolleModel, training: LocalTraining) -> IntDecolle:
    """The network in integers, with the readout of its last layer; all but this are the numbers of training.

    The readout is rounded to 16 bits, which can change an answer where two classes are as good as equal. training: its
    test steps and burn-in. Raises LoweringError for float32, and for a burn-in that leaps over steps.
    """
    check_kind("model", model, DecolleModel)
    check_kind("training", training, LocalTraining)
    formats = model.formats
    if formats.weights is None or formats.neurons is None:
        raise LoweringError(expected("formats", f"weights and neurons {REMEDY}", "float32"))
    if training.burnin and training.burnin_form != "real":
        want = "'real': a deployed network runs through its first steps"
        raise LoweringError(expected("train.burnin_form", want, training.burnin_form))
    weights, bias = model.readouts[-1].astype(np.float64), model.readout_biases[-1].astype(np.float64)
    largest = max(float(abs(weights).max()), 2.0**-40)
    fraction = READOUT_BITS - 1 - math.frexp(largest)[1]
    codes = np.rint(np.ldexp(weights, fraction))
    if codes.max() >= 2 ** (READOUT_BITS - 1):
        fraction -= 1
        codes = np.rint(np.ldexp(weights, fraction))
    n = formats.neurons
    kept = {"q": n.q, "p": n.p, "r": n.r, "membranes": n.membrane, "weights": formats.weights}
    return IntDecolle(
        maps=model.network.maps,
        dynamics=dynamics(model.network, formats, model.seed),
        weights=model.weights,
        biases=model.biases,
        readout=codes.astype(np.int32),
        readout_bias=np.rint(np.ldexp(bias, fraction)).astype(np.int64),
        readout_fraction=fraction,
        steps=training.test_steps,
        burnin=training.burnin,
        codes={name: _codes(form) for name, form in kept.items()},
        form=str(formats),
        bits=decolle_memory_bits(model.network, formats),
    )


def _codes(form: FixedPoint) -> Codes:
    return Codes(form.low, form.high, str(form))


def spikes_of(model: LocalModel, images: Images, first: int = TESTED) -> Images:
    """The spikes that images become, uint8 `[samples, steps, inputs]`: those that the network sees in training.

    first: the number of the first sample; with TESTED, those of `respond`. Raises DataError, ShapeError.
    """
    check_kind("model", model, LocalModel)
    pixels, trains = check_images(model, images), model.network.trains
    table, inputs = intervals(trains, model.network.dt), model.network.inputs
    starts, events = np.zeros(trains.steps + 1, np.int32), np.zeros(inputs * trains.steps, np.int32)
    lit, count, words = np.zeros(inputs, np.int32), np.zeros(inputs, np.int32), np.zeros(inputs, np.uint64)
    times = np.zeros_like(events)
    found: Images = np.zeros((len(pixels), trains.steps, inputs), np.uint8)
    for n, image in enumerate(pixels):
        key = sample_key(np.uint64(model.seed), SPIKES, first + n)
        encode(image, table, key, starts, events, times, lit, count, words)
        steps = np.repeat(np.arange(trains.steps), np.diff(starts))
        found[n, steps, events[: starts[-1]]] = 1
    return found
