"""A command that needs Lava in a Python without it: what it says, asks, makes and runs, with made-up tools."""

from __future__ import annotations

import importlib.metadata
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from machine import WITHOUT_LAVA, Machine

pytest.importorskip("typer")
pytest.importorskip("rich")

from qpsnn_core.cli import lava_environment
from qpsnn_core.common import install
from qpsnn_core.common.errors import MissingError
from qpsnn_core.integer.file import save_integer
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout

pytestmark = pytest.mark.cli

PYTHON = sys.executable
ADVICE = "error: lava: expected the [lava] extra on Python 3.10 (run `"


def version(name, real=importlib.metadata.version):
    if name == "lava-nc":
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)


@pytest.fixture
def network(tmp_path):
    """The file of a network for frames of events."""
    nodes = (
        IntInput("input", (4, 4, 2), 3),
        IntConv("conv", "input", 2, 3, 1, 1),
        IntLIF("lif", ("conv",), 1, 1),
        IntLinear("linear", "lif", 3),
        IntReadout("readout", "linear"),
    )
    ones = np.ones(2, np.int32)
    arrays = {
        "conv": {"codes": np.ones((3, 3, 2, 2), np.int8), "gain": ones},
        "lif": {"threshold": ones * 3, "bias": ones},
        "linear": {"codes": np.ones((32, 3), np.int8), "gain": np.arange(3, dtype=np.int32)},
        "readout": {"bias": np.ones(3, np.int32)},
    }
    save_integer(tmp_path / "a network.h5", IntegerNetwork(nodes, arrays, 2))
    return tmp_path / "a network.h5"


class Side(Machine):
    """A machine without Lava, whose made-up uv and Pythons make environments with a made-up `qpsnn` in them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.cache, self.tree = folder / "the cache", folder / "the tree"
        self.tree.mkdir()
        (self.tree / "pyproject.toml").write_text('[project]\nname = "qpsnn"\n')
        said = f'"qpsnn $* in $PWD, side $QPSNN_SIDE_ENVIRONMENT, path $PYTHONPATH" >> "{self.log}"'
        inside = {"python": self.script("inside", ""), "qpsnn": f"#!/bin/sh\necho {said}\nexit 7\n"}
        for name, script in inside.items():
            (self.home / name).write_text(script)
        fill = "; ".join(
            f'cat "{self.home}/{name}" > "$folder/bin/{name}"; chmod 755 "$folder/bin/{name}"' for name in inside
        )
        self.venv = f'for folder; do :; done; mkdir -p "$folder/bin"; {fill}'

    def script(self, name: str, body: str) -> str:
        """Notes its arguments; fails where the home folder holds a file named after its first two."""
        fails = f'[ ! -e "{self.home}/fail $1 $2" ] && [ ! -e "{self.home}/fail $1" ] || exit 3'
        return f'#!/bin/sh\n[ "$1" = -c ] || echo "{name} $*" >> "{self.log}"\n{fails}\n{body}\n'

    def put(self, path: Path, script: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)
        return path

    def uv(self) -> Path:
        return self.put(self.bin / "uv", self.script("uv", f'if [ "$1" = venv ]; then {self.venv}; fi'))

    def python(self, path: Path | None = None) -> Path:
        body = f'if [ "$1 $2" = "-m venv" ]; then {self.venv}; fi'
        return self.put(path or self.bin / "python3.10", self.script("python3.10", body))

    def lines(self) -> list[str]:
        """What was run since the last look; the environment's folder, which must be in the cache, as FOLDER."""
        text = self.log.read_text()
        self.log.write_text("")
        for folder in self.cache.glob("qpsnn/lava-????????"):
            text = text.replace(str(folder), "FOLDER")
        return text.splitlines()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    made = Side(tmp_path)
    for name, value in {"PATH": made.bin, "HOME": made.home, "XDG_CACHE_HOME": made.cache, "PYTHONPATH": "x"}.items():
        monkeypatch.setenv(name, str(value))
    for name in ("PYENV_ROOT", lava_environment.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3.14"))
    monkeypatch.setattr(install, "here", lambda: made.tree)
    monkeypatch.setattr(importlib.metadata, "version", version)
    return made


@pytest.fixture
def predict(machine, network, monkeypatch, qpsnn):
    """`qpsnn predict ... --backend lava` with the variable set to `choice`; exec becomes a call."""

    def execve(program, words, environment):
        assert words[0] == program
        sys.exit(subprocess.run(words, env=environment, check=False).returncode)

    def command(choice=""):
        monkeypatch.setenv(lava_environment.VARIABLE, choice)
        return qpsnn("predict", network, "a recording.aedat4", "--backend", "lava")

    monkeypatch.setattr(os, "execve", execve)
    return command


def ran(network):
    return f"qpsnn predict {network} a recording.aedat4 --backend lava in {Path.cwd()}, side 0, path "


UV = [
    "uv venv --quiet --python 3.10 FOLDER",
    "uv pip install --quiet --python FOLDER/bin/python --editable .[lava,cli,data,plot,events]",
]


@pytest.mark.parametrize("choice", ["", "0", "1"])
def test_where_there_is_no_python_for_it_the_advice_is_all(machine, predict, choice):
    code, out, err = predict(choice)
    assert (code, out, machine.lines()) == (2, "", [])
    assert err.startswith(ADVICE)
    assert lava_environment.VARIABLE not in err
    assert err.count("\n") == 1


def test_without_a_terminal_the_advice_names_the_variable(machine, predict):
    machine.uv()
    code, out, err = predict()
    assert (code, out, machine.lines()) == (2, "", [])
    assert err.startswith(ADVICE)
    assert err.endswith("; or set QPSNN_SIDE_ENVIRONMENT=1, and this command makes one and runs there\n")
    assert err.count("\n") == 1
    assert not machine.cache.exists()


def test_uv_makes_it_once_and_the_same_command_runs_there(machine, predict, network):
    machine.uv()
    code, out, err = predict("1")
    assert (code, out) == (7, "")
    assert machine.lines() == [*UV, ran(network)]
    assert "making " in err
    for choice in ("1", ""):
        code, _, err = predict(choice)
        assert (code, machine.lines()) == (7, [ran(network)])
        assert err.startswith("running in ")
    code, _, err = predict("0")
    assert (code, machine.lines()) == (2, [])
    assert err.startswith(ADVICE)


@pytest.mark.parametrize("where", ["PATH", "pyenv", "here"])
def test_without_uv_a_python_makes_it(machine, predict, network, monkeypatch, where):
    if where == "PATH":
        machine.python()
    elif where == "pyenv":
        machine.put(machine.bin / "python3.10", "#!/bin/sh\nexit 127\n")
        for version in ("3.10.4", "3.10.13", "3.10-dev", "3.1.99"):
            path = machine.pyenv(version)
            machine.put(path, machine.script(version, "exit 1")) if version != "3.10.13" else machine.python(path)
    else:
        monkeypatch.setattr(sys, "executable", str(machine.python(machine.home / "bin" / "python")))
    assert predict("1")[0] == 7
    assert machine.lines() == [
        "python3.10 -m venv FOLDER",
        "inside -m pip install --quiet --editable .[lava,cli,data,plot,events]",
        ran(network),
    ]


def test_uv_takes_the_python_that_is_there(machine, predict):
    machine.uv()
    python = machine.python()
    predict("1")
    assert machine.lines()[0] == f"uv venv --quiet --python {python} FOLDER"


def test_it_is_made_again_when_the_project_changes_or_its_python_is_gone(machine, predict, network):
    machine.uv()
    predict("1")
    machine.lines()
    (machine.tree / "pyproject.toml").write_text('[project]\nname = "qpsnn"\ndependencies = ["more"]\n')
    predict("1")
    assert machine.lines() == [*UV, ran(network)]
    (lava_environment.place() / "bin" / "python").unlink()
    predict("1")
    assert machine.lines() == [*UV, ran(network)]


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        ("venv", "uv venv --quiet"),
        ("pip install", "uv pip install --quiet"),
        ("-c", "bin/python' -c 'import importlib"),
    ],
)
def test_what_fails_is_told_and_tried_anew(machine, predict, network, fails, said):
    machine.uv()
    (machine.home / f"fail {fails}").touch()
    code, _, err = predict("1")
    assert code == 2
    line = err.splitlines()[-1]
    assert line.startswith("error: lava: side environment: expected `")
    assert said in line
    assert line.endswith("` to succeed, got status 3")
    (machine.home / f"fail {fails}").unlink()
    machine.lines()
    assert predict("1")[0] == 7
    assert machine.lines() == [*UV, ran(network)]


def test_a_cache_that_cannot_be_written_is_told(machine, predict):
    machine.uv()
    machine.cache.write_text("a file")
    code, _, err = predict("1")
    assert code == 2
    assert err.startswith(
        f"error: lava: side environment: expected a folder that can be made, {lava_environment.place()}, got "
    )


def installed(folder, monkeypatch, **files):
    """An installed qpsnn 9.9 of which these files tell."""
    told = folder / "site" / "qpsnn-9.9.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: qpsnn\nVersion: 9.9\n")
    for name, text in files.items():
        (told / name.replace("__", ".")).write_text(text)
    monkeypatch.syspath_prepend(str(told.parent))
    monkeypatch.setattr(install, "here", lambda: told.parent)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ('{"url": "file://{folder}", "dir_info": {}}', "qpsnn[lava,cli,data,plot,events] @ file://{folder}"),
        (
            '{"url": "https://x.org/q.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}',
            "qpsnn[lava,cli,data,plot,events] @ git+https://x.org/q.git@abc",
        ),
        (
            '{"url": "https://x.org/q.whl", "archive_info": {}}',
            "qpsnn[lava,cli,data,plot,events] @ https://x.org/q.whl",
        ),
    ],
)
def test_the_same_qpsnn_is_installed_as_this_one_was(tmp_path, monkeypatch, told, wanted):
    installed(tmp_path, monkeypatch, RECORD="a", direct_url__json=told.replace("{folder}", str(tmp_path)))
    found = lava_environment.origin()
    assert found.words == (wanted.replace("{folder}", str(tmp_path)),)
    assert found.folder is None
    (tmp_path / "site" / "qpsnn-9.9.dist-info" / "RECORD").write_text("b")
    assert lava_environment.origin().state != found.state


@pytest.mark.parametrize("told", [None, '{"url": "file://{folder}/gone", "dir_info": {}}'])
def test_a_source_that_is_gone_is_said_to_be(tmp_path, monkeypatch, told):
    files = {} if told is None else {"direct_url__json": told.replace("{folder}", str(tmp_path))}
    installed(tmp_path, monkeypatch, RECORD="a", **files)
    with pytest.raises(MissingError, match=r"expected the checkout that qpsnn was installed from, .* source is gone"):
        lava_environment.origin()


def test_a_source_tree_is_followed(root):
    if not Path(lava_environment.__file__).is_relative_to(root):
        pytest.skip("an installed qpsnn")
    found = lava_environment.origin()
    assert (found.words[0], found.folder) == ("--editable", root)


def test_another_qpsnn_has_another_place(machine, monkeypatch):
    first = lava_environment.place()
    monkeypatch.setattr(install, "here", lambda: machine.home)
    assert lava_environment.place() != first
    assert lava_environment.place().parent == first.parent == machine.cache / "qpsnn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert lava_environment.place().parent == machine.home / ".cache" / "qpsnn"


def on_a_terminal(network, answer):
    """The same command in a process and on a terminal of its own, given an answer: (exit status, output, the terminal).

    It is not told of this Python, which may be one that Lava runs on.
    """
    ours, theirs = pty.openpty()
    words = [PYTHON, "-c", WITHOUT_LAVA, "nowhere", "predict", str(network), "a recording.aedat4", "--backend", "lava"]
    child = subprocess.Popen(words, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True)
    os.close(theirs)
    os.write(ours, answer)
    out, _ = child.communicate(timeout=120)
    shown = b""
    with suppress(OSError):  # which says that the other end is closed and that all was read
        while part := os.read(ours, 2**16):
            shown += part
    os.close(ours)
    return child.returncode, out.strip(), shown.decode()


@pytest.mark.parametrize(("answer", "status"), [(b"n\n", 2), (b"\n", 2), (b"\x04", 130)])
def test_on_a_terminal_it_asks_and_takes_no_for_an_answer(machine, network, answer, status):
    machine.uv()
    code, out, shown = on_a_terminal(network, answer)
    assert (code, out, machine.lines()) == (status, "", [])
    assert shown.count(ADVICE.removeprefix("error: ")) == 1
    assert f"Make an environment with Lava in {machine.cache}" in shown.replace("\r\n", "")
    assert not machine.cache.exists()


def test_on_a_terminal_yes_makes_it_and_runs_there(machine, network):
    machine.uv()
    code, out, shown = on_a_terminal(network, b"y\n")
    assert (code, out) == (7, "")
    assert machine.lines()[-1] == ran(network)
    assert "[y/N]" in shown
    code, _, shown = on_a_terminal(network, b"")
    assert (code, machine.lines()) == (7, [ran(network)])
    assert "[y/N]" not in shown
