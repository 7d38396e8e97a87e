"""`qpsnn loihi`: what it prints, its exit status, and what it says of bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")

import qpsnn_core as qp
from qpsnn_core.network import LIF, Conv, Input, Linear, Network, Quantizer, Readout

pytestmark = pytest.mark.cli


@pytest.fixture
def network(tmp_path):
    """An integer network for digits; `bits` of the last layer, `fraction` bits of all."""

    def write(bits=7, fraction=0):
        nodes = (
            Input("input", (8, 8, 1), 255, 1 / 255),
            Conv("conv1", "input", 4, quantizer=Quantizer(4, "mean")),
            LIF("lif1", ("conv1",)),
            Linear("linear", "lif1", 10, quantizer=Quantizer(bits, gamma="max", granularity="layer")),
            Readout("readout", "linear"),
        )
        model = qp.initialise(Network(nodes, 3))
        model.state["conv1"]["var"][:] = 0.01
        path = tmp_path / f"network{bits}.{fraction}.h5"
        qp.save_integer(path, qp.lower(model, fraction_bits=fraction, readout_bits=0).network)
        return path

    return write


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_what_fits_ends_well_and_is_measured(qpsnn, network, chip):
    pytest.importorskip("sklearn")
    code, out, _ = qpsnn("loihi", network(), "--chip", chip, "--data", "digits", "--limit", 10, "--json")
    found = json.loads(out)
    assert (code, found["fits"], found["chip"]) == (0, True, chip)
    assert found["activity"]["spikes"]["lif1"] > 0
    assert found["layers"][0]["where"] == ("host" if chip == "loihi1" else "cores")
    code, out, _ = qpsnn("loihi", network(), "--chip", chip)
    assert code == 0
    assert out.rstrip().endswith("it fits")


def test_what_does_not_fit_ends_with_1_and_says_what_would(qpsnn, network):
    code, out, _ = qpsnn("loihi", network(bits=8), "--chip", "loihi2")
    assert code == 1
    assert "linear: weight bits: 9 of 8; quantize linear to 7 bits" in out
    assert "secondary sources" in out
    assert out.rstrip().endswith("it does not fit")
    code, out, _ = qpsnn("loihi", network(fraction=16), "--chip", "loihi2", "--json")
    assert code == 1
    assert "lower with at most" in json.loads(out)["problems"][0]["remedy"]


def test_bad_input_is_one_line_and_2(qpsnn, network, tmp_path):
    code, _, err = qpsnn("loihi", network(), "--chip", "loihi3")
    assert (code, err.strip()) == (2, "error: chip: expected one of loihi1, loihi2, got 'loihi3'")
    path = tmp_path / "noise.h5"
    path.write_bytes(np.zeros(100, np.uint8).tobytes())
    code, _, err = qpsnn("loihi", path)
    assert code == 2
    assert err.startswith("error: ")


def test_readout_bits_of_a_lowered_network(qpsnn, tmp_path):
    import small

    qp.save_checkpoint(tmp_path / "c.h5", qp.Checkpoint(small.model()))
    gains = {}
    for bits in (12, 3):
        assert qpsnn("lower", tmp_path / "c.h5", "--out", tmp_path / "n.h5", "--readout-bits", bits)[0] == 0
        gains[bits] = qp.load_integer(tmp_path / "n.h5").arrays["linear"]["gain"].max()
    assert gains == {12: 2**12, 3: 2**3}
