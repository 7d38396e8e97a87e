"""NIR files as networks of ours: feed-forward graphs of convolutions, linear layers, pools, LIF and IF neurons."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

import nir

from qpsnn_core.common.errors import ConfigError, FormatError, NetworkError, QpsnnError, Unquoted, expected
from qpsnn_core.common.foreign import existing_file, foreign
from qpsnn_core.common.foreign_hdf5 import foreign_hdf5
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.validation import check_choice
from qpsnn_core.engine.reach import warn_dead_in_model
from qpsnn_core.engine.requantize import LayerFit, requantize
from qpsnn_core.exchange.draft import Layers
from qpsnn_core.exchange.layers import read_node
from qpsnn_core.exchange.time_step import Units, units_of
from qpsnn_core.exchange.values import Options
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import RESETS

STEPS = 4
"""T where neither the user nor the file says it."""


class Imported(NamedTuple):
    """A model made of a NIR file.

    layers: the quantizers chosen, given bits. units: how its time steps were decided. unsaid: the neurons whose reset
    neither the file nor the user says, so that it is the exporter's, else to zero.
    """

    model: Model
    layers: tuple[LayerFit, ...]
    units: Units
    unsaid: tuple[str, ...]


def load_nir(path: str | os.PathLike[str], **options: Any) -> Model:
    """The model of `import_nir`, with the same options."""
    return import_nir(path, **options).model


def import_nir(
    path: str | os.PathLike[str],
    *,
    steps: int = 0,
    dt: float = 0.0,
    exporter: str = "",
    peak: int | None = None,
    events: bool = False,
    bits: int = 0,
    reset: str = "",
) -> Imported:
    """The network of a NIR file with its weights in floating point, or, given `bits`, with quantizers of 2 to 8 bits.

    A LIF is `U = (1 - dt/tau)*U + r*dt/tau*I`; thresholds, r and v_leak go into weights and biases, thresholds become
    1 (and where the file does not say `>=`, the next float32 above 1, for NIR's `>`). steps, dt, peak, events: 0 or
    nothing for what the file says (else 4 steps, real numbers, or counts 0..255 of events). dt: the step in the unit of
    tau. exporter: one of EXPORTERS, whose conventions hold. Without either, the file's metadata or its tau and r
    decide, or it is refused: see `units_of`. peak: images are integers 0..peak, `x = image/peak`, or frames of events
    counts 0..peak as they are. reset: "zero" or "subtract", of neurons that do not say it in their metadata; NIR has no
    field for it, and `v_reset` must be 0; "": the exporter's, else "zero". bits: the quantizer of each layer is chosen
    by error, as `requantize` does. Warns of layers that can never fire (DeadLayerWarning).
    Raises FileError, FormatError (no NIR file), ConfigError (an option, or a step that must be given), NetworkError or
    ShapeError, naming the node that we have not.
    """
    if reset:
        check_choice("nir: reset", reset, RESETS)
    if not 0 <= dt < float("inf"):
        raise ConfigError(expected("nir: dt", "a positive number", dt))
    graph = _read(path)
    about = _about(graph)
    try:
        given = dict(about.get("input", {}))
        stated = about["dt"] if "dt" in about else graph.metadata.get("dt")
        units = units_of(graph.nodes, exporter, dt, None if stated is None else float(stated))
        settings = Options(
            steps=steps or int(about.get("steps", STEPS)),
            units=units,
            peak=given.get("peak") if peak is None else peak,
            scale=float(given.get("scale", 1.0)) if peak is None else (1.0 if events else 1 / max(peak, 1)),
            events=events or bool(given.get("events", False)),
            inclusive=about.get("rule") == ">=" or units.inclusive,
            reset=reset or units.reset,
            low=int(given.get("low", 0)) if peak is None else 0,
            unit=float(given.get("unit", 0.0)) if peak is None else 0.0,
        )
    except (TypeError, ValueError) as error:
        if isinstance(error, QpsnnError):
            raise
        raise FormatError(f"nir: metadata.qpsnn: {error}") from error
    if not 0 < units.dt < float("inf"):
        raise ConfigError(expected("nir: dt", "a positive number", units.dt))
    layers = Layers(graph.nodes, settings)
    for name in _ordered(graph):
        read_node(layers, name, [source for source, target in graph.edges if target == name])
    model = layers.model()
    neurons = {name: node for name, node in graph.nodes.items() if type(node) in (nir.LIF, nir.IF)}
    unsaid = tuple(name for name, node in neurons.items() if not reset and "reset" not in node.metadata)
    if bits:
        return Imported(*requantize(model, bits), units, unsaid)
    warn_dead_in_model("nir", model)
    return Imported(model, (), units, unsaid)


def _read(path: str | os.PathLike[str]) -> Any:
    target = existing_file(path, "a NIR file")
    try:
        with foreign_hdf5(target) as file:
            described = _texts(file.tree("node"))
        with foreign(target, "graph"):
            graph = nir.dict2NIRNode({**described, "type_check": False})  # our own checks name the node
    except FormatError as error:
        why = str(error).removeprefix(f"{target}: ")
        raise FormatError(f"{target}: not a NIR file that nir {nir.__version__} reads: {why}") from error
    if not isinstance(graph, nir.NIRGraph):
        raise FormatError(expected(str(target), "a NIR graph", Unquoted(type(graph).__name__)))
    return graph


def _texts(described: dict[str, Any]) -> dict[str, Any]:
    """Values as `nir.read` gives them: a single text is a str, texts in arrays are bytes."""
    return {
        key: _texts(value) if isinstance(value, dict) else value.decode() if isinstance(value, bytes) else value
        for key, value in described.items()
    }


def _about(graph: Any) -> dict[str, Any]:
    """What our own exporter said of the graph; nothing for others'."""
    try:
        found = json.loads(graph.metadata.get("qpsnn", "{}"))
    except (TypeError, ValueError) as error:
        raise FormatError(f"nir: metadata.qpsnn: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise FormatError(expected("nir: metadata.qpsnn", "a JSON object", Unquoted(type(found).__name__)))
    return found


def _ordered(graph: Any) -> list[str]:
    """Names in an order in which each comes after its sources; NetworkError for a cycle, or an edge to nowhere."""
    for edge in graph.edges:
        for name in edge:
            if name not in graph.nodes:
                raise NetworkError(expected("nir: edges", "names of nodes" + did_you_mean(name, graph.nodes), name))
    waiting = {name: {source for source, target in graph.edges if target == name} for name in graph.nodes}
    ordered: list[str] = []
    while waiting:
        ready = [name for name, sources in waiting.items() if sources <= set(ordered)]
        if not ready:
            got = Unquoted(f"a cycle through {', '.join(sorted(waiting))}")
            raise NetworkError(expected("nir", "a feed-forward graph", got))
        ordered += ready
        for name in ready:
            del waiting[name]
    return ordered
