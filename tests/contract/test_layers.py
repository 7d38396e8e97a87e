"""The one contract that every layer kind keeps: what it gives, what it leaves alone, and what may not matter."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest

from qpsnn_core.engine.layers import LAYERS
from qpsnn_core.engine.layers.base import Current, CurrentGradient, Layer, LayerContext, MaskGradient
from qpsnn_core.engine.layers.batch_norm import with_moments
from qpsnn_core.kernels import threads
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.network import (
    LIF,
    AvgPool,
    ChannelGate,
    Concat,
    Conv,
    CurrentReadout,
    Dropout,
    Input,
    Linear,
    MaxPool,
    Membrane,
    Node,
    Quantizer,
    Readout,
    SelfAttention,
    Shortcut,
    SpatialGate,
    Sum,
    Upsample,
    ValueSpec,
)
from qpsnn_core.network.gates import SAMPLINGS
from qpsnn_core.network.readouts import MODES

STEPS = 3
PIXELS = ValueSpec("analog", (5, 4, 3), 255, 1 / 255)
REAL = ValueSpec("analog", (5, 4, 3))
SPIKES = ValueSpec("spikes", (5, 4, 3), 1)
COUNTS = ValueSpec("spikes", (5, 4, 3), 16, 0.25)
FOUR, FOURS = ValueSpec("spikes", (5, 4, 4), 1), ValueSpec("analog", (5, 4, 4), 255, 1 / 255)
SIX, WIDE_VALUE = ValueSpec("spikes", (5, 4, 6), 1), ValueSpec("spikes", (5, 4, 17), 1)
DROPPED = ValueSpec("spikes", (5, 4, 3), 1, 1.25)
MANY = ValueSpec("spikes", (5, 4, 3), 300)
HUGE = ValueSpec("spikes", (5, 4, 3), 40000)
MAP = ValueSpec("current", (5, 4, 3))
ROW = ValueSpec("current", (1, 1, 6))
COUNTED = ValueSpec("spikes", (1, 1, 6), 4, 0.25)
WIDE = ValueSpec("spikes", (3, 5, 17), 1)
WIDE_MAP = ValueSpec("current", (2, 3, 17))
POINT_MAP = ValueSpec("current", (2, 2, 1))
CHANNELS = {size: ValueSpec("channel mask", (1, 1, size), 1) for size in (3, 4)}
MASKS = ("channel mask", "place mask")
PLACES = ValueSpec("place mask", (5, 4, 1), 1)


class Case(NamedTuple):
    """A node and the values that it reads."""

    node: Any
    inputs: tuple[ValueSpec, ...]


CASES = [
    *(
        Case(Conv("n", "a", 5, quantizer=Quantizer(gamma="mean")), (value,))
        for value in (PIXELS, REAL, SPIKES, COUNTS, MANY)
    ),
    Case(Conv("n", "a", 1, 5, 2, 3, Quantizer(8, "mean"), bias=True), (SPIKES,)),
    Case(Conv("n", "a", 9, 1, 1, 0, Quantizer(2, "mean"), bias=True, batch_norm=False), (COUNTS,)),
    *(Case(Conv("n", "a", 4, 2, 1, 1, None), (value,)) for value in (PIXELS, REAL, SPIKES, COUNTS)),
    Case(Conv("n", "a", 70, quantizer=Quantizer(gamma="mean")), (WIDE,)),
    Case(Conv("n", "a", 65, 3, 2, 1, None), (WIDE,)),
    *(
        Case(Conv("n", "a", 5, (3, 2), (1, 2), (0, 1), quantizer), (value,))
        for value in (PIXELS, REAL, SPIKES, MANY)
        for quantizer in (None, Quantizer(gamma="mean"))
    ),
    *(
        Case(Conv("n", "a", 6, 3, 2, 1, Quantizer(gamma="mean"), bias=True, groups=3), (value,))
        for value in (PIXELS, REAL, SPIKES, COUNTS, MANY)
    ),
    Case(Conv("n", "a", 3, (2, 3), 1, 1, None, groups=3), (SPIKES,)),
    *(Case(Conv("n", "a", 6, 3, quantizer=Quantizer(gamma="mean"), groups=2), (value,)) for value in (FOUR, FOURS)),
    Case(Conv("n", "a", 8, (1, 3), 1, (0, 1), None, groups=2), (FOUR,)),
    *(Case(Linear("n", "a", 6, Quantizer(gamma="mean")), (value,)) for value in (PIXELS, REAL, SPIKES, COUNTS, MANY)),
    Case(Linear("n", "a", 1, Quantizer(8, "mean"), bias=False), (SPIKES,)),
    Case(Linear("n", "a", 6, None, batch_norm=True), (SPIKES,)),
    Case(Shortcut("n", "a", 5, 2), (SPIKES,)),
    Case(Shortcut("n", "a", 4, 1, (2, -1, 0, 2)), (COUNTS,)),
    *(Case(Shortcut("n", "a", 3), (value,)) for value in (SPIKES, HUGE)),
    Case(LIF("n", ("a",)), (MAP,)),
    Case(LIF("n", ("a", "b"), 1.1, 0.9, "arctan", 0.8), (WIDE_MAP, WIDE_MAP)),
    Case(LIF("n", ("a", "b", "c"), 0.7, 0.9, "sigmoid", 1.5, True), (MAP, MAP, MAP)),
    *(Case(LIF("n", ("a",), 0.8, 0.9, detach_reset=cut, reset="subtract"), (MAP,)) for cut in (False, True)),
    *(Case(MaxPool("n", "a", 2), (value,)) for value in (SPIKES, MANY)),
    Case(MaxPool("n", "a", 3, 1, 2), (COUNTS,)),
    *(Case(AvgPool("n", "a", 2), (value,)) for value in (SPIKES, COUNTS, MANY, HUGE)),
    Case(AvgPool("n", "a", 4), (COUNTS,)),
    *(Case(AvgPool("n", "a", size, stride), (SPIKES,)) for size, stride in ((3, 1), (3, 2), (2, 3), (1, 2))),
    *(Case(MaxPool("n", "a", (2, 3), (2, 1), (0, 1)), (value,)) for value in (SPIKES, HUGE, PIXELS, REAL, MAP)),
    *(Case(MaxPool("n", "a", 2), (value,)) for value in (PIXELS, MAP)),
    *(Case(AvgPool("n", "a", (3, 2), (1, 2)), (value,)) for value in (SPIKES, COUNTS, PIXELS, REAL, MAP)),
    Case(Sum("n", ("a", "b")), (SPIKES, SPIKES)),
    Case(Sum("n", ("a", "b", "c")), (MANY, MANY, MANY)),
    Case(Sum("n", ("a", "b")), (HUGE, HUGE)),
    Case(Concat("n", ("a", "b")), (SPIKES, SPIKES)),
    Case(Concat("n", ("a", "b", "c")), (SPIKES, MANY, SPIKES)),
    *(Case(Sum("n", tuple("abc"[:count])), (MAP,) * count) for count in (2, 3)),
    *(Case(Concat("n", tuple("abc"[:count])), (MAP,) * count) for count in (2, 3)),
    *(Case(Upsample("n", "a", factor), (value,)) for factor, value in ((2, SPIKES), (3, MANY), (2, MAP))),
    *(Case(Dropout("n", "a"), (value,)) for value in (SPIKES, MANY)),
    Case(Conv("n", "a", 4, quantizer=Quantizer(gamma="mean"), gate="g", input_gate="h"), (SPIKES, CHANNELS[4], PLACES)),
    Case(Conv("n", "a", 4, quantizer=None, gate="g", input_gate="h"), (COUNTS, PLACES, CHANNELS[3])),
    Case(Conv("n", "a", 4, quantizer=Quantizer(gamma="mean"), gate="g"), (PIXELS, PLACES)),
    Case(ChannelGate("n", "a", 2, 0.7), (ROW,)),
    *(Case(SpatialGate("n", "a", (5, 3), kind), (POINT_MAP,)) for kind in SAMPLINGS),
    Case(Membrane("n", "a"), (SPIKES,)),
    Case(SelfAttention("n", "a", "b", "c", 2, 0.25), (FOUR, FOUR, SIX)),
    Case(SelfAttention("n", "a", "b", "c", 1), (DROPPED, SPIKES, WIDE_VALUE)),
    Case(Readout("n", "a"), (ROW,)),
    *(Case(Readout("n", "a", mode, 0.7), (ROW,)) for mode in MODES),
    Case(Readout("n", "a"), (COUNTED,)),
    *(
        Case(CurrentReadout("n", ("a", "b", "c")[: len(read)], 5, places, quantizer), read)
        for places, quantizer, read in (
            ("mean", Quantizer(8, "max", "layer"), (MAP, MAP, MAP)),
            ("mean", None, (ROW,)),
            ("each", Quantizer(8, "max"), (MAP, MAP)),
        )
    ),
    *(Case(Readout("n", "a", mode, 0.7, places="each"), (MAP,)) for mode in MODES[1:]),
    Case(Readout("n", "a", places="each"), (COUNTS,)),
]


WHOLE = [case for case in CASES if LAYERS[case.node].reads is None]
"""All but the cases that read inside a node: membranes, real numbers of every step."""


def label(case):
    return f"{type(case.node).__name__}({', '.join(f'{v.kind} {v.max_count}' for v in case.inputs)})"


def test_every_kind_of_node_has_a_layer_and_a_case():
    kinds = {kind.__name__ for kind in get_args(Node)} - {Input.__name__}
    assert {kind.__name__ for kind, layer in LAYERS.entries.items() if isinstance(layer, Layer)} == kinds
    assert {type(case.node).__name__ for case in CASES} == kinds


class Run:
    """A layer with parameters, inputs of a number of steps, and a gradient for what it gives, drawn from one seed."""

    def __init__(self, case, *, lengths=None, batch=4, train=True, needs_input_grad=True):
        self.case, self.layer, rng = case, LAYERS[case.node], np.random.default_rng(1)
        self.params, self.state = self.layer.init(case.node, case.inputs, np.random.default_rng(2))
        for name, array in self.params.items():
            array[:] = rng.normal(0.2, 0.5, array.shape) if name != "weight" else array
        self.context = LayerContext(self.params, self.state, case.inputs, STEPS, train, needs_input_grad)
        self.values = [self.draw(v, n, batch, rng) for v, n in zip(case.inputs, lengths or [STEPS] * 3, strict=False)]
        self.output = case.node.output(*case.inputs)

    def draw(self, value, length, batch, rng):
        shape = (length, batch, *value.shape)
        if value.kind == "current":
            acc = rng.integers(-99, 160, shape).astype(np.int16)
            scale, shift = (rng.normal(mean, 0.005, shape[-1]).astype(np.float32) for mean in (0.01, 0))
            return Current(acc, scale, shift)
        if value.max_count is None or self.layer.reads:
            return rng.normal(0, 1, shape).astype(np.float32)
        counts = rng.integers(0, value.max_count + 1, shape) * (
            rng.random(shape) < (0.5 if value.max_count < 99 else 0.05)
        )
        return counts.astype(count_type(value.max_count))

    def forward(self):
        return self.layer.forward(self.case.node, self.context, *self.values)

    def gradient(self, length=STEPS):
        batch = arrays(self.values[0])[0].shape[1]
        if getattr(self.case.node, "mode", "mean") != "mean":
            length = 1  # one step of all
        shape = (length, batch, *self.output.shape)
        gradient = np.random.default_rng(3).normal(0, 1, shape).astype(np.float32)
        flat = answers(self.case.node) and getattr(self.case.node, "places", "one") != "each"
        return gradient.reshape(length, batch, -1) if flat else gradient

    def backward(self, output, gradient=None):
        gradient = self.gradient() if gradient is None else gradient
        if isinstance(output.value, Current):
            gradient = with_moments(gradient, output.value.acc)
        if self.output.kind in MASKS:
            active = np.random.default_rng(4).uniform(0, 9, (1, gradient.shape[1], 1, 1, gradient.shape[4]))
            gradient = MaskGradient(gradient, (active,))
        back = self.layer.backward(self.case.node, output.cache, gradient)
        return back._replace(inputs=tuple(g.task if isinstance(g, MaskGradient) else g for g in back.inputs))


def answers(node):
    """Whether it gives logits without places."""
    return isinstance(node, Readout) or (isinstance(node, CurrentReadout) and node.places == "mean")


def arrays(value):
    """The arrays of a value or of a gradient."""
    if isinstance(value, MaskGradient):
        return tuple(one for one in (value.task, *value.activations) if one is not None)
    if isinstance(value, CurrentGradient):
        return value.array, value.sums, value.products
    return tuple(value) if isinstance(value, Current) else (value,)


def real(value):
    """A value in real numbers, at every step."""
    out = value.scale.astype(np.float64) * value.acc + value.shift if isinstance(value, Current) else value
    return np.broadcast_to(out, (STEPS, *out.shape[1:]))


def everything(run):
    """Every array that forward and backward give."""
    output = run.forward()
    back = run.backward(output)
    found = [*arrays(output.value), *output.state.values(), *back.params.values()]
    return [*found, *(array for gradient in back.inputs if gradient is not None for array in arrays(gradient))]


ACCUMULATORS = {
    Conv: (np.int16, np.int32, np.float32),
    Linear: (np.int32, np.float32),
    Shortcut: (np.uint8, np.uint16, np.uint32),
    SelfAttention: (np.int16,),
    MaxPool: (np.int16, np.int32),
    AvgPool: (np.int32,),
    Sum: (np.float32,),
    Concat: (np.int16,),
    Upsample: (np.int16,),
}
"""What a current may be summed in; a shortcut's counts stay as they are."""


@pytest.fixture(params=CASES, ids=label)
def case(request):
    return request.param


def test_the_output_is_what_the_node_promises(case):
    run = Run(case)
    value = run.forward().value
    if answers(case.node) or isinstance(case.node, Readout):
        read = STEPS if getattr(case.node, "mode", "mean") == "mean" else 1
        place = run.output.shape if case.node.places == "each" else run.output.shape[2:]
        assert (value.shape, value.dtype) == ((read, 4, *place), np.float32)
    elif run.output.kind == "current":
        assert value.acc.shape == (STEPS, 4, *run.output.shape)
        assert value.acc.dtype in ACCUMULATORS[type(case.node)]
        for part in (value.scale, value.shift):
            assert (part.shape, part.dtype) == (run.output.shape[2:], np.float32)
    elif run.layer.reads or run.output.max_count is None:
        assert (value.shape, value.dtype) == ((STEPS, 4, *run.output.shape), np.float32)
    else:
        assert (value.shape, value.dtype) == ((STEPS, 4, *run.output.shape), count_type(run.output.max_count))
        assert value.max() <= run.output.max_count
    assert all(np.isfinite(array).all() for array in arrays(value))


@pytest.mark.parametrize("case", [case for case in WHOLE if case.inputs[0].kind == "spikes"], ids=label)
def test_the_largest_counts_fit_their_type(case):
    run = Run(case, train=False, batch=1)
    for value, drawn in zip(case.inputs, run.values, strict=True):
        drawn[:] = value.max_count
    value = run.forward().value
    if run.output.kind == "spikes":
        largest = run.output.max_count if isinstance(case.node, (AvgPool, Sum)) else case.inputs[0].max_count
        assert (value == largest).all() or isinstance(case.node, Concat)
    elif isinstance(case.node, Readout):
        assert (value == np.float32(case.inputs[0].max_count * case.inputs[0].scale)).all()
    else:
        halved = [run.values[0] // 2, *run.values[1:]]
        run.values = [halved[0] + halved[0], *halved[1:]]
        double = run.forward().value.acc.astype(np.int64)
        run.values = halved
        np.testing.assert_allclose(double, 2 * run.forward().value.acc.astype(np.int64), atol=2)


def test_gradients_have_the_shapes_of_what_they_are_gradients_of(case):
    run = Run(case)
    back = run.backward(run.forward())
    assert {name: (g.shape, g.dtype) for name, g in back.params.items()} == {
        name: (array.shape, np.float32) for name, array in run.params.items()
    }
    assert len(back.inputs) == len(case.inputs)
    for gradient, value, drawn in zip(back.inputs, case.inputs, run.values, strict=True):
        if value.kind in ("analog", "channel mask") or run.layer.reads:
            assert gradient is None
            continue
        array, *moments = arrays(gradient)
        assert (array.shape, array.dtype) == (arrays(drawn)[0].shape, np.float32)
        assert len(moments) == (2 if value.kind == "current" else 0)
        for moment in moments:
            assert (moment.shape, moment.dtype) == (array.shape[-1:], np.float64)


@pytest.mark.parametrize("case", [case for case in CASES if case.inputs[0].kind == "current"], ids=label)
def test_the_gradient_of_a_current_brings_its_own_sums(case):
    """A neuron's products and sums over its steps are float32, the rest float64: (T + 1) roundings of each term."""
    run = Run(case)
    for gradient, drawn in zip(run.backward(run.forward()).inputs, run.values, strict=True):
        flat = gradient.array.reshape(-1, drawn.acc.shape[-1]).astype(np.float64)
        terms = flat * drawn.acc.reshape(flat.shape)
        for comp, ref in ((gradient.sums, flat), (gradient.products, terms)):
            bound = (STEPS + 1) * 2.0**-24 * np.abs(ref).sum(0)
            np.testing.assert_array_less(np.abs(comp - ref.sum(0)), bound + 1e-300)
            assert (bound < np.abs(ref).sum(0) / 1e6).all()


def test_statistics_keep_their_names_and_shapes(case):
    for train in (True, False):
        run = Run(case, train=train)
        assert {name: (a.shape, a.dtype) for name, a in run.forward().state.items()} == {
            name: (a.shape, np.float32) for name, a in run.state.items()
        }


def test_an_unneeded_gradient_changes_no_other(case):
    needed, unneeded = Run(case), Run(case, needs_input_grad=False)
    one, other = (run.backward(run.forward()) for run in (needed, unneeded))
    for name, gradient in one.params.items():
        np.testing.assert_array_equal(gradient, other.params[name])


LENGTHS = [(case, n) for case in WHOLE for n in product((1, STEPS), repeat=len(case.inputs))]
SHORT = [(case, lengths) for case, lengths in LENGTHS if 1 in lengths]


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("case", "static"), SHORT, ids=lambda x: label(x) if isinstance(x, Case) else str(x))
def test_one_step_for_all_is_the_same_step_again_and_again(case, train, static):
    """Its value at every step, and its gradient the sum of the steps'; parameters and statistics as from T copies."""
    if train and getattr(case.node, "sampling", "") == "gumbel":
        pytest.skip("each step draws noise of its own")
    short = Run(case, lengths=static, train=train)
    long = Run(case, lengths=static, train=train)
    for index, value in enumerate(long.values):
        acc = arrays(value)[0]
        full = np.repeat(acc, STEPS, axis=0) if len(acc) == 1 else acc
        long.values[index] = value._replace(acc=full) if isinstance(value, Current) else full
    one, many = short.forward(), long.forward()
    np.testing.assert_allclose(real(one.value), real(many.value), rtol=1e-5, atol=1e-5)
    for name, statistic in one.state.items():
        np.testing.assert_allclose(statistic, many.state[name], rtol=1e-6, atol=1e-6)

    gradient = short.gradient()
    given = len(arrays(one.value)[0])
    summed = gradient.sum(0, keepdims=True) if given == 1 else gradient
    back, repeated = short.backward(one, summed), long.backward(many, gradient)
    for name, array in back.params.items():
        np.testing.assert_allclose(array, repeated.params[name], rtol=1e-4, atol=1e-4 * np.abs(array).max() + 1e-6)
    for array, other, value in zip(back.inputs, repeated.inputs, short.values, strict=True):
        if array is not None:
            (one, *moments), (other, *repeated_moments) = arrays(array), arrays(other)
            total = other.sum(0, keepdims=True) if len(arrays(value)[0]) == 1 else other
            np.testing.assert_allclose(one, total, rtol=1e-4, atol=1e-4 * np.abs(total).max() + 1e-6)
            for moment, expected in zip(moments, repeated_moments, strict=True):
                np.testing.assert_allclose(moment, expected, rtol=0, atol=1e-6 * np.abs(other).sum() * largest(value))


def largest(current):
    """The largest accumulator, at least 1."""
    return max(1, np.abs(current.acc.astype(np.float64)).max())


def test_images_do_not_touch_each_other_in_evaluation(case):
    """Sums of real numbers through BLAS may be taken in another order when there are fewer: 1e-5."""
    together = Run(case, train=False)
    value = real(together.forward().value)
    back = together.backward(together.forward())
    for image in range(4):
        alone = Run(case, train=False)
        one = slice(image, image + 1)
        alone.values = [v._replace(acc=v.acc[:, one]) if isinstance(v, Current) else v[:, one] for v in together.values]
        output = alone.forward()
        np.testing.assert_allclose(real(output.value), value[:, one], rtol=1e-5, atol=1e-5)
        gradients = alone.backward(output, together.gradient()[:, one]).inputs
        for gradient, expected in zip(gradients, back.inputs, strict=True):
            if gradient is not None and not isinstance(case.node, ChannelGate):  # whose own loss is a mean over images
                whole = arrays(expected)[0][:, one]
                np.testing.assert_allclose(arrays(gradient)[0], whole, rtol=1e-4, atol=1e-5)


def test_nothing_that_is_handed_in_is_changed(case):
    run = Run(case)
    gradient, output = run.gradient(), run.forward()
    given = [run.values, run.params, run.state, gradient, output.value]
    before = deepcopy(given)
    run.forward()
    run.backward(output, gradient)
    np.testing.assert_equal(given, before)


def test_the_memory_order_of_arrays_does_not_matter(case):
    run = Run(case)
    expected = everything(run)
    scattered = Run(case)
    scattered.values = [
        v._replace(acc=scatter(v.acc)) if isinstance(v, Current) else scatter(v) for v in scattered.values
    ]
    for name, array in scattered.params.items():
        scattered.params[name] = scatter(array)
    gradient = scatter(scattered.gradient())
    scattered.gradient = lambda: gradient
    for one, other in zip(expected, everything(scattered), strict=True):
        np.testing.assert_array_equal(one, other)


def scatter(array):
    """An equal array whose elements do not lie side by side."""
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def test_two_threads_give_the_same_bits(case):
    """A batch of 40 makes several chunks of the work."""
    before, found = threads.threads(), []
    try:
        for count in (1, 2):
            threads.set_threads(count)
            found.append(everything(Run(case, batch=5 if threads.numba.config.DISABLE_JIT else 40)))
    finally:
        threads.set_threads(before)
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)
