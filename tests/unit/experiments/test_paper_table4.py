"""Table 4: what is computed of it, beside what is printed; the command."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("typer")

from qpsnn_core.experiments import paper_table4
from qpsnn_core.network.cost import cost


def test_the_second_network_has_the_third_ones_shape():
    whole, pruned, scratch = (cost(network) for network in paper_table4.networks(10))
    assert (whole.parameters, scratch.parameters) == (9_320_122, 4_156_202 - 4096)
    assert pruned.macs == scratch.macs
    assert {row.bits for row in paper_table4.TABLE_4} == {None, 4}


@pytest.mark.slow
def test_the_command(qpsnn):
    code, out, error = qpsnn("table", "transformer", "--limit", "1", "--json")
    assert (code, error) == (0, "")
    whole, pruned, scratch = json.loads(out)
    assert [round(row["size_mb"], 4) for row in (whole, pruned, scratch)] == [18.7095, 2.2473, 8.3505]
    assert (whole["parameters"], whole["unused"], pruned["parameters"]) == (9_360_916, 6144, 4_169_124)
    assert pruned["connections"] == scratch["connections"] == pytest.approx(0.4454, abs=1e-4)
    assert pruned["saved_mb"] == pytest.approx(2.215, abs=1e-3)
    for row in (whole, pruned, scratch):
        assert 0.01 < row["firing_rate"] < 0.2
        assert row["energy_mj"] == pytest.approx(0.9e-9 * row["sops"], rel=0.1)
    assert pruned["sops"] / whole["sops"] == pytest.approx(130.05 / 292.14, abs=0.05)
    assert whole["printed"]["accuracy"] == 79.09
    code, out, _ = qpsnn("table", "4", "--limit", "1")
    assert code == 0
    assert "18.64" in out
