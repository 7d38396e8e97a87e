"""Which mutants there are in the numeric core, and a seeded sample of them that outlives changes elsewhere."""

from __future__ import annotations

import ast
import difflib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

PACKAGES = {"qpsnn_core": "qpsnn_core", "backends": "qpsnn_backends", "datasets": "qpsnn_datasets"}
CORE = (
    *(
        f"qpsnn_core/{room}"
        for room in ("quantization", "optim", "engine", "integer", "compression", "inference", "training", "kernels")
    ),
    "datasets/events",
    "backends/c",
    "backends/loihi",
)
COMPILED_ONLY = ("qpsnn_core/kernels/simd/", "qpsnn_core/kernels/machine_code.py")
"""What writes LLVM's text or keeps machine code does nothing with the compiler off."""


NEAR = {
    **{"Add": "Sub", "Sub": "Add", "Mul": "Add", "Div": "Mul", "FloorDiv": "Mul", "Mod": "FloorDiv", "Pow": "Mul"},
    **{"LShift": "RShift", "RShift": "LShift", "BitAnd": "BitOr", "BitOr": "BitAnd", "BitXor": "BitOr", "USub": "UAdd"},
    **{"Lt": "LtE NotEq", "LtE": "Lt Eq", "Gt": "GtE NotEq", "GtE": "Gt Eq", "Eq": "LtE GtE", "NotEq": "Lt Gt"},
    **{"Is": "IsNot", "IsNot": "Is", "In": "NotIn", "NotIn": "In"},
}
"""What an operator becomes. Its other replacements end in a TypeError or differ so much that any test kills them."""

IDLE = ("name", "string", "newline", "endmarker")
"""Kinds of leaves that no operator changes by themselves; neither does it brackets, commas and the like."""


class Mutant(NamedTuple):
    """One change: `line` of `function` becomes `mutated` (lines stripped). key: names it whatever stands above it."""

    key: str
    file: str
    function: str
    number: int
    line: str
    mutated: str
    operator: str
    source: str

    @property
    def module(self) -> str:
        folder, _, rest = self.file.removesuffix(".py").partition("/")
        return f"{PACKAGES[folder]}.{rest.replace('/', '.')}".removesuffix(".__init__")

    @property
    def room(self) -> str:
        return "/".join(self.file.split("/")[:2])

    @property
    def change(self) -> tuple[str, str, str, str]:
        """What the list of equivalent mutants names."""
        return self.file, self.function, self.line, self.mutated


class _Site(NamedTuple):
    """One place in a file, and every (operator, occurrence) that changes it."""

    rank: str
    file: Path
    function: str
    number: int
    ways: list[tuple[str, int]]


def digest(*parts: object) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:16]


def definitions(tree: ast.Module) -> list[tuple[int, int, str]]:
    """(first line, last line, dotted name) of every function and class, decorators included, outer before inner."""
    found: list[tuple[int, int, str]] = []

    def walk(node: ast.AST, above: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = above
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{above}.{child.name}".lstrip(".")
                first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                found.append((first, child.end_lineno or child.lineno, name))
            walk(child, name)

    walk(tree, "")
    return found


def draw(root: Path, count: int, seed: int) -> list[Mutant]:
    """`count` places by the order of their digests with the seed, each with one change by the same rule.

    A place counts by its file, function and text, so that a change elsewhere leaves the sample as it was.
    """
    sites = [
        site for folder in CORE for path in sorted((root / folder).rglob("*.py")) for site in _sites(root, path, seed)
    ]
    mutants: list[Mutant] = []
    for site in sorted(sites):
        if len(mutants) == count:
            break
        mutants += _mutant(root, site)
    return mutants


def _sites(root: Path, path: Path, seed: int) -> Iterator[_Site]:
    file = path.relative_to(root).as_posix()
    if file.startswith(COMPILED_ONLY):
        return
    source = path.read_text(encoding="utf-8")
    lines, tree = source.splitlines(), ast.parse(source)
    nodes = [node for node in ast_nodes(get_ast(source)) if not _idle(node)]
    named, annotations = definitions(tree), _annotations(tree)
    places: dict[tuple[tuple[int, int], tuple[int, int]], list[tuple[str, int]]] = {}
    for name in operator_names():
        if get_operator(name).arguments() or not _near(name) or (name.endswith("Decorator") and "/kernels/" in file):
            continue
        operator = get_operator(name)()
        found = (place for node in nodes for place in operator.mutation_positions(node))
        for occurrence, (start, stop) in enumerate(found):
            if not any(first <= start < last for first, last in annotations):
                places.setdefault((start, stop), []).append((name, occurrence))
    seen: dict[tuple[str, str, int], int] = {}
    for (start, _), ways in sorted(places.items()):
        number, column = start
        function = next((name for first, last, name in reversed(named) if first <= number <= last), "")
        text = lines[number - 1].strip()
        same = (function, text, column - lines[number - 1].index(text))
        seen[same] = seen.get(same, -1) + 1
        yield _Site(digest(seed, file, *same, seen[same]), path, function, number, ways)


def _near(name: str) -> bool:
    """True of every operator that replaces none, deletes one, or puts one of NEAR in its place."""
    old, new = [*name.split("_"), "", ""][1:3]
    return old in ("", "Delete") or new in NEAR.get(old, "").split()


def _idle(node: Any) -> bool:
    return node.type in IDLE or (node.type == "operator" and node.value in "()[]{}.,:;=")


def _annotations(tree: ast.Module) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where types stand, which nothing runs: `from __future__ import annotations` is in every file."""
    found = [getattr(node, field, None) for node in ast.walk(tree) for field in ("annotation", "returns")]
    return [((a.lineno, a.col_offset), (a.end_lineno or 0, a.end_col_offset or 0)) for a in found if a is not None]


def _mutant(root: Path, site: _Site) -> list[Mutant]:
    """The site's mutant; none where no operator's text differs or parses."""
    source = site.file.read_text(encoding="utf-8")
    file = site.file.relative_to(root).as_posix()
    for _, (name, occurrence) in sorted((digest(site.rank, index), way) for index, way in enumerate(site.ways)):
        mutated = mutate_code(source, get_operator(name)(), occurrence)
        try:
            same = mutated is None or ast.dump(ast.parse(mutated)) == ast.dump(ast.parse(source))
        except SyntaxError:
            continue
        if not same:
            lines = list(difflib.ndiff(source.splitlines(), mutated.splitlines()))
            old, new = (
                "\n".join(t[2:].strip() for t in lines if t[:2] == sign and t[2:].strip()) for sign in ("- ", "+ ")
            )
            key = digest(site.rank, old, new)
            return [Mutant(key, file, site.function, site.number, old, new, name.partition("/")[2], mutated)]
    return []
