"""C export: what is written, what the compiler makes of it, and that a wrong bit is found."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from compiled import SANITIZED, needs_cc
from generators import PAIRS, pair_network, random_integer_network, random_wide_network
from generators.transformers import random_integer_transformer

import qpsnn_backends
from naive import integer as naive
from qpsnn_backends.c.backend import frames_of
from qpsnn_backends.c.export import export
from qpsnn_backends.c.layers import at_once
from qpsnn_backends.c.memory import memory, total
from qpsnn_backends.c.neurons import lasting
from qpsnn_backends.c.plan import plan
from qpsnn_core.common.errors import ConfigError, DataError, FileError
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntConv,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
)
from qpsnn_core.integer.simulate import simulate


def subtracting(seed):
    """Of a reset by subtraction alone."""
    return random_integer_network(seed, ("subtract",))


FILES = ["Makefile", "check.c", "cortex_m.c", "cortex_m.ld", "measure.c", "some_net.c", "some_net.h", "vectors.bin"]
"""What an export named some_net writes."""

MAKERS = {
    "small": random_integer_network,
    "wide": random_wide_network,
    "subtract": subtracting,
    "transformer": random_integer_transformer,
}


def make(folder, target="check"):
    return subprocess.run(["make", "-C", str(folder), target], capture_output=True, text=True, timeout=300, check=False)


def built(folder, flags, *files):
    words = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", *flags, *files, "-o", "program"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=300)
    return folder / "program"


@needs_cc
@pytest.mark.parametrize(
    ("kind", "seed"),
    [("small", 3), ("small", 14), ("wide", 0), ("wide", 5), ("subtract", 14), ("transformer", 0), ("transformer", 2)],
)
def test_make_check_finds_no_difference(tmp_path, kind, seed):
    net, images = MAKERS[kind](seed)
    done = export(net, tmp_path / "new" / "deep", "some_net", images)
    assert sorted(done.files) == FILES
    assert sorted(path.name for path in (tmp_path / "new" / "deep").iterdir()) == sorted(done.files)
    made = make(tmp_path / "new" / "deep")
    assert made.returncode == 0, made.stderr
    assert f"some_net: {images.shape[-4]} inputs" in made.stdout
    assert "-std=c99" in made.stdout
    assert "-fsanitize=address,undefined" in made.stdout


READOUT = {"readout": {"bias": np.array([5, -7], np.int32)}}
CODES = {"codes": np.arange(-15, 17, 2, dtype=np.int8).reshape(2, 2, 2, 2), "gain": np.array([3, -2], np.int32)}
SHORT = IntShortcut("synapse", "pool", 2, 1, (1, -1))
ODD = {
    "conv": ((IntConv("synapse", "in", 2, 2, 1, 0),), CODES),
    "linear": ((IntLinear("synapse", "in", 2),), {**CODES, "codes": CODES["codes"].reshape(8, 2)}),
    "shortcut": ((IntMaxPool("pool", "in", 2, 2), SHORT), {"gain": CODES["gain"]}),
    "sum": ((IntSumPool("pool", "in", 2), SHORT), {"gain": CODES["gain"]}),
    "linear of a sum": (
        (IntSumPool("sum", "in", 2), IntMaxPool("pool", "sum", 1, 1), IntLinear("synapse", "pool", 2)),
        {**CODES, "codes": np.array([[-200, 255], [7, -1]], np.int16)},
    ),
    "two sums": ((IntSum("both", ("in", "again")), IntSumPool("pool", "both", 2), SHORT), {"gain": CODES["gain"]}),
}


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize("peak", [1, 9, 255, 1000, 65535])
@pytest.mark.parametrize("kind", ODD)
def test_networks_without_neurons(tmp_path, kind, peak):
    nodes, arrays = ODD[kind]
    again = (IntMaxPool("again", "in", 1, 1),) if kind == "two sums" else ()
    nodes = (IntInput("in", (2, 2, 2), peak), *again, *nodes, IntReadout("readout", "synapse"))
    export(IntegerNetwork(nodes, {"synapse": arrays, **READOUT}, 2), tmp_path)
    made = make(tmp_path)
    assert made.returncode == 0, made.stderr


@needs_cc
def test_a_hundred_inputs_where_none_are_given(tmp_path):
    net, _ = random_integer_network(5)
    assert export(net, tmp_path).vectors == 100
    assert "100 inputs" in make(tmp_path).stdout


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        (r"(_codes\[.*\] = \{\s+0x[0-9A-F]{6})..", r"\g<1>00"),
        (r"(_threshold\[.*\] = \{\s+)", r"\g<1>1"),
        (r"(_bias\[.*\] = \{\s+-?)", r"\g<1>1"),
        (r"(_gain\[.*\] = \{\s+-?)", r"\g<1>1"),
        (r"= u >= threshold", "= u <= threshold"),
        (r"answers\[k\] \+=", "answers[k] -="),
    ],
)
def test_a_change_of_one_number_is_found(tmp_path, pattern, instead):
    net, images = random_integer_network(14)
    export(net, tmp_path, "net", images)
    text = (tmp_path / "net.c").read_text()
    changed = re.sub(pattern, instead, text, count=1)
    assert changed != text
    (tmp_path / "net.c").write_text(changed)
    made = make(tmp_path)
    assert made.returncode != 0
    assert re.search(r"vector \d+, (step \d+, layer \d+: other|class \d+: another)", made.stderr), made.stderr


@needs_cc
def test_damaged_vectors_are_found(tmp_path):
    net, images = random_integer_network(3)
    export(net, tmp_path, "net", images)
    whole = (tmp_path / "vectors.bin").read_bytes()
    (tmp_path / "vectors.bin").write_bytes(whole[:-1])
    assert "ends too early" in make(tmp_path).stderr
    (tmp_path / "vectors.bin").write_bytes(whole[:-4] + b"\x09\0\0\0")
    assert "another class" in make(tmp_path).stderr


def sections(folder, name):
    """Bytes of an object's sections, by the beginning of their names."""
    words = ["cc", "-std=c99", "-O0", "-ffunction-sections", "-fdata-sections", "-c", f"{name}.c", "-o", "o.o"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    listed = subprocess.run(["size", "-A", "o.o"], cwd=folder, check=True, capture_output=True, text=True).stdout
    found = {}
    for line in listed.splitlines():
        if match := re.match(r"\.(text|rodata|data|bss)\S*\s+(\d+)", line):
            found[match[1]] = found.get(match[1], 0) + int(match[2])
    return found


@needs_cc
@pytest.mark.once
@pytest.mark.skipif(shutil.which("size") is None, reason="no size (binutils)")
@pytest.mark.parametrize(
    ("kind", "seed"), [("small", 1), ("small", 2), ("transformer", 1), *(("wide", seed) for seed in range(6))]
)
def test_the_compiler_says_the_same_bytes_as_the_header(tmp_path, kind, seed):
    net, images = MAKERS[kind](seed)
    done = export(net, tmp_path, "net", images)
    found = sections(tmp_path, "net")
    assert found["rodata"] == done.constants
    assert found["bss"] == done.state + done.scratch
    assert found.get("data", 0) == 0
    text = (tmp_path / "net.h").read_text()
    for word, value in (("CONSTANT", done.constants), ("STATE", done.state), ("SCRATCH", done.scratch)):
        assert f"#define NET_{word}_BYTES {value}\n" in text
    assert f"Flash: {done.constants} bytes of constants" in text
    made = make(tmp_path, "size")
    assert made.returncode == 0, made.stderr
    assert f"RAM: {found['bss']} bytes" in made.stdout
    (tmp_path / "net.c").write_text(
        (tmp_path / "net.c").read_text() + "static char more[4];\nchar *grow(void) { return more; }\n"
    )
    assert make(tmp_path, "size").returncode != 0
    assert f"all of it static: {done.state + done.scratch} bytes" in text


@needs_cc
@pytest.mark.once
def test_nothing_is_called_but_memset_and_memcpy(tmp_path):
    for seed in range(4):
        net, images = random_wide_network(seed)
        export(net, tmp_path, "net", images)
        words = ["cc", "-std=c99", "-Os", "-c", "net.c", "-o", "o.o"]
        subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
        undefined = subprocess.run(["nm", "-u", "o.o"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        assert set(re.findall(r"U (\w+)", undefined)) <= {"memset", "memcpy", "_GLOBAL_OFFSET_TABLE_"}
        text = (tmp_path / "net.c").read_text() + (tmp_path / "net.h").read_text()
        assert not re.search(r"\b(float|double|malloc|calloc)\b", text)
        assert set(re.findall(r"#include (.*)", text)) == {'"net.h"', "<stdint.h>", "<string.h>"}
        assert max(map(len, text.splitlines())) <= 120


@needs_cc
def test_a_network_may_be_called_as_a_part_of_a_layers_function(tmp_path):
    """`lif2_at_step` was both a function of the layer lif2 and the step of a network called lif2_at."""
    net, images = next(made for made in (pair_network(name, "map") for name in PAIRS) if at_once(plan(made[0])))
    export(net, tmp_path, f"{next(node.name for node in net.of(IntLIF))}_at", images)
    made = make(tmp_path)
    assert made.returncode == 0, made.stderr


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize("names", ["keywords", "alike"])
def test_any_name_of_a_node_will_do(tmp_path, names):
    net, images = random_wide_network(0)
    old = [node.name for node in net]
    keywords = ["int", "auto", "_x", "main", "memcpy", "drive", "sums", "fire_i32", "leak", "step", "näme", "run"]
    chosen = keywords if names == "keywords" else [f"a{'.' * i}b{'_' * (9 - i)}" for i in range(10)]
    renamed = dict(zip(old, [*chosen, *(f"n{'o' * 90}.{i}" for i in range(len(old)))], strict=False))

    def other(node):
        fields = {"name": renamed[node.name]}
        if hasattr(node, "source"):
            fields["source"] = renamed[node.source]
        if "sources" in vars(node):
            fields["sources"] = tuple(renamed[source] for source in node.sources)
        return replace(node, **fields)

    arrays = {renamed[name]: own for name, own in net.arrays.items()}
    export(IntegerNetwork(tuple(other(node) for node in net), arrays, net.steps), tmp_path, "step", images)
    made = make(tmp_path)
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize("name", ["", "1net", "a-b", "a b", "ä", "_a", "check", "Measure", "cortex_m", "a" * 32, "a/b"])
def test_a_name_that_no_function_can_have_is_refused(tmp_path, name):
    net, images = random_integer_network(0)
    with pytest.raises(ConfigError, match="name: expected a letter"):
        export(net, tmp_path / "x", name, images)
    assert not (tmp_path / "x").exists()


def test_a_foreign_folder_is_left_alone(tmp_path):
    net, images = random_integer_network(0)
    (tmp_path / "Makefile").write_text("all:\n")
    with pytest.raises(FileError, match="expected a new or empty folder, or an earlier export, got Makefile"):
        export(net, tmp_path, "net", images)
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]
    with pytest.raises(FileError, match="expected a folder, got a file"):
        export(net, tmp_path / "Makefile", "net", images)


def test_an_earlier_export_is_replaced(tmp_path):
    net, images = random_integer_network(0)
    export(net, tmp_path, "net", images)
    first = (tmp_path / "net.c").read_bytes()
    (tmp_path / "net.c").write_bytes(b"")
    (tmp_path / "main.c").write_text("mine")
    export(net, tmp_path, "net", images)
    assert (tmp_path / "net.c").read_bytes() == first
    assert (tmp_path / "main.c").read_text() == "mine"


def test_a_write_that_fails_changes_nothing(tmp_path, monkeypatch):
    net, images = random_integer_network(0)
    export(net, tmp_path, "net", images)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(handle):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FileError, match="cannot be written: no space left"):
        export(random_integer_network(1)[0], tmp_path, "net")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_inputs_that_the_network_does_not_take_are_refused(tmp_path):
    net, images = random_integer_network(0)
    with pytest.raises(DataError, match="images"):
        export(net, tmp_path / "x", "net", images.astype(np.int64) + net.input.peak + 1)
    assert not (tmp_path / "x").exists()


BAD_INPUT = """
#include "net.h"
#include <stdlib.h>
static net_value image[NET_HEIGHT * NET_WIDTH * NET_CHANNELS];
int main(void)
{
    const int before = net_predict(image);
    const long long readout = net_readout()[0];
    image[NET_HEIGHT * NET_WIDTH * NET_CHANNELS - 1] = NET_PEAK + 1;
    if (net_step(image) != NET_BAD_INPUT || net_answer() != before || net_readout()[0] != readout) return 1;
    if (net_predict(image) != NET_BAD_INPUT || net_predict_frames(image) != NET_BAD_INPUT) return 2;
    return 0;
}
"""


@needs_cc
def test_a_value_above_the_peak_is_refused(tmp_path):
    net, images = next(made for made in map(random_integer_network, range(20)) if made[0].input.peak == 3)
    export(net, tmp_path, "net", images)
    (tmp_path / "main.c").write_text(BAD_INPUT)
    assert subprocess.run([built(tmp_path, SANITIZED, "net.c", "main.c")], check=False).returncode == 0


def lasts(net):
    return all(lasting(net, node)[1] for node in net.of(IntLIF))


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize("kind", ["small", "wide", "subtract"])
def test_a_stream_goes_on_as_a_longer_network_would(kind):
    made = (MAKERS[kind](seed) for seed in range(40))
    net, images = next((net, images) for net, images in made if lasts(net) and images.ndim == 4 and len(net) > 6)
    short = replace(net, steps=1)
    longer = replace(net, steps=60)
    ref = simulate(longer, images, record="all")
    run = qpsnn_backends.get("c", flags=SANITIZED).stream(short, frames_of(net.input, images), 60, "all")
    for name in ref.spikes:
        np.testing.assert_array_equal(run.spikes[name], ref.spikes[name])
        np.testing.assert_array_equal(run.membranes[name], ref.membranes[name])
    np.testing.assert_array_equal(run.readout, ref.readout)


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize("kind", ["small", "subtract"])
def test_a_membrane_that_falls_or_grows_for_ever_is_held(kind):
    made = map(MAKERS[kind], range(60))
    net, images = next((net, images) for net, images in made if not lasts(net) and images.ndim == 4)
    planned = plan(net)
    run = qpsnn_backends.get("c", flags=SANITIZED).stream(net, frames_of(net.input, images), 3000, "all")
    ref, _, potentials = naive.run(net, images)
    assert ref.shape == run.readout.shape
    held = [job for job in planned.neurons if job.ends]
    assert held
    for job in held:
        low, high = run.membranes[job.gives.name].min(), run.membranes[job.gives.name].max()
        assert low >= job.ends[0]
        assert high <= (job.ends[1] if kind == "subtract" else job.threshold.max() - 1)
        np.testing.assert_array_equal(run.membranes[job.gives.name][: net.steps], potentials[job.gives.name])


def test_the_cost_of_a_layer_is_what_it_declares():
    net, _ = random_wide_network(2)
    planned = plan(net)
    found = memory(planned)
    owners = {item.owner for item in (*found.constants, *found.state)}
    assert sum(total(found.constants, owner) for owner in owners) == total(found.constants)
    assert sum(total(found.state, owner) for owner in owners) == total(found.state)
    assert net.of(IntReadout)[0].name in owners
