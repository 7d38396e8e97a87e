"""Writes a network of local learning as C99, with its test: one self-contained C file and its header."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from qpsnn_backends.c.cortex import LINKER, START
from qpsnn_backends.c.export import Exported, check_identifier
from qpsnn_backends.c.folder import check_folder, write_folder
from qpsnn_backends.c.local.backend import PLANS
from qpsnn_backends.c.local.driver import CHECK, CHECK_CLASS, MAKEFILE, NO_CLASS
from qpsnn_backends.c.local.source import header, inputs_of, source
from qpsnn_backends.c.memory import total
from qpsnn_backends.c.vectors import mix
from qpsnn_core.common.types import Array, Images
from qpsnn_core.integer.local.backends import check_samples
from qpsnn_core.integer.local.networks import TESTED, IntLocal
from qpsnn_core.integer.local.simulate import simulate_local

NOISE = 4
"""Samples that an export is checked with, where none are given."""


def export_local(
    network: IntLocal,
    folder: str | os.PathLike[str],
    name: str = "network",
    samples: Images | None = None,
    first: int = TESTED,
) -> Exported:
    """Write `name`.c, `name`.h, check.c, vectors.bin and a Makefile whose `make check` compares them.

    And what `make m4` and `make m0` need to run the check on an emulated Cortex-M. name: what functions begin with.
    samples: to test with, as for `LocalBackend.run`; None: noise. Raises ConfigError (name), FileError (a folder that
    holds something else, or cannot be written), and what is wrong with the samples.
    """
    check_identifier(name)
    target = Path(folder)
    check_folder(target)
    planned = PLANS[network](network)
    tested = check_samples(network, noise(network) if samples is None else samples, first=first)
    constants, state, scratch = (total(tuple(part)) for part in (planned.constants, planned.state, planned.scratch))
    words = {"name": name, "upper": name.upper()}
    classed = CHECK_CLASS.substitute(words) if planned.answer else NO_CLASS
    files = {
        f"{name}.h": header(network, planned, name).encode("ascii"),
        f"{name}.c": source(network, planned, name).encode("ascii"),
        "check.c": CHECK.substitute(words, **{"class": classed}).encode("ascii"),
        "cortex_m.c": START.encode("ascii"),
        "cortex_m.ld": LINKER.encode("ascii"),
        "vectors.bin": vectors(network, tested, first),
        "Makefile": MAKEFILE.substitute(words, ram=state + scratch).encode("ascii"),
    }
    write_folder(target, files)
    return Exported(str(target), tuple(files), constants, state, scratch, len(tested))


def noise(network: IntLocal, count: int = NOISE, seed: int = 0) -> Images:
    """Samples to test with: nothing, all spikes, then noise that is denser from one to the next."""
    rng = np.random.default_rng(seed)
    shape = (network.steps, *network.sample_shape)
    found = np.zeros((count, *shape), np.uint8)
    for k in range(1, count):
        found[k] = rng.random(shape) < (1.0 if k == 1 else 0.02 * 2**k)
    return found


def vectors(network: IntLocal, samples: Images, first: int) -> bytes:
    """The file that check.c reads, little-endian: count; then for each sample its number (32 bits), for each step its

    inputs (bytes) and a hash of each variable (32 bits); all answers (32 bits each), and the class.
    """
    parts = [np.array([len(samples)], "<u4").tobytes()]
    for n, sample in enumerate(samples):
        run = simulate_local(network, samples[n : n + 1], record="all", first=first + n)
        hashes = [hashed(array[0]) for array in run.variables.values()]
        parts.append(np.array([first + n], "<u4").tobytes())
        for t, frame in enumerate(sample.reshape(network.steps, inputs_of(network))):
            parts.append(frame.tobytes())
            parts.append(np.array([one[t] for one in hashes], "<u4").tobytes())
        parts.append(run.answers[0].astype("<u4").tobytes())
        parts.append(np.array([max(network.class_of(run.answers[0]), 0)], "<u4").tobytes())
    return b"".join(parts)


def hashed(values: Array) -> Array:
    """`sum_i mix(i) * x_i` modulo 2**32 of each step; values: `[steps, ...]`."""
    flat = values.reshape(len(values), -1).astype(np.int64).astype(np.uint64)
    return (flat @ mix(flat.shape[1])).astype(np.uint32)
