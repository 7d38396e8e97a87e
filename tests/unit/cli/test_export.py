"""`qpsnn export --c`, and `qpsnn simulate --backend c`."""

from __future__ import annotations

import json
import subprocess

import pytest
from compiled import needs_cc

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

import qpsnn_core as qp

pytestmark = pytest.mark.cli


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    digits = qp.load_data("digits", limit=64)
    built = qp.build("vgg_small", (8, 8, 1), 10, steps=2, width=0.1)
    path = tmp_path_factory.mktemp("lowered") / "my-digits.h5"
    qp.save_integer(path, qp.lower(qp.recalibrate(qp.initialise(built, 0), digits.train.images)).network)
    return path


@needs_cc
def test_export_and_its_check(qpsnn, network, tmp_path):
    code, out, _ = qpsnn("export", "--c", tmp_path / "c", network, "--json")
    assert code == 0
    done = json.loads(out)
    assert done["vectors"] == 100
    assert done["files"][:2] == ["my_digits.h", "my_digits.c"]
    code, out, _ = qpsnn("export", "--c", tmp_path / "c", network, "--name", "net", "--data", "digits", "--vectors", 7)
    assert code == 0
    assert f"{done['constants']:,}" in out
    assert "check" in out
    made = subprocess.run(["make", "-C", tmp_path / "c", "check"], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert "net: 7 inputs" in made.stdout


@pytest.mark.parametrize("taken", ["check", "Measure", "cortex_m"])
def test_a_file_called_as_another_of_the_export_gets_another_name(qpsnn, network, tmp_path, taken):
    renamed = tmp_path / f"{taken}.h5"
    renamed.write_bytes(network.read_bytes())
    code, out, _ = qpsnn("export", "--c", tmp_path / "c", renamed, "--json")
    assert code == 0
    assert json.loads(out)["files"][:2] == [f"network_{taken}.h", f"network_{taken}.c"]


@needs_cc
def test_simulate_on_the_backend(qpsnn, network):
    code, out, _ = qpsnn("simulate", network, "--data", "digits", "--backend", "c", "--limit", 20, "--json")
    assert code == 0
    figures = json.loads(out)
    assert figures["backend"] == "c"
    assert figures["spikes"] > 0
    assert figures["spike_mismatches"] == figures["membrane_mismatches"] == figures["readout_mismatches"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--c", "out", "nowhere.h5"), "nowhere.h5"),
        (("--c", "out", "{network}", "--name", "1"), "name: expected a letter"),
        (("--c", "out", "{network}", "--data", "digit"), "digits"),
        (("--c", "taken", "{network}"), "expected a new or empty folder, or an earlier export, got mine"),
        (("--c", "taken/mine", "{network}"), "expected a folder, got a file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(qpsnn, network, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("")
    code, _, err = qpsnn("export", *(word.format(network=network) for word in words))
    assert code == 2
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["taken", "mine"]


def test_export_is_to_one_format(qpsnn, network, tmp_path):
    code, _, err = qpsnn("export", network)
    assert code == 2
    assert "export: expected one of --c, --netx, --nir, got none" in err
    code, _, err = qpsnn("export", network, "--c", tmp_path / "c", "--nir", tmp_path / "n")
    assert code == 2
    assert "got --c and --nir" in err
    assert not list(tmp_path.iterdir())


def test_export_has_help(qpsnn):
    code, out, _ = qpsnn("export", "--help")
    assert code == 0
    assert "Usage" in out
