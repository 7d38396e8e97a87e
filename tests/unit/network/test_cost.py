"""Costs against the paper's printed figures, and synaptic operations against loops that count every addition."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, NumericsError, ShapeError
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout, Shortcut, Sum
from qpsnn_core.network.cost import cost, counted, fanout, sops
from qpsnn_core.network.cost_figures import energy_mj
from qpsnn_core.network.zoo.vgg import resnet20, vgg16, vgg_small, vggsnn

VGG16 = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
VGGSNN = (64, 128, 256, 256, 512, 512, 512, 512)


def kept(widths, rates):
    """`int(c * (1 - r))` filters of every convolution but the last."""
    return [*(int(c * (1 - r)) for c, r in zip(widths, rates, strict=False)), widths[-1]]


def blocks(first, middles, outputs):
    return [first, *(width for pair in zip(middles, outputs, strict=True) for width in pair)]


NARROW = blocks(57, [83, 32, 32, *[64] * 3, *[128] * 3], [*[83] * 3, *[166] * 3, *[512] * 3])
WIDE = blocks(57, [89, 51, 51, *[102] * 3, *[204] * 3], [*[89] * 3, *[179] * 3, *[512] * 3])

TABLE_1 = [
    ("resnet20", resnet20, (32, 32, 3), 10, WIDE, (6.27, 3.16, 1.61)),
    ("resnet20", resnet20, (32, 32, 3), 10, NARROW, (3.92, 1.98, 1.02)),
    ("resnet20", resnet20, (32, 32, 3), 100, WIDE, (6.45, 3.35, 1.79)),
    ("resnet20", resnet20, (32, 32, 3), 100, NARROW, (4.10, 2.17, 1.20)),
    ("vgg16", vgg16, (32, 32, 3), 10, kept(VGG16, [0.45] * 7 + [0.51] * 5), (4.28, 2.16, 1.10)),
    ("vgg16", vgg16, (32, 32, 3), 10, kept(VGG16, [0.49] * 7 + [0.8] * 5), (1.45, 0.74, 0.39)),
    ("vgg16", vgg16, (32, 32, 3), 100, kept(VGG16, [0.45] * 7 + [0.7] * 5), (2.48, 1.35, 0.79)),
    ("vgg16", vgg16, (32, 32, 3), 100, kept(VGG16, [0.45] * 7 + [0.78] * 5), (1.85, 1.04, 0.63)),
    ("vgg16", vgg16, (64, 64, 3), 200, kept(VGG16, [0.45] * 7 + [0.51] * 5), (5.90, 3.78, 2.72)),
    ("vgg16", vgg16, (64, 64, 3), 200, kept(VGG16, [0.45] * 7 + [0.62] * 5), (4.67, 3.17, 2.41)),
    ("vggsnn", vggsnn, (48, 48, 2), 10, kept(VGGSNN, [0.5] * 3 + [0.7] * 4), (1.61, 0.90, 0.55)),
    ("vggsnn", vggsnn, (48, 48, 2), 10, kept(VGGSNN, [0.5] * 3 + [0.8] * 4), (1.05, 0.62, 0.41)),
    ("vggsnn", vggsnn, (48, 48, 2), 10, kept(VGGSNN, [0.82] * 3 + [0.93] * 4), (0.40, 0.29, 0.24)),
]


@pytest.mark.parametrize(
    ("make", "shape", "classes", "widths", "sizes"),
    [row[1:] for row in TABLE_1],
    ids=[f"{row[0]}-{row[3]}-{row[5][0]}" for row in TABLE_1],
)
def test_sizes_of_table_1(make, shape, classes, widths, sizes):
    for bits, size in zip((8, 4, 2), sizes, strict=True):
        network = make(shape, classes, widths=widths, quantizer=Quantizer(bits, "mean"), ends="float")
        assert round(cost(network).size_mb, 2) == size


def test_full_precision_sizes_of_table_6():
    """The paper prints 68.4 and 58.88; the latter counts one number per channel of batch norm, not two."""
    assert round(cost(resnet20(classes=100, quantizer=None)).size_mb, 1) == 68.4
    vgg = cost(vgg16(quantizer=None)).size_mb
    assert round(vgg, 2) == 58.90
    assert round(vgg - 4 * sum(VGG16) / 1e6, 2) == 58.88


def test_dense_operations_per_step():
    assert cost(vgg16()).macs == 313_201_664
    assert round(cost(resnet20(classes=100)).macs / 1e6, 1) == 2493.2
    assert cost(vgg16()).image_macs == 3 * 9 * 64 * 1024
    assert cost(vgg16(), frames=True).image_macs == 4 * 3 * 9 * 64 * 1024
    assert cost(vggsnn()).image_macs == 0


@pytest.mark.parametrize(
    ("millions", "steps", "conv1", "printed"),
    [(54.60, 4, 64, 0.204), (11.63, 4, 32, 0.046), (415.64, 2, 64, 0.756)],
)
def test_energies_of_table_6(millions, steps, conv1, printed):
    """Its last row (0.126) leaves out the number of steps."""
    assert energy_mj(millions * 1e6 * steps, 3 * 9 * conv1 * 1024) == pytest.approx(printed, abs=1e-3)


def test_nodes_add_up():
    network = vgg_small(quantizer=Quantizer(4, "mean"))
    total = cost(network)
    rows = {row.name: row for row in total.nodes}
    assert [row.name for row in total.nodes] == [node.name for node in network]
    assert rows["conv1"].quantized == 9 * 32
    assert rows["conv1"].real == 32 + 2 * 32
    assert rows["conv1"].bits == 8 * 9 * 32 + 32 * 3 * 32
    assert rows["conv2"].bits == 4 * 9 * 32 * 32 + 32 * 2 * 32
    assert rows["conv2"].saved_bits == 4 * 9 * 32 * 32 + 32 * 32
    assert rows["lif2"].saved_bits == 2 * 32 * 32
    assert rows["linear"].bits == 8 * 128 * 10 + 32 * 10
    assert rows["readout"].saved_bits == 32 * 10
    assert total.parameters == total.quantized + total.real == sum(row.quantized + row.real for row in total.nodes)
    assert total.size_mb == sum(row.bits for row in total.nodes) / 8e6
    assert total.saved_mb == sum(row.saved_bits for row in total.nodes) / 8e6
    assert total.sops is total.energy_mj is total.sops_per_step is None


def small():
    """A network in which one value is read by a strided Conv, a Conv without padding, a Shortcut and a Sum."""
    nodes = (
        Input("input", (7, 6, 2)),
        Conv("conv1", "input", 3),
        LIF("lif1", ("conv1",)),
        Conv("conv2", "lif1", 4, kernel=3, stride=2),
        Shortcut("short2", "lif1", 4, stride=2, channel_map=(2, 0, -1, 2)),
        LIF("lif2", ("conv2", "short2")),
        Conv("conv3", "lif1", 5, kernel=2, stride=2, padding=1),
        LIF("lif3", ("conv3",)),
        MaxPool("pool3", "lif3", 2),
        Conv("conv4", "pool3", 4, kernel=1, padding=0),
        LIF("lif4", ("conv4",)),
        Conv("conv5", "lif2", 4),
        LIF("lif5", ("conv5",)),
        Sum("sum5", ("lif2", "lif5")),
        AvgPool("average", "sum5", 2),
        Conv("conv6", "average", 4, kernel=2, stride=1, padding=1),
        LIF("lif6", ("conv6",)),
        Linear("linear4", "lif4", 6),
        Linear("linear6", "lif6", 6),
        LIF("lif7", ("linear4", "linear6")),
        Linear("linear", "lif7", 3),
        Readout("readout", "linear"),
    )
    return Network(nodes, steps=3)


def naive_fanout(network, name):
    """Every addition of every synapse that reads the value, one by one."""
    height, width, channels = network.shape(name)
    count = np.zeros((height, width, channels), np.int64)
    for node in network.consumers(name):
        if isinstance(node, Linear):
            for index in np.ndindex(count.shape):
                for _ in range(node.features):
                    count[index] += 1
        elif isinstance(node, Shortcut):
            rows, columns, outputs = network.shape(node.name)
            for y, x, c in np.ndindex(rows, columns, outputs):
                if node.mapping(channels)[c] != -1:
                    count[y * node.stride, x * node.stride, node.mapping(channels)[c]] += 1
        elif isinstance(node, Conv):
            rows, columns, outputs = network.shape(node.name)
            taps = np.ndindex(rows, columns, outputs, node.kernel, node.kernel, channels)
            for oy, ox, _, ky, kx, ci in taps:
                y, x = oy * node.stride + ky - node.padding, ox * node.stride + kx - node.padding
                if 0 <= y < height and 0 <= x < width:
                    count[y, x, ci] += 1
    return count


@pytest.mark.parametrize("name", counted(small()))
def test_fanout_against_loops(name):
    network = small()
    np.testing.assert_array_equal(fanout(network, name), naive_fanout(network, name))


@pytest.mark.parametrize("network", [vgg_small(width=0.1), resnet20((9, 9, 3), width=0.02)], ids=["vgg", "resnet"])
def test_fanout_of_the_zoo_against_loops(network):
    for name in counted(network):
        np.testing.assert_array_equal(fanout(network, name), naive_fanout(network, name))


def spikes_of(network, seed=0):
    """Counts summed over T of one made-up image, of every value of spikes."""
    rng = np.random.default_rng(seed)
    values = {name: value for name, value in network.values.items() if value.kind == "spikes"}
    return {name: rng.integers(0, network.steps * value.max_count + 1, value.shape) for name, value in values.items()}


def test_operations_are_spikes_times_fanout():
    network = small()
    assert counted(network) == ("lif1", "lif2", "pool3", "lif4", "average", "lif6", "lif7")
    spikes = spikes_of(network)
    operations = sops(network, spikes)
    assert set(operations) == {node.name for node in network.of(Conv, Linear, Shortcut)} - {"conv1"}
    total = sum((spikes[name] * naive_fanout(network, name)).sum() for name in counted(network))
    assert sum(operations.values()) == total
    measured = cost(network, spikes)
    assert measured.sops == total
    assert measured.sops_per_step == total / 3
    assert {row.name: row.sops for row in measured.nodes if row.sops is not None} == operations
    macs = 2 * 9 * 3 * 7 * 6
    assert measured.image_macs == macs
    assert measured.energy_mj == pytest.approx((0.9 * total + 4.6 * macs) * 1e-9)


def test_events_are_additions():
    network = vgg_small((8, 8, 2), events=True)
    assert counted(network)[0] == "input"
    operations = sops(network, dict.fromkeys(counted(network), 0.0) | {"input": np.ones((8, 8, 2))})
    assert operations["conv1"] == naive_fanout(network, "input").sum()
    assert cost(network).image_macs == 0


def test_a_rate_stands_for_all_elements_and_steps():
    network = small()
    rates = dict.fromkeys(counted(network), 0.25)
    counts = {name: np.full(network.shape(name), 0.25 * network.steps) for name in rates}
    assert sops(network, rates) == pytest.approx(sops(network, counts))


def test_firing_that_does_not_fit():
    network = small()
    good = dict.fromkeys(counted(network), 0.1)
    with pytest.raises(ConfigError, match=r"firing\.lif2: expected spikes of lif1, lif2, pool3"):
        sops(network, {name: rate for name, rate in good.items() if name != "lif2"})
    with pytest.raises(ShapeError, match=r"firing\.lif1: expected a number, or an array \(7, 6, 3\), got \(2,\)"):
        sops(network, good | {"lif1": np.ones(2)})
    for bad in (np.nan, -1.0, np.inf):
        with pytest.raises(NumericsError, match=r"firing\.lif1: expected finite numbers of at least 0"):
            sops(network, good | {"lif1": bad})
