"""Layers that learn locally (DECOLLE), responding in float32: spikes are convolved, and their sums filtered."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.neurons.decolle_layout import LANES
from qpsnn_core.kernels.simd.vector import fill16, item, load16, multiply_add, store
from qpsnn_core.kernels.threads import kernel


@kernel
def scatter(start, stop, offsets, values, strength, weights, weight, out, at):
    """`out[at...] += strength * w*S` of one place of the kernel and the spikes start..stop-1 of one position.

    offsets: int64, of each spike's weights from `weight` on. values: float32, S. weights, out: float32, flat. A sum has
    four parts, of every fourth spike; what does not fill the last four goes to the first part.
    """
    zero = fill16(np.float32(0), out)
    s0, s1, s2, s3 = zero, zero, zero, zero
    i = start
    while i + 4 <= stop:
        s0 = multiply_add(fill16(item(values, i), out), load16(weights, weight + offsets[i]), s0)
        s1 = multiply_add(fill16(item(values, i + 1), out), load16(weights, weight + offsets[i + 1]), s1)
        s2 = multiply_add(fill16(item(values, i + 2), out), load16(weights, weight + offsets[i + 2]), s2)
        s3 = multiply_add(fill16(item(values, i + 3), out), load16(weights, weight + offsets[i + 3]), s3)
        i += 4
    while i < stop:
        s0 = multiply_add(fill16(item(values, i), out), load16(weights, weight + offsets[i]), s0)
        i += 1
    store(out, at, multiply_add(fill16(strength, out), (s0 + s1) + (s2 + s3), load16(out, at)))


@kernel
def filter_currents(sample, place, d, spikes, weights, biases, s):
    """`w*Q`, `w*P` and `w*P + b` of one sample's layer, from its spikes, arguments as for `forward_layer`.

    Each neuron's input positions are added in the order of rows and columns: that of the kernel's, one of which is at
    work on all positions while its weights are in the nearest cache.
    """
    a, b, v = s.q[sample], s.p[sample], s.v[sample]
    for position in range(place.height * place.width):
        first = place.neurons + position * place.lanes
        for lane in range(place.lanes):
            at = first + lane
            old = a[at]
            a[at] = d.beta * old
            b[at] = d.alpha * b[at] + d.p_in * old
            v[at] = b[at] + biases[place.biases + lane]
    many = place.in_height * place.in_width
    rows, columns = np.empty(many, np.int64), np.empty(many, np.int64)
    offsets, values = np.empty(many * place.channels, np.int64), np.empty(many * place.channels, np.float32)
    starts = np.empty(many + 1, np.int64)
    count, spots = 0, 0
    for at in range(many):
        starts[spots] = count
        first = at * place.channels
        for c in range(place.channels):
            if spikes[first + c]:
                offsets[count] = c * LANES
                values[count] = np.float32(spikes[first + c])
                count += 1
        if count > starts[spots]:
            rows[spots], columns[spots] = at // place.in_width + place.pad, at % place.in_width + place.pad
            spots += 1
    starts[spots] = count
    run = place.kernel * place.channels
    for panel in range(place.lanes // LANES):
        for ky in range(place.kernel):
            for kx in range(place.kernel):
                weight = place.weights + ((panel * place.kernel + ky) * run + kx * place.channels) * LANES
                for k in range(spots):
                    y, x = rows[k] - ky, columns[k] - kx
                    if 0 <= y < place.height and 0 <= x < place.width:
                        to_out = place.neurons + (y * place.width + x) * place.lanes + panel * LANES
                        scatter(starts[k], starts[k + 1], offsets, values, d.q_in, weights, weight, a, to_out)
