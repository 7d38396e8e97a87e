"""Events counted into frames."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.threads import kernel


@kernel
def count_events(start, stop, x, y, p, begins, ends, frames, height, width, most):
    """`frames[f, y, x, p]` = the number of such events among `begins[f]..ends[f]-1`, at most `most`; f: start..stop-1.

    x, y: uint16 `[N]`; p: uint8 `[N]`, 0 or 1; frames: uint8, flat, zero.
    """
    for f in range(start, stop):
        first = f * height * width * 2
        for i in range(begins[f], ends[f]):
            at = first + (np.int64(y[i]) * width + x[i]) * 2 + p[i]
            if frames[at] < most:
                frames[at] += 1
