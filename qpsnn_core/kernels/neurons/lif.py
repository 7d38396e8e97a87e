"""The LIF neuron (Eqs. 1 to 3) over time, and its backward pass (Eq. 14) with the membrane recomputed.

Arrays `[T*N, C]`, N positions (batch, y, x), walked 16 neurons at a time, each through all time steps, so that
membranes stay in registers. A `current` may have one step for all (`step = 0`, else N). A neuron sums one or two of
them (`second` may be None).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.cyclic_channels import gather_sum, next_phase, sum_tiled, tile_channels
from qpsnn_core.kernels.elementary import exponential
from qpsnn_core.kernels.neurons.learned import add_threshold, gather_learned, of_channels
from qpsnn_core.kernels.neurons.membrane import Levels, stored, through_levels
from qpsnn_core.kernels.simd.vector import (
    each,
    fill16,
    greater_equal,
    load16,
    negative,
    select,
    store,
    store_masked,
    take16,
    to,
)
from qpsnn_core.kernels.threads import kernel

TRIANGLE, SIGMOID, ARCTAN, RECTANGULAR = range(4)

RESETS = {"zero": None, "subtract": True}
"""What the kernels take as `subtract`. None has a type of its own, so that Numba compiles a variant for each."""


class LIFSettings(NamedTuple):
    """What a LIF kernel needs besides its arrays.

    steps: T. positions: N, those of one step. beta: float32, what is left of the membrane after a step. threshold:
    float32. subtract: of RESETS. surrogate: its number (TRIANGLE, SIGMOID, ARCTAN, RECTANGULAR), and width: float32,
    its width in the membrane's unit. detach: whether the gradient leaves out the path through the reset. Only the
    backward pass reads these three. levels: what may be stored of a membrane; None: all. leaks, limits: float32, from
    `tile_channels`, of neurons that learn them; None: beta and threshold are those of all. published: whether a
    threshold's gradient is that of SpQuant-SNN. own: a user's surrogate, from `own_surrogate.compiled`, in place of
    `surrogate`; only the backward pass has it. Numba compiles a variant for each that is not None.
    """

    steps: int
    positions: int
    beta: np.float32
    threshold: np.float32
    subtract: bool | None
    surrogate: int
    width: np.float32
    detach: bool
    levels: Levels | None = None
    leaks: Any = None
    limits: Any = None
    published: bool = False
    own: Any = None


@kernel
def add_current(start, stop, total, acc, scale, shift, positions, step):
    """`total[t, n] += scale*acc[t, n] + shift`, positions start..stop-1: several currents become one.

    total: float32 `[T*N, C]`, N = `positions`. acc: integers or float32 `[T*N, C]`, or `[N, C]` for all steps. scale,
    shift: float32 `[C]`. step: rows of acc between two time steps, N or 0.
    """
    for t in range(len(total) // positions):
        for n in range(start, stop):
            o, a = total[t * positions + n], acc[t * step + n]
            for c in range(o.shape[0]):
                o[c] += scale[c] * np.float32(a[c]) + shift[c]


def current(acc: Any, scale: Any, shift: Any, step: int) -> tuple[Any, Any, Any, int]:
    """A current as the kernels below take it: all flat, scale and shift from `tile_channels`, step in numbers."""
    return acc.reshape(-1), tile_channels(scale), tile_channels(shift), step * len(scale)


@kernel
def currents_at(first, second, t, i, phase, count):
    """X at step t of neurons i..i+15, whose channels begin at `phase`: `scale*acc + shift`, one or two added.

    first, second: currents from `current`, the second may be None. count: neurons from i on; those beyond are 0.
    """
    acc, scale, shift, step = first
    x = load16(scale, phase) * to(take16(acc, t * step + i, count), scale) + load16(shift, phase)
    if second is not None:
        acc2, scale2, shift2, step2 = second
        x = x + (load16(scale2, phase) * to(take16(acc2, t * step2 + i, count), scale2) + load16(shift2, phase))
    return x


@kernel
def after_reset(u, fired, limit, zero, subtract):
    """U of U~: 0 where it fired (`subtract` None), or `U~ - threshold` there (True).

    u, limit, zero: 16 membranes, thresholds and zeros of one type. fired: a mask of 16. subtract: of RESETS.
    """
    if subtract is None:
        return select(fired, zero, u)
    return select(fired, u - limit, u)


@kernel
def lif_forward(start, stop, first, second, spikes, settings):
    """Spikes of positions start..stop-1; the membrane starts at 0.

    first, second: currents from `current`, the second may be None. spikes: uint8 `[T*N, C]`, written. settings:
    LIFSettings.
    """
    steps, positions, beta, threshold, subtract, _, _, _, levels, leaks, limits, _, _ = settings
    channels = spikes.shape[1]
    out = spikes.reshape(-1)
    leak, limit, zero = fill16(beta, first[1]), fill16(threshold, first[1]), fill16(0, first[1])
    phase = 0
    for i in range(start * channels, stop * channels, 16):
        count = stop * channels - i
        leak, limit = of_channels(leaks, leak, phase), of_channels(limits, limit, phase)
        u = zero
        for t in range(steps):
            u = leak * u + currents_at(first, second, t, i, phase, count)
            fired = greater_equal(u, limit)
            store_masked(out, t * positions * channels + i, to(fired, out), count)
            u = stored(after_reset(u, fired, limit, zero, subtract), limit, levels, first[1])
        phase = next_phase(phase, channels)


@kernel
def lif_potentials(start, stop, first, second, potentials, settings):
    """The membrane before reset, of positions start..stop-1: what SCA scores and what the tests look at.

    potentials: float32 `[T*N, C]`, written; the rest as for `lif_forward`.
    """
    steps, positions, beta, threshold, subtract, _, _, _, levels, leaks, limits, _, _ = settings
    channels = potentials.shape[1]
    out = potentials.reshape(-1)
    leak, limit, zero = fill16(beta, first[1]), fill16(threshold, first[1]), fill16(0, first[1])
    phase = 0
    for i in range(start * channels, stop * channels, 16):
        count = stop * channels - i
        leak, limit = of_channels(leaks, leak, phase), of_channels(limits, limit, phase)
        u = zero
        for t in range(steps):
            u = leak * u + currents_at(first, second, t, i, phase, count)
            store_masked(out, t * positions * channels + i, u, count)
            u = after_reset(u, greater_equal(u, limit), limit, zero, subtract)
            u = stored(u, limit, levels, first[1])
        phase = next_phase(phase, channels)


@kernel
def surrogate(kind, width, distance, like):
    """dS/dU~ at 16 values of `distance = U~ - threshold`: the derivative that stands in for the spike's.

    kind: TRIANGLE, SIGMOID, ARCTAN or RECTANGULAR. width: float32, in the membrane's unit. distance: 16 float32.
    like: a float32 array, whose type the result has.
    """
    inverse = np.float32(1) / width
    zero, one = fill16(0, like), fill16(1, like)
    magnitude = select(greater_equal(distance, zero), distance, negative(distance))
    if kind == TRIANGLE:
        h = fill16(width, like) - magnitude
        return fill16(inverse * inverse, like) * select(greater_equal(h, zero), h, zero)
    if kind == SIGMOID:
        s = one / (one + exponential(negative(magnitude) * fill16(inverse, like)))
        return fill16(inverse, like) * s * (one - s)
    if kind == ARCTAN:
        z = fill16(np.float32(math.pi / 2) * inverse, like) * distance
        return fill16(np.float32(0.5) * inverse, like) / (one + z * z)
    return select(greater_equal(magnitude, fill16(np.float32(0.5) * width, like)), zero, fill16(inverse, like))


@kernel
def slope(own, kind, width, distance, like):
    """dS/dU~ at 16 values of distance: of `own`, a user's surrogate by its address; where that is None, `surrogate`.

    kind, width, like: as for `surrogate`.
    """
    if own is None:
        return surrogate(kind, width, distance, like)
    return each(own, distance, width)


@kernel
def add_leak(limits, total, g, before, t, limit, zero, subtract, levels):
    """total plus dL/dbeta of step t, `g*U[t-1]`, g = dL/dU~; `total` where nothing is learned (limits None).

    before: U~ of all steps, 16 at a time. The others: as for `lif_backward`.
    """
    if limits is None:
        return total
    if t == 0:
        return total
    u = load16(before, (t - 1) * 16)
    u = after_reset(u, greater_equal(u, limit), limit, zero, subtract)
    return total + g * stored(u, limit, levels, before)


@kernel
def lif_backward(start, stop, first, second, spike_gradient, gradient, moments, settings):
    """dL/dX from dL/dS, positions start..stop-1, and its sums; membranes are recomputed.

    `g = gS*h + carry*((1 - S) - U~*h)`, with `subtract` `g = gS*h + carry*(1 - threshold*h)` (detached: without the
    last term), and `carry = beta*g`, backwards in time.
    first, second: currents from `current`, the second may be None. spike_gradient: dL/dS, float32 `[T*N, C]`.
    gradient: dL/dX, written, float32 `[T*N, C]`, or `[N, C]` for the sum over T. moments: float64 `[3, C]`, to which
    are added the sums over time and positions of g, of g*acc of the first current, and of g*acc of the second; `[5, C]`
    where neurons learn: also those of dL/dthreshold and of dL/dbeta.
    settings: LIFSettings.
    """
    steps, positions, beta, threshold, subtract, kind, width, detach, levels, leaks, limits, published, own = settings
    channels = spike_gradient.shape[1]
    given, out = spike_gradient.reshape(-1), gradient.reshape(-1)
    each = len(gradient) == steps * positions
    before = np.empty(steps * 16, np.float32)
    added = np.zeros((len(moments), channels + 16))
    sums, products, others = added[0], added[1], added[2]
    leak, limit, zero, kept = (
        fill16(beta, first[1]),
        fill16(threshold, first[1]),
        fill16(0, first[1]),
        fill16(1, first[1]),
    )
    phase = 0
    for i in range(start * channels, stop * channels, 16):
        count = stop * channels - i
        leak, limit = of_channels(leaks, leak, phase), of_channels(limits, limit, phase)
        u = zero
        for t in range(steps):
            u = leak * u + currents_at(first, second, t, i, phase, count)
            store(before, t * 16, u)
            u = after_reset(u, greater_equal(u, limit), limit, zero, subtract)
            u = stored(u, limit, levels, first[1])
        carry, total, product, other = zero, zero, zero, zero
        of_limit, of_leak = zero, zero
        for t in range(steps - 1, -1, -1):
            u = load16(before, t * 16)
            h = slope(own, kind, width, u - limit, first[1])
            left = after_reset(u, greater_equal(u, limit), limit, zero, subtract)
            stored_carry, carry = carry, through_levels(carry, left, limit, levels, first[1])
            if subtract is None:
                through, lost = select(greater_equal(u, limit), zero, kept), u
            else:
                through, lost = kept, limit
            if not detach:
                through = through - lost * h
            spike = take16(given, t * positions * channels + i, count)
            g = spike * h + carry * through
            if not detach:
                spike = spike - carry * lost
            of_limit = add_threshold(
                limits, of_limit, u, left, limit, spike, stored_carry, carry, h, subtract, levels, published, first[1]
            )
            of_leak = add_leak(limits, of_leak, g, before, t, limit, zero, subtract, levels)
            carry = leak * g
            total = total + g
            product = product + g * to(take16(first[0], t * first[3] + i, count), first[1])
            if second is not None:
                other = other + g * to(take16(second[0], t * second[3] + i, count), first[1])
            if each:
                store_masked(out, t * positions * channels + i, g, count)
        if not each:
            store_masked(out, i, total, count)
        gather_sum(sums, phase, total)
        gather_sum(products, phase, product)
        if second is not None:
            gather_sum(others, phase, other)
        gather_learned(limits, added, phase, of_limit, of_leak)
        phase = next_phase(phase, channels)
    sum_tiled(sums, moments[0])
    sum_tiled(products, moments[1])
    sum_tiled(others, moments[2])
    for row in range(3, len(moments)):
        sum_tiled(added[row], moments[row])


@kernel
def lif_backward_pieces(start, stop, pieces, first, second, spike_gradient, gradient, moments, settings):
    """`lif_backward` of pieces start..stop-1, each with sums of its own: moments, `[pieces, 3, C]`.

    pieces: int64 `[pieces, 2]`, the positions from and to; the rest as for `lif_backward`. Pieces are what float sums
    are divided into, whatever the threads (`parts.pieces_of`).
    """
    for piece in range(start, stop):
        begin, end = pieces[piece, 0], pieces[piece, 1]
        if begin < end:
            lif_backward(begin, end, first, second, spike_gradient, gradient, moments[piece], settings)
