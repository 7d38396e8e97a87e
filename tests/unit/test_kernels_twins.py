"""Every kernel has a loops-only twin or a reason to have none; and how the kernels' work is divided among threads."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest

from qpsnn_core import kernels
from qpsnn_core.kernels import parallel

# Kernel: its twin in tests/naive. A kernel that is only a step of others is compared by itself where its result can be
# written down without them, too.
TWINS = {
    "conv.list_active": "conv.active",
    "conv.add_rows": "conv.sum_of_rows",
    "conv.conv_forward": "conv.forward",
    "conv.add_gradients": "conv.sum_of_rows",
    "conv.list_by_channel": "conv.by_channel",
    "conv.conv_weight_gradient": "conv.weight_gradient",
    "conv.spread_gradient": "conv.spread",
    "integer.add_scaled": "integer.add_current",
    "integer.halve": "integer.lif",
    "integer.scale_down": "integer.lif",
    "integer.fire": "integer.lif",
    "integer.int_lif": "integer.lif",
    "lif.add_current": "lif.add",
    "lif.integrate": "lif.forward",
    "lif.lif_forward": "lif.forward",
    "lif.lif_potentials": "lif.forward",
    "lif.step_back": "lif.backward",
    "lif.lif_backward": "lif.backward",
    "moments.integer_moments": "moments.of_integers",
    "moments.real_moments": "moments.of_reals",
    "moments.gradient_moments": "moments.of_products",
    "pool.best": "pool.largest_back",
    "pool.max_forward": "pool.largest",
    "pool.max_backward": "pool.largest_back",
    "pool.sum_forward": "pool.total",
    "pool.sum_backward": "pool.total_back",
    "svd.add_rows": "svd.sum_of_rows",
    "svd.subtract_row": "svd.less_row",
    "svd.longest": "svd.first_largest",
    "svd.measure": "svd.squares",
    "svd.reflect": "svd.reflected",
    "svd.inverse_bound": "svd.inverse_bound",
    "svd.inverse_norm": "svd.inverse_norm",
    "svd.count_above": "svd.above",
    "svd.count_maps": "svd.above_maps",
}
WITHOUT = {"lif.surrogate": "its twin is qpsnn_core.surrogates, itself compared with the derivative of a primitive"}
MODULES = sorted({module.name for module in pkgutil.iter_modules(kernels.__path__)} - {"parallel"})


def functions(package, module):
    """The functions that a module defines itself, compiled or not."""
    found = import_module(f"{package}.{module}")
    for name, value in vars(found).items():
        if getattr(value, "__module__", None) == found.__name__ and callable(value) and not isinstance(value, type):
            yield f"{module}.{name}"


@pytest.mark.parametrize("module", MODULES)
def test_every_kernel_has_a_twin(module):
    found = set(functions("qpsnn_core.kernels", module))
    assert found == {name for name in {**TWINS, **WITHOUT} if name.startswith(f"{module}.")}


def test_every_twin_is_there():
    there = {name for module in MODULES for name in functions("naive", module)}
    assert set(TWINS.values()) <= there


@pytest.mark.parametrize("total", [1, 2, 15, 16, 17, 31, 255, 1000])
@pytest.mark.parametrize("least", [1, 8, 64])
@pytest.mark.parametrize("count", [1, 4, 16])
def test_chunks_cover_the_work_once_in_order(total, least, count):
    ranges = parallel.chunks(total, least, count)
    assert [place for low, high in ranges for place in range(low, high)] == list(range(total))
    assert len(ranges) <= count
    assert all(high - low >= least for low, high in ranges[:-1])
