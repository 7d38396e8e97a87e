"""docs/gates.md: its first example runs as it stands, and gives a network that is deployed."""

from __future__ import annotations

from pages import blocks

import qpsnn_core as qp
from qpsnn_core.integer.lowering.gates import check_priors
from qpsnn_core.network.gates import Membrane


def test_the_first_example_runs_and_has_no_prior_that_lowering_refuses(root):
    scope = {}
    exec(blocks(root / "docs" / "gates.md", "python")[0], scope)
    network = scope["network"]
    assert isinstance(network, qp.Network)
    assert network.of(Membrane)
    check_priors(network)
