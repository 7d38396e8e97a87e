"""Run a network forward, and backward through time (Eq. 14)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.arithmetic import ARITHMETICS, PORTABLE
from qpsnn_core.common.errors import ArgumentError, ConfigError, NumericsError, ShapeError, Unquoted, expected
from qpsnn_core.common.plain import plain
from qpsnn_core.common.types import Array, Arrays, Floats
from qpsnn_core.common.validation import check_choice, check_kind, check_kinds, whole
from qpsnn_core.engine.inputs import engine_images
from qpsnn_core.engine.layers import LAYERS
from qpsnn_core.engine.layers.base import CurrentGradient, LayerContext
from qpsnn_core.engine.memory import check_weights
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.counter_random import sample_key
from qpsnn_core.kernels.threads import parallel_for
from qpsnn_core.network.gates import predictors
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.network.ordered_graph import only

DRAWN = 3
"""Float32 copies of the weights while they are drawn, in float64."""

MIN_CHUNK_GRADIENTS = 2**16
"""Least number of elements in a chunk of two gradients that are added."""


DROPOUT = 2**16
"""The first of the streams of random words that are drawn for dropout, one for each node."""


class Draw(NamedTuple):
    """What random words of a pass are a function of: the run's seed, and the number of the batch, both below 2**32."""

    seed: int
    batch: int


class ForwardPass(NamedTuple):
    """A forward pass: `outputs`, logits float32 [T, B, K] by readout; `values` and `caches` by node name.

    state: with new statistics. values: spikes [T, B, H, W, C] and Currents. Values and caches are empty without
    `save_for_backward`.
    """

    outputs: dict[str, Floats]
    state: Arrays
    values: dict[str, Any]
    caches: dict[str, Any]

    @property
    def logits(self) -> Floats:
        """Those of the only readout. NetworkError, naming them, where there are several."""
        return only(self.outputs)

    def __repr__(self) -> str:
        saved = "with" if self.caches else "without"
        alone = len(self.outputs) == 1
        given = ", ".join(f"{'logits' if alone else name} {list(one.shape)}" for name, one in self.outputs.items())
        return f"ForwardPass({given}, {saved} what backward needs)"


def check_model_kind(place: str, model: object) -> None:
    """ArgumentError unless it is a Model of a Network; `check_model` checks its arrays."""
    check_kind(place, model, Model)
    if isinstance(model, Model):
        check_kind(f"{place}.network", model.network, Network)
        for name in ("params", "state"):
            check_kind(f"{place}.{name}", getattr(model, name), Mapping)


def initialise(network: Network, seed: int = 0) -> Model:
    """Fresh parameters: each node's own draw, so that a change in one node leaves the others' alone."""
    check_kind("initialise.network", network, Network)
    seed = whole("initialise.seed", seed, 0)
    check_weights("initialise", network, DRAWN)
    params: Arrays = {}
    state: Arrays = {}
    for index, node in enumerate(network.nodes[1:], 1):
        rng = np.random.default_rng([seed, index])
        own, statistics = LAYERS[node].init(node, network.inputs_of(node), rng)
        if own:
            params[node.name] = own
        if statistics:
            state[node.name] = statistics
    return Model(network, params, state)


def forward(
    model: Model,
    images: Array,
    *,
    train: bool = False,
    save_for_backward: bool = False,
    parts: int = 0,
    arithmetic: str = PORTABLE,
    draw: Draw | None = None,
) -> ForwardPass:
    """Run `images` [B, H, W, C] (the same at every step) or [T, B, H, W, C] through the network.

    train: batch norm uses the batch's statistics and updates the running ones. save_for_backward: save values and
    caches, for `backward` and for scores. parts: how many parts the batch has, of which sums over samples are taken in
    order, here and in `backward`; 0: what its size says (docs/performance.md). arithmetic: "portable", the same bits on
    every processor, or "native". draw: of what dropout leaves out; None: nothing, as everywhere but in training. Raises
    ConfigError (parts, arithmetic); ShapeError, DataError or NumericsError for images that are not the Input's.
    """
    check_model_kind("forward.model", model)
    train, save_for_backward, arithmetic = plain((train, save_for_backward, arithmetic))
    check_kinds("forward", bool, train=train, save_for_backward=save_for_backward)
    check_kinds("forward", Draw, draw=draw)
    parts = whole("forward.parts", parts, 0)
    check_choice("forward.arithmetic", arithmetic, ARITHMETICS)
    network = model.network
    x = engine_images(network.input, images, network.steps)
    values: dict[str, Any] = {network.input.name: x}
    caches: dict[str, Any] = {}
    state: Arrays = dict(model.state)
    needs_input_grad = _needs_input_grad(network)
    read_inside = {s for node in network.nodes[1:] if LAYERS[node].reads for s in node.sources}
    sums: dict[tuple[str, ...], Floats] = {}
    specs = network.values if draw is None else network.training_values
    for place, node in enumerate(network.nodes[1:], 1):
        own = (model.params.get(node.name, {}), model.state.get(node.name, {}))
        needs = needs_input_grad[node.name]
        inputs = tuple(specs[source] for source in node.sources)
        key = None if draw is None else int(sample_key(draw.seed, DROPOUT + place, draw.batch))
        context = LayerContext(*own, inputs, network.steps, train, needs, parts, arithmetic, key, sums)
        given = [values[source] for source in node.sources]
        reads = LAYERS[node].reads
        if reads is not None:
            given = [reads(network[source], caches[source], values[source]) for source in node.sources]
        try:
            output = LAYERS[node].forward(node, context, *given)
        except NumericsError as error:
            raise NumericsError(f"{node.name}.{error}") from error
        values[node.name] = output.value
        if save_for_backward or node.name in read_inside:
            caches[node.name] = output.cache
        if not save_for_backward:
            _drop(network, values, caches, place)
        if output.state:
            state[node.name] = output.state
    outputs = {node.name: values[node.name] for node in network.readouts}
    return ForwardPass(outputs, state, values, caches) if save_for_backward else ForwardPass(outputs, state, {}, {})


def backward(
    model: Model, done: ForwardPass, gradient: Floats | Mapping[str, Floats], *, discard: bool = False
) -> Arrays:
    """Gradients of the parameters, by node and name, from dL/dlogits [T, B, K], of several readouts by their names.

    done: a pass made with `save_for_backward`. discard: take values and caches out of `done` as they are used up, so
    that what they hold can be used again. Raises ConfigError (a pass without caches) and ShapeError (a gradient that
    is not that of the logits).
    """
    check_model_kind("backward.model", model)
    check_kind("backward.done", done, ForwardPass)
    discard = plain(discard)
    check_kind("backward.discard", discard, bool)
    network = model.network
    if not done.caches:
        raise ConfigError(
            expected("backward", "a pass made with save_for_backward=True", Unquoted("one without caches"))
        )
    gradients: dict[str, Any] = gradients_of(done, gradient)
    params: Arrays = {}
    predicting = predictors(network.nodes)
    for node in reversed(network.nodes[1:]):
        cache = done.caches[node.name]
        if discard:
            del done.caches[node.name]
            done.values.pop(node.name, None)
        if node.name not in gradients:
            continue
        back = LAYERS[node].backward(node, cache, gradients.pop(node.name))
        del cache
        if back.params:
            params[node.name] = back.params
        totals: dict[tuple[int, int], Floats] = {}
        for source, share in zip(node.sources, back.inputs, strict=True):
            if share is not None and (node.name not in predicting or source in predicting):
                gradients[source] = accumulate(gradients[source], share, totals) if source in gradients else share
    return params


def gradients_of(done: ForwardPass, gradient: Floats | Mapping[str, Floats]) -> dict[str, Floats]:
    """dL/dlogits by readout: the one of the only readout, or one for each. Raises ArgumentError, ShapeError."""
    if isinstance(gradient, np.ndarray):
        given: Mapping[str, Floats] = dict.fromkeys(done.outputs, gradient)
        only(done.outputs)
    else:
        check_kind("backward.gradient", gradient, np.ndarray, Mapping)
        given = gradient
    if set(given) != set(done.outputs):
        want = f"one for each readout, {', '.join(done.outputs)}"
        raise ArgumentError(expected("backward.gradient", want, Unquoted(", ".join(map(str, given)) or "none")))
    for name, own in given.items():
        check_kind(f"{name}: gradient", own, np.ndarray)
        if own.shape != done.outputs[name].shape:
            raise ShapeError(expected(f"{name}: gradient", list(done.outputs[name].shape), list(own.shape)))
    return dict(given)


def accumulate(first: Any, second: Any, totals: dict[tuple[int, int], Floats]) -> Any:
    """The sum of two gradients of one value.

    totals: sums of two arrays of this node's gradients, by their ids: the currents of a residual stream share theirs.
    """
    if isinstance(first, CurrentGradient):
        pair = id(first.array), id(second.array)
        if pair not in totals:
            totals[pair] = _added(first.array, second.array)
        return first.added(second, totals[pair])
    return _added(first, second) if isinstance(first, np.ndarray) else first + second


def _added(first: Floats, second: Floats) -> Floats:
    """In memory that is used again."""
    total = empty(first.shape, np.float32)
    flat = first.reshape(-1), second.reshape(-1), total.reshape(-1)
    parallel_for(
        lambda start, stop: np.add(flat[0][start:stop], flat[1][start:stop], flat[2][start:stop]),
        total.size,
        MIN_CHUNK_GRADIENTS,
    )
    return total


def _needs_input_grad(network: Network) -> dict[str, bool]:
    """Whether any parameter lies before a node, so that its input gradient is needed.

    None comes from what predicts for gates: a gate trains its predictor alone.
    """
    weighted, predicting = {node.name for node in network.synapses}, predictors(network.nodes)
    trained: dict[str, bool] = {network.input.name: False}
    needs_input_grad: dict[str, bool] = {}
    for node in network.nodes[1:]:
        own = [source for source in node.sources if node.name not in predicting or source in predicting]
        needs_input_grad[node.name] = any(trained[source] for source in own)
        trained[node.name] = needs_input_grad[node.name] or node.name in weighted
    return needs_input_grad


def _drop(network: Network, values: dict[str, Any], caches: dict[str, Any], place: int) -> None:
    """Forget values, and caches, that no later node reads."""
    later = {source for node in network.nodes[place + 1 :] for source in node.sources}
    later.update(node.name for node in network.readouts)
    for name in [name for name in values if name not in later and name != network.nodes[place].name]:
        del values[name]
        caches.pop(name, None)
