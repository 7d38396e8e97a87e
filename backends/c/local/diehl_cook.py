"""Diehl & Cook's network in C: its tables, its state, and one step of it."""

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
from qpsnn_core.integer.local.networks import IntDiehlCook

WORD = CKind("uint32_t", 4, np.uint32)
BYTE = CKind("uint8_t", 1, np.uint8)
SIGNED_WORD = CKind("int32_t", 4, np.int32)

INTEGRATE = Template("""\
/* Membranes leak and integrate what came a step before; how many neurons cross their thresholds. */
static uint32_t integrate(void)
{
    uint32_t count = 0;
    for (uint32_t j = 0; j < $neurons; j++) {
        int64_t x = (int64_t)(membranes[j] - ($rest)) * $leak + $rest_wide;
        if (refractory[j] > 0) {
            refractory[j]--;
        } else {
            x += (int64_t)totals[j]$charge;
$brake        }
        crossed[j] = x >= (int64_t)thresholds[j]$limit;
        count += crossed[j];
        membranes[j] = ($v)$stored;
    }
    return count;
}

/* All that crossed are reset; one of them, the chosen one, spikes. */
static void cross(uint32_t chosen)
{
    for (uint32_t j = 0; j < $neurons; j++) {
        if (!crossed[j]) {
            continue;
        }
        refractory[j] = $refractory;
        membranes[j] = ($v)$reset;
        if (chosen-- == 0) {
            winner = (int32_t)j;
        }
    }
}

/* The weights of the inputs that spike, for the next step. */
static void add_rows(const uint8_t *spikes)
{
    memset(totals, 0, sizeof totals);
    for (uint32_t i = 0; i < $inputs; i++) {
        if (!spikes[i]) {
            continue;
        }
        const $weight *row = weights + (size_t)i * $neurons;
        for (uint32_t j = 0; j < $neurons; j++) {
            totals[j] += row[j];
        }
    }
}
""")

DIRECT = Template("""\
            if (winner >= 0 && winner != (int32_t)j) {
                x -= $inhibition;
            }
""")

RELAYED = Template("""\
            x -= $inhibition * (relayed - inhibitory_spikes[j]);
""")

RELAY = Template("""\

/* The inhibitory layer, whose neurons each have one excitatory partner; how many spike. */
static int32_t relay(void)
{
    int32_t count = 0;
    for (uint32_t j = 0; j < $neurons; j++) {
        int64_t x = (int64_t)(inhibitory_membranes[j] - ($rest)) * $leak + $rest_wide;
        if (inhibitory_refractory[j] > 0) {
            inhibitory_refractory[j]--;
        } else if (winner == (int32_t)j) {
            x += $excitation;
        }
        inhibitory_spikes[j] = x >= $threshold;
        if (inhibitory_spikes[j]) {
            inhibitory_refractory[j] = $refractory;
            x = $reset;
            count++;
        }
        inhibitory_membranes[j] = ($v)$stored;
    }
    return count;
}
""")

STEP = Template("""\
    for (uint32_t i = 0; i < $inputs; i++) {
        if (frame[i] > 1) {
            return ${upper}_BAD_INPUT;
        }
    }
    const uint32_t count = integrate();
${relay}    winner = -1;
    if (count > 0) {
        cross((uint32_t)((uint64_t)random_word(step_number, 0, winner_key) * count >> 32));
        counts[winner]++;
    }
    add_rows(frame);
""")

ANSWER = Template("""\
    static const uint32_t neurons[$classes] = {$sizes};
    uint64_t sums[$classes] = {0};
    int best = 0;
    for (uint32_t j = 0; j < $neurons; j++) {
        if (class_of[j] < $classes) {
            sums[class_of[j]] += counts[j];
        }
    }
    for (int k = 1; k < $classes; k++) {
        best = sums[k] * neurons[best] > sums[best] * neurons[k] ? k : best;
    }
    return best;
""")


def plan_diehl_cook(network: IntDiehlCook) -> CLocalPlan:
    """All of it but the header."""
    e, n = network.layers.excitatory, network.neurons
    v = kind_for(network.membrane.low, network.membrane.high)
    mode = "stochastic" if e.membrane.random else "nearest" if e.membrane.offset else "truncation"
    stored = rounding(e.membrane_shift, mode, network.membrane.low, network.membrane.high)
    word = "random_word(step_number, j, membrane_key)"
    total = network.inputs * max(network.weight.high, -network.weight.low)
    weights = constants("", "weights", network.weights, network.weight.low, network.weight.high)
    numbers = {
        "neurons": n,
        "inputs": network.inputs,
        "v": v.text,
        "rest": int(e.rest),
        "leak": wide(int(e.leak)),
        "rest_wide": wide(int(e.rest) << e.membrane_shift),
        "charge": power(e.charge_shift),
        "limit": power(e.adaptation_shift),
        "refractory": e.refractory,
        "inhibition": wide(int(e.inhibition)),
        "weight": kind_for(network.weight.low, network.weight.high).text,
        "stored": stored("x", word),
        "reset": stored(wide(int(e.reset)), word),
    }
    brake = (DIRECT if network.direct else RELAYED).substitute(numbers)
    text = SHARED + "\n" + RANDOM + ("\n" + DITHER if mode == "stochastic" else "")
    functions = text + "\n" + INTEGRATE.substitute(numbers, brake=brake)
    state = [
        variable("", "membranes", v, n, f"V, {network.membrane.written}"),
        variable("", "refractory", kind_for(0, e.refractory), n, "steps that are left"),
        variable("", "counts", WORD, n, "spikes since the reset"),
        variable("", "totals", kind_for(-total, total), n, "weights of the inputs that spiked"),
        variable("", "winner", SIGNED_WORD, 0, "the neuron that spiked, or -1"),
        variable("", "step_number", WORD, 0),
        variable("", "winner_key", WORD, 0),
    ]
    reset = [f"for (uint32_t j = 0; j < {n}; j++) {{", f"    membranes[j] = {int(e.rest)};", "}"]
    reset += [f"memset({name}, 0, sizeof {name});" for name in ("refractory", "counts", "totals")]
    reset += ["winner = -1;", _key(network, "winner_key", "winner")]
    if mode == "stochastic":
        state.append(variable("", "membrane_key", WORD, 0))
        reset.append(_key(network, "membrane_key", "membranes"))
    relay = ""
    if not network.direct:
        relay = "    relayed = relay();\n"
        functions += _relay(network, v)
        state += _inhibitory_state(network, v)
        reset[1:2] = [reset[1], f"    inhibitory_membranes[j] = {int(network.layers.inhibitory.rest)};"]
        reset += [f"memset(inhibitory_{name}, 0, sizeof inhibitory_{name});" for name in ("refractory", "spikes")]
        reset.append("relayed = 0;")
    tables = [weights, constants("", "thresholds", network.thresholds, network.threshold.low, network.threshold.high)]
    notes, answer = _voting(network, tables)
    return CLocalPlan(
        constants=tables,
        state=state,
        scratch=[variable("", "crossed", BYTE, n)],
        functions=functions,
        reset="".join(f"    {line}\n" for line in reset),
        step=STEP.safe_substitute(inputs=network.inputs, relay=relay),
        watched={one.name: _watched(one.name) for one in network.variables},
        answers=("counts", "uint32_t"),
        answer=answer,
        notes=notes,
    )


def _key(network: IntDiehlCook, name: str, stream: str) -> str:
    return f"{name} = random_word(sample, {int(network.layers.seed)}u, {network.streams[stream]}u);"


def _watched(name: str) -> str:
    return "(int32_t)i == winner" if name == "spikes" else f"(int32_t){name.replace('.', '_')}[i]"


def _relay(network: IntDiehlCook, v: CKind) -> str:
    i, form = network.layers.inhibitory, network.membrane
    stored = rounding(i.membrane_shift, "nearest", form.low, form.high)
    return RELAY.substitute(
        neurons=network.neurons,
        v=v.text,
        rest=int(i.rest),
        leak=wide(int(i.leak)),
        rest_wide=wide(int(i.rest) << i.membrane_shift),
        excitation=wide(int(i.increment)),
        threshold=wide(int(i.base)),
        refractory=i.refractory,
        reset=wide(int(i.reset)),
        stored=stored("x", ""),
    )


def _inhibitory_state(network: IntDiehlCook, v: CKind) -> list[Item]:
    n = network.neurons
    return [
        variable("", "inhibitory_membranes", v, n),
        variable("", "inhibitory_refractory", kind_for(0, network.layers.inhibitory.refractory), n),
        variable("", "inhibitory_spikes", BYTE, n),
        variable("", "relayed", SIGNED_WORD, 0, "inhibitory spikes of the step before"),
    ]


def _voting(network: IntDiehlCook, tables: list[Item]) -> tuple[list[str], str]:
    """Notes, and the body of the function that gives the class; the table that it needs is added to the others."""
    if network.assignments is None:
        return ["What its neurons stand for is not known: it answers with their spikes."], ""
    nobody = network.classes
    classes = np.where(network.assignments < 0, nobody, network.assignments)
    tables.append(constants("", "class_of", classes, 0, nobody))
    sizes = np.maximum(np.bincount(classes, minlength=nobody + 1)[:nobody], 1)
    answer = ANSWER.substitute(
        classes=nobody, neurons=network.neurons, sizes=", ".join(f"{one}u" for one in sizes.tolist())
    )
    return [
        "The class is the one whose neurons spike most, on average (all activity); of equal ones the lowest."
    ], answer
