"""The C function of each layer, and which shared functions it needs."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from string import Template
from typing import NamedTuple

from qpsnn_backends.c import helpers, helpers_products, helpers_spikes, helpers_sums
from qpsnn_backends.c.codes import SPIKE_BLOCKS, blocks
from qpsnn_backends.c.counts import TYPES, WORD, Counts, Shape
from qpsnn_backends.c.helpers_pool import POOL
from qpsnn_backends.c.memory import event_kind, product_kinds
from qpsnn_backends.c.plan import Added, Answer, Job, Neurons, Plan, Pool, Synapse, Window, reads, synapses_of


class Layer(NamedTuple):
    """text: the function; call: how a step calls it, each map by the name that `places` gives."""

    text: str
    call: str


ALL_STEPS = Template("""\
/* All steps of a still image at once, whose current is computed only once. The spikes of a pixel then take the place
 * of its membranes. */
static void ${name}_all_steps($frame)
{
    for (int32_t y = 0; y < $height; y++) {
        for (int32_t x = 0; x < $width; x++) {
            uint32_t spikes[$steps][$words];
            void *const membrane = ${name}_membrane + (y * $width + x) * $channels;
            memcpy(drive, ${name}_bias, sizeof ${name}_bias);
            $driven
            for (int32_t t = 0; t < $steps; t++) {
                $fire
            }
            memcpy(membrane, spikes, sizeof spikes);
        }
    }
}

/* The spikes at step t of those. */
static void ${name}_at_step(int32_t t, uint32_t *$spikes)
{
    for (int32_t at = 0; at < $height * $width; at++) {
        const unsigned char *const pixel = (const unsigned char *)(${name}_membrane + at * $channels);
        memcpy($spikes + at * $words, pixel + t * $words * 4, $words * 4);
    }
}
""")


def halving(plan: Plan) -> bool:
    """Whether every leak is a shift alone."""
    return all(job.multiplier == 1 for job in plan.neurons)


def structs(plan: Plan) -> list[str]:
    """The structs of this network's constants."""
    windows = any(isinstance(one, Window) for one in plan.synapses)
    pools = any(isinstance(job, Pool) for job in plan.jobs)
    return [helpers_sums.WINDOW] * windows + [POOL] * pools


def shared_functions(plan: Plan) -> list[str]:
    """The functions that this network's layers call, each once, in the order of their use."""
    windows = [one for one in plan.synapses if isinstance(one, Window)]
    pools = [job for job in plan.jobs if isinstance(job, Pool)]
    texts = [helpers.SIGNED]
    texts += [helpers.INSIDE] if windows or any(pool.what == "max" for pool in pools) else []
    if any(one.codes.spikes for one in windows):
        texts += [helpers.LOWEST, helpers_spikes.make_list(TYPES[event_kind(plan)])]
    texts += _adding(plan, windows)
    texts += [helpers.skip(one.source.kind) for one in plan.synapses if not isinstance(one, Window)]
    if plan.neurons:
        texts.append(helpers.SHIFT if halving(plan) else helpers.LEAK)
    texts += [helpers.fire(job.membrane, halving(plan), job.floor is not None) for job in plan.neurons]
    for pool in pools:
        if pool.what == "max":
            texts.append(helpers.max_pool(pool.source.kind))
        else:
            texts.append(helpers.sum_pool(pool.source.kind, pool.gives.kind))
    for job in plan.jobs:
        if isinstance(job, Added):
            texts += [helpers.add(source.kind, job.gives.kind) for source in job.sources]
    return list(dict.fromkeys(texts))


def _adding(plan: Plan, windows: list[Window]) -> Iterator[str]:
    """The functions that add up rows: of each kind of codes, for all sizes of blocks that occur."""
    sizes: dict[str, set[int]] = {}
    for one in windows:
        sizes.setdefault(_function(one), set()).update(size for _, size in blocks(one.codes.words, _sizes(one)))
    for one in windows:
        if one.codes.spikes:
            yield from helpers_spikes.spikes(one.codes, one.own, TYPES[event_kind(plan)], sizes[_function(one)])
        else:
            row = TYPES[product_kinds(plan)[1]]
            yield from helpers_products.products(one.codes, one.source.kind, one.own, row, sizes[_function(one)])


def _sizes(one: Window) -> tuple[int, ...]:
    return SPIKE_BLOCKS if one.codes.spikes else (1,) if one.codes.packed else helpers_products.PLAIN_BLOCKS


def _function(one: Window) -> str:
    return helpers_sums.function(one.codes, "" if one.codes.spikes else one.source.kind, one.own)


def layer(plan: Plan, job: Job, places: dict[str, str]) -> Layer:
    """The function of one job. places: where each map is, by its name in C."""
    name = job.name if isinstance(job, Answer) else job.gives.name
    sources = list(dict.fromkeys(reads(job)))
    given = [] if isinstance(job, Answer) else [job.gives]
    parameters = [f"const {one.type} *{one.variable}" for one in sources]
    parameters += [f"{one.type} *{one.variable}" for one in given]
    head = f"static void {name}_run({', '.join(parameters)})"
    comment = "\n * ".join(_words(job))
    text = f"/* {comment} */\n{head}\n{{\n{_body(plan, job)}\n}}\n"
    return Layer(text, f"{name}_run({', '.join(places[one.variable] for one in (*sources, *given))});")


def size(shape: Shape) -> str:
    """Height x width x channels."""
    return " x ".join(map(str, shape))


def _words(job: Job) -> Iterator[str]:
    """What a layer is, for its comment."""
    if isinstance(job, Neurons):
        leak = Fraction(job.multiplier, 2**job.shift)
        yield f"{job.gives.name}, neurons {size(job.gives.shape)}, leak {leak}. Driven by:"
    elif isinstance(job, Pool):
        what = "largest of" if job.what == "max" else "sum over"
        yield f"{job.gives.name}, {size(job.gives.shape)}: {what} {job.size} x {job.size} of {_map(job.source)},"
        yield f"stride {job.stride}, padding {job.padding}."
    elif isinstance(job, Added):
        yield f"{job.gives.name}, {size(job.gives.shape)}: sum of {', '.join(one.name for one in job.sources)}."
    else:
        yield f"{job.name}, {len(job.bias)} classes, summed over the steps:"
    for one in synapses_of(job):
        yield _synapse_words(one)


def _synapse_words(one: Synapse) -> str:
    if not isinstance(one, Window):
        return f"{one.name}: channels of {_map(one.source)}, stride {one.stride}"
    kernel = f"{one.kernel[0]} x {one.kernel[1]}"
    codes = f"{one.codes.table.shape[0]} rows of {one.shape[2]} codes of {one.codes.bits} bits"
    return f"{one.name}: {kernel} of {_map(one.source)}, stride {one.stride}, padding {one.padding}; {codes}"


def _map(counts: Counts) -> str:
    return f"{counts.name} ({size(counts.shape)})"


def _body(plan: Plan, job: Job) -> str:
    if isinstance(job, Neurons):
        return _neurons(plan, job)
    if isinstance(job, Pool):
        kinds = job.source.kind if job.what == "max" else f"{job.source.kind}_{job.gives.kind}"
        return f"    {job.what}_{kinds}(&{job.gives.name}_pool, {job.source.variable}, {job.gives.variable});"
    if isinstance(job, Added):
        return _added(job)
    return f"""\
    memcpy(drive, {job.name}_bias, sizeof {job.name}_bias);
    {_driven(job.synapse, "0", "0", 0, 0, 1)}
    for (int32_t k = 0; k < {len(job.bias)}; k++) {{
        answers[k] += as_signed(drive[k]);
    }}"""


def _neurons(plan: Plan, job: Neurons) -> str:
    name, (height, width, channels) = job.gives.name, job.gives.shape
    lists, driven = _drive(job)
    spikes = f"{job.gives.variable} + at * {job.gives.per_pixel}"
    return f"""\
    for (int32_t y = 0; y < {height}; y++) {{{"".join(f"{chr(10)}        {one}" for one in lists)}
        for (int32_t x = 0; x < {width}; x++) {{
            const int32_t at = y * {width} + x;
            memcpy(drive, {name}_bias, sizeof {name}_bias);
            {f"{chr(10)}            ".join(driven)}
            {_fire(plan, job, f"{name}_membrane + at * {channels}", spikes)}
        }}
    }}"""


def at_once(plan: Plan) -> Neurons | None:
    """The first layer, where a still image may drive it for all steps at once: it reads nothing else.

    And the spikes of all steps take no more memory than the membranes.
    """
    first = plan.jobs[0]
    if not isinstance(first, Neurons) or any(source is not plan.input for source in reads(first)) or plan.steps == 1:
        return None
    fits = plan.steps * first.gives.per_pixel * WORD <= first.gives.shape[2] * first.membrane
    return first if fits else None


def all_steps(plan: Plan, job: Neurons) -> str:
    """The functions of a layer that is run for all steps at once, and of its spikes at one of them."""
    _, driven = _drive(job)
    height, width, channels = job.gives.shape
    return ALL_STEPS.substitute(
        name=job.gives.name,
        height=height,
        width=width,
        channels=channels,
        words=job.gives.per_pixel,
        steps=plan.steps,
        frame=f"const {plan.input.type} *{plan.input.variable}",
        spikes=job.gives.variable,
        driven="\n            ".join(driven),
        fire=_fire(plan, job, "membrane", "spikes[t]"),
    )


def _drive(job: Neurons) -> tuple[list[str], list[str]]:
    """What lists the spikes for a row of pixels, and what then drives the neurons of each."""
    lists, driven, spikes, columns = [], [], 0, 0
    for one in job.synapses:
        driven.append(_driven(one, "y", "x", spikes, columns, 3))
        if isinstance(one, Window) and one.codes.spikes:
            lists += [] if one.linear else [_listed(one, spikes, columns)]
            spikes, columns = spikes + one.listed, columns + one.columns + 1
    return lists, driven


def _fire(plan: Plan, job: Neurons, membrane: str, spikes: str) -> str:
    """The call that updates a pixel's neurons."""
    kind = f"i{job.membrane}" if job.floor is None else f"i{job.membrane}_held"
    last = [] if halving(plan) else [job.multiplier]
    last += [job.shift] if job.floor is None else [job.shift, job.floor]
    sizes = ", ".join(map(str, (job.gives.shape[2], *last)))
    return f"fire_{kind}({membrane}, {job.gives.name}_threshold, {spikes}, {sizes});"


def _driven(one: Synapse, y: str, x: str, spikes: int, columns: int, depth: int) -> str:
    """The call that adds a synapse's current at (y, x) to the drive. spikes, columns: where its lists begin."""
    name, source = one.name, one.source
    if not isinstance(one, Window):
        pixel = f"{source.variable} + ({y} * {source.shape[1]} + {x}) * {one.stride * source.per_pixel}"
        return f"skip_{source.kind}({pixel}, {name}_from, {name}_gain, {one.shape[2]});"
    gain = f"{name}_gain, " if one.own else ""
    window = f"{_function(one)}(&{name}_window, {name}_codes"
    if not one.codes.spikes:
        return f"{window}, {gain}{source.variable}, {y}, {x});"
    lists, further = _lists(spikes, columns), f"\n{'    ' * (depth + 1)}"
    if not one.linear:
        return f"{window},{further}{gain}{lists}, {x});"
    rows = source.shape[0] * source.shape[2] * one.codes.words
    lines = [
        f"for (int32_t column = 0; column < {source.shape[1]}; column++) {{",
        f"    make_list(&{name}_window, {source.variable}, 0, column, column + 1,{further}    {lists});",
        f"    {window} + column * {rows},{further}    {gain}{lists}, 0);",
        "}",
    ]
    return f"\n{'    ' * depth}".join(lines)


def _listed(one: Window, spikes: int, columns: int) -> str:
    """The call that lists what the windows of row y see."""
    top = f"y * {one.stride} - {one.padding}" if one.stride > 1 or one.padding else "y"
    further = f"{top}, 0, {one.source.shape[1]},\n            {_lists(spikes, columns)}"
    return f"make_list(&{one.name}_window, {one.source.variable}, {further});"


def _lists(spikes: int, columns: int) -> str:
    """Where a synapse's lists begin."""
    return f"lists.of_spikes.events{_offset(spikes)}, lists.of_spikes.columns{_offset(columns)}"


def _offset(by: int) -> str:
    return f" + {by}" if by else ""


def _added(job: Added) -> str:
    height, width, channels = job.gives.shape
    lines = [f"    memset({job.gives.variable}, 0, {job.gives.bytes});"]
    for one in job.sources:
        sizes = f"{height * width}, {one.per_pixel}, {channels}"
        lines.append(f"    add_{one.kind}_{job.gives.kind}({one.variable}, {job.gives.variable}, {sizes});")
    return "\n".join(lines)
