"""The repository's own rules: who may import whom, short files that open with a sentence, nothing of one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDERS = {"qpsnn_core": "qpsnn_core", "qpsnn_backends": "backends", "qpsnn_datasets": "datasets"}
LONGEST = 300

# Each room: its floor, and the rooms below that it may import (any part of them, or the one that is named).
GROUND = ("common", "kernels")
BASE = (*GROUND, "quantization", "optim", "datasets", "network", "recipes", "engine", "integer")
VERBS = ("training", "compression", "inference", "exchange", "local_learning")
ROOMS: dict[str, tuple[int, tuple[str, ...]]] = {
    "common": (1, ()),
    "kernels": (1, ()),
    "quantization": (2, GROUND),
    "optim": (2, GROUND),
    "datasets": (2, GROUND),
    "network": (3, ("common", "quantization.formats")),
    "recipes": (4, ("common", "quantization", "optim", "network")),
    "engine": (4, (*GROUND, "quantization", "optim", "datasets", "network")),
    "integer": (4, (*GROUND, "quantization", "network")),
    "training": (5, BASE),
    "compression": (5, BASE),
    "inference": (5, BASE),
    "exchange": (5, BASE),
    "local_learning": (5, (*GROUND, "quantization", "recipes", "integer")),
    "backends": (5, ("common", "integer")),
    "experiments": (6, (*BASE, *VERBS)),
    "cli": (7, (*BASE, *VERBS, "backends", "experiments")),
}
"""Nobody imports the package's own face, `qpsnn_core`, but cli (and the benchmarks)."""

NARROWER = {"qpsnn_core.quantization.formats": ("common",)}
"""Modules that may import less than their room may."""

FACE = ("qpsnn_core", *(f"qpsnn_core.{name}" for name in ("__main__", "errors", "layers", "plot", "zoo")))
"""What only passes on names: the verbs, their command, and the public paths of errors, layers, figures and the zoo."""

MOST_FLOORS = 8

# The only places that may import these libraries.
ONLY_IN = {
    "numba": ("qpsnn_core.kernels",),
    "h5py": (
        "qpsnn_core.common.hdf5",
        "qpsnn_core.common.hdf5_child",
        "qpsnn_core.training.checkpoint",
        "qpsnn_core.integer.file",
        "qpsnn_datasets.saved",
        "qpsnn_datasets.events.store",
        "qpsnn_datasets.events.writer",
    ),
    "lava": ("qpsnn_backends.lava",),
    "matplotlib": ("qpsnn_core.experiments.plots",),
    "typer": ("qpsnn_core.cli",),
    "rich": ("qpsnn_core.cli", "qpsnn_core.common.bars"),
    "sklearn": ("qpsnn_datasets", "qpsnn_core.experiments.estimator"),
    "PIL": ("qpsnn_datasets",),
    "pooch": ("qpsnn_datasets",),
    "faery": ("qpsnn_datasets.events",),
    "hdf5plugin": ("qpsnn_datasets.events",),
    "nir": ("qpsnn_core.exchange",),
    "tensorboardX": ("qpsnn_core.training.tensorboard",),
}

# Folders of one machine, and words that only an address of a package registry holds.
PRIVATE = re.compile(r"/(?:work|tmp|root|home|Users)/\w|pypi\.org|files\.python[h]osted|index[-_]url", re.IGNORECASE)

# `noqa` and `type: ignore` name their rule, and the rest of the line says why.
WAIVER = re.compile(r"#\s*(?:(?:ruff:\s*)?noqa|type:\s*ignore|fmt:\s*(?:off|skip))")
RULES = r"(?:noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*(?!,)|type:\s*ignore\[[\w, -]+\]|fmt:\s*\w+)"
JUSTIFIED = re.compile(rf"#\s*(?:ruff:\s*)?{RULES}\W+\w+")


def sources(root: Path) -> Iterator[tuple[str, Path]]:
    """(dotted module, file) of every Python file in the three packages."""
    for package, folder in FOLDERS.items():
        for path in sorted((root / folder).rglob("*.py")):
            parts = [package, *path.relative_to(root / folder).with_suffix("").parts]
            yield ".".join(part for part in parts if part != "__init__"), path


def within(module: str, part: str) -> bool:
    return module == part or module.startswith(f"{part}.")


def imported(module: str, path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of all that a file imports, wherever it does: `from a import b` is `a.b`."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, node.module] if node.module else above
            for name in node.names:
                yield node.lineno, ".".join([*base, name.name])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            names = [one.value for one in node.args[:1] if isinstance(one, ast.Constant)]
            yield from ((node.lineno, str(name)) for name in names)


def room_of(name: str) -> str | None:
    """The room that a dotted name of ours lies in; None for the package's own face."""
    top, *below = name.split(".")
    if top != "qpsnn_core":
        return top.removeprefix("qpsnn_")
    return None if name in FACE or not below else below[0]


def dotted(room: str) -> str:
    """The dotted name of a room, or of one of its parts."""
    return f"qpsnn_{room}" if room.split(".")[0] in ("backends", "datasets") else f"qpsnn_core.{room}"


def import_faults(module: str, path: Path) -> list[str]:
    room = room_of(module)
    if room is not None and room not in ROOMS:
        return [f"{path}: {module} is in no room"]
    allowed = [] if room is None else [dotted(one) for one in (room, *NARROWER.get(module, ROOMS[room][1]))]
    allowed += [face for face in FACE if room == "cli"]
    faults = []
    for line, name in imported(module, path):
        top = name.split(".")[0]
        ours = top in FOLDERS and module not in FACE
        if ours and name not in allowed and not any(within(name, one) for one in allowed if one not in FACE):
            faults.append(f"{path}:{line}: {module} may not import {name}")
        if top in ONLY_IN and not any(within(module, one) for one in ONLY_IN[top]):
            faults.append(f"{path}:{line}: {module} may not import {top}; only {', '.join(ONLY_IN[top])} may")
    return faults


def arrows(root: Path) -> dict[str, set[str]]:
    """Each room, and the other rooms that it imports, by the code alone."""
    found: dict[str, set[str]] = {}
    for module, path in sources(root):
        room = room_of(module)
        if room is not None:
            rooms = {room_of(name) for _, name in imported(module, path) if name.split(".")[0] in FOLDERS}
            found.setdefault(room, set()).update(one for one in rooms - {room} if one is not None)
    return found


def floors(below: dict[str, set[str]]) -> dict[str, int]:
    """Each room on the floor above all that it imports, the ground being 1; ValueError names a circle."""
    found: dict[str, int] = {}

    def floor(room: str, way: tuple[str, ...]) -> int:
        if room in way:
            raise ValueError(" -> ".join((*way[way.index(room) :], room)))
        if room not in found:
            found[room] = 1 + max((floor(one, (*way, room)) for one in below.get(room, ())), default=0)
        return found[room]

    for room in below:
        floor(room, ())
    return found


def text_faults(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    faults = []
    if len(text.splitlines()) > LONGEST:
        faults.append(f"{path}: {len(text.splitlines())} lines, over {LONGEST}")
    if not ast.get_docstring(ast.parse(text)):
        faults.append(f"{path}: does not open with a docstring")
    return faults


def waiver_faults(path: Path) -> list[str]:
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    return [f"{path}:{n}: no reason: {line}" for n, line in lines if WAIVER.search(line) and not JUSTIFIED.search(line)]


def tracked(root: Path) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := root / name).is_file()]


def private_faults(path: Path) -> list[str]:
    content = path.read_bytes()
    if b"\0" in content:
        return []
    lines = enumerate(content.decode("utf-8", "replace").splitlines(), start=1)
    return [f"{path}:{number}: {line.strip()[:120]}" for number, line in lines if PRIVATE.search(line)]


def test_imports_keep_to_the_contract(root):
    faults = [fault for module, path in sources(root) for fault in import_faults(module, path)]
    assert not faults, "\n".join(faults)


def test_rooms_stand_on_few_floors_without_a_circle(root):
    found = floors(arrows(root))
    assert set(found) == set(ROOMS)
    assert max(found.values()) <= MOST_FLOORS


def test_no_arrow_leads_upwards(root):
    upwards = [(room, one) for room, below in arrows(root).items() for one in below if ROOMS[one][0] >= ROOMS[room][0]]
    assert upwards == []
    assert [
        (room, one) for room, (floor, below) in ROOMS.items() for one in below if ROOMS[one.split(".")[0]][0] >= floor
    ] == []


def test_a_circle_of_rooms_is_found():
    assert floors({"cli": {"engine"}, "engine": {"common"}, "common": set()}) == {"common": 1, "engine": 2, "cli": 3}
    with pytest.raises(ValueError, match="engine -> network -> engine"):
        floors({"cli": {"engine"}, "engine": {"network"}, "network": {"engine"}})


def test_files_are_short_and_open_with_a_docstring(root):
    faults = [fault for _, path in sources(root) for fault in text_faults(path)]
    assert not faults, "\n".join(faults)


def test_every_lint_exception_is_justified_on_its_line(root):
    paths = [path for path in tracked(root) if path.suffix == ".py" and path != Path(__file__).resolve()]
    faults = [fault for path in paths for fault in waiver_faults(path)]
    assert not faults, "\n".join(faults)


def test_nothing_tracked_names_a_machine_or_a_registry(root):
    faults = [fault for path in tracked(root) for fault in private_faults(path)]
    assert not faults, "\n".join(faults)


def test_types_of_arrays_have_one_module(root):
    """Kernels, which import no other room, have theirs in kernels/buffers.py."""
    homes = ("qpsnn_core.common.types", "qpsnn_core.kernels.buffers")
    paths = [path for module, path in sources(root) if module not in homes]
    alias = re.compile(r"^\w+(?:: \w+)? = (?:npt\.)?NDArray\[", re.MULTILINE)
    assert [str(path) for path in paths if alias.search(path.read_text(encoding="utf-8"))] == []


def test_every_package_is_in_pyproject(root):
    with (root / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["tool"]["setuptools"]["packages"]
    found = {module if path.name == "__init__.py" else module.rpartition(".")[0] for module, path in sources(root)}
    assert sorted(listed) == sorted(found)


@pytest.mark.parametrize(
    ("module", "line", "fault"),
    [
        ("qpsnn_core.kernels.pool", "from qpsnn_core.network.nodes import LIF", "qpsnn_core.network.nodes.LIF"),
        ("qpsnn_core.kernels.conv.image", "from ...network import nodes", "qpsnn_core.network.nodes"),
        ("qpsnn_core.kernels.pool", "import qpsnn_core as qp", "may not import qpsnn_core"),
        ("qpsnn_core.kernels.pool", "from qpsnn_core.common.errors import QpsnnError", "qpsnn_core.common.errors"),
        ("qpsnn_core.network.graph", "from qpsnn_core.engine import layers", "qpsnn_core.engine.layers"),
        ("qpsnn_core.network.graph", "from qpsnn_core.quantization import rescaw", "qpsnn_core.quantization.rescaw"),
        ("qpsnn_core.quantization.formats", "import qpsnn_core.kernels.pool", "qpsnn_core.kernels.pool"),
        ("qpsnn_core.engine.passes", "def f():\n    from qpsnn_core import train", "may not import qpsnn_core.train"),
        ("qpsnn_core.engine.passes", "from qpsnn_core.errors import DataError", "qpsnn_core.errors.DataError"),
        ("qpsnn_core.engine.passes", "import qpsnn_core.training.train", "qpsnn_core.training.train"),
        ("qpsnn_core.training.train", "from qpsnn_core.inference.evaluate import evaluate", "qpsnn_core.inference"),
        ("qpsnn_core.integer.file", "import qpsnn_backends", "may not import qpsnn_backends"),
        ("qpsnn_core.experiments.demo", "import qpsnn_core as qp", "may not import qpsnn_core"),
        ("qpsnn_core.spare", "import os", "is in no room"),
        ("qpsnn_backends.exact", "from qpsnn_core.network import Network", "qpsnn_core.network.Network"),
        ("qpsnn_backends.exact", "import lava.magma", "only qpsnn_backends.lava may"),
        ("qpsnn_core.integer.simulate", "import h5py", "may not import h5py"),
        ("qpsnn_core.engine.passes", "import importlib\nimportlib.import_module('numba.core')", "may not import numba"),
        ("qpsnn_core.cli.report", "from matplotlib import pyplot", "may not import matplotlib"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path, module, line, fault):
    path = tmp_path / "made_up.py"
    path.write_text(f'"""Made up."""\n{line}\n')
    assert [fault in found for found in import_faults(module, path)] == [True]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("qpsnn_core.kernels.pool", "import numba\nfrom .threads import kernel"),
        ("qpsnn_core.engine.layers.conv", "from qpsnn_core.quantization import rescaw\nfrom .base import LayerContext"),
        ("qpsnn_core.integer.file", "import h5py\nfrom qpsnn_core.common.errors import FormatError"),
        ("qpsnn_backends.lava.backend", "from lava.magma import core\nfrom qpsnn_core.integer.backends import Run"),
        ("qpsnn_core.training.train", "import qpsnn_datasets\nfrom qpsnn_core.engine import passes"),
        ("qpsnn_core.network.synapses", "from qpsnn_core.quantization.formats import Quantizer"),
        ("qpsnn_core.experiments.plots.report", "import matplotlib"),
        ("qpsnn_core.cli.app", "import qpsnn_core as qp\nfrom qpsnn_core.common.errors import QpsnnError"),
        ("qpsnn_core", "from qpsnn_core.training.train import train"),
    ],
)
def test_an_allowed_import_is_let_pass(tmp_path, module, line):
    path = tmp_path / "made_up.py"
    path.write_text(f"{line}\n")
    assert import_faults(module, path) == []


def test_a_long_or_silent_file_is_found(tmp_path):
    path = tmp_path / "made_up.py"
    path.write_text("x = 1\n" * (LONGEST + 1))
    assert len(text_faults(path)) == 2


@pytest.mark.parametrize(
    "line", ["x = 1  # noqa", "x = 1  # noqa: N818, E501", "x = 1  # type: ignore[misc]", "# ruff: noqa"]
)
def test_a_bare_lint_exception_is_found(tmp_path, line):
    path = tmp_path / "made_up.py"
    path.write_text(f"{line}\n")
    assert len(waiver_faults(path)) == 1


@pytest.mark.parametrize("line", ["x = 1  # noqa: N818 (a TimeoutError)", "x = 1  # type: ignore[misc]  # no stubs"])
def test_a_justified_lint_exception_is_let_pass(tmp_path, line):
    path = tmp_path / "made_up.py"
    path.write_text(f"{line}\n")
    assert waiver_faults(path) == []


@pytest.mark.parametrize("text", ["see /" + "work/main", "--index" + "-url x", "https://pypi" + ".org/simple"])
def test_a_private_path_is_found(tmp_path, text):
    path = tmp_path / "made_up.toml"
    path.write_text(f"{text}\n")
    assert len(private_faults(path)) == 1
