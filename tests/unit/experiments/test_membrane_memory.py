"""The table of weights and membranes: counts by hand, and the published figures at their places."""

from __future__ import annotations

import pytest

from qpsnn_core.experiments.membrane_memory import PUBLISHED, resnet19, rows
from qpsnn_core.network.cost import cost

VGG9 = 48 * 48 * (64 + 128) + 24 * 24 * 2 * 256 + 12 * 12 * 2 * 512 + 6 * 6 * 2 * 512
RESNET19 = 32 * 32 * 128 * 7 + 16 * 16 * 256 * 6 + 8 * 8 * 512 * 4 + 256
PUBLIC = 16 * 16 * (128 + 64 * 6) + 8 * 8 * 256 * 6 + 4 * 4 * 512 * 4 + 256


@pytest.fixture(scope="module")
def found():
    return {(row.network, row.weight_bits, row.levels): row for row in rows((32, 2))}


@pytest.mark.parametrize(
    ("name", "neurons"), [("VGG-9", VGG9), ("ResNet-19", RESNET19), ("ResNet-19, public code", PUBLIC)]
)
def test_membranes_by_hand(found, name, neurons):
    """Whole bits: 32, 3 of five levels, 2 of three; the paper's 1.58 bits of three are their information."""
    for levels, bits in ((0, 32), (5, 3), (3, 2)):
        row = found[name, 2, levels]
        assert row.membranes_mb == pytest.approx(neurons * bits / 8e6)
        assert row.memory_mb == pytest.approx(row.weights_mb + row.membranes_mb)
    assert found[name, 2, 3].information_mb == pytest.approx(neurons * 1.585 / 8e6, rel=1e-4)


def test_the_public_codes_vgg9_has_9_million_parameters(found):
    assert found["VGG-9", 32, 0].weights_mb == pytest.approx(37.1, abs=0.05)
    assert cost(resnet19()).parameters == pytest.approx(12.6e6, rel=0.02)


def test_published_figures_have_their_row(found):
    assert {key for key in PUBLISHED if key[1] in (32, 2)} == {key for key, row in found.items() if row.printed_mb}
    assert found["VGG-9", 2, 3].printed_mb == 3.75
