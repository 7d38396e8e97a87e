"""The two arithmetics: the same bits on every processor, or the fastest that this one has."""

from __future__ import annotations

PORTABLE = "portable"
"""The same bits on any x86-64-v3 processor, any number of threads, any supported NumPy and Numba."""

NATIVE = "native"
"""The fastest here: the same bits on any number of threads, and on processors with the same units."""

ARITHMETICS = (PORTABLE, NATIVE)


def is_native(arithmetic: str) -> bool:
    """Whether what is computed may depend on this processor: all code that takes another way for speed asks here.

    Sums that are exact, such as those of integers, may take any way and need not ask.
    """
    return arithmetic == NATIVE
