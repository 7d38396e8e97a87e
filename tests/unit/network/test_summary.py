"""What `print` shows of a network and of its integers: a line for each node, and sums that are those of the cost."""

from __future__ import annotations

import small

from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.network.cost import cost

TRAINED = """\
name     kind      reads         gives  parameters  bits
image    Input                   6x6x2
conv1    Conv      image         6x6x6         126     8
lif1     LIF       conv1         6x6x6
conv2    Conv      lif1          6x6x6         336     4
short    Shortcut  lif1          6x6x6
lif2     LIF       conv2, short  6x6x6
sum      Sum       lif1, lif2    6x6x6
pool     MaxPool   sum           3x3x6
conv3    Conv      pool          2x2x8         448     3
lif3     LIF       conv3         2x2x8
average  AvgPool   lif3          1x1x8
linear   Linear    average       1x1x3          27     8
readout  Readout   linear        1x1x3
937 parameters, 888 of them quantized; 0.000652 MB (Eq. 16), membranes 0.001856 MB; T = 3"""


def test_a_network_is_a_table():
    network = small.network()
    assert str(network) == TRAINED
    assert "\n" not in repr(network)
    found = cost(network)
    bits = 108 * 8 + 324 * 4 + 432 * 3 + 24 * 8 + 32 * (937 - 888)
    assert (found.parameters, found.quantized, found.size_mb) == (937, 888, bits / 8e6)


def test_layers_in_floating_point_have_32_bits():
    network = small.network()
    for node in network.synapses:
        network = network.change(node.name, quantizer=None)
    lines = {line.split()[0]: line.split() for line in str(network).split("\n")}
    assert [lines[name][-1] for name in ("conv1", "conv2", "linear", "lif1")] == ["32", "32", "32", "6x6x6"]


def test_integers_are_a_table():
    integers = lower(small.model()).network
    head, *rows, last = str(integers).split("\n")
    assert head.split() == ["name", "kind", "reads", "gives", "integers", "bits"]
    assert [row.split()[0] for row in rows] == [node.name for node in integers]
    cells = {row.split()[0]: row.split() for row in rows}
    assert cells["conv3"] == ["conv3", "IntConv", "pool", "2x2x8", "440", "3"]
    assert cells["lif1"][-1] == "12"
    total = sum(array.size for own in integers.arrays.values() for array in own.values())
    size, state = sum(integers.size_bytes.values()) / 1e6, sum(integers.membrane_bits.values()) / 8e6
    assert last == f"{total:,} integers, {size:.4g} MB, membranes {state:.4g} MB, T = 3"
    assert set(integers.membrane_bits) == {"lif1", "lif2", "lif3"}
