"""The limits of Loihi 1 and Loihi 2: every figure with its source, and whether it is certain.

Sources: [Davies] "Loihi: a neuromorphic manycore processor with on-chip learning", IEEE Micro 38(1), 2018.
[nengo-loihi] its source (block.py, discretize.py, validate.py). [brief] Intel Labs, "Taking neuromorphic
computing to the next level with Loihi 2", technology brief, 2021. [Lava] lava-nc 0.10.0, the fixed-point models.
Intel has published no register-level manual of Loihi 2: all that is said of it here counts as uncertain.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """The largest figure of a resource (None: not published), and where it comes from."""

    maximum: int | None
    source: str
    certain: bool = True


@dataclass(frozen=True)
class Chip:
    """A chip. Per core: neurons to thresholds; per chip: cores to synapses; then what its integers can be.

    weight_widths: bits (with the sign, where weights have both signs) that a stored weight may take. weight_shift: by
    how much a weight can be shifted left on its way into the state. payload: the largest count that one spike carries.
    fraction: bits of the state below the unit of threshold. bias_shift: of the state below a bias's unit, at most.
    exact_leak: whether the leak rounds as ours (down); if not, the state is scaled until no leak rounds at all.
    shared_kernels: whether a core stores a kernel once; if not, each synapse of a convolution is stored.
    """

    name: str
    neurons: Limit
    in_axons: Limit
    out_axons: Limit
    synapse_bits: Limit
    thresholds: Limit
    cores: Limit
    chip_neurons: Limit
    chip_synapses: Limit
    payload: Limit
    weight_bits: Limit
    threshold: Limit
    bias: Limit
    state: Limit
    weight_widths: tuple[int, ...]
    weight_shift: int
    fraction: int
    bias_shift: int
    exact_leak: bool
    shared_kernels: bool
    notes: tuple[str, ...]


WEIGHT_BITS = 8
"""nengo-loihi block.py: WEIGHT_BITS_MAP, the widest; a sign among them where weights have both."""

LOIHI1 = Chip(
    name="loihi1",
    neurons=Limit(1024, "Davies: compartments per core"),
    in_axons=Limit(4096, "nengo-loihi block.py: MAX_IN_AXONS"),
    out_axons=Limit(4096, "nengo-loihi block.py: MAX_OUT_AXONS"),
    synapse_bits=Limit(2**20, "nengo-loihi block.py: MAX_SYNAPSE_BITS (128 KB, Davies)"),
    thresholds=Limit(16, "nengo-loihi validate.py (to be checked, it says; 8 in older versions)", certain=False),
    cores=Limit(128, "Davies"),
    chip_neurons=Limit(128 * 1024, "Davies: 128 cores of 1024 compartments"),
    chip_synapses=Limit(None, "bounded by the memory of each core"),
    payload=Limit(1, "Davies: spikes carry no value"),
    weight_bits=Limit(WEIGHT_BITS, "nengo-loihi block.py: WEIGHT_BITS_MAP, the sign among them"),
    threshold=Limit(2**17 - 1, "nengo-loihi discretize.py: VTH_MAN_MAX, in units of 2**6 of the state"),
    bias=Limit(2**12 - 1, "nengo-loihi discretize.py: BIAS_MAN_MAX, times 2**(0..7)"),
    state=Limit(2**23 - 1, "nengo-loihi: current and voltage of 23 bits and a sign"),
    weight_widths=(1, 2, 3, 4, 5, 6, 8),
    weight_shift=13,
    fraction=6,
    bias_shift=7,
    exact_leak=False,
    shared_kernels=False,
    notes=(
        "The leak rounds towards zero: for the same spikes the state is scaled until no leak rounds (by 2^(T-1) for a "
        "leak of 1/2), and thresholds, biases and states below are those after scaling.",
        "Convolutions are unrolled: each synapse is stored, 64 to a block with a 10-bit head, rounded up to 64 bits "
        "(nengo-loihi, bits_per_axon).",
        "Spikes carry no value: layers that read images run on the host, as nengo-loihi's off-chip layers do.",
    ),
)

LOIHI2 = Chip(
    name="loihi2",
    neurons=Limit(8192, "brief: 1 million neurons on 128 cores", certain=False),
    in_axons=Limit(None, "not published", certain=False),
    out_axons=Limit(None, "not published", certain=False),
    synapse_bits=Limit(192 * 1024 * 8, "brief: 192 KB per core, of which neurons take a part", certain=False),
    thresholds=Limit(None, "a neuron's own state, in microcode", certain=False),
    cores=Limit(128, "brief", certain=False),
    chip_neurons=Limit(10**6, "brief: 1 million neurons", certain=False),
    chip_synapses=Limit(120 * 10**6, "brief: 120 million synapses", certain=False),
    payload=Limit(2**31 - 1, "brief: graded spikes of 32 bits", certain=False),
    weight_bits=Limit(WEIGHT_BITS, "Lava: Dense of at most 8 bits", certain=False),
    threshold=Limit(2**23 - 1, "Lava: the state's range", certain=False),
    bias=Limit(2**23 - 1, "Lava: the state's range", certain=False),
    state=Limit(2**23 - 1, "Lava: fixed-point LIF clips to 23 bits and a sign", certain=False),
    weight_widths=(1, 2, 3, 4, 5, 6, 7, 8),
    weight_shift=13,
    fraction=0,
    bias_shift=0,
    exact_leak=True,
    shared_kernels=True,
    notes=(
        "Loihi 2: all limits are from secondary sources, and memory formats are not public: treat them as estimates.",
        "The neuron is taken to be our own in microcode: the leak rounds down, and it fires at U >= threshold.",
        "A core stores a kernel once for its output channels; other synapses one by one, without overhead.",
    ),
)

CHIPS = {chip.name: chip for chip in (LOIHI1, LOIHI2)}

SYNAPSES_PER_BLOCK = 64
"""nengo-loihi block.py: `n_synapses = 63`, which means 64."""

BLOCK_HEAD_BITS = 10
"""nengo-loihi block.py: 4 bits of synapse index and 6 bits of count."""

MEMORY_UNIT_BITS = 64
"""nengo-loihi block.py: a block is rounded up to memory words of 64 bits."""

INDEX_WIDTHS = (0, 6, 7, 8, 9, 10, 11, 12)
"""nengo-loihi block.py: INDEX_BITS_MAP, bits of a synapse's target."""

SYNAPSE_PJ = 23.6
"""Davies, Table 2: the least energy of a synaptic spike operation, at 0.75 V. Loihi 1; none published for Loihi 2."""

UPDATE_PJ = 81.0
"""Davies, Table 2: of an active neuron's update. Every neuron counts as active at every step."""

MESSAGE_PJ = 1.7
"""Davies, Table 2: of a spike within a tile. Hops between tiles (3 to 4 pJ each) depend on placement: left out."""
