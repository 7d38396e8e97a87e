"""Events counted into frames."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.threads import kernel


@kernel
def count_events(start, stop, events, begins, ends, frames, most):
    """`frames[f, y, x, p]` = the number of such events among `begins[f]..ends[f]-1`, at most `most`; f: start..stop-1.

    events: EventColumns. begins, ends: int64 `[F]`. frames: uint8 `[F, H, W, 2]`, zero, written.
    """
    x, y, _, p = events
    height, width, flat = frames.shape[1], frames.shape[2], frames.reshape(-1)
    for f in range(start, stop):
        first = f * height * width * 2
        for i in range(begins[f], ends[f]):
            at = first + (np.int64(y[i]) * width + x[i]) * 2 + p[i]
            if flat[at] < most:
                flat[at] += 1
