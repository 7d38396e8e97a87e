"""A network as a file: what was saved comes back; a fault is named with its file."""

from __future__ import annotations

import json

import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ArgumentError, FileError, FormatError, QpsnnError, VersionError
from qpsnn_core.network.file import load_network, save_network
from qpsnn_core.network.zoo.vgg import vgg_small

NETWORK = vgg_small()


def test_what_was_saved_comes_back(tmp_path):
    save_network(tmp_path / "net.json", NETWORK)
    assert load_network(tmp_path / "net.json") == NETWORK
    assert json.loads((tmp_path / "net.json").read_text(encoding="utf-8")) == json.loads(NETWORK.to_json())


def test_it_is_a_checkpoints_own_text(tmp_path):
    (tmp_path / "net.json").write_text(NETWORK.to_json(), encoding="utf-8")
    assert load_network(tmp_path / "net.json") == NETWORK


WRONG = {
    "nothing": (b"", FormatError, "net.json: network: not JSON"),
    "not JSON": (b"{", FormatError, "net.json: network: not JSON"),
    "not UTF-8": (b'"\xff"', FormatError, "net.json: not JSON in UTF-8"),
    "too deep": (b"[" * 100_000, FormatError, "net.json: nested too deep"),
    "an integer of thousands of digits": (b"9" * 10_000, FormatError, "net.json: network"),
    "other JSON": (b"[]", FormatError, "net.json: network.format: expected 'qpsnn-network'"),
    "a later version": (b'{"format": "qpsnn-network", "version": 9}', VersionError, "net.json: network.version"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_fault_is_named_with_its_file(tmp_path, case):
    text, error, message = WRONG[case]
    (tmp_path / "net.json").write_bytes(text)
    with pytest.raises(error) as caught:
        load_network(tmp_path / "net.json")
    assert message in str(caught.value)


def test_a_fault_of_the_network_is_named_with_its_file_and_node(tmp_path):
    text = NETWORK.to_json().replace('"channels":64', '"channels":0', 1)
    (tmp_path / "net.json").write_text(text, encoding="utf-8")
    with pytest.raises(QpsnnError, match=r"net\.json: conv3\.channels: expected an integer of at least 1, got 0"):
        load_network(tmp_path / "net.json")


def test_another_kind_of_file_says_what_helps(tmp_path):
    qp.save_checkpoint(tmp_path / "a.h5", qp.Checkpoint(qp.initialise(NETWORK)))
    with pytest.raises(FormatError, match=r"expected a JSON file, got a checkpoint \(save_network\(path, load_check"):
        load_network(tmp_path / "a.h5")
    with pytest.raises(FileError, match="no such file"):
        load_network(tmp_path / "none.json")
    with pytest.raises(ArgumentError, match=r"save_network\.network: expected a Network"):
        save_network(tmp_path / "b.json", qp.initialise(NETWORK))  # type: ignore[arg-type]  # that is what is tested
    assert not (tmp_path / "b.json").exists()
