"""No kernel reads or writes beside its arrays: they end, or begin, where the system allows no access at all."""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import pytest

COMMON = """
import ctypes, mmap, sys
import numpy as np

PAGE, libc, rooms = mmap.PAGESIZE, ctypes.CDLL(None, use_errno=True), []
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
at_the_end = sys.argv[1] == "end"

def fenced(shape, dtype=float, order="C"):
    '''An array of ones' bits, with a page before and a page after it that nobody may touch.'''
    shape = tuple(int(n) for n in np.atleast_1d(shape))
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    pages = max(1, -(-size // PAGE))
    room = mmap.mmap(-1, (pages + 2) * PAGE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(room))
    rooms.append(room)
    for fence in (base, base + (pages + 1) * PAGE):
        assert libc.mprotect(fence, PAGE, 0) == 0
    begin = PAGE + (pages * PAGE - size if at_the_end else 0)
    return np.ndarray(shape, dtype, room, begin)

def copied(array):
    made = fenced(array.shape, array.dtype)
    made[...] = array
    return made
"""

LAYERS = (
    COMMON
    + """
from test_layers import CASES, Run, everything
from qpsnn_core.engine.layers.base import Current

plain, empty, zeros = {}, np.empty, np.zeros
for index, case in enumerate(CASES):
    ref = [np.array(array) for array in everything(Run(case))]
    np.empty, np.zeros = fenced, lambda shape, dtype=float, order="C": copied(zeros(shape, dtype))
    run = Run(case)
    run.values = [v._replace(acc=copied(v.acc)) if isinstance(v, Current) else copied(v) for v in run.values]
    run.context = run.context._replace(params={name: copied(array) for name, array in run.params.items()})
    gradient = copied(run.gradient())
    run.gradient = lambda: gradient
    found = everything(run)
    np.empty, np.zeros = empty, zeros
    for one, other in zip(found, ref, strict=True):
        np.testing.assert_array_equal(one, other)
print(len(CASES), len(rooms) > 5 * len(CASES))
"""
)

TOO_FAR = (
    COMMON
    + """
from qpsnn_core.kernels.neurons.batch_norm import short_moments
short_moments(0, 5, copied(np.ones((4, 16), np.int16)), np.zeros(16, np.int64), np.zeros(16, np.int64))
"""
)


def run(code, where, root):
    places = os.pathsep.join(str(root / "tests" / part) for part in ("", "contract"))
    places = os.pathsep.join(filter(None, (places, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": places, "QPSNN_THREADS": "1"}
    command = [sys.executable, "-c", code, where]
    return subprocess.run(command, cwd=root / "tests", env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform != "linux" or bool(numba.config.DISABLE_JIT), reason="of compiled kernels, on Linux")
class TestFences:
    @pytest.mark.parametrize("where", ["end", "begin"])
    def test_every_layer_keeps_to_its_arrays(self, root, where):
        done = run(LAYERS, where, root)
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.split()[1] == "True"

    def test_a_kernel_that_goes_too_far_is_stopped(self, root):
        """A negative control: one row too many."""
        assert run(TOO_FAR, "end", root).returncode < 0
