"""Where the layers that learn locally (DECOLLE) lie in flat arrays, their constants, and their state.

Flat arrays hold all layers: those of inputs (P, Q) `[samples, inputs]`, with the zeros around each map of a
convolution; those of neurons (R, S, V) `[samples, neurons]`, channels last, filled up to a multiple of LANES; the
pooled spikes `[samples, features]`. `Place` says where a layer's parts are. Weights lie in panels of LANES channels:
`[panel, kernel row, kernel column, input channel, LANES]`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from qpsnn_core.kernels.threads import kernel

LANES = 16
ROWS = 6
"""Positions that are summed at once, in registers."""

Q_DRAWS, P_DRAWS, R_DRAWS, V_DRAWS, DROPOUT, WEIGHT_DRAWS = range(8, 14)
"""The streams of random words."""


class Place(NamedTuple):
    """One layer. inputs, neurons, features, weights, biases, readouts: where its parts begin in the flat arrays.

    channels, row, pad: input channels, numbers in a row of the padded map, and zeros around it. kernel: its side.
    height, width, outputs, lanes: of the map of neurons, its channels, and those with what fills them up. pool: side of
    a pool, 1: none. below: where the input of a layer is in the features; -1: it is the frame. low: rows of the map
    below.
    """

    inputs: Any
    neurons: Any
    features: Any
    weights: Any
    biases: Any
    readouts: Any
    channels: Any
    row: Any
    pad: Any
    kernel: Any
    height: Any
    width: Any
    outputs: Any
    lanes: Any
    pool: Any
    below: Any
    size: Any
    in_height: Any
    in_width: Any


class Dynamics(NamedTuple):
    """`Q' = beta*Q + q_in*S; P' = alpha*P + p_in*Q; R' = gamma*R + r_in*S; V = w*P' + b - rho*R'`, old Q and S.

    A neuron spikes at `V > threshold`, or, if inclusive, at `V >= threshold`. float32, or integers (then `fixed` is a
    Fixed, else None). filtered: `w*Q` and `w*P` are kept instead of Q and P, for each neuron: the traces are linear, so
    that spikes, which are few, can be convolved and the sums filtered. Of float32 alone; it rounds elsewhere.
    """

    alpha: Any
    beta: Any
    gamma: Any
    q_in: Any
    p_in: Any
    r_in: Any
    rho: Any
    threshold: Any
    inclusive: Any
    filtered: Any
    fixed: Any


class Fixed(NamedTuple):
    """Of integers: by how many bits terms are moved up before sums, and sums down afterwards; the largest codes.

    one: a spike in Q's format. unit: the same in R's. p_up, q_up: of P and Q in the sum P'. q_down, p_down, r_down,
    v_down: what is dropped. bias_up, sum_up, r_up: of a bias, a sum of products and rho*R in the sum V. q_high, p_high,
    r_high, v_high: largest codes; the lowest are `-high - 1`. mode: TRUNCATION, NEAREST or STOCHASTIC. p_step, v_step:
    what a code of P and V stands for, float32. seed: uint64 below 2**32.
    """

    one: Any
    unit: Any
    p_up: Any
    q_up: Any
    q_down: Any
    p_down: Any
    r_down: Any
    v_down: Any
    bias_up: Any
    sum_up: Any
    r_up: Any
    q_high: Any
    p_high: Any
    r_high: Any
    v_high: Any
    mode: Any
    p_step: Any
    v_step: Any
    seed: Any


class State(NamedTuple):
    """q, p `[samples, inputs]`, or, filtered, `[samples, neurons]`; r, v `[samples, neurons]`: float32 or int32.

    s, emitted: uint8, spikes and pooled ones. p_real, v_real: float32, of p and v; the same arrays where those are
    float32. lost: int64 `[samples, 4]`, how often Q, P, R and V left their ranges. seen: float32 `[samples, 8]`: lowest
    and highest Q, P, R, V, or `[samples, 0]`.
    """

    q: Any
    p: Any
    r: Any
    v: Any
    s: Any
    emitted: Any
    p_real: Any
    v_real: Any
    lost: Any
    seen: Any


@kernel
def place_of(table, layer):
    """The Place of a layer: a row of `table`, int64."""
    t = table[layer]
    return Place(
        t[0],
        t[1],
        t[2],
        t[3],
        t[4],
        t[5],
        t[6],
        t[7],
        t[8],
        t[9],
        t[10],
        t[11],
        t[12],
        t[13],
        t[14],
        t[15],
        t[16],
        t[17],
        t[18],
    )  # fmt: skip - one line would not fit, and a line for each says nothing
