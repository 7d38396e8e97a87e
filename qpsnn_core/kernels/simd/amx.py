"""Registers of Intel's tile unit (AMX): eight tiles of 16 rows of 64 bytes, by number, and the product of two of them.

Each instruction is written twice, as those of vector.py: as the Python that says what it does to REGISTERS, and as the
instruction itself (llvm_amx.py). Registers are a thread's own: a kernel configures them first, and releases them last.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from qpsnn_core.kernels.simd import llvm_amx
from qpsnn_core.kernels.simd.llvm import instruction

ROWS, BYTES, TILES = 16, 64, 8


class Registers(threading.local):
    """The tiles, where the compiler is off: those of the thread that asks."""

    def __init__(self) -> None:
        self.tiles = np.zeros((TILES, ROWS, BYTES), np.uint8)


REGISTERS = Registers()

CONFIG = np.zeros(64, np.uint8)
"""What `configure` reads: palette 1; the bytes of a row of each tile as 16 bits from 16 on, its rows from 48 on."""
CONFIG[0], CONFIG[16:32:2], CONFIG[48:56] = 1, BYTES, ROWS


@instruction(llvm_amx.nothing, llvm_amx.configure)
def configure(config):
    """Every tile has 16 rows of 64 bytes, and holds zeros; `config` must say so."""
    if config[0] != 1 or (config[16:32:2] != BYTES).any() or (config[48:56] != ROWS).any():
        raise ValueError("config: expected eight tiles of 16 rows of 64 bytes")
    REGISTERS.tiles[:] = 0


@instruction(llvm_amx.nothing, llvm_amx.done("tilerelease"))
def release():
    """The tiles are free, and hold nothing."""
    REGISTERS.tiles[:] = 0


def zero(tile: int) -> Any:
    """The instruction that fills a tile with zeros."""

    def zeros():
        REGISTERS.tiles[tile] = 0

    return instruction(llvm_amx.nothing, llvm_amx.done("tilezero", tile))(zeros)


def load(tile: int) -> Any:
    """The instruction that reads a tile: 64 bytes each `stride` bytes of a flat array of bytes, from `index` on."""

    def loads(array, index, stride):
        for row in range(ROWS):
            REGISTERS.tiles[tile, row] = array[index + row * stride : index + row * stride + BYTES].view(np.uint8)

    return instruction(llvm_amx.nothing, llvm_amx.moved("tileloadd", tile))(loads)


def save(tile: int) -> Any:
    """The instruction that writes a tile of int32: 16 each `stride` bytes of a flat array of int32, from `index` on."""

    def saves(array, index, stride):
        for row in range(ROWS):
            begin = index + row * stride // 4
            array[begin : begin + BYTES // 4] = REGISTERS.tiles[tile, row].view(np.int32)

    return instruction(llvm_amx.nothing, llvm_amx.moved("tilestored", tile))(saves)


def multiply(total: int, counts: int, weights: int) -> Any:
    """The instruction that adds a product to a tile of int32: unsigned bytes of one tile times signed ones of another.

    `total[m, n] += sum over k < 16, i < 4 of counts[m, 4k + i] * weights[k, 4n + i]`, modulo 2**32 (tdpbusd).
    """

    def multiplies():
        left = REGISTERS.tiles[counts].astype(np.int64)
        right = REGISTERS.tiles[weights].view(np.int8).reshape(ROWS, 16, 4).transpose(0, 2, 1).reshape(BYTES, 16)
        REGISTERS.tiles[total].view(np.int32)[:] += (left @ right.astype(np.int64)).astype(np.int32)

    return instruction(llvm_amx.nothing, llvm_amx.done("tdpbusd", total, counts, weights))(multiplies)
