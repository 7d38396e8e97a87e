"""Every kind of node in every room: a function, or a refusal that says why; a foreign kind is refused by name."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest

import qpsnn_backends
import qpsnn_core
from qpsnn_backends.c import neurons
from qpsnn_backends.c import plan as c
from qpsnn_backends.c import readout as c_readout
from qpsnn_backends.c.local.backend import PLANS
from qpsnn_backends.lava import local as lava_local
from qpsnn_backends.lava import plan as lava
from qpsnn_backends.lava import stock
from qpsnn_backends.loihi import populations, ranges, remedies
from qpsnn_core.common.errors import LoweringError, NodeKindError, UnsupportedError
from qpsnn_core.common.kind_table import KindTable, OptionTable, Refusal
from qpsnn_core.compression.channels.remove import CHANNELS
from qpsnn_core.compression.weights.hessian import LEAKS, UNFOLDED
from qpsnn_core.engine.layers import LAYERS
from qpsnn_core.engine.layers.readout import CHOSEN
from qpsnn_core.engine.membranes import MEMBRANES
from qpsnn_core.engine.reach import ENDS
from qpsnn_core.exchange import netx
from qpsnn_core.exchange.lift import LIFTS
from qpsnn_core.exchange.netx import NETX
from qpsnn_core.experiments.audit_gradients import WINDOWS
from qpsnn_core.experiments.audit_neurons import BACKWARDS
from qpsnn_core.integer import network as integers
from qpsnn_core.integer.lava_lif import SCALES
from qpsnn_core.integer.local.networks import IntLocal
from qpsnn_core.integer.local.simulate import SIMULATED
from qpsnn_core.integer.lowering.fold import CURRENTS
from qpsnn_core.integer.lowering.lower import FORMS
from qpsnn_core.integer.lowering.shares import SHARES
from qpsnn_core.integer.node_kinds import KINDS
from qpsnn_core.integer.nodes import IntLIF, IntNode, IntReadout
from qpsnn_core.integer.operations import ANSWERS, OPERATIONS
from qpsnn_core.integer.stateful import KEPT
from qpsnn_core.network import LIF, Conv, Node
from qpsnn_core.network.cost import PRICES
from qpsnn_core.network.graph import TAGS
from qpsnn_core.network.nodes import RESETS
from qpsnn_core.network.readouts import MODES
from qpsnn_core.network.roles import ROLES

NIR: list[Any] = []  # the tables of NIR, of trained and of integer networks, where it is installed
if find_spec("nir"):
    NIR = [import_module(f"qpsnn_core.exchange.{name}") for name in ("nir_model", "nir_integers")]
NIR_GRAPH: list[Any] = [import_module("qpsnn_core.exchange.graph")] if NIR else []

TRAINED_ROOMS: list[KindTable[Any]] = [
    ROLES,
    TAGS,
    LAYERS,
    ENDS,
    PRICES,
    CHANNELS,
    MEMBRANES,
    FORMS,
    CURRENTS,
    SHARES,
    UNFOLDED,
    LEAKS,
    BACKWARDS,
    WINDOWS,
    *(table for module in NIR[:1] for table in (module.NODES, module.CURRENTS)),
]
"""Rooms that treat the nodes of a network that is trained."""

INTEGER_ROOMS: list[KindTable[Any]] = [
    KINDS,
    integers.TAGS,
    OPERATIONS,
    KEPT,
    SCALES,
    LIFTS,
    NETX,
    *(module.FORMS for module in NIR[1:]),
]
"""Rooms that treat the nodes of an integer network."""

BACKEND_ROOMS: list[KindTable[Any]] = [
    c.PLANNED,
    lava.PLANNED,
    stock.PLANNED,
    populations.POPULATIONS,
    populations.ORIGINS,
    populations.SYNAPSES,
    ranges.NEEDS,
]
"""Rooms of C, Lava and Loihi, which treat the nodes of an integer network; none of them needs Lava."""

LOCAL_ROOMS: list[KindTable[Any]] = [SIMULATED, PLANS, lava_local.PLANNED, lava_local.FILES]
"""Rooms that run networks that learnt locally, each of which is one kind."""

OPTIONS: dict[str, tuple[Any, tuple[Any, ...], list[OptionTable[Any]]]] = {
    "reset": (IntLIF("lif", ("conv",)), RESETS, [neurons.RESETS, stock.RESETS, remedies.RESETS]),
    "mode": (
        IntReadout("lif", "conv"),
        MODES,
        [CHOSEN, ANSWERS, c_readout.MODES, netx.MODES, *(module.MODES for module in NIR_GRAPH)],
    ),
}
"""Options: a node that has them, their values, and the rooms that treat these differently."""

OPTION_CELLS = [
    pytest.param(node, values, table, id=f"{option}-{table.room}")
    for option, (node, values, tables) in OPTIONS.items()
    for table in tables
]

FOREIGN_KEYS = {("qpsnn_core.exchange.layers", "READERS")}
"""Tables whose kinds are not ours: the reader of NIR, by NIR's own nodes."""

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"

CELLS = [
    pytest.param(kind, table, id=f"{kind.__name__}-{table.room}")
    for kinds, tables in (
        (get_args(Node), TRAINED_ROOMS),
        (get_args(IntNode), INTEGER_ROOMS),
        (get_args(IntNode), BACKEND_ROOMS),
        (get_args(IntLocal), LOCAL_ROOMS),
    )
    for kind in kinds
    for table in tables
]


@dataclass(frozen=True)
class LayerNorm:
    """A kind of node that no room knows."""

    name: str
    source: str


@pytest.mark.parametrize(("kind", "table"), CELLS)
def test_every_room_has_an_entry_for_every_kind(kind, table):
    entry = table.entries.get(kind)
    assert entry is not None, f"{table.room} forgets {kind.__name__}"
    if isinstance(entry, Refusal):
        assert len(entry.reason.split()) >= 3


@pytest.mark.parametrize(
    "table", [*TRAINED_ROOMS, *INTEGER_ROOMS, *BACKEND_ROOMS, *LOCAL_ROOMS], ids=lambda table: table.room
)
def test_a_foreign_kind_is_refused_by_name(table):
    with pytest.raises(NodeKindError, match=rf"^norm: .*{table.room}.* got LayerNorm$"):
        table[LayerNorm("norm", "conv")]


def test_a_refused_kind_raises_the_rooms_own_error_with_the_reason():
    table = KindTable("the press", {Conv: str, LIF: Refusal("neurons cannot be pressed")}, LoweringError)
    assert table[Conv("conv", "image", 2)] is str
    with pytest.raises(LoweringError, match=r"^lif: the press takes no LIF: neurons cannot be pressed$"):
        table[LIF("lif", ("conv",))]


def test_a_subclass_is_a_kind_of_its_own():
    class Special(Conv):
        pass

    with pytest.raises(NodeKindError, match="got Special"):
        KindTable("the press", {Conv: str})[Special("conv", "image", 2)]


@pytest.mark.parametrize(("node", "values", "table"), OPTION_CELLS)
def test_every_room_has_an_entry_for_every_value_of_an_option(node, values, table):
    assert set(table.entries) == set(values)
    for entry in table.entries.values():
        if isinstance(entry, Refusal):
            assert len(entry.reason.split()) >= 3


@pytest.mark.parametrize(("node", "values", "table"), OPTION_CELLS)
def test_an_unknown_value_of_an_option_is_refused_by_name(node, values, table):
    known = ", ".join(values)
    message = rf"^lif.{table.option}: expected a {table.option} that {table.room} knows \({known}\), got 'soft'$"
    with pytest.raises(UnsupportedError, match=message):
        table[replace(node, **{table.option: "soft"})]


def test_a_refused_option_raises_with_the_reason():
    table = OptionTable("the press", "reset", {"zero": 0, "subtract": Refusal("it takes nothing off")})
    assert table[IntLIF("lif", ("conv",))] == 0
    with pytest.raises(UnsupportedError, match=r"^lif.reset: the press takes no 'subtract': it takes nothing off$"):
        table[IntLIF("lif", ("conv",), reset="subtract")]


def modules() -> Iterator[str]:
    """Dotted names of all modules of the core and the backends, but of Lava's processes, which need Lava."""
    for package in (qpsnn_core, qpsnn_backends):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.startswith("qpsnn_backends.lava.processes"):
                yield found.name


def unlisted(names: Iterator[str]) -> list[str]:
    """The tables of these modules that are in none of the lists above; modules that lack an extra are left out."""
    options = [table for *_, tables in OPTIONS.values() for table in tables]
    listed = {id(table) for table in (*TRAINED_ROOMS, *INTEGER_ROOMS, *BACKEND_ROOMS, *LOCAL_ROOMS, *options)}
    faults = []
    for name in names:
        try:
            members = vars(import_module(name))
        except ModuleNotFoundError as error:
            if str(error.name).startswith("qpsnn_"):
                raise
            continue
        for one, table in members.items():
            known = id(table) in listed or (name, one) in FOREIGN_KEYS
            if isinstance(table, (KindTable, OptionTable)) and not known:
                faults.append(f"{name}.{one}: {table.room}")
    return faults


def test_every_table_is_in_a_list():
    assert unlisted(modules()) == []


def test_a_table_that_is_in_no_list_is_found(monkeypatch):
    monkeypatch.setattr("qpsnn_core.network.cost.SPARE", KindTable("the press", {Conv: str}), raising=False)
    assert unlisted(iter(["qpsnn_core.network.cost"])) == ["qpsnn_core.network.cost.SPARE: the press"]


def rows(section: str) -> list[tuple[str, Any]]:
    """Each room that a section of CONTRIBUTING lists, and the table that it names there."""
    text = CONTRIBUTING.read_text(encoding="utf-8").split(f"## {section}\n")[1].split("\n## ")[0]
    found = re.findall(r"^ *\| ([^|`]+) \| `([\w/]+)\.py` \| `(\w+)` \|", text, re.MULTILINE)
    dotted = [path.replace("backends/", "qpsnn_backends/").removesuffix("/__init__") for _, path, _ in found]
    return [
        (room, getattr(import_module(module.replace("/", ".")), name))
        for (room, _, name), module in zip(found, dotted, strict=True)
        if not module.startswith("qpsnn_backends/lava/processes")
    ]


@pytest.mark.exchange  # NIR's tables are among them
def test_contributing_lists_exactly_the_tables_of_kinds():
    tables = [table for table in (*TRAINED_ROOMS, *INTEGER_ROOMS, *BACKEND_ROOMS) if "JSON" not in table.room]
    assert {room: id(table) for room, table in rows("Add a kind of layer")} == {
        table.room: id(table) for table in tables
    }


def test_contributing_lists_exactly_the_tables_of_local_networks():
    found = rows("Add a network that learns locally")
    assert {room: id(table) for room, table in found} == {table.room: id(table) for table in LOCAL_ROOMS}


@pytest.mark.exchange  # NIR's table is among them
def test_contributing_lists_exactly_the_tables_of_options():
    found = [table for _, table in rows("Add an option of a neuron")]
    assert sorted(map(id, found)) == sorted(id(table) for *_, tables in OPTIONS.values() for table in tables)
