"""Every kernel has a loops-only twin or a reason to have none; and how the kernels' work is divided among threads."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

import naive
from qpsnn_core import kernels
from qpsnn_core.kernels import threads

# Kernel: its twin in tests/naive. A kernel that is only a step of others is compared by itself where its result can be
# written down without them, too.
TWINS = {
    "counter_random.one_of": "diehl_cook.sample",
    "counter_random.random_word": "fixed_point.word",
    "counter_random.random_words": "gates.logistic",
    "counter_random.sample_key": "fixed_point.word",
    "fixed_point.dither": "fixed_point.stored",
    "fixed_point.outside": "diehl_cook.sample",
    "fixed_point.quantize": "fixed_point.code",
    "fixed_point.rounded": "fixed_point.stored",
    "fixed_point.saturated": "diehl_cook.sample",
    "spike_trains.encode": "fixed_point.train",
    "spike_trains.interval": "fixed_point.interval",
    "conv.channel_lists.gather": "conv.gathered",
    "conv.channel_lists.list_channels": "conv.places",
    "conv.channel_lists.pixels_of": "conv.by_class",
    "conv.channel_lists.turn_round": "conv.turned",
    "conv.byte_products.add_window": "conv.forward",
    "conv.byte_products.dense_forward": "conv.forward",
    "conv.byte_products.interleave": "conv.interleaved",
    "conv.table_products.add_all": "conv.forward",
    "conv.table_products.add_tables": "conv.forward",
    "conv.table_products.fill_planes": "conv.planes",
    "conv.tables.fill_tables": "conv.tables",
    "conv.table_products.table_forward": "conv.forward",
    "conv.table_products.write_lanes": "conv.forward",
    "conv.tiles.square": "conv.forward",
    "conv.tiles.tile_forward": "conv.forward",
    "extreme_pool.beyond": "pool.extreme",
    "extreme_pool.extreme_backward": "pool.extreme_back",
    "extreme_pool.extreme_forward": "pool.extreme",
    "rate_coding.rate_coded": "fixed_point.word",
    "dropout.draw_masks": "fixed_point.word",
    "conv.depthwise.depthwise_forward": "conv.depthwise",
    "conv.depthwise.depthwise_inputs": "conv.depthwise_inputs",
    "conv.depthwise.depthwise_weights": "conv.depthwise_weights",
    "conv.forward.add_rows": "conv.sum_of_rows",
    "conv.forward.add_halves": "conv.sum_of_rows",
    "conv.forward.conv_forward": "conv.forward",
    "conv.gated.all_open": "gates.any_open",
    "conv.gated.any_open": "gates.any_open",
    "conv.gated.list_pixels": "gates.forward",
    "conv.gated.take_columns": "conv.columns",
    "conv.gated.close": "gates.forward",
    "conv.gated.close_images": "gates.forward",
    "conv.gated.gated_forward": "gates.forward",
    "conv.place_sums.place_products": "gates.place_products",
    "conv.place_sums.place_sums": "gates.place_sums",
    "linalg.bidiagonal.count_chosen": "svd.above_maps",
    "linalg.bidiagonal.count_values": "linalg.bidiagonal_count",
    "linalg.bidiagonal.positive_pivots": "linalg.positive_pivots",
    "linalg.bidiagonal.reflect_columns": "svd.reflected",
    "linalg.bidiagonal.reflect_rows": "svd.reflected",
    "linalg.factor.eliminate_row": "linalg.add_product",
    "linalg.factor.factorize": "linalg.factor",
    "linalg.factor.gather": "linalg.chosen",
    "linalg.factor.invert": "linalg.inverse",
    "linalg.factor.invert_factor": "linalg.inverse_of_factor",
    "linalg.factor.solve": "linalg.solution",
    "linalg.product.add_block": "linalg.add_product",
    "linalg.product.add_products": "linalg.add_product",
    "linalg.product.tile": "linalg.add_product",
    "linalg.product.tile_at_edge": "linalg.add_product",
    "linalg.rows.compensate_rows": "linalg.compensated",
    "linalg.rows.driven_by": "compression.less",
    "linalg.rows.order_and_factor": "linalg.factor",
    "linalg.rows.round_kept_rows": "compression.rounded",
    "linalg.sums.add_down": "linalg.sums_down",
    "linalg.sums.dot_rows": "linalg.dot",
    "linalg.sums.filter_steps": "linalg.filtered",
    "linalg.obs.add_events": "compression.pairs",
    "linalg.obs.cheapest": "compression.cheapest",
    "linalg.obs.close_ranks": "compression.living",
    "linalg.obs.record_row": "compression.recorded",
    "linalg.obs.record_rows": "compression.recorded",
    "linalg.obs.remove": "compression.removed",
    "linalg.obs.round_rows": "compression.rounded",
    "linalg.obs.subtract_four": "compression.less",
    "linalg.obs.subtract_one": "compression.less",
    "linalg.obs.subtract_rows": "compression.less",
    "events.camera.level": "events.log_intensity",
    "events.camera.watch": "events.saccade",
    "events.filters.rested": "events.rested",
    "events.filters.supported": "events.supported",
    "events.frames.count_events": "events.frames",
    "conv.spike_lists.list_columns": "conv.columns",
    "events.evt21.evt21_events": "event_files.evt21",
    "events.evt3.evt3_events": "event_files.evt3",
    "conv.input_gradient.col2im": "conv.col2im",
    "conv.input_gradient.tap_inside": "conv.taps",
    "conv.input_gradient.through_windows": "conv.input_gradient",
    "conv.image.image_forward": "conv.forward",
    "conv.image.image_gradient": "conv.weight_gradient",
    "neurons.integer_lif.add_counts": "integer.sums_of_counts",
    "neurons.integer_lif.add_scaled": "integer.add_current",
    "neurons.integer_lif.int_lif": "integer.lif",
    "neurons.integer_lif.int_lif_range": "integer.lif",
    "neurons.integer_lif.scaled": "integer.lif",
    "neurons.integer_lif.to_level": "integer.level",
    "neurons.learned.add_levels": "lif.gradients",
    "neurons.learned.add_threshold": "lif.gradients",
    "neurons.lif.add_current": "lif.add",
    "neurons.lif.add_leak": "lif.gradients",
    "neurons.lif.after_reset": "lif.forward",
    "neurons.lif.currents_at": "lif.current",
    "neurons.lif.lif_forward": "lif.forward",
    "neurons.lif.lif_potentials": "lif.forward",
    "neurons.lif.lif_backward": "lif.backward",
    "neurons.lif.lif_backward_pieces": "lif.backward",
    "neurons.membrane.stored": "lif.stored",
    "neurons.membrane.through_levels": "lif.gradients",
    "neurons.adaptive_lif.adapt": "diehl_cook.sample",
    "neurons.adaptive_lif.add_all_rows": "diehl_cook.sample",
    "neurons.adaptive_lif.add_block": "diehl_cook.sample",
    "neurons.adaptive_lif.add_rows": "diehl_cook.sample",
    "neurons.adaptive_lif.brake": "diehl_cook.sample",
    "neurons.adaptive_lif.charge": "diehl_cook.sample",
    "neurons.adaptive_lif.cross": "diehl_cook.sample",
    "neurons.adaptive_lif.integrate": "diehl_cook.sample",
    "neurons.adaptive_lif.leaked": "diehl_cook.sample",
    "neurons.adaptive_lif.relay": "diehl_cook.sample",
    "neurons.adaptive_lif.widened": "diehl_cook.sample",
    "neurons.adaptive_lif.winner_of": "diehl_cook.sample",
    "neurons.diehl_cook.inhibit": "diehl_cook.sample",
    "neurons.diehl_cook.observe": "diehl_cook.sample",
    "neurons.diehl_cook.present": "diehl_cook.sample",
    "neurons.diehl_cook.present_all": "diehl_cook.sample",
    "neurons.diehl_cook.present_one": "diehl_cook.sample",
    "neurons.diehl_cook.scratch_for": "diehl_cook.sample",
    "neurons.stdp.dependence": "diehl_cook.depends",
    "neurons.stdp.moved_code": "diehl_cook.moved",
    "neurons.stdp.moved_real": "diehl_cook.moved",
    "neurons.stdp.normalise": "diehl_cook.normalised",
    "neurons.stdp.power": "diehl_cook.power",
    "neurons.stdp.strengthen": "diehl_cook.moved",
    "neurons.stdp.weaken": "diehl_cook.moved",
    "neurons.batch_norm.short_moments": "moments.of_integers",
    "neurons.batch_norm.integer_moments": "moments.of_integers",
    "neurons.batch_norm.real_moments": "moments.of_reals",
    "neurons.batch_norm.gradient_moments": "moments.of_products",
    "neurons.batch_norm.real_moments_pieces": "moments.of_reals",
    "neurons.batch_norm.gradient_moments_pieces": "moments.of_products",
    "elementary.exponential": "elementary.exponential",
    "conv.packing.fill_block": "conv.packed",
    "conv.packing.fill_halves": "conv.packed",
    "pool.largest": "pool.largest",
    "pool.largest32": "pool.largest",
    "pool.apart_backward": "pool.largest_back",
    "pool.max_forward": "pool.largest",
    "pool.max_backward": "pool.largest_back",
    "pool.sum_forward": "pool.total",
    "pool.sum_backward": "pool.total_back",
    "pool.slid_sum_backward": "pool.total_back",
    "pool.window_of": "pool.window",
    "conv.gemm.panels_of": "conv.turned",
    "conv.gemm.products": "product.products",
    "conv.dense.panel_products": "product.products",
    "conv.dense.part_products": "product.products",
    "conv.gemm.square_of": "conv.turned",
    "quantize.absolute": "quantize.codes",
    "quantize.encode": "quantize.codes",
    "quantize.pass_within": "quantize.straight_through",
    "linalg.singular_values.add_rows": "svd.sum_of_rows",
    "linalg.singular_values.subtract_row": "svd.less_row",
    "linalg.singular_values.longest": "svd.first_largest",
    "linalg.singular_values.measure": "svd.squares",
    "linalg.singular_values.reflect": "svd.reflected",
    "linalg.singular_values.inverse_bound": "svd.inverse_bound",
    "linalg.singular_values.inverse_norm": "svd.inverse_norm",
    "linalg.singular_values.count_above": "svd.above",
    "linalg.singular_values.count_maps": "svd.above_maps",
    "sgd.sgd_step": "optimizer.sgd",
    "sgd.sum_squares": "optimizer.sum_squares",
    "conv.weight_gradient.add_places": "conv.sum_of_rows",
    "conv.weight_gradient.add_squares": "conv.sum_of_rows",
    "conv.weight_gradient.lay_out": "conv.laid_out",
    "conv.weight_gradient.weight_gradient": "conv.weight_gradient",
    "conv.winograd.gradient_line": "winograd.line",
    "conv.winograd.weight_line": "winograd.line",
    "conv.winograd.back_line": "winograd.line",
    "conv.winograd.back_at": "winograd.backward",
    "conv.winograd.back_rows": "winograd.backward",
    "conv.winograd.gradient_tiles": "winograd.tiles",
    "conv.winograd.weight_points": "winograd.points",
    "conv.winograd.tiles_back": "winograd.back",
    "conv.winograd.through_tiles": "conv.input_gradient",
}
WITHOUT = {
    "events.camera.even": "only skips what gives no events; the test states which squares",
    "conv.byte_products.lay_out": "the test has images of every size and padding",
    "conv.image.fill_lines": "the test pads the image",
    "conv.image.write": "a store or a put",
    "conv.channel_lists.unit_of": "the test states what the units must cover",
    "cyclic_channels.next_phase": "the test walks around the channels itself",
    "cyclic_channels.tile_channels": "the test walks around the channels itself",
    "cyclic_channels.sum_tiled": "the test walks around the channels itself",
    "cyclic_channels.gather_sum": "the test walks around the channels itself",
    "linalg.factor.mirror": "the test copies the triangle itself",
    "linalg.product.pack_left": "the test cuts the matrix itself",
    "linalg.product.pack_right": "the test cuts the matrix itself",
    "linalg.product.scratch_of": "empty arrays",
    "neurons.integer_lif.current": "only puts arrays together",
    "neurons.integer_lif.gain_of": "a load, or nothing",
    "neurons.integer_lif.put": "one of two stores",
    "neurons.integer_lif.taken": "one of two loads",
    "neurons.lif.current": "only puts arrays together",
    "neurons.integer_lif.ladder": "a few numbers of each channel, which integer.level has as equations",
    "neurons.learned.gather_learned": "two sums, or nothing",
    "neurons.learned.leaks": "plain NumPy; the tape has the logistic function",
    "neurons.learned.real_thresholds": "plain NumPy; puts numbers into another type",
    "neurons.learned.settled": "no kernel; what it makes computes the same bits",
    "neurons.learned.thresholds": "plain NumPy; the tape has the exponential function",
    "neurons.learned.of_channels": "a load, or nothing",
    "neurons.membrane.stored_slope": "its twin is network.membranes, compared with the derivative of a primitive",
    "neurons.lif.surrogate": "its twin is network.surrogates, itself compared with the derivative of a primitive",
    "quantize.sum_abs": "the test has the exact sum from math.fsum",
    "conv.weight_gradient.layout": "the test states what any layout must cover",
    "conv.forward.sums_of": "one of the two sums that it chooses from",
    "conv.tiles.lay_panel": "the test has windows of every size",
    "conv.tiles.write_square": "a store or a put",
    "conv.weight_gradient.zeros_on_line": "zeros",
    "conv.winograd.six_apart": "six stores",
}
PLAIN = {
    "conv.byte_products.images_at_once",
    "conv.byte_products.pack_bytes",
    *(f"conv.tables.{name}" for name in ("images_together", "pack_tables", "table_bytes")),
    "conv.tiles.pack_tiles",
    "conv.image.panels",
    "conv.packing.pack",
    "conv.packing.aligned",
    "linalg.factor.pitch_of",
    "linalg.factor.room_of",
    "linalg.product.blocks_of",
    "linalg.sums.sum_down",
    "conv.channel_lists.tables_of",
    *(f"conv.dense.{name}" for name in ("multiply", "multiply_parts", "panels_of_columns", "through_panels")),
    *(f"elementary.{name}" for name in ("exp", "log", "sine", "cosine", "cosine_of_half_turns", "power")),
}
"""Python around kernels, with tests of its own."""

NO_KERNELS = {
    "simd.llvm": "the code of the instructions",
    "simd.amx": "an instruction's twin is its own meaning: test_amx.py",
    "simd.llvm_amx": "the code of the instructions",
    "simd.llvm_lookup": "likewise",
    "simd.llvm_memory": "likewise",
    "simd.llvm_tile": "likewise",
    "buffers": "no arithmetic: test_buffers.py",
    "compiling": "no arithmetic: tests/unit/cli/test_progress.py",
    "conv.integers": "chooses a kernel: test_integers.py",
    "conv.gates": "chooses a kernel: test_gated.py",
    "conv.measured": "keeps figures: test_measured.py",
    "conv.windows": "NumPy and BLAS: test_windows.py compares it with loops",
    "exact_types": "no arithmetic: test_exact_types.py",
    "parts": "NumPy: test_parts.py",
    "machine_code": "no arithmetic: test_machine_code.py",
    "threads": "no arithmetic: below, and test_threads.py",
    "simd.lookup": "an instruction's twin is its own meaning: test_lookup.py",
    "simd.tile": "an instruction's twin is its own meaning: test_tile.py",
    "simd.vector": "an instruction's twin is its own meaning: test_vector.py",
}
FOLDER = Path(kernels.__file__).parent
FILES = [path.relative_to(FOLDER).with_suffix("") for path in FOLDER.rglob("*.py") if path.stem != "__init__"]
THERE = {".".join(path.parts) for path in FILES}
MODULES = sorted(THERE - set(NO_KERNELS))


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
    known = {name for name in {**TWINS, **WITHOUT} if name.rpartition(".")[0] == module}
    assert found - PLAIN == known
    assert not set(TWINS) & set(WITHOUT)


def test_only_modules_that_are_there_are_left_out():
    assert set(NO_KERNELS) <= THERE


def test_every_twin_is_there():
    there = {name for module in pkgutil.iter_modules(naive.__path__) for name in functions("naive", module.name)}
    assert set(TWINS.values()) <= there


@pytest.mark.parametrize("total", [1, 2, 15, 16, 17, 31, 255, 1000])
@pytest.mark.parametrize("least", [1, 8, 64])
@pytest.mark.parametrize("count", [1, 4, 16])
def test_chunks_cover_the_work_once_in_order(total, least, count):
    ranges = threads.chunks(total, least, count)
    assert [place for start, stop in ranges for place in range(start, stop)] == list(range(total))
    assert len(ranges) <= count
    assert all(stop - start >= least for start, stop in ranges[:-1])
