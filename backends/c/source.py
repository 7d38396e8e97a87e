"""The C file and its header, from a plan."""

from __future__ import annotations

from string import Template

from qpsnn_backends.c.counts import size
from qpsnn_backends.c.items import Item
from qpsnn_backends.c.layers import at_once, layer, shared_functions, structs
from qpsnn_backends.c.memory import Memory, total
from qpsnn_backends.c.planned import CPlan
from qpsnn_backends.c.running import running
from qpsnn_backends.c.synapses import flat

HEADER = Template("""\
/* $name: a spiking network of integers, written by qpsnn. Network $digest.
 *
 * Input: $input integers $low..$peak, [y][x][channel]. $steps time steps for an image, $what.
$readouts$scaled * Flash: $constants bytes of constants, and the code. RAM, all of it static: $ram bytes,
 * $state of state that lives from step to step and $scratch of scratch; nothing is allocated.
 *
$layers
 */
#ifndef ${upper}_H
#define ${upper}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ${upper}_HEIGHT $height
#define ${upper}_WIDTH $width
#define ${upper}_CHANNELS $channels
#define ${upper}_PEAK $peak_number
$numbers#define ${upper}_STEPS $steps            /* T: steps for one image */
#define ${upper}_CLASSES $classes
#define ${upper}_LIFS $lifs              /* layers of neurons */
#define ${upper}_CONSTANT_BYTES $constants
#define ${upper}_STATE_BYTES $state
#define ${upper}_SCRATCH_BYTES $scratch

/* Returned for a number above ${upper}_PEAK$below; that step has then changed nothing. */
#define ${upper}_BAD_INPUT (-1)

/* One input value. */
typedef $type ${name}_value;

/* The class of one image, the same at each of its ${upper}_STEPS steps; or ${upper}_BAD_INPUT. */
int ${name}_predict(const ${name}_value *image);

/* The class of ${upper}_STEPS frames, one after another; or ${upper}_BAD_INPUT. */
int ${name}_predict_frames(const ${name}_value *frames);

/* Streams: forget everything; take one frame (0, or ${upper}_BAD_INPUT); the class so far. Any number of steps,
 * $most_steps at most, may follow a reset. */
void ${name}_reset(void);
int ${name}_step(const ${name}_value *frame);
int ${name}_answer(void);

/* The $sums behind the class since the reset, ${upper}_CLASSES of them. */
const int64_t *${name}_readout(void);

#ifdef ${upper}_OBSERVE
/* Yours to define: is told every neuron after every step.$told Layers of neurons:
$lif_names */
void ${name}_observe(int lif, int32_t neuron, int spike, int32_t membrane);
#endif

#ifdef __cplusplus
}
#endif

#endif
""")

TOLD = Template("""
 * ${name}_predict runs $first for all steps at once, and does not tell of its neurons.""")

SCALED = Template("""\
 * A real number is an integer times ${upper}_SCALE: divide by it, round to nearest, and cut at the ends.
""")

SOURCE = Template("""\
/* $name: see $name.h. Written by qpsnn; change the network, not this file. */
#include "$name.h"

#include <string.h>

/* ---- Constants: $constants bytes ---- */

$structs$tables

/* ---- State: $state bytes ---- */

$state_items

/* ---- Scratch: $scratch bytes ---- */

$scratch_items

/* ---- What layers share ---- */

$shared
/* ---- Layers ---- */

$functions
$network""")


def header(plan: CPlan, found: Memory, name: str) -> str:
    """`name`.h: what the network takes, what it costs, and its functions. found: its memory."""
    height, width, channels = plan.input.shape
    state, scratch = total(found.state), total(found.scratch)
    return HEADER.substitute(
        name=name,
        upper=name.upper(),
        digest=plan.digest[:16],
        input=size(plan.input.shape),
        height=height,
        width=width,
        channels=channels,
        peak=plan.input.max_count,
        peak_number=f"{plan.input.max_count}u" if plan.input.max_count > 2**15 - 1 else plan.input.max_count,
        low=plan.input.low,
        below=f" or below {name.upper()}_LOW" if plan.input.low else "",
        scaled=SCALED.substitute(upper=name.upper()) if plan.scale else "",
        numbers=_numbers(plan, name.upper()),
        type=plan.input.type,
        steps=plan.steps,
        classes=sum(job.answers for job in plan.answers),
        what=_what(plan),
        readouts=_readouts(plan),
        most_steps=min((job.most_steps for job in plan.answers), key=lambda steps: int(steps.partition("**")[2])),
        sums="sums" if all(job.kept == "sums" for job in plan.answers) else "membranes",
        lifs=len(plan.neurons),
        constants=total(found.constants),
        ram=state + scratch,
        state=state,
        scratch=scratch,
        layers="\n".join(_costs(plan, found)),
        told=TOLD.substitute(name=name, first=first.name) if (first := at_once(plan)) else "",
        lif_names="\n".join(f" *   {i:<4}{job.name}" for i, job in enumerate(plan.neurons)) or " *   none",
    )


def _what(plan: CPlan) -> str:
    """The number of classes, or of the numbers of all readouts."""
    (first, *others) = plan.answers
    one = not others and first.shape[:2] == (1, 1)
    return f"{first.classes} classes" if one else f"{sum(job.answers for job in plan.answers)} numbers"


def _readouts(plan: CPlan) -> str:
    """Where the numbers of each readout lie, where they are not the classes of one; a "class" is a place there."""
    if _what(plan).endswith("classes"):
        return ""
    lines = [
        f" * {job.name}: {size(job.shape)} of these, from {job.first} on, [y][x][output].\n" for job in plan.answers
    ]
    return "".join([*lines, " * What is called a class below is the place of the largest number.\n"])


def source(plan: CPlan, found: Memory, name: str) -> str:
    """`name`.c: tables, variables, shared functions, a function for each layer, the step. found: its memory."""
    places = {one.variable: f"slot{i}.{one.variable}" for i, slot in enumerate(plan.slots) for one in slot.maps}
    places[plan.input.variable] = "frame"
    made = [layer(job, places) for job in plan.jobs]
    first = at_once(plan)
    functions = [one.text for one in made] + ([first.all_steps(plan.steps, plan.input)] if first else [])
    return SOURCE.substitute(
        name=name,
        constants=total(found.constants),
        state=total(found.state),
        scratch=total(found.scratch),
        structs="\n".join(structs(plan)),
        tables="\n".join(_commented(plan, found)),
        state_items=_texts(found.state),
        scratch_items=_texts(found.scratch),
        shared="\n".join(shared_functions(plan)),
        functions="\n".join(functions),
        network=running(plan, made, places, name),
    )


def _numbers(plan: CPlan, upper: str) -> str:
    """Defines the least input, and the unit of inputs that were real numbers, where there are such."""
    low = f"#define {upper}_LOW ({plan.input.low})\n" if plan.input.low else ""
    return low + (f"#define {upper}_SCALE {plan.scale!r}\n" if plan.scale else "")


def _texts(items: tuple[Item, ...]) -> str:
    return "\n".join(item.text for item in items)


def _commented(plan: CPlan, found: Memory) -> list[str]:
    """The tables, each layer's under its name."""
    shapes = {one.name: one.packing for one in plan.synapses}
    texts, owner = [], ""
    for item in found.constants:
        if item.owner != owner:
            owner = item.owner
            texts.append(f"\n/* {owner}{shapes.get(owner, '')} */")
        texts.append(item.text)
    return texts


def _costs(plan: CPlan, found: Memory) -> list[str]:
    """The header's table: constants and state of each layer."""
    rows = [f" *   {'layer':<32}{'gives':>16}{'flash':>10}{'state':>10}"]
    for job in plan.jobs:
        every = [one for synapse in job.synapses for one in flat(synapse)]
        rows += [_cost(one.name, size(one.shape), found) for one in every]
        rows.append(_cost(job.name, size(job.shape), found))
    return list(dict.fromkeys(rows))


def _cost(name: str, shape: str, found: Memory) -> str:
    return f" *   {name:<32}{shape:>16}{total(found.constants, name):>10}{total(found.state, name):>10}"
