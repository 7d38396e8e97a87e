"""The C function of each layer, and which shared functions it needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, get_args

from qpsnn_backends.c import helpers, helpers_products, helpers_spikes, helpers_sums
from qpsnn_backends.c.attention import ATTENTION, AttendJob, attend
from qpsnn_backends.c.codes import SPIKE_BLOCKS, blocks
from qpsnn_backends.c.counts import TYPES, WORD
from qpsnn_backends.c.currents import ADD_MAP, MapSynapse
from qpsnn_backends.c.depthwise import DEPTHWISE, DepthwiseJob, depthwise
from qpsnn_backends.c.direct import DIRECT, DirectJob, direct
from qpsnn_backends.c.joins import FINE, PLACED, POOL, ConcatJob, FinerMap, Pool
from qpsnn_backends.c.memory import event_kind, product_kinds
from qpsnn_backends.c.neurons import Neurons
from qpsnn_backends.c.planned import CPlan, Job, of
from qpsnn_backends.c.synapses import ConvJob, ShortcutJob


class LayerCode(NamedTuple):
    """text: the function; call: how a step calls it, each map by the name that `places` gives."""

    text: str
    call: str


def structs(plan: CPlan) -> list[str]:
    """The structs of this network's constants."""
    found = [helpers_sums.WINDOW] * bool(plan.windows) + [POOL] * bool(of(Pool, plan.jobs))
    found += [PLACED] * bool(of(ConcatJob, plan.jobs)) + [FINE] * bool(of(FinerMap, plan.jobs))
    found += [ATTENTION] * bool(of(AttendJob, plan.synapses))
    found += [DEPTHWISE] * bool(of(DepthwiseJob, plan.synapses))
    return found + [DIRECT] * bool(of(DirectJob, plan.synapses))


def shared_functions(plan: CPlan) -> list[str]:
    """The functions that this network's layers call, each once, in the order of their use."""
    windows, largest = plan.windows, any(pool.what == "max" for pool in of(Pool, plan.jobs))
    texts = [helpers.SIGNED]
    directs, apart = of(DirectJob, plan.synapses), of(DepthwiseJob, plan.synapses)
    texts += [helpers.INSIDE] if windows or largest or directs or apart else []
    if any(one.codes.spikes for one in windows):
        texts += [helpers.LOWEST, helpers_spikes.make_list(TYPES[event_kind(plan)])]
    texts += [helpers.OPEN] if any(one.opens for one in windows) else []
    texts += [helpers.KEEP_OPEN] if any(one.opens == "channels" for one in windows) else []
    texts += _adding(plan, windows)
    texts += [helpers.skip(one.source.kind) for one in of(ShortcutJob, plan.synapses)]
    texts += [attend(one) for one in of(AttendJob, plan.synapses)]
    texts += [ADD_MAP] * bool(of(MapSynapse, plan.synapses))
    texts += [direct(one.source.kind, str(one.codes.dtype)) for one in directs]
    texts += [depthwise(one.lane) for one in apart]
    texts += [text for kind in get_args(Job) for job in of(kind, plan.jobs) for text in job.functions()]
    return list(dict.fromkeys(texts))


def _adding(plan: CPlan, windows: tuple[ConvJob, ...]) -> Iterator[str]:
    """The functions that add up rows: of each kind of codes, for all sizes of blocks that occur."""
    sizes: dict[str, set[int]] = {}
    for one in windows:
        sizes.setdefault(one.function, set()).update(size for _, size in blocks(one.codes.words, _sizes(one)))
    for one in windows:
        if one.codes.spikes:
            yield from helpers_spikes.spikes(one.codes, one.own, TYPES[event_kind(plan)], sizes[one.function])
        else:
            row = TYPES[product_kinds(plan)[1]]
            yield from helpers_products.products(one.codes, one.source.kind, one.own, row, sizes[one.function])


def _sizes(one: ConvJob) -> tuple[int, ...]:
    return SPIKE_BLOCKS if one.codes.spikes else (1,) if one.codes.packed else helpers_products.PLAIN_BLOCKS


def layer(job: Job, places: dict[str, str]) -> LayerCode:
    """The function of one job. places: where each map is, by its name in C."""
    sources = list(dict.fromkeys(job.reads))
    parameters = [f"const {one.type} *{one.variable}" for one in sources]
    parameters += [f"{one.type} *{one.variable}" for one in job.given]
    head = f"static void {job.name}_run({', '.join(parameters)})"
    comment = "\n * ".join([*job.words(), *(one.words for one in job.synapses)])
    text = f"/* {comment} */\n{head}\n{{\n{job.body()}\n}}\n"
    return LayerCode(text, f"{job.name}_run({', '.join(places[one.variable] for one in (*sources, *job.given))});")


def at_once(plan: CPlan) -> Neurons | None:
    """The first layer, where a still image may drive it for all steps at once: it reads nothing else.

    And the spikes of all steps take no more memory than the membranes, which are not packed.
    """
    for first in of(Neurons, plan.jobs[:1]):
        alone = all(source is plan.input for source in first.reads) and plan.steps > 1
        if alone and not first.levels and plan.steps * first.gives.per_pixel * WORD <= first.shape[2] * first.membrane:
            return first
    return None
