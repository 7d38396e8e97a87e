"""Which events of a stream stay, judged by what their pixel or its neighbours did before, in one pass."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.threads import kernel

NEVER = np.iinfo(np.int64).min


@kernel
def supported(events, sensor, reach, within, latest, keep):
    """`keep[i]`: a neighbour of event i's pixel fired before it in the stream, less than `within` microseconds ago.

    events: EventColumns. sensor: (height, width), in pixels. reach: int64 `[K, 2]`, rows and columns to each neighbour.
    latest: int64 `[H*W]`, NEVER, overwritten; keep: bool `[N]`, written.
    """
    x, y, t, _ = events
    height, width = sensor
    for i in range(t.shape[0]):
        keep[i] = False
        for k in range(reach.shape[0]):
            row, column = y[i] + reach[k, 0], x[i] + reach[k, 1]
            if 0 <= row < height and 0 <= column < width:
                before = latest[row * width + column]
                if before != NEVER and t[i] - before < within:
                    keep[i] = True
                    break
        latest[np.int64(y[i]) * width + x[i]] = t[i]


@kernel
def rested(events, width, period, latest, keep):
    """`keep[i]`: the pixel's last event that was kept is at least `period` microseconds ago.

    width: of the sensor, in pixels; the rest as for `supported`.
    """
    x, y, t, _ = events
    for i in range(t.shape[0]):
        at = np.int64(y[i]) * width + x[i]
        keep[i] = latest[at] == NEVER or t[i] - latest[at] >= period
        if keep[i]:
            latest[at] = t[i]
