"""A user's derivative of the spike as machine code, which the LIF kernels call by its address."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import types


@cache
def compiled(derivative: Callable[[float, float], float]) -> Any:
    """What kernels take as `own`: the address of `float32 derivative(float32 distance, float32 width)`, uint64.

    Where kernels are Python, the function itself. Compiled once in a process, without fast-math. Raises what Numba
    raises (a NumbaError) where it cannot compile the function.
    """
    if getattr(numba.config, "DISABLE_JIT"):  # noqa: B009 - numba fills its config at run time
        return derivative
    kind = types.float32(types.float32, types.float32)
    made: Any = numba.cfunc(kind, error_model="numpy")(derivative)
    _alive.append(made)
    return np.uint64(made.address)


_alive: list[Any] = []
"""Compiled functions, which must not be freed while their addresses are known."""
