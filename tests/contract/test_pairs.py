"""Every pair of kinds that may stand beside each other, in small networks: twin, exact simulator, C and Lava, equal.

Whole random networks miss pairs that are rare: what drew no convolution before the readout never compiled one.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from itertools import product

import numpy as np
import pytest
import warm
from alike import assert_equal
from compiled import UNOPTIMIZED, needs_cc
from generators import PAIRS, VARIANTS, pair_network

import qpsnn_backends
from naive import integer as naive
from qpsnn_backends.c.compiler import STANDARD
from qpsnn_backends.c.export import export
from qpsnn_core.integer.backends import Run
from qpsnn_core.integer.file import load_integer, save_integer
from qpsnn_core.integer.node_kinds import KINDS
from qpsnn_core.integer.nodes import (
    IntAttention,
    IntConcat,
    IntConv,
    IntCurrentReadout,
    IntGate,
    IntInput,
    IntLinear,
    IntMaxPool,
    IntMembrane,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
    IntUpsample,
)
from qpsnn_core.network.readouts import MODES

EVERY = [(name, variant) for name in PAIRS for variant in VARIANTS]
BUILDS = (("cc", "-O2"), ("cc", "-Os"), ("clang", "-O2"), ("cc", "-O1 -m32"), ("cc", "-O3"))
"""Other compilers, levels and word sizes than sanitizers are for; each pair has one of them."""

made = cache(pair_network)


@cache
def reference(name, variant):
    net, images = made(name, variant)
    readouts, spikes, membranes = naive.run_all(net, images)
    return Run(
        readouts,
        {name: array.astype(np.uint8) for name, array in spikes.items()},
        {name: array.astype(np.int32) for name, array in membranes.items()},
    )


@cache
def refused(compiler, flags):
    """Why a build is not possible here, or ""."""
    if shutil.which(compiler) is None:
        return f"no {compiler} on PATH"
    words = [compiler, *flags.split(), "-xc", "-", "-o", "/dev/null"]
    text = '#include <stdio.h>\nint main(void) { return puts(""); }\n'
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    return f"{compiler} {flags} builds no program" if done.returncode else ""


def test_every_pair_that_the_network_allows_is_there():
    """Also each pair with the readout next, and neurons that each two kinds of current drive."""
    gives, pairs, ends, driven = set(), set(), set(), set()
    for net, _ in (made(*one) for one in EVERY):
        gives.update((type(node), net.values[node.name].kind) for node in net)
        for node in net:
            kinds = [type(net[source]) for source in net.sources(node)]
            pairs.update((type(net[source]), net.values[source].kind, type(node)) for source in net.sources(node))
            driven.update(frozenset((a, b)) for i, a in enumerate(kinds) for b in kinds[i + 1 :])
        last = net[net.readout.source]
        if isinstance(last, IntConv | IntLinear | IntShortcut):
            ends.update((type(net[source]), type(last)) for source in net.sources(last))
    others = {
        IntGate,
        IntMembrane,
        IntAttention,
        IntCurrentReadout,
    }  # beside what they mask, of spikes alone, of several: test_gates, test_integer_transformers
    kinds = set(KINDS.entries) - others
    assert {kind for kind, _ in gives} == kinds
    sources, targets = {one for one in gives if one[0] is not IntReadout}, kinds - {IntInput}
    allowed = {(a, what, b) for a, what in sources for b in targets if what in KINDS.entries[b].reads}
    assert pairs == allowed
    through = {IntMaxPool, IntSumPool, IntSum, IntConcat, IntUpsample, IntReadout}
    currents = {kind for kind, what in gives if what == "current"} - through
    assert ends == {(a, b) for a, what, b in allowed if b in currents and what != "current"}
    assert driven >= {frozenset((a, b)) for a in currents for b in currents}
    counts = {kind for kind, what in sources if what == "counts"} - {IntConcat, IntUpsample}
    assert driven >= {frozenset((a, b)) for a in counts for b in counts} - {frozenset((IntInput,))}


def test_the_pairs_have_every_option():
    nets = [made(*one) for one in EVERY]
    assert {frames.ndim for _, frames in nets} == {4, 5}
    assert {net.steps for net, _ in nets} == {1, 2, 3, 4}
    assert {net.input.peak for net, _ in nets} == {1, 3, 17, 255, 300, 65535}
    lifs = [node for net, _ in nets for node in net if type(node).__name__ == "IntLIF"]
    assert {lif.reset for lif in lifs} == {"zero", "subtract"}
    assert {(net.readout.mode, net.readout.multiplier > 0) for net, _ in nets} == set(product(MODES, (False, True)))
    ends = [net[net.readout.source] for net, _ in nets]
    windows = [node for net, _ in nets for node in net if isinstance(node, IntConv)]
    assert {node.square for node in windows} == {node.groups > 1 for node in windows} == {True, False}
    for field in ("stride", "padding"):
        assert len({getattr(end, field) for end in ends if type(end).__name__ == "IntConv"}) > 2
    rates = [spikes.mean() for one in EVERY[:60] for spikes in reference(*one).spikes.values()]
    assert 0.1 < np.mean(rates) < 0.7


@pytest.mark.parametrize(("name", "variant"), EVERY)
def test_exact_is_the_twin(name, variant):
    assert_equal(reference(name, variant), qpsnn_backends.get("exact").run(*made(name, variant), record="all"))


@pytest.mark.parametrize("name", PAIRS)
def test_a_file_holds_all_of_it(tmp_path, name):
    """Codes of which nine tenths are 0 are among those of wide networks."""
    net, _ = made(name, "wide")
    save_integer(tmp_path / "network.h5", net)
    assert load_integer(tmp_path / "network.h5").digest() == net.digest()


def check_of(net, images, folder, compiler, flags):
    """What `make check` says, compiled so."""
    export(net, folder, images=images)
    words = ["make", "-C", str(folder), "check", f"CC={compiler}", f"CHECK={' '.join(STANDARD)} {flags}"]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize("name", PAIRS)
def test_c_make_check_finds_no_difference(tmp_path, name):
    """With sanitizers. What the compiler makes of them is for the next test; `make check` as it is, for test_export."""
    done = check_of(*made(name, "map"), tmp_path, "cc", " ".join(UNOPTIMIZED))
    assert done.returncode == 0, done.stderr


@needs_cc
@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(PAIRS)), ids=PAIRS)
def test_c_is_exact_as_others_compile_it(tmp_path, index):
    compiler, flags = BUILDS[index % len(BUILDS)]
    if reason := refused(compiler, flags):
        pytest.skip(reason)
    done = check_of(*made(PAIRS[index], ("point", "wide")[index // len(BUILDS) % 2]), tmp_path, compiler, flags)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def on_lava():
    """Lava's run of a pair; that of the next one has then begun, too."""
    with warm.ahead(
        lambda one: qpsnn_backends.get("lava").run(*made(PAIRS[one], "map"), record="all"), len(PAIRS)
    ) as of:
        yield of


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(PAIRS)), ids=PAIRS)
def test_lava_is_the_twin(index, on_lava):
    assert_equal(reference(PAIRS[index], "map"), on_lava(index))
