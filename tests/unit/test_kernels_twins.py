"""Every kernel has a loops-only twin or a reason to have none; and how the kernels' work is divided among threads."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest

import naive
from qpsnn_core import kernels
from qpsnn_core.kernels import parallel

# Kernel: its twin in tests/naive. A kernel that is only a step of others is compared by itself where its result can be
# written down without them, too.
TWINS = {
    "channels.gather": "conv.gathered",
    "channels.list_channels": "conv.places",
    "channels.pixels_of": "conv.by_class",
    "channels.turn_round": "conv.turned",
    "conv.add_rows": "conv.sum_of_rows",
    "conv.add_halves": "conv.sum_of_rows",
    "conv.conv_forward": "conv.forward",
    "elimination.add_events": "compression.pairs",
    "elimination.cheapest": "compression.cheapest",
    "elimination.close_ranks": "compression.living",
    "elimination.record_row": "compression.recorded",
    "elimination.record_rows": "compression.recorded",
    "elimination.remove": "compression.removed",
    "elimination.round_rows": "compression.rounded",
    "elimination.subtract_four": "compression.less",
    "elimination.subtract_one": "compression.less",
    "elimination.subtract_rows": "compression.less",
    "event_camera.level": "events.log_intensity",
    "event_camera.watch": "events.saccade",
    "event_filters.rested": "events.rested",
    "event_filters.supported": "events.supported",
    "event_frames.count_events": "events.frames",
    "events.list_columns": "conv.columns",
    "evt3.evt3_events": "event_files.evt3",
    "fold.fold": "conv.fold",
    "fold.tap_inside": "conv.taps",
    "fold.through_windows": "conv.input_gradient",
    "image.image_forward": "conv.forward",
    "image.image_gradient": "conv.weight_gradient",
    "integer.add_counts": "integer.sums_of_counts",
    "integer.add_scaled": "integer.add_current",
    "integer.int_lif": "integer.lif",
    "integer.scaled": "integer.lif",
    "lif.add_current": "lif.add",
    "lif.after_reset": "lif.forward",
    "lif.currents_at": "lif.current",
    "lif.lif_forward": "lif.forward",
    "lif.lif_potentials": "lif.forward",
    "lif.lif_backward": "lif.backward",
    "lif.lif_backward_parts": "lif.backward",
    "moments.short_moments": "moments.of_integers",
    "moments.integer_moments": "moments.of_integers",
    "moments.real_moments": "moments.of_reals",
    "moments.gradient_moments": "moments.of_products",
    "packing.fill_block": "conv.packed",
    "packing.fill_halves": "conv.packed",
    "pool.largest": "pool.largest",
    "pool.apart_backward": "pool.largest_back",
    "pool.max_forward": "pool.largest",
    "pool.max_backward": "pool.largest_back",
    "pool.sum_forward": "pool.total",
    "pool.sum_backward": "pool.total_back",
    "pool.window_of": "pool.window",
    "product.panels_of": "conv.turned",
    "product.products": "product.products",
    "product.square_of": "conv.turned",
    "quantize.absolute": "quantize.codes",
    "quantize.encode": "quantize.codes",
    "quantize.pass_within": "quantize.straight_through",
    "svd.add_rows": "svd.sum_of_rows",
    "svd.subtract_row": "svd.less_row",
    "svd.longest": "svd.first_largest",
    "svd.measure": "svd.squares",
    "svd.reflect": "svd.reflected",
    "svd.inverse_bound": "svd.inverse_bound",
    "svd.inverse_norm": "svd.inverse_norm",
    "svd.count_above": "svd.above",
    "svd.count_maps": "svd.above_maps",
    "update.sgd_step": "optimizer.sgd",
    "weight_gradient.add_places": "conv.sum_of_rows",
    "weight_gradient.add_squares": "conv.sum_of_rows",
    "weight_gradient.lay_out": "conv.laid_out",
    "weight_gradient.weight_gradient": "conv.weight_gradient",
    "winograd.gradient_line": "winograd.line",
    "winograd.weight_line": "winograd.line",
    "winograd.back_line": "winograd.line",
    "winograd.back_at": "winograd.backward",
    "winograd.back_rows": "winograd.backward",
    "winograd.gradient_tiles": "winograd.tiles",
    "winograd.weight_points": "winograd.points",
    "winograd.tiles_back": "winograd.back",
    "winograd.through_tiles": "conv.input_gradient",
}
WITHOUT = {
    "event_camera.even": "only skips what gives no events; the test states which squares",
    "image.fill_lines": "the test pads the image",
    "image.write": "a store or a put",
    "channels.unit_of": "the test states what the units must cover",
    "cyclic_channels.after": "the test walks around the channels itself",
    "cyclic_channels.around": "the test walks around the channels itself",
    "cyclic_channels.fold": "the test walks around the channels itself",
    "cyclic_channels.gather_sum": "the test walks around the channels itself",
    "integer.current": "only puts arrays together",
    "lif.current": "only puts arrays together",
    "lif.surrogate": "its twin is network.surrogates, itself compared with the derivative of a primitive",
    "quantize.sum_of_sizes": "the test has the exact sum from math.fsum",
    "weight_gradient.layout": "the test states what any layout must cover",
    "weight_gradient.zeros_on_line": "zeros",
    "winograd.six_apart": "six stores",
}
PLAIN = {"image.panels", "packing.pack", "packing.aligned"}
"""Python around kernels, with tests of its own."""

NO_KERNELS = {
    "emit": "the code of the instructions",
    "emit_memory": "likewise",
    "memory": "no arithmetic: test_memory.py",
    "parallel": "no arithmetic: below, and test_parallel.py",
    "vector": "an instruction's twin is its own meaning: test_kernels_vector.py",
}
MODULES = sorted({module.name for module in pkgutil.iter_modules(kernels.__path__)} - set(NO_KERNELS))


def functions(package, module):
    """The functions that a module defines itself, compiled or not; of kernels, those that others may call."""
    found = import_module(f"{package}.{module}")
    for name, value in vars(found).items():
        own = getattr(value, "__module__", None) == found.__name__ and callable(value) and not isinstance(value, type)
        if own and (not name.startswith("_") or hasattr(value, "py_func")):
            yield f"{module}.{name}"


@pytest.mark.parametrize("module", MODULES)
def test_every_kernel_has_a_twin(module):
    found = set(functions("qpsnn_core.kernels", module))
    known = {name for name in {**TWINS, **WITHOUT} if name.startswith(f"{module}.")}
    assert found - PLAIN == known
    assert not set(TWINS) & set(WITHOUT)


def test_only_modules_that_are_there_are_left_out():
    assert set(NO_KERNELS) <= {module.name for module in pkgutil.iter_modules(kernels.__path__)}


def test_every_twin_is_there():
    there = {name for module in pkgutil.iter_modules(naive.__path__) for name in functions("naive", module.name)}
    assert set(TWINS.values()) <= there


@pytest.mark.parametrize("total", [1, 2, 15, 16, 17, 31, 255, 1000])
@pytest.mark.parametrize("least", [1, 8, 64])
@pytest.mark.parametrize("count", [1, 4, 16])
def test_chunks_cover_the_work_once_in_order(total, least, count):
    ranges = parallel.chunks(total, least, count)
    assert [place for low, high in ranges for place in range(low, high)] == list(range(total))
    assert len(ranges) <= count
    assert all(high - low >= least for low, high in ranges[:-1])
