"""The backend "c": the zoo's networks, the arithmetic of its C functions, and what it says when it cannot run."""

from __future__ import annotations

import os
import stat
import subprocess
from functools import partial

import numpy as np
import pytest
from compiled import SANITIZED, needs_cc
from generators import random_integer_network

import qpsnn_backends
import qpsnn_core as qp
from qpsnn_backends.c import helpers, neurons
from qpsnn_core.common.errors import BackendError, BackendTimeout, ConfigError, DataError, ShapeError, UnsupportedError
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout
from qpsnn_core.network.zoo.vgg import ZOO
from qpsnn_core.quantization.formats import Quantizer


def lowered(name, bits=4, shape=(32, 32, 2), steps=2, events=False):
    """A narrow network of the zoo, awake on noise; and the noise."""
    network = qp.build(name, shape, 7, steps=steps, width=0.09, quantizer=Quantizer(bits, "mean"), events=events)
    frames = (steps,) if events else ()
    images = np.random.default_rng(0).integers(0, (network.input.peak or 1) + 1, (*frames, 4, *shape)).astype(np.uint8)
    samples = np.ascontiguousarray(images.swapaxes(0, 1)) if events else images
    return qp.lower(qp.recalibrate(qp.initialise(network, 0), samples)).network, images


def assert_exact(net, images, **options):
    ref = qpsnn_backends.get("exact").run(net, images, record="all")
    run = qpsnn_backends.get("c", **options).run(net, images, record="all")
    for name in ref.spikes:
        np.testing.assert_array_equal(run.spikes[name], ref.spikes[name], name)
        np.testing.assert_array_equal(run.membranes[name], ref.membranes[name], name)
    np.testing.assert_array_equal(run.readout, ref.readout)
    return ref


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize("name", [name for name in ZOO if not ZOO[name].transformer])
def test_every_network_of_the_zoo_is_exact(name):
    ref = assert_exact(*lowered(name), flags=SANITIZED)
    assert np.mean([spikes.mean() for spikes in ref.spikes.values()]) > 0.02


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize("bits", [2, 3, 8])
def test_other_bits_are_exact(bits):
    assert_exact(*lowered("vgg_small", bits), flags=SANITIZED)


@needs_cc
@pytest.mark.once
def test_events_are_exact():
    net, images = lowered("vgg_small", steps=3, events=True)
    assert images.ndim == 5
    assert_exact(net, images, flags=SANITIZED)


def sized(width, channels, bits, dtype, always):
    """Neurons side by side, `channels` of each of `width` pixels, all read by one Linear and by a point convolution.

    always: every neuron fires in every step, so that sums are as large as their bounds.
    """
    rng, limit, step = np.random.default_rng(bits), min(2**bits - 1, 255), 2 if bits < 9 else 1
    nodes = (
        IntInput("in", (1, width, 1), 255),
        IntConv("first", "in", channels, 1, 1, 0),
        IntLIF("lif", ("first",)),
        IntConv("point", "lif", 3, 1, 1, 0),
        IntLIF("other", ("point",)),
        IntLinear("all", "lif", 2),
        IntLinear("rest", "other", 2),
        IntLIF("whole", ("all", "rest")),
        IntLinear("fc", "whole", 2),
        IntReadout("out", "fc"),
    )

    def codes(*shape):
        made = rng.choice([-limit, limit - step, limit], shape).astype(dtype)
        made.flat[0], made.flat[-1] = -limit, limit
        return made

    def neurons(count, threshold):
        return {"threshold": np.full(count, threshold, np.int32), "bias": np.full(count, 40 * always, np.int32)}

    gains = {"point": 1, "all": 2, "rest": 3, "fc": 1}
    arrays = {
        "first": {"codes": codes(1, 1, 1, channels), "gain": np.full(channels, 1 - always, np.int32)},
        "lif": neurons(channels, 30),
        "point": {"codes": codes(1, 1, channels, 3)},
        "other": neurons(3, 100),
        "all": {"codes": codes(width * channels, 2)},
        "whole": neurons(2, 100),
        "rest": {"codes": codes(width * 3, 2)},
        "fc": {"codes": codes(2, 2)},
        "out": {"bias": np.zeros(2, np.int32)},
    }
    for name, gain in gains.items():
        arrays[name]["gain"] = np.full(arrays[name]["codes"].shape[-1], gain, np.int32)
    images = rng.integers(0, 256, (2, 1, width, 1)).astype(np.uint8)
    return IntegerNetwork(nodes, arrays, 2), images


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize(("bits", "dtype"), [(2, np.int8), (4, np.int8), (8, np.int16), (9, np.int16)])
def test_the_largest_sums_are_exact(bits, dtype):
    """As many spikes as a lane of 16 bits holds, and more."""
    for channels in (250, 300):
        ref = assert_exact(*sized(2, channels, bits, dtype, always=1), flags=SANITIZED)
        assert ref.spikes["lif"].all()


@needs_cc
@pytest.mark.once
def test_lists_of_more_than_16_bits_are_exact():
    assert_exact(*sized(260, 256, 4, np.int8, always=0), flags=SANITIZED)


ARITHMETIC = """
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static const uint8_t place_of_bit[32] = {%s};
%s
int main(void)
{
    for (int bit = 0; bit < 32; bit++) {
        if (lowest((uint32_t)1 << bit) != (uint32_t)bit || lowest(~(uint32_t)0 << bit) != (uint32_t)bit) return 1;
    }
    int32_t u, multiplier, shift;
    while (scanf("%%" SCNd32 "%%" SCNd32 "%%" SCNd32, &u, &multiplier, &shift) == 3) {
        printf("%%" PRId32 " %%" PRId32 "\\n", leak(%s), as_signed((uint32_t)u));
    }
    return 0;
}
"""


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize("halving", [True, False])
def test_shifts_of_negative_numbers_are_floors(tmp_path, halving):
    leak, words = (neurons.SHIFT, "u, shift") if halving else (neurons.LEAK, "u, multiplier, shift")
    text = helpers.SIGNED + helpers.LOWEST + leak
    text = ARITHMETIC % (", ".join(map(str, helpers.PLACES)), text, words)
    text = text.replace("&shift) == 3) {", "&shift) == 3) {\n        (void)multiplier;")
    (tmp_path / "main.c").write_text(text)
    flags = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", *SANITIZED]
    subprocess.run([*flags, "main.c", "-o", "main"], cwd=tmp_path, check=True)
    rng = np.random.default_rng(0)
    ends = [0, 1, -1, 2, -2, 2**31 - 1, -(2**31), 1 - 2**31, *rng.integers(-(2**31), 2**31, 100).tolist()]
    cases = [(u, 1 if halving else m, s) for u in ends for s in range(13) for m in (0, 1, 2**s - 1, 2**s)]
    given = "\n".join(f"{u} {m} {s}" for u, m, s in cases)
    done = subprocess.run([tmp_path / "main"], input=given, capture_output=True, text=True, check=True)
    found = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert found == [((u * m) >> s, u) for u, m, s in cases]


def test_a_machine_without_a_compiler_is_refused(monkeypatch):
    net, images = random_integer_network(0)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", os.devnull)
    backend = qpsnn_backends.get("c")
    for call in (lambda: backend.check(net), lambda: backend.run(net, images)):
        with pytest.raises(UnsupportedError, match=r"c: compiler: expected a C compiler on PATH.*got 'cc'"):
            call()


def test_the_compiler_may_be_named(monkeypatch):
    net, _ = random_integer_network(0)
    monkeypatch.setenv("CC", "no-such-compiler -m32")
    with pytest.raises(UnsupportedError, match="got 'no-such-compiler'"):
        qpsnn_backends.get("c").check(net)
    with pytest.raises(UnsupportedError, match="got 'other'"):
        qpsnn_backends.get("c", compiler="other").check(net)


def script(folder, text):
    path = folder / "compiler"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("echo 'bad flag' >&2; exit 3", BackendError, r"c: compiler: expected exit status 0, got 3: bad flag"),
        ("printf '#!/bin/sh\\necho oh; exit 4' > program; chmod +x program", BackendError, "c: program.*got 4: oh"),
        ("exit 0", BackendError, "c: program: cannot be started"),
    ],
)
def test_what_went_wrong_is_said(tmp_path, text, error, said):
    net, images = random_integer_network(0)
    with pytest.raises(error, match=said):
        qpsnn_backends.get("c", compiler=script(tmp_path, text), timeout=60.0).run(net, images)


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
@pytest.mark.parametrize(
    ("text", "late"),
    [
        ("exec sleep 600", "compiler"),
        ("printf '#!/bin/sh\\nexec sleep 600' > program; chmod +x program", "program"),
    ],
)
def test_what_takes_too_long_is_stopped(tmp_path, text, late):
    """The limit holds for the made-up compiler, too: it grows until this machine gets past that one in time."""
    backend = partial(qpsnn_backends.get, "c", compiler=script(tmp_path, text))
    net, images = random_integer_network(0)
    for timeout in (0.2, 2.0, 20.0):
        with pytest.raises(BackendTimeout) as caught:
            backend(timeout=timeout).run(net, images)
        if f"c: {late}: " in str(caught.value):
            break
    assert f"c: {late}: expected an end within {timeout:g} s" in str(caught.value)


def test_wrong_images_and_options_are_refused_before_anything_is_compiled():
    net, images = random_integer_network(0)
    backend = qpsnn_backends.get("c", compiler="false")
    with pytest.raises(ShapeError, match="images"):
        backend.run(net, images[..., :0, :])
    with pytest.raises(DataError, match="images"):
        backend.run(net, images.astype(np.float32))
    with pytest.raises(ConfigError, match="record: expected one of none, spikes, all, got 'some'"):
        backend.run(net, images, record="some")
    with pytest.raises(ConfigError, match="flag"):
        qpsnn_backends.get("c", flag=())


@needs_cc
@pytest.mark.once
def test_evaluate_runs_on_it():
    pytest.importorskip("sklearn")
    digits = qp.load_data("digits", limit=64)
    network = qp.build("vgg_small", (8, 8, 1), 10, steps=2, width=0.1)
    net = qp.lower(qp.recalibrate(qp.initialise(network, 0), digits.train.images)).network
    ours, theirs = (qp.evaluate(net, digits.test, limit=20, backend=name) for name in ("c", "exact"))
    np.testing.assert_array_equal(ours.predictions, theirs.predictions)
    assert ours.firing_rate == theirs.firing_rate
