"""Figures of compression by hand: sparsity, errors, gains of batch norm, which Hessians are held together."""

from __future__ import annotations

import numpy as np
import pytest
import small

from qpsnn_core.compression.weights import hessian
from qpsnn_core.compression.weights.osbc import Compressed, LayerReport
from qpsnn_core.network import Conv, Linear


def test_sparsity_is_the_share_of_all_weights():
    layers = (LayerReport("a", 30, 10, 4, 0.0, 0.0), LayerReport("b", 10, 10, None, 0.0, 0.0))
    assert Compressed(small.model(), layers, 0.0).sparsity == pytest.approx(0.5, rel=1e-12)
    assert Compressed(small.model(), layers[1:], 0.0).sparsity == 0


def test_the_gain_of_batch_norm_is_its_weight_by_the_deviation():
    model = small.model()
    conv = next(node for node in model.network.of(Conv) if node.batch_norm)
    model.params[conv.name]["bn_weight"] = np.float32([3, -1, 2, 0, 1, 0.5])
    model.state[conv.name]["var"] = np.float32([4, 0.25, 1, 9, 16, 1])
    ref = [1.5, -2, 2, 0, 0.25, 0.5]
    np.testing.assert_allclose(hessian.gains(model, conv), ref, rtol=1e-3)
    linear = next(iter(model.network.of(Linear)))
    assert not linear.batch_norm
    assert hessian.gains(model, linear).tolist() == [1.0] * linear.channels


def test_the_error_of_a_change():
    matrix = np.array([[2.0, 1.0], [1.0, 4.0]])
    change, factors = np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([3.0, 0.5])
    assert hessian.error(matrix, change, factors) == (9 * (2 + 4 + 16) + 0.25 * 4) / 2
    off, share = hessian.errors(matrix, change, 2 * change, factors)
    assert (off, share) == (99.5, 0.25)
    assert hessian.errors(matrix, change, 0 * change, factors) == (99.5, 0.0)


def test_hessians_that_memory_holds_are_made_together(monkeypatch):
    """Each takes 8 bytes for every pair of its inputs."""
    network = small.network()
    takes = {node.name: 8 * hessian.inputs_of(network, node) ** 2 for node in network.synapses}
    assert takes["conv2"] == 8 * (9 * 6) ** 2
    names = [[node.name for node in group] for group in hessian.groups(network)]
    assert names == [list(takes)]
    for memory in (1, max(takes.values()), takes["conv1"] + takes["conv2"], takes["conv1"] + takes["conv2"] - 1):
        monkeypatch.setattr(hessian, "MEMORY", memory)
        names = [[node.name for node in group] for group in hessian.groups(network)]
        ref, used = [[]], 0
        for name, size in takes.items():
            if ref[-1] and used + size > memory:
                ref.append([])
                used = 0
            ref[-1].append(name)
            used += size
        assert names == ref
        assert (names[0] == ["conv1", "conv2"]) is (memory == takes["conv1"] + takes["conv2"])
