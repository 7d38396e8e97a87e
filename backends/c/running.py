"""The C functions that run the network: a step, an image, frames; what is told of each neuron."""

from __future__ import annotations

from string import Template

from qpsnn_backends.c.layers import LayerCode, at_once
from qpsnn_backends.c.levels import OBSERVE
from qpsnn_backends.c.planned import CPlan

NETWORK = Template("""\
/* ---- The network ---- */

#ifdef ${upper}_OBSERVE
#define OBSERVE(lif, spikes, membrane, pixels, channels)                                             \\
    for (int32_t i = 0; i < (pixels) * (channels); i++) {                                            \\
        const int32_t c = i % (channels), word = i / (channels) * (((channels) + 31) / 32) + c / 32; \\
        ${name}_observe((lif), i, (int)(((spikes)[word] >> (c % 32)) & 1u), (membrane)[i]);          \\
    }
#else
#define OBSERVE(lif, spikes, membrane, pixels, channels)
#endif

${observe_levels}void ${name}_reset(void)
{
$resets
}

$valid${rest}int ${name}_step(const ${name}_value *frame)
{
$check$calls
    return 0;
}

int ${name}_answer(void)
{
    int best = 0;
    for (int k = 1; k < ${upper}_CLASSES; k++) {
        best = answers[k] > answers[best] ? k : best;
    }
    return best;
}

const int64_t *${name}_readout(void)
{
    return answers;
}

static int run(const ${name}_value *frame, int32_t stride)
{
    ${name}_reset();
    for (int32_t t = 0; t < ${upper}_STEPS; t++) {
        const int refused = ${name}_step(frame + t * stride);
        if (refused) {
            return refused;
        }
    }
    return ${name}_answer();
}

int ${name}_predict(const ${name}_value *image)
{
$predict
}

int ${name}_predict_frames(const ${name}_value *frames)
{
    return run(frames, ${upper}_HEIGHT * ${upper}_WIDTH * ${upper}_CHANNELS);
}
""")

VALID = Template("""\
static int valid(const ${name}_value *frame)
{
    for (int32_t i = 0; i < ${upper}_HEIGHT * ${upper}_WIDTH * ${upper}_CHANNELS; i++) {
        if ($beyond) {
            return 0;
        }
    }
    return 1;
}
""")

CHECK = Template("""\
    if (!valid($given)) {
        return ${upper}_BAD_INPUT;
    }
""")

REST = Template("""\
/* One step of all layers but the first. */
static void rest($parameter)
{
$calls
}

""")

AT_ONCE = Template("""\
$check    ${name}_reset();
    ${first}_all_steps(image);
    for (int32_t t = 0; t < ${upper}_STEPS; t++) {
        ${first}_replay(t, $spikes);
        rest($argument);
    }
    memset(${first}_membrane, 0, sizeof ${first}_membrane);
    return ${name}_answer();""")


ENDS = {"u8": (0, 2**8 - 1), "u16": (0, 2**16 - 1), "s8": (-(2**7), 2**7 - 1), "s16": (-(2**15), 2**15 - 1)}
"""The least and largest of each kind of input: what lies between the network's own ends and these is refused."""


def running(plan: CPlan, made: list[LayerCode], places: dict[str, str], name: str) -> str:
    """The functions of `name`.h. made: each job's function; places: where each map is, by its name in C."""
    words = {"name": name, "upper": name.upper()}
    least, most = ENDS[plan.input.kind]
    beyond = [f"frame[i] > {words['upper']}_PEAK"] * (plan.input.max_count < most)
    beyond += [f"frame[i] < {words['upper']}_LOW"] * (plan.input.low > least)
    full = not beyond
    check, checked = ("" if full else CHECK.substitute(words, given=given) for given in ("frame", "image"))
    lines = _calls(plan, made, places)
    first = at_once(plan)
    rest, calls, predict = "", lines, "    return run(image, 0);"
    if first:
        again = any(plan.input in job.reads for job in plan.jobs[1:])
        parameter = f"const {name}_value *frame" if again else "void"
        rest = REST.substitute(words, calls="\n".join(lines[2:]), parameter=parameter)
        calls = [*lines[:2], f"    rest({'frame' if again else ''});"]
        place, argument = places[first.gives.variable], "image" if again else ""
        names = {"first": first.name, "spikes": place, "argument": argument}
        predict = AT_ONCE.substitute({**words, **names}, check=checked)
    return NETWORK.substitute(
        words,
        observe_levels=OBSERVE.substitute(words) if any(job.levels for job in plan.neurons) else "",
        resets="\n".join(f"    memset({one}, 0, sizeof {one});" for one in _state(plan)),
        valid="" if full else VALID.substitute(words, beyond=" || ".join(beyond)),
        rest=rest,
        check=check,
        calls="\n".join(calls),
        predict=predict,
    )


def _state(plan: CPlan) -> list[str]:
    return [*(f"{job.name}_membrane" for job in plan.neurons), *(one for job in plan.answers for one in job.variables)]


def _calls(plan: CPlan, made: list[LayerCode], places: dict[str, str]) -> list[str]:
    """The calls of a step, one after another; neurons are told of after each of their layers."""
    told = {}
    for lif, neurons in enumerate(plan.neurons):
        height, width, channels = neurons.shape
        sizes = f"{height * width}, {channels}"
        given = f"{lif}, {places[neurons.gives.variable]}, {neurons.name}_membrane, {sizes}"
        packed = neurons.levels
        told[neurons.name] = f"    OBSERVE({given})"
        if packed:
            told[neurons.name] = f"    OBSERVE_LEVELS({given}, {packed.observed(neurons.name)})"
    lines = []
    for job, one in zip(plan.jobs, made, strict=True):
        lines.append(f"    {one.call}")
        lines += [told[job.name]] if job.name in told else []
    return lines
