"""A model on its own data, recomputed from the papers' equations: gradients, codes, gates, scores, integers, Lava."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import LoweringError, NodeKindError, QpsnnError
from qpsnn_core.compression.channels.score import score
from qpsnn_core.engine.evaluation import check_data
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.passes import backward, forward
from qpsnn_core.experiments import audit_gates, audit_gradients, audit_neurons
from qpsnn_core.experiments.audit_attention import attention_errors
from qpsnn_core.experiments.runs import check_classes
from qpsnn_core.inference.agreement import agreement, deviation
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.model import Model
from qpsnn_core.network.surrogates import WITH_PRIMITIVE, surrogate_of
from qpsnn_core.quantization.formats import Quantizer
from qpsnn_core.quantization.rescaw import quantize
from qpsnn_datasets import Dataset

GRADIENT_LIMIT = 1e-3
SPIKE_LIMIT = 1e-3
EPSILON = 1e-6
ON_LAVA = "values that differ between the exact simulator and Lava"


class Finding(NamedTuple):
    """One line. figure: what was found, to be at most `limit`; None where it could not be done, for `reason`.

    equation: its number, or its name in docs/spquant.md and docs/gates.md. place: the layer in which the figure is
    largest.
    """

    check: str
    equation: str
    figure: float | None
    limit: float
    place: str = ""
    reason: str = ""

    @property
    def verdict(self) -> str:
        """pass, FAIL, or skipped."""
        return "skipped" if self.figure is None else "pass" if self.figure <= self.limit else "FAIL"


def audit(
    model: Model, data: Dataset, *, images: int = 8, samples: int = 5, lava: int = 2, seed: int = 0
) -> Iterator[Finding]:
    """Every check, one after the other, on the first `images` of `data`.

    samples: weights, and inputs, of each layer whose gradients are taken by finite differences, drawn from `seed`.
    lava: images that run on Lava, 0 for none. Raises, before the first, what is wrong with the data.
    """
    check_classes("audit", data)
    some = data.limited(min(images, len(data)))
    check_data(model.network, some)
    x = steps_first(some.images)
    yield from _gradients(model, x, some.labels, samples, np.random.default_rng(seed))
    yield _worst("codes against Eq. 4, number that differ", "4, 9, 10", 0, _codes(model))
    yield _worst("SVS against the SVD of every map", "11-13", 0, _scores(model, some.images))
    check = "spikes of the integer network that differ, share"
    try:
        network = lower(model).network
    except (LoweringError, NodeKindError) as error:
        yield Finding(check, "1-3", None, SPIKE_LIMIT, reason=str(error))
        yield Finding(ON_LAVA, "1-3", None, 0, reason=str(error))
        return
    real = [node.name for node in model.network.synapses if node.quantizer is None]
    if real:
        why = f"trained in floating point: {', '.join(real)}; lowering rounds such weights, and spikes change"
        yield Finding(check, "1-3", None, SPIKE_LIMIT, reason=why)
    else:
        found = deviation(model, network, some.images)
        yield Finding(check, "1-3", found.spike_mismatches / max(1, found.spikes), SPIKE_LIMIT)
    yield _on_lava(network, some, lava)


def codes_of(
    weight: npt.NDArray[np.float32], quantizer: Quantizer, stored: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.int64]:
    """Eqs. 4 and 9 as they are written, in NumPy: `2*W_int - s`."""
    rows = weight.reshape(-1, weight.shape[-1] if quantizer.granularity == "channel" else 1)
    magnitudes = np.abs(rows.astype(np.float64))
    if stored is not None:
        scale = stored
    elif quantizer.gamma == "percentile":
        edges = np.quantile(rows, (1 - quantizer.percentile, quantizer.percentile), axis=0)
        scale = np.abs(edges).max(0)
    elif quantizer.gamma == "ternary":
        large = np.abs(rows) > np.float32(0.05) * np.abs(rows).max(0)
        signs: npt.NDArray[np.int64] = (np.sign(rows) * large).astype(np.int64).reshape(weight.shape)
        return 2 * signs
    else:
        mean, one = magnitudes.mean(0), np.ones(rows.shape[1])
        scaled = mean * (2**quantizer.bits - 1) / 2 ** (quantizer.bits - 1)
        known = {"mean": mean, "mean_scaled": scaled, "sawb": 2 * mean, "max": magnitudes.max(0), "one": one}
        scale = known[quantizer.gamma]
    scale = scale.astype(np.float32)
    scale = np.where(scale > 0, scale, np.float32(1))
    levels = 2**quantizer.bits - (2 if quantizer.zero else 1)
    inside = np.clip(rows / scale, np.float32(-1), np.float32(1))
    whole = np.rint((inside + np.float32(1)) * np.float32(levels / 2))
    codes: npt.NDArray[np.int64] = (2 * whole.astype(np.int64) - levels).reshape(weight.shape)
    return codes


def _gradients(
    model: Model, images: npt.NDArray[Any], labels: npt.NDArray[Any], samples: int, rng: np.random.Generator
) -> Iterator[Finding]:
    seen = audit_gradients.trace(model, images, labels)
    found = audit_gradients.weight_errors(model, seen, samples, rng)
    yield _worst("gradients of weights against finite differences", "14", GRADIENT_LIMIT, found)
    found = audit_gradients.input_errors(model, seen, samples, rng)
    yield _worst("gradients of inputs against finite differences", "14", GRADIENT_LIMIT, found)
    yield from _of_neurons(model, seen)
    if model.network.of(SelfAttention):
        found = attention_errors(model, seen, samples, rng)
        yield _worst("gradients of attention against finite differences", "14", GRADIENT_LIMIT, found)
    yield from _of_gates(model, seen, samples, rng)
    whole = backward(model, seen.done, seen.gradient)
    apart = (
        (f"{node}.{name}", float(np.abs(array - whole[node][name]).max()))
        for node, arrays in seen.params.items()
        for name, array in arrays.items()
    )
    yield _worst("the layers' gradients against the engine's", "14", 0, apart)


def _of_neurons(model: Model, seen: audit_gradients.Trace) -> Iterator[Finding]:
    """Eq. 14, and what SpQuant-SNN adds to neurons, where there are such."""
    neurons = model.network.neurons
    yield _of_slopes(model, "gradients of neurons against Eq. 14", "14", audit_neurons.neuron_errors(model, seen))
    if any(node.membrane is not None or node.learn for node in neurons):
        found = audit_neurons.stored_errors(model, seen)
        yield _worst("spikes and stored membranes that differ from U = Q(reset(U~)), share", "Q", SPIKE_LIMIT, found)
    if any(node.learn for node in neurons):
        found = audit_neurons.learned_errors(model, seen)
        yield _of_slopes(model, "gradients of thresholds and leaks against the chain rule", "theta", found)


def _of_slopes(model: Model, check: str, equation: str, found: Iterator[tuple[str, float]]) -> Finding:
    """Skipped where a user's surrogate has no primitive to take differences of."""
    rough = [
        f"{n.name} ({n.surrogate!r})" for n in model.network.neurons if surrogate_of(n.surrogate).primitive is None
    ]
    if rough:
        why = f"{', '.join(rough)}: expected {WITH_PRIMITIVE}"
        return Finding(check, equation, None, GRADIENT_LIMIT, reason=why)
    return _worst(check, equation, GRADIENT_LIMIT, found)


def _of_gates(model: Model, seen: audit_gradients.Trace, samples: int, rng: np.random.Generator) -> Iterator[Finding]:
    """Lines of gates, where there are any."""
    if not audit_gates.gates_in(model):
        return
    yield _worst("masks of gates and closed sums, number that differ", "M", 0, audit_gates.mask_errors(model, seen))
    yield _worst("targets of gates, number that differ", "target", 0, audit_gates.target_errors(model, seen))
    found = audit_gates.gradient_errors(model, seen, samples, rng)
    yield _worst("gradients of gates against finite differences", "gates", GRADIENT_LIMIT, found)


def _codes(model: Model) -> Iterator[tuple[str, float]]:
    for node in model.network.synapses:
        if node.quantizer is not None:
            weight = model.params[node.name]["weight"]
            stored = model.state.get(node.name, {}).get("gamma")
            differ = quantize(weight, node.quantizer, stored).codes != codes_of(weight, node.quantizer, stored)
            yield node.name, float(differ.sum())


def _scores(model: Model, images: npt.NDArray[Any]) -> Iterator[tuple[str, float]]:
    found = score(model, images, batches=1, batch=len(images), epsilon=EPSILON).values
    done = forward(model, steps_first(images), save_for_backward=True)
    for node in model.network.neurons:
        maps = done.values[node.name].mean(0, dtype=np.float64).transpose(0, 3, 1, 2)
        ref = (np.linalg.svd(maps, compute_uv=False) > EPSILON).sum(2).mean(0)
        yield node.name, float(np.abs(found[node.name] - ref).max())


def _on_lava(network: IntegerNetwork, data: Dataset, images: int) -> Finding:
    if not images:
        return Finding(ON_LAVA, "1-3", None, 0, reason="not asked for")
    try:
        found, _ = agreement(network, data.limited(min(images, len(data))), "lava")
    except QpsnnError as error:
        return Finding(ON_LAVA, "1-3", None, 0, reason=str(error))
    differ = found.spike_mismatches + (found.membrane_mismatches or 0) + (found.readout_mismatches or 0)
    return Finding(ON_LAVA, "1-3", float(differ), 0)


def _worst(check: str, equation: str, limit: float, found: Iterator[tuple[str, float]]) -> Finding:
    """The largest figure, which is infinite where one is not a number."""
    figures = [(figure if np.isfinite(figure) else np.inf, name) for name, figure in found]
    if not figures:
        return Finding(check, equation, None, limit, reason="no layer has any")
    figure, name = max(figures)
    return Finding(check, equation, figure, limit, f"{name}, of {len(figures)}")
