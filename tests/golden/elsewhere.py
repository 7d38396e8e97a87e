"""Other processors and libraries, as a child process is told to take them: what recorded bits must not depend on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qpsnn_core.kernels.simd.llvm import AVX512

TESTS = Path(__file__).resolve().parent.parent

V3 = (
    "+64bit,+avx,+avx2,+bmi,+bmi2,+cmov,+crc32,+cx16,+cx8,+f16c,+fma,+fxsr,+lzcnt,+mmx,+movbe,+popcnt,+sahf,+sse,+sse2,"
    "+sse3,+sse4.1,+sse4.2,+ssse3,+xsave"
)
"""What LLVM may use of an x86-64-v3 processor: AVX2 and FMA."""

x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the bits are those of x86-64-v3")


def found_by_numpy() -> str:
    """The features by which NumPy chooses code, of those that there are."""
    core = np.core if np.lib.NumpyVersion(np.__version__) < "2.0.0" else np._core
    umath = core._multiarray_umath
    return " ".join(name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name])


PLACES = [
    pytest.param(
        {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": V3},
        id="AVX2",
        marks=[
            pytest.mark.once,
            pytest.mark.skipif(not AVX512, reason="this process itself has no other instructions"),
        ],
    ),
    pytest.param(
        {
            "OPENBLAS_CORETYPE": "Haswell",
            "OPENBLAS_NUM_THREADS": "2",
            "NPY_DISABLE_CPU_FEATURES": found_by_numpy(),
            "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F,-AVX512VL",
            "QPSNN_THREADS": "3",
        },
        id="other libraries, three threads",
    ),
]
"""To compile for another processor; or BLAS, NumPy and the C library to take other code, on other threads.

A processor with AVX-512 compiles for it in the process that runs the tests: that is one more place.
"""


def recorded_by(module: str, place: Mapping[str, str], *words: str) -> Any:
    """What `python -m MODULE WORDS` prints there, of JSON."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, *words],
        cwd=TESTS,
        env={**os.environ, **place},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
