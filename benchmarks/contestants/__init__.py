"""The contestants: each gives, for a case, the work that is timed, in every form in which it may run.

A form of a peer is what its own users would choose between: plain PyTorch or compiled, in float32 or under bf16
autocast; of each precision the fastest counts. A form of qpsnn is an arithmetic that a recipe names; all are timed.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from benchmarks.networks import Case

OURS = "qpsnn"
PEERS = ("spikingjelly", "snntorch")
NAMES = (OURS, *PEERS)
WORKS = ("train", "infer_float", "infer_integer")
RATE, MOMENTUM = 1e-4, 0.9
"""Of the timed updates: so small a step that rates stay as they are."""

FLOAT32, AUTOCAST = "float32", "autocast"
PRECISIONS = (FLOAT32, AUTOCAST)
"""Of a peer's products and what lies between them: float32, or bfloat16 as `torch.autocast` chooses it."""

EXACT = "exact"
"""The form of integer inference: its sums are exact in every arithmetic."""

FORMS: dict[str, dict[str, Any]] = {"portable": {"arithmetic": "portable"}, "native": {"arithmetic": "native"}}
"""The forms of qpsnn in training and in floating-point inference, from the default to the fastest: the name, as recipes
and tables say it, and the options of `qp.forward` that ask for it. A name that is added is timed in turns with the
others, gets a row in every table, and is held against the targets that name it (benchmarks/targets.py)."""

NATIVE = "native"
"""The form that targets name, once qpsnn has it."""


class Run(NamedTuple):
    """Work that is ready to be timed. call: does it once; rest: lets go of what the last call left behind."""

    contestant: str
    work: str
    form: str
    call: Callable[[], Any]


def precision(form: str) -> str:
    """FLOAT32 or AUTOCAST, of a peer's form such as "parts" or "autocast parts"."""
    return AUTOCAST if form.split(" ", 1)[0] == AUTOCAST else FLOAT32


def compilation(form: str) -> str:
    """The rest of a peer's form: what is compiled."""
    return form.removeprefix(AUTOCAST).strip()


def runs(contestant: str, work: str, case: Case, forms: tuple[str, ...]) -> list[Run]:
    """Every form in which `contestant` does `work`; empty where it has none (peers have no integer network).

    forms: of a peer; qpsnn's are all of FORMS.
    """
    if contestant == OURS:
        from benchmarks.contestants import qpsnn

        return qpsnn.runs(work, case)
    from benchmarks.contestants import pytorch

    if work not in pytorch.WORKS:
        return []
    return [Run(contestant, work, form, pytorch.call(neuron(contestant), work, form, case)) for form in forms]


def one_run(contestant: str, work: str, case: Case, form: str) -> Run:
    """The run in that form alone. Raises ValueError of a form of qpsnn that is not there."""
    found = [run for run in runs(contestant, work, case, (form,)) if run.form == form]
    if not found:
        raise ValueError(f"{contestant}, {work}: form: expected one of {', '.join(FORMS)}, got {form!r}")
    return found[0]


def targeted_form() -> str:
    """The form of qpsnn whose memory and threads are measured: the native arithmetic, or the only one there is."""
    return NATIVE if NATIVE in FORMS else next(iter(FORMS))


def neuron(contestant: str) -> Any:
    """The neurons of a peer: a module made from a LIF node."""
    return import_module(f"benchmarks.contestants.{contestant}").Neuron


def set_threads(count: int, peers: bool) -> None:
    """The threads of every contestant. peers: whether PyTorch is used at all; it is slow to import."""
    import qpsnn_core as qp

    qp.set_threads(count)
    if peers:
        import torch

        torch.set_num_threads(count)
