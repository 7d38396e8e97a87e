"""The product of bytes against loops: bit for bit, for every digit, geometry and instruction set.

Images are run last to first, so that one that wrote past its end would spoil the next.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from generators.convolutions import CODES, GEOMETRIES, weights

from naive import conv as naive
from qpsnn_core.kernels.conv import byte_products as dense
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.exact_types import count_type, sum_type
from qpsnn_core.kernels.simd import llvm

compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="compares instruction sets")


def run(spikes, codes, stride=1, padding=0, *, max_count=1, dtype=np.int32, packed=None):
    kernel, _, _, outputs = codes.shape
    geometry = ConvGeometry.of(spikes.shape[1:], outputs, kernel, stride, padding)
    shape = len(spikes), geometry.out_height, geometry.out_width, outputs
    total = np.full(int(np.prod(shape)) + 1, 77, dtype)
    packed = packed or dense.pack_bytes(codes, max_count)
    for start, stop in ((1, len(spikes)), (0, 1)):
        dense.dense_forward(start, stop, spikes.reshape(-1), max_count, packed, total, geometry)
    assert total[-1] == 77
    return total[:-1].reshape(shape)


def case(geometry, kind, max_count=1, images=3, outputs=None):
    size, inputs, outputs_, kernel, stride, padding = geometry
    rng = np.random.default_rng([*size, inputs, kernel, stride, padding, max_count])
    there = rng.random((images, *size, inputs)) < 0.5
    spikes = (rng.integers(0, max_count, there.shape, endpoint=True) * there).astype(count_type(max_count))
    spikes.flat[-1] = max_count
    codes = weights(kind, (kernel, kernel, inputs, outputs or outputs_), rng)
    return spikes, codes, stride, padding


def compare(spikes, codes, stride, padding, **options):
    ref = naive.forward(spikes, codes, stride, padding)
    dtype = sum_type(int(np.abs(ref).max()))
    np.testing.assert_array_equal(run(spikes, codes, stride, padding, dtype=dtype, **options), ref)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_spikes_and_codes_of_four_bits(geometry):
    compare(*case(geometry, 4))


@pytest.mark.parametrize("outputs", [1, 15, 16, 17, 32, 33, 50])
def test_numbers_of_output_channels(outputs):
    compare(*case(((3, 4), 5, 0, 2, 1, 1), 4, outputs=outputs))


@pytest.mark.parametrize("kind", [1, 8, "int8", "int16"])
@pytest.mark.parametrize("max_count", [1, 2, 127, 128, 255, 256, 70_000])
def test_codes_and_counts_of_many_digits(kind, max_count):
    """Codes that fill int16, and counts beyond two bytes: sums are those modulo 2**32."""
    spikes, codes, stride, padding = case(((3, 4), 3, 2, 2, 1, 1), kind, max_count)
    ref = naive.forward(spikes, codes, stride, padding)
    np.testing.assert_array_equal(run(spikes, codes, stride, padding, max_count=max_count), ref.astype(np.int32))


@pytest.mark.parametrize("images", [1, 2, 7, 70])
def test_numbers_of_images(images):
    """Of fewer windows than a tile has, of more images than are laid out together, of a last group that is smaller."""
    compare(*case(((1, 1), 9, 3, 1, 1, 0), 4, images=images))
    compare(*case(((2, 2), 3, 2, 3, 1, 1), 4, images=min(images, 20)), max_count=1)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("largest", "max_count"), [(127, 127), (128, 127), (127, 128), (127, 255), (255, 255)])
def test_nothing_saturates(largest, max_count, sign):
    """Two products of bytes must fit 16 bits where they are added in 16 bits first."""
    codes = np.full((1, 1, 8, 2), sign * largest, np.int16)
    spikes = np.full((2, 1, 1, 8), max_count, np.uint8)
    assert (run(spikes, codes, max_count=max_count) == 8 * sign * largest * max_count).all()


@pytest.mark.parametrize("digits_of", [CODES[4], CODES[8], np.arange(-128, 128), np.array([-(2**15), 2**15 - 1, 0])])
@pytest.mark.parametrize("max_count", [1, 255])
def test_packed_codes_are_their_digits(digits_of, max_count):
    rng = np.random.default_rng(0)
    codes = rng.choice(digits_of, (2, 2, 3, 20)).astype(np.int16)
    codes.flat[:2] = digits_of.min(), digits_of.max()
    packed = dense.pack_bytes(codes, max_count)
    lanes = 32 if packed.wide else 16
    ref = naive.interleaved(codes, packed.digits, packed.bits, lanes)
    np.testing.assert_array_equal(packed.table, ref)
    assert np.abs(ref).max() <= 2 ** (packed.bits - 1)
    assert (
        packed.digits == 1 or ref.reshape(-1, packed.digits, ref.size // packed.digits // -(-20 // lanes))[:, -1].any()
    )


def test_images_fill_tiles_together():
    geometry = ConvGeometry.of((2, 3, 1), 1, 1)
    assert dense.images_at_once(geometry) * 6 >= dense.TOGETHER > (dense.images_at_once(geometry) - 1) * 6


FEATURES = str(llvm.host_features)
SETS = {
    "AVX2": (("avx2",), ("avx512", "avxvnni")),
    "AVX-512 without VNNI": (("avx2", "avx512bw"), ("avx512vnni", "avxvnni")),
    "AVX-512 with VNNI": (("avx2", "avx512bw", "avx512vnni"), ()),
    "AVX-VNNI": (("avx2", "avxvnni"), ("avx512",)),
}
"""The instruction sets that are used, and those that are switched off (by the beginning of their names)."""

CHILD = """
import sys, numba, numpy as np
import test_byte_products as t
if sys.argv[1] == "run":
    for kind, count in ((4, 1), (8, 255)):
        t.compare(*t.case(((3, 4), 3, 0, 3, 1, 1), kind, count, outputs=20), max_count=count)
else:
    geometry = t.ConvGeometry.of((1, 1, 4), 20, 1)
    given = np.zeros(4, np.uint8), 1, t.dense.pack_bytes(np.ones((1, 1, 4, 20), np.int8), 1), np.zeros(20, np.int16)
    t.dense.dense_forward.compile(tuple(numba.typeof(one) for one in (0, 1, *given, geometry)))
text = "".join(t.dense.dense_forward.inspect_asm().values())
found = [name for name in ("vpdpbusd", "vpmaddubsw") if name in text]
print(found, "zmm" in text)
"""


@compiled
@pytest.mark.slow
@pytest.mark.once
@pytest.mark.skipif("+avx2" not in FEATURES, reason="these are sets of x86-64-v3 and newer")
@pytest.mark.parametrize("name", SETS)
def test_with_other_instruction_sets(name, tmp_path):
    """The same sums, by the instructions that are expected; what this processor lacks is compiled, and not run."""
    needed, without = SETS[name]
    missing = [one for one in needed if f"+{one}" not in FEATURES]
    kept = [one for one in FEATURES.split(",") if not one[1:].startswith((*without, *missing, "none"))]
    off = [f"-{one[1:]}" for one in FEATURES.split(",") if without and one[1:].startswith(without)]
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": ",".join([*kept, *off, *(f"+{one}" for one in missing)]),
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path]),
    }
    command = [sys.executable, "-c", CHILD, "compile" if missing else "run"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    instruction = "vpmaddubsw" if "VNNI" not in name or "without" in name else "vpdpbusd"
    assert told.stdout.strip() == f"{[instruction]} {'512' in name}"
