"""Scores, compressed weights and integers have the same bits on every processor: a recorded run, and forced features.

`tests/golden/same_bits.json` was recorded on one machine; each machine that runs the tests is one more witness. The
child processes below stand for other processors: OpenBLAS, NumPy, the C library and Numba each choose code by features.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from golden import same_bits

from qpsnn_core.kernels import threads as parallel
from qpsnn_core.kernels.simd.llvm import AVX2, AVX512

RECORDED = json.loads(same_bits.FILE.read_text(encoding="utf-8"))

V3 = (
    "+64bit,+avx,+avx2,+bmi,+bmi2,+cmov,+crc32,+cx16,+cx8,+f16c,+fma,+fxsr,+lzcnt,+mmx,+movbe,+popcnt,+sahf,+sse,+sse2,"
    "+sse3,+sse4.1,+sse4.2,+ssse3,+xsave"
)
V4 = f"{V3},+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"

WITH_AVX2 = pytest.mark.skipif(not AVX2, reason="the processor has no AVX2")
WITH_AVX512 = pytest.mark.skipif(not AVX512, reason="the processor has no AVX-512")
ON_X86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="features of x86 processors")


def found_by_numpy() -> str:
    """The features by which NumPy chooses code, of those that there are."""
    core = np.core if np.lib.NumpyVersion(np.__version__) < "2.0.0" else np._core
    umath = core._multiarray_umath
    return " ".join(name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name])


FORCED = [
    pytest.param({"OPENBLAS_CORETYPE": "Haswell"}, id="OpenBLAS-Haswell", marks=ON_X86),
    pytest.param({"OPENBLAS_CORETYPE": "Sandybridge"}, id="OpenBLAS-Sandybridge", marks=ON_X86),
    pytest.param({"OPENBLAS_CORETYPE": "SkylakeX"}, id="OpenBLAS-SkylakeX", marks=[ON_X86, WITH_AVX512]),
    pytest.param({"NPY_DISABLE_CPU_FEATURES": found_by_numpy()}, id="NumPy-baseline"),
    pytest.param({"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F"}, id="libm-baseline", marks=ON_X86),
    pytest.param({"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": V3}, id="Numba-AVX2", marks=[ON_X86, WITH_AVX2]),
    pytest.param(
        {"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": V4},
        id="Numba-AVX512",
        marks=[ON_X86, WITH_AVX512],
    ),
    pytest.param({"QPSNN_THREADS": "3", "OPENBLAS_NUM_THREADS": "2"}, id="threads"),
]


def test_the_recorded_bits():
    """Stage by stage, so that a difference names the first stage that has it; on two threads, too."""
    before = parallel.threads()
    try:
        for count in (1, 2):
            parallel.set_threads(count)
            assert same_bits.digests() == RECORDED
    finally:
        parallel.set_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("forced", FORCED)
def test_the_same_bits_with_other_features(root, forced):
    ran = subprocess.run(
        [sys.executable, "-m", "golden.same_bits"],
        cwd=root / "tests",
        env={**os.environ, **forced},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == RECORDED


def test_a_weight_that_is_a_unit_off_gives_other_bits():
    """The negative control: digests of the arrays themselves, and the Hessian's and the scores' as well."""
    model = same_bits.wide()
    changed = {name: {key: array.copy() for key, array in own.items()} for name, own in model.params.items()}
    weight = changed["linear"]["weight"]
    weight[0, 0] = np.nextafter(weight[0, 0], np.float32(9))
    assert same_bits.digest(same_bits.of_model(model._replace(params=changed))) != same_bits.digest(
        same_bits.of_model(model)
    )
    changed["conv1"]["bn_bias"] = changed["conv1"]["bn_bias"] + np.float32(1e-3)
    name = "wide score sca 1e-06"
    found = dict(same_bits.scored("wide", model._replace(params=changed), same_bits.frames()))
    assert found[name] != RECORDED[name]
