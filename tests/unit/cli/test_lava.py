"""`qpsnn simulate --backend lava`: on Lava's own processes, and what it says where there is no Lava."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shlex
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from machine import WITHOUT_LAVA

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

import qpsnn_core as qp
from qpsnn_core.cli import main
from qpsnn_core.integer.file import save_integer
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout, IntSumPool

pytestmark = pytest.mark.cli


@pytest.fixture
def simulate(monkeypatch, capsys):
    """(exit status, standard output, standard error) of `qpsnn simulate words...`, in this process."""

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["qpsnn", "simulate", "--data", "digits", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return command


def of_digits(path, pool=False):
    """A network for the digits, T = 2, on the disk; `pool`: one that Lava's own processes lack."""
    rng = np.random.default_rng(0)
    between = (IntSumPool("pool", "lif", 2),) if pool else ()
    nodes = (
        IntInput("input", (8, 8, 1), 255),
        IntConv("conv", "input", 3, 3, 1, 1),
        IntLIF("lif", ("conv",)),
        *between,
        IntLinear("linear", "pool" if pool else "lif", 10),
        IntReadout("readout", "linear"),
    )
    arrays = {
        "conv": {"codes": rng.integers(-7, 8, (3, 3, 1, 3)).astype(np.int8), "gain": np.ones(3, np.int32)},
        "lif": {"threshold": np.array([900, 90, 9], np.int32), "bias": np.array([-5, 0, 5], np.int32)},
        "linear": {
            "codes": (2 * rng.integers(0, 256, (48 if pool else 192, 10)) - 255).astype(np.int16),
            "gain": rng.integers(1, 4000, 10).astype(np.int32),
        },
        "readout": {"bias": rng.integers(-900, 900, 10).astype(np.int32)},
    }
    save_integer(path, IntegerNetwork(nodes, arrays, 2))
    return path


@pytest.mark.lava
def test_lavas_own_processes_agree_with_the_exact_simulator(simulate, tmp_path):
    path = of_digits(tmp_path / "network.h5")
    code, out, err = simulate(path, "--backend", "lava", "--stock", "--limit", 12, "--json")
    assert (code, err) == (0, "")
    figures = json.loads(out)
    assert figures["spikes"] == 2 * 12 * 8 * 8 * 3
    assert [figures[f"{what}_mismatches"] for what in ("spike", "readout", "answer")] == [0, 0, 0]
    assert figures["membrane_mismatches"] is None
    assert 0.01 < figures["firing_rate"] < 0.99


@pytest.mark.lava
def test_what_lavas_own_processes_lack_is_one_line(simulate, tmp_path):
    path = of_digits(tmp_path / "network.h5", pool=True)
    code, out, err = simulate(path, "--backend", "lava", "--stock", "--limit", 12)
    assert (code, out) == (2, "")
    assert err.startswith("error: lava: stock: pool: Lava's own LIF takes no IntSumPool: it computes Conv or Linear")
    assert err.count("\n") == 1


@pytest.mark.parametrize("backend", ["exact", "c"])
def test_only_lava_has_processes_of_its_own(simulate, tmp_path, backend):
    code, _, err = simulate(of_digits(tmp_path / "network.h5"), "--backend", backend, "--stock")
    assert code == 2
    assert err.startswith(f"error: backend.{backend}: expected ")
    assert err.rstrip().endswith("got 'stock'")


@pytest.fixture
def no_lava(monkeypatch, tmp_path):
    """Nor an environment beside this one."""
    real = importlib.metadata.version

    def without(name):
        if name == "lava-nc":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", without)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("QPSNN_SIDE_ENVIRONMENT", raising=False)


@pytest.mark.usefixtures("no_lava")
@pytest.mark.parametrize("stock", [(), ("--stock",)])
def test_without_lava_one_line_says_what_to_run(simulate, tmp_path, stock):
    code, out, err = simulate(of_digits(tmp_path / "network.h5"), "--backend", "lava", *stock)
    assert (code, out) == (2, "")
    assert err.startswith("error: lava: expected the [lava] extra on Python 3.10 (run `")
    assert "[lava" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("no_lava")
def test_the_demo_says_so_before_it_trains(qpsnn, tmp_path, monkeypatch):
    monkeypatch.setattr(qp, "train", None)
    code, out, err = qpsnn("demo", "--out", tmp_path / "demo", "--quiet")
    assert (code, out) == (2, "")
    assert err.startswith("error: lava: expected the [lava] extra on Python 3.10 (run `")
    assert list((tmp_path / "demo").iterdir()) == []


VENV = """
import sys, sysconfig, venv
from pathlib import Path
folder = Path(sys.argv[1])
venv.create(folder)
packages = folder / "lib" / "python3.10" / "site-packages"
(packages / "beside.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})")
(packages / "pip").mkdir()
(packages / "pip" / "__main__.py").write_text(sys.argv[2])
"""
PIP = """
import sys
from pathlib import Path
path = Path(sys.prefix) / "bin" / "qpsnn"
path.write_text(f"#!/bin/sh\\nexec '{sys.executable}' -c 'from qpsnn_core.cli import main; main()' \\"$@\\"\\n")
path.chmod(0o755)
"""


@pytest.mark.lava
@pytest.mark.slow
def test_the_command_runs_on_lava_in_an_environment_that_it_made(tmp_path):
    """The environment is one, but sees this one's packages, and nothing is downloaded: its pip only writes `qpsnn`."""
    python = tmp_path / "bin" / "python3.10"
    python.parent.mkdir()
    here = shlex.quote(sys.executable)
    make = f'{here} -c {shlex.quote(VENV)} "$3" {shlex.quote(PIP)}'
    python.write_text(f'#!/bin/sh\nif [ "$1 $2" = "-m venv" ]; then\n{make}\nelse exec {here} "$@"\nfi\n')
    python.chmod(0o755)
    path = of_digits(tmp_path / "network.h5")
    words = [sys.executable, "-c", WITHOUT_LAVA, "nowhere", "simulate", path, "--data", "digits"]
    words += ["--backend", "lava", "--limit", "5"]
    cache = tmp_path / "cache"
    environment = {**os.environ, "PATH": f"{python.parent}:/usr/bin:/bin", "XDG_CACHE_HOME": str(cache)}
    run = partial(subprocess.run, capture_output=True, text=True, check=False, timeout=300)
    for choice, said in (("1", ["making", "running"]), ("", ["running"])):
        done = run([*words, "--json"], env={**environment, "QPSNN_SIDE_ENVIRONMENT": choice})
        assert done.returncode == 0, done.stderr
        words_said = [line.split()[0] for line in done.stderr.splitlines()]
        assert [word for word in words_said if word != "compiling"] == said  # which only a new checkout does
        figures = json.loads(done.stdout)
        assert figures["spikes"] == 2 * 5 * 8 * 8 * 3
        assert [figures[f"{what}_mismatches"] for what in ("spike", "membrane", "readout")] == [0, 0, 0]
    assert [path.name for path in cache.glob("qpsnn/lava-*/bin/qpsnn")] == ["qpsnn"]
