"""The exported C on a Cortex-M4 and a Cortex-M0 that QEMU emulates: answers, stack, instructions; and that faults show.

`make m4` and `make m0` run on a board with room. An emulated Cortex-M0 proper, with 16 kB, also refuses words that are
not aligned and instructions that only an M4 has: small networks run on that one.
"""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest
from compiled import needs_arm
from generators import PAIRS, pair_network, random_wide_network
from generators.transformers import random_integer_transformer

import qpsnn_core as qp
from qpsnn_backends.c.export import export

pytestmark = [needs_arm, pytest.mark.once]

QUIET = ("-display", "none", "-monitor", "none", "-serial", "none")
SEMIHOSTING = ("-semihosting-config", "enable=on,target=native")


def make(folder, *targets):
    return subprocess.run(
        ["make", "-C", str(folder), *targets], capture_output=True, text=True, timeout=500, check=False
    )


def check_on(folder, board, target):
    """check.c on one of QEMU's boards."""
    made = make(folder, f"build/{target}/check.elf")
    assert made.returncode == 0, made.stderr
    words = ["qemu-system-arm", *board, *QUIET, *SEMIHOSTING, "-kernel", f"build/{target}/check.elf"]
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, check=False
    )


M0_RAM = 16384
"""Bytes of the BBC micro:bit, for the network, the checks and the stack."""


def on_a_small_m0(folder):
    """check.c on the BBC micro:bit's processor."""
    script = folder / "cortex_m.ld"
    text = script.read_text().replace("0x21000000, LENGTH = 16M", "0x20000000, LENGTH = 16K")
    script.write_text(text.replace("LENGTH = 4M", "LENGTH = 256K"))
    return check_on(folder, ("-M", "microbit"), "m0")


def figures(printed):
    """(stack, instructions on average, at most, text, data, bss)"""
    (stack,) = re.findall(r"^stack: (\d+) bytes$", printed, re.MULTILINE)
    ((average, most),) = re.findall(r"^instructions an image: (\d+) on average, (\d+) at most$", printed, re.MULTILINE)
    ((text, data, bss),) = re.findall(
        r"^\s*(\d+)\s+(\d+)\s+(\d+)\s+\d+\s+\w+\s+build/m\d/net.o$", printed, re.MULTILINE
    )
    return tuple(map(int, (stack, average, most, text, data, bss)))


def zoo():
    network = qp.build("vgg_small", (8, 8, 1), 10, steps=2, width=0.2)
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1)).astype(np.uint8)
    return qp.lower(qp.recalibrate(qp.initialise(network, 0), noise)).network, noise


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["zoo", "transformer", 0, 1, 2, 3])
def test_make_m4_and_m0_compare_and_measure(tmp_path, seed):
    makers = {"zoo": zoo, "transformer": lambda: random_integer_transformer(0)}
    net, images = makers[seed]() if seed in makers else random_wide_network(seed)
    done = export(net, tmp_path, "net", images)
    for target in ("m4", "m0"):
        made = make(tmp_path, target)
        assert made.returncode == 0, made.stderr
        assert not made.stderr
        assert f"-mcpu=cortex-{target} -mthumb -std=c99 -Os -Wall -Wextra -Werror -pedantic" in made.stdout
        assert f"net: {images.shape[-4]} inputs" in made.stdout
        stack, average, most, text, data, bss = figures(made.stdout)
        assert 0 < average <= most
        assert data == 0
        assert done.state + done.scratch <= bss < done.state + done.scratch + 64
        assert done.constants < text < done.constants + 10_000
        words = ["arm-none-eabi-gcc", f"-mcpu=cortex-{target}", "-mthumb", "-std=c99", "-Os", "-fstack-usage"]
        subprocess.run([*words, "-c", "net.c", "-o", "o.o"], cwd=tmp_path, check=True)
        frames = [int(line.split("\t")[1]) for line in next(tmp_path.glob("*.su")).read_text().splitlines()]
        assert max(frames) <= stack <= sum(frames) + 64


@pytest.mark.slow
@pytest.mark.parametrize(("index", "name"), list(enumerate(PAIRS)), ids=PAIRS)
def test_every_pair_is_exact_on_either(tmp_path, index, name):
    """In turns, where 16 KiB suffice: every kind stands beside others in pairs on both."""
    net, images = pair_network(name, "map")
    made = export(net, tmp_path, "net", images)
    done = (
        on_a_small_m0(tmp_path)
        if index % 2 and made.state + made.scratch < M0_RAM // 2
        else check_on(tmp_path, ("-M", "mps2-an386"), "m4")
    )
    assert done.returncode == 0, done.stderr
    assert "are the same" in done.stdout


PREDICT = r"(int net_predict\(const net_value \*\w+\)\n\{\n)"


def changed(folder, pattern, instead):
    text = (folder / "net.c").read_text()
    other = re.sub(pattern, instead, text, count=1)
    assert other != text
    (folder / "net.c").write_text(other)


@pytest.fixture
def exported(tmp_path):
    """A small network of still images."""
    net, images = next(
        made for made in (pair_network(name, "map") for name in PAIRS) if made[1].ndim == 4 and made[0].steps > 1
    )
    export(net, tmp_path, "net", images)
    return tmp_path


def test_another_answer_is_found(exported):
    changed(exported, r"answers\[k\] \+=", "answers[k] -=")
    assert "another readout" in make(exported, "m4").stderr


def test_the_instructions_are_counted(exported):
    before = make(exported, "m4")
    changed(exported, PREDICT, r'\1    __asm__ volatile (".rept 1000\\n nop\\n .endr");' + "\n")
    after = make(exported, "m4")
    assert abs(figures(after.stdout)[1] - figures(before.stdout)[1] - 1000) <= 10


def test_the_stack_is_measured(exported):
    before = make(exported, "m4")
    extra = r"\1    volatile char more[SIZE];\n    for (int i = 0; i < (int)sizeof more; i++) more[i] = 1;" + "\n"
    text = (exported / "net.c").read_text()
    changed(exported, PREDICT, extra.replace("SIZE", "1000"))
    after = make(exported, "m4")
    assert 900 <= figures(after.stdout)[0] - figures(before.stdout)[0] <= 1100
    (exported / "net.c").write_text(text)
    changed(exported, PREDICT, extra.replace("SIZE", "100000"))
    assert "more stack or instructions than are counted" in make(exported, "m4").stderr


def test_a_word_that_is_not_aligned_is_a_fault_of_the_m0(exported):
    odd = r"static volatile int odd = 1;\nstatic volatile int32_t words[4];\n\1"
    changed(exported, r"(int net_answer\(void\)\n)", odd)
    changed(
        exported, r"(    int best = 0;)", r"\1\n    words[3] = *(volatile int32_t *)((volatile char *)words + odd);"
    )
    done = on_a_small_m0(exported)
    assert done.returncode != 0
    assert "the processor reports a fault" in done.stderr
