"""Intel's tile unit (AMX): whether this process may use it, and what the instructions of amx.py become."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.np import arrayobj

from qpsnn_core.kernels.simd.llvm import called, host_features

INT8 = ir.IntType(8)

ARCH_PRCTL, REQUEST, TILE_DATA = 158, 0x1023, 18
"""Linux x86-64: the number of the system call, ARCH_REQ_XCOMP_PERM, and the state that is asked for."""


@cache
def granted() -> bool:
    """Whether the processor has tiles of bytes and the system lets this process use them; asked for once."""
    if "+amx-int8" not in host_features or not sys.platform.startswith("linux"):
        return False
    try:
        return int(ctypes.CDLL(None).syscall(ARCH_PRCTL, REQUEST, TILE_DATA)) == 0
    except (OSError, AttributeError):
        return False


def nothing(*_: Any) -> Any:
    """The kind of what only changes registers or memory."""
    return types.none


def configure(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """`ldtilecfg`."""
    called(builder, "llvm.x86.ldtilecfg", ir.VoidType(), _at(context, builder, sig.args[0], values[0], None))
    return context.get_dummy_value()


def moved(name: str, tile: int) -> Callable[..., Any]:
    """`tileloadd` or `tilestored` of one register; the stride in bytes."""

    def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        pointer = _at(context, builder, sig.args[0], values[0], values[1])
        called(builder, f"llvm.x86.{name}64", ir.VoidType(), ir.Constant(INT8, tile), pointer, values[2])
        return context.get_dummy_value()

    return emit


def done(name: str, *tiles: int) -> Callable[..., Any]:
    """An instruction on registers alone."""

    def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        called(builder, f"llvm.x86.{name}", ir.VoidType(), *(ir.Constant(INT8, tile) for tile in tiles))
        return context.get_dummy_value()

    return emit


def _at(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = arrayobj.make_array(kind)(context, builder, array).data
    place = builder.gep(data, [index]) if index is not None else data
    return builder.bitcast(place, INT8.as_pointer())
