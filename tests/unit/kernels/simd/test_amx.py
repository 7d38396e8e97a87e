"""What the instructions of the tile unit mean, by loops over single numbers."""

from __future__ import annotations

from threading import Thread

import numba
import numpy as np
import pytest

from qpsnn_core.kernels.simd import amx

pytestmark = pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="compiled, these are the unit's instructions")


@pytest.fixture(autouse=True)
def configured():
    amx.configure(amx.CONFIG)
    yield
    amx.release()
    assert not amx.REGISTERS.tiles.any()


def test_a_configuration_of_other_tiles_is_refused():
    config = amx.CONFIG.copy()
    config[50] = 8
    with pytest.raises(ValueError, match="eight tiles of 16 rows of 64 bytes"):
        amx.configure(config)


def test_a_tile_is_read_row_by_row():
    memory = np.arange(5000, dtype=np.int64).astype(np.uint8)
    amx.load(3)(memory, 7, 100)
    for row in range(16):
        for byte in range(64):
            assert amx.REGISTERS.tiles[3, row, byte] == memory[7 + 100 * row + byte]
    assert not amx.REGISTERS.tiles[[0, 1, 2, 4, 5, 6, 7]].any()
    amx.zero(3)()
    assert not amx.REGISTERS.tiles.any()


def test_registers_are_a_threads_own():
    """Threads that convolve at the same time wrote into each other's tiles."""
    amx.load(3)(np.full(1024, 7, np.uint8), 0, 64)
    other = Thread(target=amx.configure, args=(amx.CONFIG,))
    other.start()
    other.join()
    assert (amx.REGISTERS.tiles[3] == 7).all()


def test_a_product_of_unsigned_and_signed_bytes_is_added():
    """tdpbusd: row k of the weights holds, for each column, the four numbers that meet bytes 4k to 4k+3 of a row."""
    rng = np.random.default_rng(0)
    counts, weights = rng.integers(0, 256, 1024, np.uint8), rng.integers(-128, 128, 1024, np.int8)
    counts[:64], weights.reshape(16, 16, 4)[:, 0] = 255, -128
    amx.load(4)(counts, 0, 64)
    amx.load(6)(weights, 0, 64)
    for _ in range(2):
        amx.multiply(1, 4, 6)()
    total = np.full(16 * 20 + 3, 9, np.int32)
    amx.save(1)(total, 3, 80)
    for m in range(16):
        for n in range(16):
            products = (
                int(counts[64 * m + 4 * k + i]) * int(weights[64 * k + 4 * n + i]) for k in range(16) for i in range(4)
            )
            assert total[3 + 20 * m + n] == 2 * sum(products)
        assert (total[3 + 20 * m + 16 : 3 + 20 * m + 20] == 9).all()


def test_sums_wrap():
    amx.REGISTERS.tiles[0].view(np.int32)[:] = 2**31 - 1
    amx.load(4)(np.ones(1024, np.uint8), 0, 64)
    amx.load(6)(np.ones(1024, np.int8), 0, 64)
    amx.multiply(0, 4, 6)()
    assert (amx.REGISTERS.tiles[0].view(np.int32) == -(2**31) + 63).all()
