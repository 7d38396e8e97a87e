"""What a deployed network of local learning runs on: the protocol, what a run gives, and backends by name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, ShapeError, Unquoted, expected
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.types import Array, Images, Longs
from qpsnn_core.common.validation import check_at_least, check_kind, described
from qpsnn_core.integer.local.networks import TESTED, IntDecolle, IntDiehlCook, IntLocal

LOCAL_BACKENDS = {
    "exact": ("qpsnn_backends.exact_local", "ExactLocalBackend"),
    "lava": ("qpsnn_backends.lava.local", "LavaLocalBackend"),
    "c": ("qpsnn_backends.c.local.backend", "CLocalBackend"),
}
"""The module and class of each backend, by name."""

LocalRecord = Literal["none", "all"]
"""What is kept besides the answers: nothing, or every stored variable after every step."""


@dataclass(frozen=True, eq=False)
class LocalRun:
    """answers: int64 `[samples, answers]`, the spikes of each neuron, or the steps in which each class was the answer.

    variables: by name, int32 `[samples, steps, ...]`, every stored variable after every step; or none.
    """

    answers: Longs
    variables: dict[str, Array]

    def __repr__(self) -> str:
        """Shapes, not the arrays."""
        return f"LocalRun(answers {list(self.answers.shape)}, {len(self.variables)} variables)"


@runtime_checkable
class LocalBackend(Protocol):
    """Runs deployed networks of local learning."""

    @property
    def name(self) -> str:
        """The word that `local_backend` knows it by."""

    def check(self, network: IntLocal) -> None:
        """Raises UnsupportedError, with figures, where this backend or this machine cannot run the network."""

    def run(self, network: IntLocal, samples: Images, record: LocalRecord = "none", first: int = TESTED) -> LocalRun:
        """Run samples, uint8 `[samples, steps, ...]`, as the network says, each from a state of its own.

        first: the number of the first of them, 0 to 2**32 - 1, on which its draws depend. Raises UnsupportedError
        before anything starts, BackendError, BackendTimeout, ConfigError, DataError, ShapeError.
        """


def local_backend(name: str, **options: Any) -> LocalBackend:
    """The backend of that name, made with its own options. ConfigError for a name that there is not."""
    if name not in LOCAL_BACKENDS:
        known = ", ".join(LOCAL_BACKENDS)
        raise ConfigError(expected("backend", f"one of {known}", name) + did_you_mean(name, LOCAL_BACKENDS))
    module, kind = LOCAL_BACKENDS[name]
    backend: LocalBackend = getattr(import_module(module), kind)(**options)
    return backend


def check_samples(network: IntLocal, samples: Images, record: str = "none", first: int = TESTED) -> Images:
    """The samples, contiguous. Raises ConfigError (record, first), DataError, ShapeError."""
    check_kind("network", network, IntDiehlCook, IntDecolle)
    if record not in get_args(LocalRecord):
        raise ConfigError(expected("record", f"one of {', '.join(get_args(LocalRecord))}", record))
    shape = ("samples", network.steps, *network.sample_shape)
    if not isinstance(samples, np.ndarray) or samples.dtype != np.uint8 or not samples.size:
        want = f"an array of uint8 [{', '.join(map(str, shape))}]"
        raise DataError(expected("samples", want, Unquoted(described(samples))))
    if samples.shape[1:] != shape[1:]:
        raise ShapeError(expected("samples", f"[{', '.join(map(str, shape))}]", list(samples.shape)))
    if int(samples.max()) > network.most:
        raise DataError(expected("samples", f"0 to {network.most}", int(samples.max())))
    check_at_least("first", first, 0)
    if first + len(samples) > 2**32:
        raise ConfigError(expected("first", f"at most {2**32 - len(samples)}", first))
    return np.ascontiguousarray(samples)


def differences(run: LocalRun, exact: LocalRun) -> dict[str, int]:
    """How many numbers of each variable, and of the "answers", are not those of the other run."""
    found = {name: int((run.variables[name] != one).sum()) for name, one in exact.variables.items()}
    return {**found, "answers": int((run.answers != exact.answers).sum())}


def parted_variables(network: IntLocal, told: Array, samples: int) -> dict[str, Array]:
    """All variables from one array that tells them sample by sample, step by step, in the network's order."""
    sizes = [int(np.prod(one.shape)) for one in network.variables]
    parts = np.split(told.reshape(samples, network.steps, sum(sizes)), np.cumsum(sizes)[:-1], axis=2)
    return {
        one.name: np.ascontiguousarray(part).reshape(samples, network.steps, *one.shape)
        for one, part in zip(network.variables, parts, strict=True)
    }
