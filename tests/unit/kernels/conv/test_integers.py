"""Which of the exact products a convolution of integers takes; all give the same sums."""

from __future__ import annotations

from math import inf

import numba
import numpy as np
import pytest

from naive import conv as naive
from qpsnn_core.kernels.conv import byte_products as dense
from qpsnn_core.kernels.conv import integers, measured
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.integers import Product, integer_conv
from qpsnn_core.kernels.exact_types import count_type

INTERPRETED = bool(numba.config.DISABLE_JIT)
compiled = pytest.mark.skipif(INTERPRETED, reason="interpreted, nothing is measured")


def product(max_count=1, outputs=5, dtype=np.int8, levels=None):
    codes = (2 * np.random.default_rng(0).integers(0, 8, (3, 3, 4, outputs)) - 7).astype(dtype)
    return Product(codes, max_count, ConvGeometry.of((6, 5, 4), outputs, 3, 1, 1), levels)


def counts_of(max_count, rate=0.4, images=3):
    rng = np.random.default_rng(1)
    there = rng.random((images, 6, 5, 4)) < rate
    return (there * rng.integers(1, max_count, there.shape, endpoint=True)).astype(count_type(max_count))


def run(of, counts, kept=None):
    total = np.zeros(len(counts) * 30 * of.geometry.outputs, np.int32)
    integer_conv(of, counts.reshape(-1), total, kept)
    return total.reshape(len(counts), 6, 5, -1)


@pytest.fixture
def taken(monkeypatch):
    """The kernels that ran."""
    ran = []
    real = integers.parallel_for
    monkeypatch.setattr(integers, "parallel_for", lambda work, *given: ran.append(work.__name__) or real(work, *given))
    return ran


@pytest.mark.parametrize("max_count", [1, 3])
@pytest.mark.parametrize("kept", [None, {}])
def test_each_may_be_forced_and_all_give_the_sums(monkeypatch, taken, max_count, kept):
    """But tables are for spikes, 0 or 1."""
    kept = None if kept is None else dict(kept)
    of, counts = product(max_count), counts_of(max_count)
    table = "table_forward" if max_count == 1 else "dense_forward"
    for choice, kernel in (("gather", "conv_forward"), ("dense", "dense_forward"), ("table", table)):
        monkeypatch.setenv(integers.PRODUCT, choice)
        np.testing.assert_array_equal(run(of, counts, kept), naive.forward(counts, of.codes, 1, 1))
        assert taken.pop() == kernel
    assert kept is None or set(kept) == {"gather", "dense"} | ({"table"} if max_count == 1 else set())


def test_large_tables_are_not_made(monkeypatch, taken):
    monkeypatch.setenv(integers.PRODUCT, "table")
    of, counts = product(), counts_of(1)
    monkeypatch.setattr(integers, "LARGEST_TABLES", integers.table_bytes(of.geometry) - 1)
    np.testing.assert_array_equal(run(of, counts), naive.forward(counts, of.codes, 1, 1))
    assert taken == ["dense_forward"]


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
@pytest.mark.parametrize("kept", [None, {}])
def test_signed_images_are_two_products_of_counts(dtype, kept):
    """With the ends of their type among them: -128 has no positive byte with a sign."""
    ends = np.iinfo(dtype)
    images = np.random.default_rng(2).integers(ends.min, ends.max + 1, (3, 6, 5, 4)).astype(dtype)
    images[0], images[1, 0] = ends.min, ends.max
    of = product(-ends.min)
    for _ in range(2):
        np.testing.assert_array_equal(run(of, images, kept), naive.forward(images, of.codes, 1, 1))


@pytest.mark.parametrize("choice", ["gather", "dense"])
def test_few_signed_integers_go_either_way(monkeypatch, taken, choice):
    monkeypatch.setenv(integers.PRODUCT, choice)
    images = np.random.default_rng(2).integers(-1, 2, (3, 6, 5, 4)).astype(np.int8)
    np.testing.assert_array_equal(run(product(1), images), naive.forward(images, product(1).codes, 1, 1))
    assert len(taken) == 2


def test_another_word_is_refused(monkeypatch):
    monkeypatch.setenv(integers.PRODUCT, "fast")
    with pytest.raises(ValueError, match="QPSNN_PRODUCT: expected gather, dense, table, tiles or auto, got 'fast'"):
        run(product(), counts_of(1))


def test_tiles_are_for_processors_that_have_them(monkeypatch):
    monkeypatch.setenv(integers.PRODUCT, "tiles")
    monkeypatch.setattr(integers, "INTERPRETED", False)
    monkeypatch.setattr(integers, "granted", lambda: False)
    with pytest.raises(ValueError, match="QPSNN_PRODUCT=tiles: expected a processor with amx_int8"):
        run(product(), counts_of(1))


@pytest.mark.skipif(not INTERPRETED, reason="the unit is played by Python")
@pytest.mark.parametrize("max_count", [1, 300])
def test_tiles_where_they_are_asked_for(monkeypatch, taken, max_count):
    monkeypatch.setenv(integers.PRODUCT, "tiles")
    of, counts = product(max_count), counts_of(max_count)
    np.testing.assert_array_equal(run(of, counts), naive.forward(counts, of.codes, 1, 1))
    assert taken == ["tile_forward"]


@pytest.mark.parametrize("max_count", [17, 255, 300])
def test_images_are_never_listed(monkeypatch, taken, max_count):
    """Whatever is forced: a list of an image's counts is as long as their sum."""
    monkeypatch.setenv(integers.PRODUCT, "gather")
    of, counts = product(max_count), counts_of(max_count)
    np.testing.assert_array_equal(run(of, counts), naive.forward(counts, of.codes, 1, 1))
    assert taken == ["dense_forward"]


@pytest.fixture
def figures(monkeypatch):
    """Costs that a test gives, for what else would be measured."""
    monkeypatch.delenv(integers.PRODUCT, raising=False)
    monkeypatch.setenv(measured.FOLDER, "")
    monkeypatch.setattr(integers, "INTERPRETED", False)
    monkeypatch.setattr(measured, "_known", {})
    given = []

    def measure(of, dtype):
        given.append((of, dtype))
        return measured.Cost(1e-3, 1e-2, dense=3e-3, table=4e-3, gather_pack=0.0, dense_pack=3e-3, table_pack=0.0)

    monkeypatch.setattr(integers, "measure", measure)
    return given


@pytest.mark.parametrize(
    ("rate", "images", "kept", "taken"),
    [(0.19, 30, {}, "gather"), (0.21, 30, {}, "dense"), (0.25, 3, None, "gather"), (0.35, 4, None, "dense")],
)
def test_the_rate_decides(figures, rate, images, kept, taken):
    """At 0.2 rows and bytes take 3 ms per image; packing for 4 images moves that to 0.275."""
    counts = np.zeros((images, 120), np.uint8)
    counts[:, : int(rate * 120)] = 1
    assert integers.route_of(product(), counts.reshape(-1), images, np.int32, kept) == taken


def test_tables_where_they_are_faster_than_both(figures):
    """For two images, whose bytes take 3 ms more to pack."""
    ones = np.ones(2 * 120, np.uint8)
    assert integers.route_of(product(), ones, 2, np.int32) == "table"
    assert integers.route_of(product(), ones, 4, np.int32) == "dense"


def test_a_shape_is_measured_once(figures):
    of, counts = product(), counts_of(1)
    for _ in range(3):
        run(of, counts)
    assert len(figures) == 1
    run(product(outputs=6), counts)
    run(product(max_count=2), counts)
    assert len(figures) == 3


def test_what_a_key_holds():
    """Codes of another width or type, another geometry, spikes or counts; not the codes themselves."""
    keys = {
        product().key(np.int32),
        product()._replace(codes=-product().codes).key(np.int32),
        product(levels=7).key(np.int32),
    }
    assert len(keys) == 1
    others = [product(2), product(outputs=6), product(dtype=np.int16), product(levels=15)]
    assert len({*keys, *(one.key(np.int32) for one in others), product().key(np.int16)}) == 6


@pytest.mark.parametrize("size", [0, 1, 100, 1024, 5000, 40_000, 1_000_001])
@pytest.mark.parametrize(("kind", "max_count"), [(np.uint8, 1), (np.uint8, 3), (np.uint16, 300)])
def test_the_rate_is_a_sample(size, kind, max_count):
    rng = np.random.default_rng(0)
    counts = (rng.random(size) < 0.3).astype(kind) * kind(max_count)
    sampled = integers.rate_of(counts, max_count)
    if size <= integers.PIECE:
        assert sampled == (counts.mean() if size else 0)
    assert size == 0 or abs(sampled - counts.mean()) < 0.05 * max_count
    assert size == 0 or integers.rate_of(np.full(size, max_count, kind), max_count) == max_count


@compiled
@pytest.mark.parametrize(("max_count", "work"), [(1, 2e7), (4, 2e7), (1, 4000)])
def test_what_is_measured(monkeypatch, max_count, work):
    """Of whole images, or of some rows of one."""
    monkeypatch.setattr(integers, "WORK", work)
    cost = integers.measure(product(max_count), np.int32)
    tables = cost.table, cost.table_pack
    assert all(0 <= one < 1 for one in set(cost) - set(tables))
    assert min(cost.dense, cost.gather_pack, cost.dense_pack, cost.gather + cost.rise, *tables) > 0
    assert all(one < 1 for one in tables) if max_count == 1 else tables == (inf, inf)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("side", [3, 8, 200])
@pytest.mark.parametrize("channels", [1, 64, 512])
def test_what_is_measured_on_is_small(kernel, stride, padding, side, channels):
    whole = ConvGeometry.of((side, side, channels), channels, kernel, stride, padding)
    weights = kernel**2 * channels**2
    geometry, images = integers._sample(whole, weights)
    row = geometry.out_width * weights
    assert geometry[1:7] == whole[1:7]
    assert geometry.out_width == whole.out_width
    assert 1 <= geometry.out_height <= whole.out_height
    small = integers.WORK + 3 * images * row
    assert images * geometry.out_height * row <= max(small, 2 * dense.TOGETHER * weights)
    assert images <= integers.images_together(whole) or geometry == whole


def test_where_they_cross():
    cost = measured.Cost(1.0, 10.0, 3.0, inf, 0.5, 2.0, inf)
    assert cost.steady(4, True) == (14.0, inf)
    assert (cost.crossing(4, False), cost.crossing(4, True)) == (0.2, (4 * 2 + 1.5) / 40)
    assert cost._replace(table=2.0, table_pack=1.0).crossing(4, True) == (4 + 0.5) / 40
    assert cost._replace(rise=0.0).crossing(4, True) == inf
    assert cost._replace(rise=0.0, dense=0.5, dense_pack=0).crossing(4, True) == -inf
