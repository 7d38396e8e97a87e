"""DECOLLE's network in C: its tables, its state, and one step of each layer."""

from __future__ import annotations

from string import Template

import numpy as np

from qpsnn_backends.c.items import Item
from qpsnn_backends.c.local.plan import (
    DITHER,
    RANDOM,
    SHARED,
    CKind,
    CLocalPlan,
    constants,
    kind_for,
    power,
    rounding,
    variable,
    wide,
)
from qpsnn_core.common.types import Array
from qpsnn_core.integer.local.networks import Codes, IntDecolle

WORD = CKind("uint32_t", 4, np.uint32)
BYTE = CKind("uint8_t", 1, np.uint8)

MODES = ("truncation", "nearest", "stochastic")
"""By the kernel's number."""

LAYER = Template("""\
/* Layer $k: the traces Q and P of what it sees. */
static void trace_$k(const uint8_t *seen)
{
    for (int32_t y = 0; y < $in_height; y++) {
        for (int32_t i = 0; i < $in_row; i++) {
            const int32_t at = y * $in_row + i;
$element            const int64_t old = q$k[at];
            q$k[at] = ($q)$new_q;
            p$k[at] = ($p)$new_p;
        }
    }
}

/* Layer $k: R, V and spikes of the neurons at one place, from the sums of their products. */
static void fire_$k(int32_t place)
{
    for (int32_t c = 0; c < $outputs; c++) {
        const int32_t n = place * $outputs + c;
$neuron        r$k[n] = ($r)$new_r;
        v$k[n] = ($v)$new_v;
        s$k[n] = v$k[n] $reaches $threshold;
    }
}

/* Layer $k: the sums of products at every place. */
static void convolve_$k(void)
{
    for (int32_t y = 0; y < $height; y++) {
        for (int32_t x = 0; x < $width; x++) {
            memset(sums, 0, sizeof sums);
            for (int32_t ky = 0; ky < $kernel; ky++) {
                for (int32_t kx = 0; kx < $kernel; kx++) {
                    const int32_t row = y + ky - $pad, column = x + kx - $pad;
                    if (row < 0 || row >= $in_height || column < 0 || column >= $in_width) {
                        continue;
                    }
                    const $p *trace = p$k + (row * $in_width + column) * $channels;
                    const $w *weight = w$k + (size_t)(ky * $kernel + kx) * $channels * $outputs;
                    for (int32_t i = 0; i < $channels; i++, weight += $outputs) {
                        const $sum number = trace[i];
                        for (int32_t c = 0; number != 0 && c < $outputs; c++) {
                            sums[c] += number * weight[c];
                        }
                    }
                }
            }
            fire_$k(y * $width + x);
        }
    }
}

/* Layer $k: of each pool, the spike of the neuron with the highest membrane. */
static void pool_$k(void)
{
    int32_t feature = 0;
    for (int32_t y = 0; y + $pool <= $height; y += $pool) {
        for (int32_t x = 0; x + $pool <= $width; x += $pool) {
            for (int32_t c = 0; c < $outputs; c++) {
                int32_t best = (y * $width + x) * $outputs + c;
                for (int32_t dy = 0; dy < $pool; dy++) {
                    for (int32_t dx = 0; dx < $pool; dx++) {
                        const int32_t n = ((y + dy) * $width + x + dx) * $outputs + c;
                        best = v$k[n] > v$k[best] ? n : best;
                    }
                }
                out$k[feature++] = s$k[best];
            }
        }
    }
}
""")

VOTE = Template("""\
/* The class of the highest readout of this step; of equal ones the lowest. */
static int read_out(void)
{
    int best = 0;
    memcpy(readouts, readout_biases, sizeof readouts);
    for (int32_t i = 0; i < $features; i++) {
        for (int k = 0; out$last[i] && k < $classes; k++) {
            readouts[k] += readout[(size_t)i * $classes + (size_t)k];
        }
    }
    for (int k = 1; k < $classes; k++) {
        best = readouts[k] > readouts[best] ? k : best;
    }
    return best;
}
""")

ANSWER = Template("""\
    int best = 0;
    for (int k = 1; k < $classes; k++) {
        best = votes[k] > votes[best] ? k : best;
    }
    return best;
""")


def plan_decolle(network: IntDecolle) -> CLocalPlan:
    """All of it but the header."""
    f, last = network.dynamics.fixed, len(network.maps) - 1
    mode = MODES[int(f.mode)]
    keys = ("q_key", "p_key", "r_key", "v_key") if mode == "stochastic" else ()
    sum_kind = _sum_kind(network)
    reach = int((abs(network.readout.astype(np.int64)).sum(0) + abs(network.readout_bias)).max())
    read = kind_for(-reach, reach)
    tables, state = [], []
    scratch = [variable("", "sums", sum_kind, max(one.outputs[2] for one in network.maps), "of one place")]
    scratch.append(variable("", "readouts", read, network.answers))
    text = SHARED + ("\n" + RANDOM + "\n" + DITHER if keys else "")
    step, seen, inputs, neurons = [], "frame", 0, 0
    for k, one in enumerate(network.maps):
        tables += _tables(network, k)
        state += _state(network, k)
        scratch.append(variable(f"layer {k}", f"out{k}", BYTE, one.features))
        text += "\n" + _layer(network, k, mode, sum_kind, (inputs, neurons))
        step += [f"trace_{k}({seen});", f"convolve_{k}();", f"pool_{k}();"]
        seen = f"out{k}"
        (height, width, channels), pad = one.inputs, one.padding
        inputs += (height + 2 * pad) * (width + 2 * pad) * channels
        neurons += one.outputs[0] * one.outputs[1] * one.lanes
    low, high = int(network.readout.min()), int(network.readout.max())
    tables.append(constants("readout", "readout", network.readout, min(low, -1), high))
    bias = network.readout_bias
    tables.append(_typed_table(bias, read))
    text += "\n" + VOTE.substitute(features=network.maps[-1].features, last=last, classes=network.answers)
    state.append(variable("readout", "votes", WORD, network.answers, "steps in which each class had the highest"))
    state.append(variable("", "step_number", WORD, 0))
    state += [variable("", key, WORD, 0) for key in keys]
    step += [f"if (step_number >= {network.burnin}) {{", "    votes[read_out()]++;", "}"]
    names = [f"{name}{k}" for k in range(last + 1) for name in "qprvs"] + ["votes"]
    reset = [f"memset({name}, 0, sizeof {name});" for name in names]
    reset += [f"{key} = random_word(sample, {int(f.seed)}u, {8 + which}u);" for which, key in enumerate(keys)]
    watched = {one.name: f"(int32_t){name}[i]" for one, name in zip(network.variables, names, strict=True)}
    return CLocalPlan(
        constants=tables,
        state=state,
        scratch=scratch,
        functions=text,
        reset="".join(f"    {line}\n" for line in reset),
        step="".join(f"    {line}\n" for line in step),
        watched=watched,
        answers=("votes", "uint32_t"),
        answer=ANSWER.substitute(classes=network.answers),
        notes=[f"The class is the one that the last readout gives most often, from step {network.burnin} on."],
    )


def _sum_kind(network: IntDecolle) -> CKind:
    """Of the sums of products: what all weights of a neuron, at the largest trace, can reach."""
    largest = -network.codes["p"].low
    reach = max(int(abs(w.astype(np.int64)).reshape(-1, w.shape[-1]).sum(0).max()) for w in network.weights) * largest
    return CKind("int32_t", 4, np.int32) if reach < 2**31 else CKind("int64_t", 8, np.int64)


def _typed_table(bias: Array, kind: CKind) -> Item:
    low = -(2 ** (8 * kind.bytes - 1))
    return constants("readout", "readout_biases", bias, low, -low - 1)


def _tables(network: IntDecolle, k: int) -> list[Item]:
    w = network.codes["weights"]
    flat = network.weights[k].reshape(-1, network.weights[k].shape[-1])
    return [
        constants(f"layer {k}", f"w{k}", flat, w.low, w.high),
        constants(f"layer {k}", f"b{k}", network.biases[k], w.low, w.high),
    ]


def _state(network: IntDecolle, k: int) -> list[Item]:
    one, owner = network.maps[k], f"layer {k}"
    inputs, outputs = int(np.prod(one.inputs)), int(np.prod(one.outputs))
    sizes = {"q": ("q", inputs), "p": ("p", inputs), "r": ("r", outputs), "v": ("membranes", outputs)}
    found = [
        variable(
            owner, f"{name}{k}", _kind(network.codes[form]), count, f"{name.upper()}, {network.codes[form].written}"
        )
        for name, (form, count) in sizes.items()
    ]
    return [*found, variable(owner, f"s{k}", BYTE, outputs, "spikes")]


def _kind(codes: Codes) -> CKind:
    return kind_for(codes.low, codes.high)


def _layer(network: IntDecolle, k: int, mode: str, sum_kind: CKind, first: tuple[int, int]) -> str:
    """The functions of a layer. first: the numbers of its first input and neuron, on which draws depend."""
    one, d, f = network.maps[k], network.dynamics, network.dynamics.fixed
    (in_height, in_width, channels), pad = one.inputs, one.padding
    row = (in_width + 2 * pad) * channels
    shifts = {"q": f.q_down, "p": f.p_down, "r": f.r_down, "membranes": f.v_down}
    store = {name: rounding(int(n), mode, *network.codes[name][:2]) for name, n in shifts.items()}
    q = f"{wide(int(d.beta))} * old + {wide(int(d.q_in) * int(f.one))} * seen[at]"
    p = f"{wide(int(d.alpha) << f.p_up)} * p{k}[at] + {wide(int(d.p_in) << f.q_up)} * old"
    r = f"{wide(int(d.gamma))} * r{k}[n] + {wide(int(d.r_in) * int(f.unit))} * s{k}[n]"
    v = f"(int64_t)sums[c]{power(f.sum_up)} + (int64_t)b{k}[c]{power(f.bias_up)}"
    v += f" - {wide(int(d.rho) << f.r_up)} * r{k}[n]"
    at = f"{first[0]}u + (uint32_t)((y + {pad}) * {row} + {pad * channels} + i)"
    lanes = f"{first[1]}u + (uint32_t)(place * {one.lanes} + c)"
    words = {
        name: f"random_word(step_number, element, {name[0] if name != 'membranes' else 'v'}_key)" for name in shifts
    }
    new = {name: store[name](number, words[name]) for name, number in (("q", q), ("p", p), ("r", r), ("membranes", v))}
    element = f"            const uint32_t element = {at};\n" if "element" in new["q"] + new["p"] else ""
    neuron = f"        const uint32_t element = {lanes};\n" if "element" in new["r"] + new["membranes"] else ""
    return LAYER.substitute(
        k=k,
        in_height=in_height,
        in_width=in_width,
        in_row=in_width * channels,
        channels=channels,
        height=one.outputs[0],
        width=one.outputs[1],
        outputs=one.outputs[2],
        kernel=one.kernel,
        pad=pad,
        pool=one.pool,
        q=_kind(network.codes["q"]).text,
        p=_kind(network.codes["p"]).text,
        r=_kind(network.codes["r"]).text,
        v=_kind(network.codes["membranes"]).text,
        w=_kind(network.codes["weights"]).text,
        sum=sum_kind.text,
        element=element,
        neuron=neuron,
        new_q=new["q"],
        new_p=new["p"],
        new_r=new["r"],
        new_v=new["membranes"],
        reaches=">=" if d.inclusive else ">",
        threshold=int(d.threshold),
    )
