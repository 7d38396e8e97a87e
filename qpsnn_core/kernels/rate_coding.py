"""Images as random spikes whose chance at every step is the intensity: a function of counters."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.counter_random import WORD, random_word
from qpsnn_core.kernels.threads import kernel

_WORD = np.uint64(WORD)


@kernel
def rate_coded(start, stop, images, keys, peak, spikes):
    """`spikes[n, t, i]` is 1 with the chance `images[n, i] / peak`, for images start..stop-1.

    images: unsigned `[N, pixels]`, at most `peak`, a uint64 below 2**32. keys: uint64 `[N]`, of the draws of each
    image, whose counters are (step, pixel). spikes: uint8 `[N, T, pixels]`, written.
    """
    for n in range(start, stop):
        for t in range(spikes.shape[1]):
            for i in range(images.shape[1]):
                spikes[n, t, i] = random_word(t, i, keys[n]) * peak < np.uint64(images[n, i]) << _WORD
