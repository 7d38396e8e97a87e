"""Why kinds of node have no neurons, no spikes or no synapses on a chip."""

from __future__ import annotations

from qpsnn_core.common.errors import Unquoted, UnsupportedError, expected
from qpsnn_core.common.kind_table import Refusal
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConcat, IntMaxPool, IntSum, IntSumPool

CURRENT = Refusal("it gives a current, not spikes")
COUNTS = Refusal("it gives spikes, not a current")
FOLDED = Refusal("it is folded into the synapses that read it")
SUMS = Refusal("nothing reads its sums")

GATE = Refusal("a core adds every spike that reaches it: no other core can close its synapses for one step")

PRIOR = Refusal("a core sends spikes, not the membranes of its neurons")

FINER = Refusal("several taps of a window would read one neuron, and a core has one synapse for each")

ATTENTION = Refusal(
    "a synapse multiplies a spike with a weight that is stored, and no core multiplies it with the spikes of another: "
    "run attention on the host, or split the network before it"
)

STREAM = Refusal(
    "a current is summed in its neuron and seen by no other: put a LIF behind the stream, and a Linear and a Readout"
)


def check_counts(network: IntegerNetwork, node: IntSumPool | IntMaxPool | IntSum | IntConcat) -> None:
    """UnsupportedError of what pools or joins currents."""
    if network.values[node.name].kind == "current":
        what = {IntSum: "sum", IntConcat: "concatenation"}.get(type(node), "pool")
        remedy = "let the LIF read the currents themselves" if what == "sum" else f"a {what} behind the LIF"
        want = f"a {what} of spikes, as a current is summed in its neuron and seen by no other ({remedy})"
        raise UnsupportedError(expected(f"loihi: {node.name}", want, Unquoted(f"a {what} of currents")))
