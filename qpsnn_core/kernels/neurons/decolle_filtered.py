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
def scatter_both(start, stop, offsets, values, strength, weights, weight, other, out, at):
    """As `scatter`, of two panels, whose weights begin at `weight` and `other`, and whose neurons lie side by side."""
    zero = fill16(np.float32(0), out)
    s0, s1, s2, s3 = zero, zero, zero, zero
    r0, r1, r2, r3 = zero, zero, zero, zero
    i = start
    while i + 4 <= stop:
        v0, v1 = fill16(item(values, i), out), fill16(item(values, i + 1), out)
        v2, v3 = fill16(item(values, i + 2), out), fill16(item(values, i + 3), out)
        s0 = multiply_add(v0, load16(weights, weight + offsets[i]), s0)
        r0 = multiply_add(v0, load16(weights, other + offsets[i]), r0)
        s1 = multiply_add(v1, load16(weights, weight + offsets[i + 1]), s1)
        r1 = multiply_add(v1, load16(weights, other + offsets[i + 1]), r1)
        s2 = multiply_add(v2, load16(weights, weight + offsets[i + 2]), s2)
        r2 = multiply_add(v2, load16(weights, other + offsets[i + 2]), r2)
        s3 = multiply_add(v3, load16(weights, weight + offsets[i + 3]), s3)
        r3 = multiply_add(v3, load16(weights, other + offsets[i + 3]), r3)
        i += 4
    while i < stop:
        v0 = fill16(item(values, i), out)
        s0 = multiply_add(v0, load16(weights, weight + offsets[i]), s0)
        r0 = multiply_add(v0, load16(weights, other + offsets[i]), r0)
        i += 1
    factor = fill16(strength, out)
    store(out, at, multiply_add(factor, (s0 + s1) + (s2 + s3), load16(out, at)))
    store(out, at + LANES, multiply_add(factor, (r0 + r1) + (r2 + r3), load16(out, at + LANES)))


@kernel
def filter_currents(sample, place, d, spikes, weights, biases, s):
    """`w*Q`, `w*P` and `w*P + b` of one sample's layer, from its `spikes`.

    place: a Place. d: Dynamics. weights, biases: float32, flat, of all layers. s: the arrays of the state.

    Each neuron's input positions are added in the order of rows and columns: that of the kernel's, one of which is at
    work on all positions while its weights are in the nearest cache.
    """
    a, b, v = s.q[sample], s.p[sample], s.v[sample]
    beta, alpha, p_in = fill16(d.beta, a), fill16(d.alpha, a), fill16(d.p_in, a)
    for panel in range(place.lanes // LANES):
        bias = load16(biases, place.biases + panel * LANES)
        begin = place.neurons + panel * LANES
        for at in range(begin, begin + place.height * place.width * place.lanes, place.lanes):
            old = load16(a, at)
            store(a, at, beta * old)
            trace = alpha * load16(b, at) + p_in * old
            store(b, at, trace)
            store(v, at, trace + bias)
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
    panels, apart = place.lanes // LANES, place.kernel * run * LANES
    for panel in range(0, panels, 2):
        both = panel + 1 < panels
        for ky in range(place.kernel):
            for kx in range(place.kernel):
                weight = place.weights + panel * apart + (ky * run + kx * place.channels) * LANES
                for k in range(spots):
                    y, x = rows[k] - ky, columns[k] - kx
                    if not (0 <= y < place.height and 0 <= x < place.width):
                        continue
                    to_out = place.neurons + (y * place.width + x) * place.lanes + panel * LANES
                    begin, end = starts[k], starts[k + 1]
                    if both:
                        other = weight + apart
                        scatter_both(begin, end, offsets, values, d.q_in, weights, weight, other, a, to_out)
                    else:
                        scatter(begin, end, offsets, values, d.q_in, weights, weight, a, to_out)
