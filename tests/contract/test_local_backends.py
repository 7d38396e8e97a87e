"""Every backend of local learning against the exact simulator: each stored variable after each step, bit for bit."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import numpy as np
import pytest
from compiled import SANITIZED, needs_cc
from deployed import decolle_network, frames, spikes, stdp_network

from qpsnn_backends.c.local.export import export_local
from qpsnn_core.common.errors import ConfigError, FileError, UnsupportedError
from qpsnn_core.integer.local.backends import LocalBackend, differences, local_backend
from qpsnn_core.integer.local.simulate import simulate_local

CASES = {
    "single": lambda: (stdp_network(), spikes()),
    "saturating": lambda: (stdp_network("single", "truncation", "Q7.4"), spikes()),
    "three, drawn": lambda: (stdp_network("three", "stochastic"), spikes()),
    "normalised": lambda: (decolle_network(), frames()),
    "plain, drawn": lambda: (decolle_network("plain", "stochastic"), frames()),
}


@pytest.mark.parametrize("backend", [pytest.param("c", marks=needs_cc), pytest.param("lava", marks=pytest.mark.lava)])
@pytest.mark.parametrize("case", CASES)
def test_every_stored_variable_is_the_same(case, backend):
    network, samples = CASES[case]()
    exact = simulate_local(network, samples, record="all", first=7)
    chosen = local_backend(backend)
    assert isinstance(chosen, LocalBackend)
    run = chosen.run(network, samples, "all", 7)
    assert list(run.variables) == [one.name for one in network.variables]
    assert differences(run, exact) == dict.fromkeys([*run.variables, "answers"], 0)
    assert exact.answers.sum() > 0
    moving = [name for name, one in exact.variables.items() if name != "thresholds" and (one != one[:, :1]).any()]
    assert len(moving) >= len(run.variables) - 1
    alone = chosen.run(network, samples[1:2], first=8)
    assert alone.variables == {}
    np.testing.assert_array_equal(alone.answers, exact.answers[1:2])


@needs_cc
@pytest.mark.parametrize("case", ["three, drawn", "plain, drawn", "normalised"])
def test_an_export_checks_itself(tmp_path, case):
    network, samples = CASES[case]()
    done = export_local(network, tmp_path / "c", "net", samples, 7)
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == sorted(done.files)
    for target, said in (("check", f"net: {len(samples)} samples"), ("size", f"{done.state + done.scratch}")):
        made = subprocess.run(["make", "-C", tmp_path / "c", target], capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
        assert said in made.stdout
    header = (tmp_path / "c" / "net.h").read_text()
    assert f"has {network.bits} bits" in header
    assert done.constants >= sum(np.size(one) for one in network.weights)
    vectors = bytearray((tmp_path / "c" / "vectors.bin").read_bytes())
    vectors[-8] ^= 1
    (tmp_path / "c" / "vectors.bin").write_bytes(bytes(vectors))
    made = subprocess.run(["make", "-C", tmp_path / "c", "check"], capture_output=True, text=True, check=False)
    assert made.returncode != 0
    assert "answer 6: another" in made.stderr or "answer 2: another" in made.stderr


@needs_cc
def test_noise_checks_an_export_without_samples(tmp_path):
    done = export_local(stdp_network(), tmp_path / "c", "net")
    assert done.vectors == 4
    with pytest.raises(ConfigError, match="name"):
        export_local(stdp_network(), tmp_path / "c", "check")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine").touch()
    with pytest.raises(FileError, match="an earlier export"):
        export_local(stdp_network(), tmp_path / "d")


@needs_cc
def test_sanitizers_find_nothing(tmp_path):
    network, samples = CASES["saturating"]()
    exact = simulate_local(network, samples, record="all")
    run = local_backend("c", flags=SANITIZED).run(network, samples, "all")
    assert set(differences(run, exact).values()) == {0}


def test_lava_refuses_sums_beyond_its_messages():
    from qpsnn_backends.lava.local import PLANNED

    network = stdp_network()
    large = replace(network, weight=network.weight._replace(high=2**30))
    with pytest.raises(UnsupportedError, match="lava: synapses: expected sums of at most 2147483647"):
        PLANNED[network](large, 0)
