"""The repository's own rules: who may import whom, short files that open with a sentence, nothing of one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDERS = {"qpsnn_core": "qpsnn_core", "qpsnn_backends": "backends", "qpsnn_datasets": "datasets"}
LONGEST = 300

# Which of our own modules each part may import. A part that is not named here may import any.
MAY_IMPORT = {
    "qpsnn_core.errors": (),
    "qpsnn_core.structure": ("errors",),
    "qpsnn_core.kind_table": ("errors",),
    "qpsnn_core.storage": ("errors",),
    "qpsnn_core.checks": ("structure", "errors"),
    "qpsnn_core.formats": ("checks", "errors"),
    "qpsnn_core.kernels": ("kernels",),
    "qpsnn_core.network": ("network", "formats", "checks", "structure", "kind_table", "errors"),
    "qpsnn_core.quantize": ("formats", "kernels", "errors"),
    "qpsnn_core.layers": ("layers", "network", "formats", "kernels", "quantize", "kind_table", "errors"),
    "qpsnn_core.integer": (
        "integer",
        "model",
        "network",
        "quantize",
        "formats",
        "checks",
        "kernels",
        "structure",
        "storage",
        "kind_table",
        "errors",
    ),
    "qpsnn_backends": ("integer", "kind_table", "errors", "qpsnn_backends"),
    "qpsnn_datasets": ("checks", "structure", "storage", "kernels", "errors", "qpsnn_datasets"),
}

# The only places that may import these libraries. A trailing * takes in what the name begins.
ONLY_IN = {
    "numba": ("qpsnn_core.kernels",),
    "h5py": ("qpsnn_core.checkpoint", "qpsnn_core.storage", "qpsnn_core.integer.file", "qpsnn_datasets"),
    "lava": ("qpsnn_backends.lava",),
    "matplotlib": ("qpsnn_core.plot*",),
    "typer": ("qpsnn_core.cli*",),
    "rich": ("qpsnn_core.cli*",),
    "sklearn": ("qpsnn_datasets",),
    "PIL": ("qpsnn_datasets",),
    "pooch": ("qpsnn_datasets",),
    "faery": ("qpsnn_datasets.events",),
    "hdf5plugin": ("qpsnn_datasets.events",),
    "nir": ("qpsnn_core.exchange",),
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
    return fnmatchcase(module, part) or fnmatchcase(module, f"{part}.*")


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


def import_faults(module: str, path: Path) -> list[str]:
    part = max((part for part in MAY_IMPORT if within(module, part)), key=len, default=None)
    allowed = [name if name in FOLDERS else f"qpsnn_core.{name}" for name in MAY_IMPORT.get(part, ())]
    faults = []
    for line, name in imported(module, path):
        top = name.split(".")[0]
        if top in FOLDERS and part and not any(within(name, one) for one in allowed):
            faults.append(f"{path}:{line}: {module} may not import {name}")
        if top in ONLY_IN and not any(within(module, one) for one in ONLY_IN[top]):
            faults.append(f"{path}:{line}: {module} may not import {top}; only {', '.join(ONLY_IN[top])} may")
    return faults


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


def test_every_package_is_in_pyproject(root):
    with (root / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["tool"]["setuptools"]["packages"]
    found = {module if path.name == "__init__.py" else module.rpartition(".")[0] for module, path in sources(root)}
    assert sorted(listed) == sorted(found)


@pytest.mark.parametrize(
    ("module", "line", "fault"),
    [
        ("qpsnn_core.kernels.lif", "from qpsnn_core.network.nodes import LIF", "qpsnn_core.network.nodes.LIF"),
        ("qpsnn_core.kernels.lif", "from ..network import nodes", "qpsnn_core.network.nodes"),
        ("qpsnn_core.kernels.lif", "import qpsnn_core as qp", "may not import qpsnn_core"),
        ("qpsnn_core.network.graph", "from qpsnn_core import layers", "qpsnn_core.layers"),
        ("qpsnn_core.layers.conv", "def f():\n    from qpsnn_core.engine import forward", "qpsnn_core.engine.forward"),
        ("qpsnn_core.integer.lower", "import qpsnn_core.layers.conv", "qpsnn_core.layers.conv"),
        ("qpsnn_core.errors", "import qpsnn_core.structure", "qpsnn_core.structure"),
        ("qpsnn_backends.exact", "from qpsnn_core.network import Network", "qpsnn_core.network.Network"),
        ("qpsnn_backends.exact", "import lava.magma", "only qpsnn_backends.lava may"),
        ("qpsnn_core.integer.lower", "import h5py", "may not import h5py"),
        ("qpsnn_core.engine", "import importlib\nimportlib.import_module('numba.core')", "may not import numba"),
        ("qpsnn_core.report", "from matplotlib import pyplot", "may not import matplotlib"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path, module, line, fault):
    path = tmp_path / "made_up.py"
    path.write_text(f'"""Made up."""\n{line}\n')
    assert [fault in found for found in import_faults(module, path)] == [True]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("qpsnn_core.kernels.lif", "import numba\nfrom .parallel import kernel"),
        ("qpsnn_core.layers.conv", "from qpsnn_core import quantize\nfrom ..kernels.conv import forward"),
        ("qpsnn_core.integer.file", "import h5py\nfrom qpsnn_core.errors import FormatError"),
        ("qpsnn_backends.lava.run", "from lava.magma import core\nfrom ..base import Backend"),
        ("qpsnn_core.train", "import qpsnn_datasets\nfrom qpsnn_core import engine"),
        ("qpsnn_core.plots", "import matplotlib"),
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
