"""The C file of a network of local learning, and its header."""

from __future__ import annotations

from string import Template

from qpsnn_backends.c.items import Item
from qpsnn_backends.c.local.plan import CLocalPlan
from qpsnn_backends.c.memory import total
from qpsnn_core.integer.local.networks import IntLocal

HEADER = Template("""\
/* $name: a spiking network that learnt locally, $form, in integers, written by qpsnn. Network $digest.
 *
 * A step takes $inputs numbers, 0..$most$order. $steps steps for a sample, $answers answers.
 * Flash: $constants bytes of constants, and the code. RAM, all of it static: $ram bytes,
 * $state of state that lives from step to step and $scratch of scratch; nothing is allocated.
 * Of weights and neurons in their formats, the network has $bits bits.
$notes
 *
 * Stored variables:
$variables
 */
#ifndef ${upper}_H
#define ${upper}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ${upper}_INPUTS $inputs
#define ${upper}_PEAK $most
#define ${upper}_STEPS $steps            /* steps of one sample */
#define ${upper}_ANSWERS $answers
#define ${upper}_VARIABLES $count        /* stored variables */
#define ${upper}_CONSTANT_BYTES $constants
#define ${upper}_STATE_BYTES $state
#define ${upper}_SCRATCH_BYTES $scratch

/* Returned for a number above ${upper}_PEAK; that step has then changed nothing. */
#define ${upper}_BAD_INPUT (-1)

/* Begin a sample: its number decides what is drawn. Call it before the first step. */
void ${name}_reset(uint32_t sample);

/* One step; 0, or ${upper}_BAD_INPUT. */
int ${name}_step(const uint8_t *frame);

/* ${upper}_ANSWERS numbers: $what since the reset. */
const $type *${name}_answers(void);
$class
#ifdef ${upper}_OBSERVE
/* Yours to define: is told every stored variable after every step, by its place in the list above. */
void ${name}_observe(int variable, uint32_t index, int32_t value);
#endif

#ifdef __cplusplus
}
#endif

#endif
""")

SOURCE = Template("""\
/* $name: see $name.h. Written by qpsnn; change the network, not this file. */
#include "$name.h"

#include <string.h>

/* ---- Constants: $constants bytes ---- */

$tables

/* ---- State: $state bytes ---- */

$state_items

/* ---- Scratch: $scratch bytes ---- */

$scratch_items

/* ---- Layers ---- */

$functions
/* ---- Network ---- */
$observed
void ${name}_reset(uint32_t sample)
{
$unused$reset}

int ${name}_step(const uint8_t *frame)
{
$step    step_number++;
$tell    return 0;
}

const $type *${name}_answers(void)
{
    return $array;
}
$class""")

CLASS = """
/* The class since the reset. */
int {name}_answer(void);
"""


def header(network: IntLocal, plan: CLocalPlan, name: str) -> str:
    """`name`.h: what the network takes, what it costs, and its functions."""
    state, scratch = total(tuple(plan.state)), total(tuple(plan.scratch))
    shape = network.sample_shape
    order = f", {'x'.join(map(str, shape))} as [y][x][channel]" if len(shape) > 1 else ""
    return HEADER.substitute(
        name=name,
        upper=name.upper(),
        form=network.form,
        digest=network.digest[:16],
        inputs=inputs_of(network),
        most=network.most,
        order=order,
        steps=network.steps,
        answers=network.answers,
        constants=total(tuple(plan.constants)),
        ram=state + scratch,
        state=state,
        scratch=scratch,
        bits=network.bits,
        notes="\n".join(f" * {line}" for line in plan.notes),
        variables="\n".join(_rows(network)),
        count=len(network.variables),
        what="spikes of each neuron"
        if plan.answers[0] == "counts"
        else "steps in which a class had the highest readout",
        type=plan.answers[1],
        **{"class": CLASS.format(name=name) if plan.answer else ""},
    )


def source(network: IntLocal, plan: CLocalPlan, name: str) -> str:
    """`name`.c: tables, variables, functions, one step."""
    answer = f"\nint {name}_answer(void)\n{{\n{plan.answer}}}\n" if plan.answer else ""
    guard = f"#ifdef {name.upper()}_OBSERVE\n"
    draws = "sample" in plan.reset
    text = SOURCE.substitute(
        name=name,
        constants=total(tuple(plan.constants)),
        state=total(tuple(plan.state)),
        scratch=total(tuple(plan.scratch)),
        tables=_texts(plan.constants),
        state_items=_texts(plan.state),
        scratch_items=_texts(plan.scratch),
        functions=plan.functions,
        observed=f"\n{guard}{_observed(network, plan, name)}#endif\n",
        unused="" if draws else "    (void)sample;\n",
        reset=plan.reset + "    step_number = 0;\n",
        step=plan.step.replace("${upper}", name.upper()),
        tell=f"{guard}    observe_all();\n#endif\n",
        type=plan.answers[1],
        array=plan.answers[0],
        **{"class": answer},
    )
    return text


def inputs_of(network: IntLocal) -> int:
    """How many numbers a step takes."""
    count = 1
    for side in network.sample_shape:
        count *= side
    return count


def _observed(network: IntLocal, plan: CLocalPlan, name: str) -> str:
    loops = []
    for index, one in enumerate(network.variables):
        count = 1
        for side in one.shape:
            count *= side
        loops.append(
            f"    for (uint32_t i = 0; i < {count}; i++) {{\n"
            f"        {name}_observe({index}, i, {plan.watched[one.name]});\n    }}\n"
        )
    return f"static void observe_all(void)\n{{\n{''.join(loops)}}}\n"


def _rows(network: IntLocal) -> list[str]:
    return [
        f" *   {index:<4}{one.name:<26}{'x'.join(map(str, one.shape)):>14}  {one.written}, {one.low}..{one.high}"
        for index, one in enumerate(network.variables)
    ]


def _texts(items: list[Item]) -> str:
    return "\n".join(item.text for item in items)
