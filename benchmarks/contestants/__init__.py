"""The contestants: each gives, for a case, the work that is timed, in every form in which it may run.

A form is what the library's own users would choose between ("eager", "compiled"); the fastest is the one that counts.
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


class Run(NamedTuple):
    """Work that is ready to be timed. call: does it once; rest: lets go of what the last call left behind."""

    contestant: str
    work: str
    form: str
    call: Callable[[], Any]


def runs(contestant: str, work: str, case: Case, forms: tuple[str, ...]) -> list[Run]:
    """Every form in which `contestant` does `work`; empty where it has none (peers have no integer network)."""
    if contestant == OURS:
        from benchmarks.contestants import qpsnn

        return qpsnn.runs(work, case)
    from benchmarks.contestants import pytorch

    if work not in pytorch.WORKS:
        return []
    return [Run(contestant, work, form, pytorch.call(neuron(contestant), work, form, case)) for form in forms]


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
