"""The product on the tile unit against loops, with the unit played by Python; and that it compiles.

On a processor with the unit, compiled, the same tests run on it.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from generators.convolutions import GEOMETRIES, weights

from naive import conv as naive
from qpsnn_core.kernels.conv import tiles
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.exact_types import count_type, sum_type
from qpsnn_core.kernels.simd.llvm import host_features
from qpsnn_core.kernels.simd.llvm_amx import granted

INTERPRETED = bool(numba.config.DISABLE_JIT)
unit = pytest.mark.skipif(
    not (INTERPRETED or granted()), reason="this processor lacks amx_int8; interpreted, Python plays the unit"
)


def compare(geometry, kind, max_count=1, images=2, outputs=None):
    size, inputs, outputs_, kernel, stride, padding = geometry
    rng = np.random.default_rng([*size, inputs, kernel, stride, padding, max_count])
    there = rng.random((images, *size, inputs)) < 0.5
    spikes = (rng.integers(0, max_count, there.shape, endpoint=True) * there).astype(count_type(max_count))
    spikes.flat[-1] = max_count
    codes = weights(kind, (kernel, kernel, inputs, outputs or outputs_), rng)
    ref = naive.forward(spikes, codes, stride, padding)
    total = np.full(ref.size + 1, 77, sum_type(int(np.abs(ref).max())))
    sizes = ConvGeometry.of((*size, inputs), codes.shape[-1], kernel, stride, padding)
    packed = tiles.pack_tiles(codes)
    for start, stop in ((1, images), (0, 1)):
        tiles.tile_forward(start, stop, spikes.reshape(-1), max_count, packed, total, sizes)
    assert total[-1] == 77
    np.testing.assert_array_equal(total[:-1].reshape(ref.shape), ref.astype(total.dtype))


@unit
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_spikes_and_codes_of_four_bits(geometry):
    compare(geometry, 4)


@unit
@pytest.mark.parametrize("outputs", [1, 15, 16, 17, 32, 33, 49])
def test_numbers_of_output_channels(outputs):
    compare(((3, 4), 5, 0, 2, 1, 1), 4, outputs=outputs)


@unit
@pytest.mark.parametrize("kind", [8, "int8", "int16"])
@pytest.mark.parametrize("max_count", [1, 255, 256, 70_000])
def test_codes_and_counts_of_many_digits(kind, max_count):
    compare(((3, 4), 3, 2, 2, 1, 1), kind, max_count)


@unit
@pytest.mark.parametrize("images", [1, 3, 70])
def test_numbers_of_images(images):
    compare(((1, 1), 9, 3, 1, 1, 0), 4, images=images)


@unit
def test_more_than_one_tile_of_inputs():
    compare(((3, 3), 30, 5, 3, 1, 1), 4)


@pytest.mark.parametrize("kind", [4, 8, "int8", "int16"])
def test_packed_codes_are_their_digits(kind):
    """As `byte_products` packs one row of words; blocks of 16 channels in pairs, rows in whole tiles, zeros beyond."""
    codes = weights(kind, (2, 2, 5, 20), np.random.default_rng(0))
    packed = tiles.pack_tiles(codes)
    ref = naive.interleaved(codes.reshape(1, 1, 20, 20), packed.digits, 8, 16).reshape(2, packed.digits, 5, 64)
    table = packed.table.reshape(2, packed.digits, packed.words, 64)
    assert packed.words == 16
    np.testing.assert_array_equal(table[:, :, :5], ref)
    assert not table[:, :, 5:].any()


CHILD = """
import numba, numpy as np
from qpsnn_core.kernels.conv import tiles
from qpsnn_core.kernels.conv.geometry import ConvGeometry
packed = tiles.pack_tiles(np.ones((3, 3, 4, 5), np.int8))
given = 0, 1, np.zeros(4, np.uint8), 1, packed, np.zeros(5, np.int16), ConvGeometry.of((1, 1, 4), 5, 3, 1, 1)
tiles.tile_forward.compile(tuple(numba.typeof(one) for one in given))
(text,) = tiles.tile_forward.inspect_asm().values()
print(*(name for name in ("ldtilecfg", "tdpbusd", "tilerelease") if name in text))
"""


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.skipif(INTERPRETED, reason="compiles for a processor with the unit")
@pytest.mark.skipif("avx512vnni" not in str(host_features), reason="compiles for x86-64 with AVX-512")
def test_it_compiles(tmp_path):
    """For a processor with the unit; nothing is run."""
    kept = [one for one in str(host_features).split(",") if "amx" not in one]
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": ",".join([*kept, "+amx-tile", "+amx-int8"]),
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    told = subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stdout.split() == ["ldtilecfg", "tdpbusd", "tilerelease"]
