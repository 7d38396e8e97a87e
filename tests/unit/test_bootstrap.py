"""How `make` finds a Python and keeps its environment: on a made-up PATH, with made-up executables."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from machine import Machine

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def find(machine, root):
    def find(*versions, **environment):
        return machine.run(root / ".ci" / "find-python", *versions, cwd=root, **environment)

    return find


def test_uv_comes_first_then_path_then_pyenv(machine, find, tmp_path):
    third = machine.add_python(machine.pyenv("3.10.4"))
    assert find("3.10").stdout == f"{third}\n"
    second = machine.add_python("python3.10")
    assert find("3.10").stdout == f"{second}\n"
    first = machine.add_python(tmp_path / "of_uv" / "python")
    machine.add_uv(found=first)
    assert find("3.10").stdout == f"{first}\n"


def test_uv_fetches_only_when_all_else_failed(machine, find, tmp_path):
    fetched = machine.add_python(tmp_path / "of_uv" / "python")
    machine.add_uv(fetched=fetched)
    here = machine.add_python(machine.pyenv("3.10.4"))
    assert find("3.10").stdout == f"{here}\n"
    assert "python install" not in machine.log.read_text()
    here.unlink()
    assert find("3.10").stdout == f"{fetched}\n"
    assert "python install 3.10" in machine.log.read_text()


def test_pyenv_gives_its_latest_release_and_no_variant(machine, find):
    for version in ("3.10.9", "3.10.13", "3.10.2", "3.10-dev", "3.10.99t", "3.1.50", "3.11.7"):
        machine.add_python(machine.pyenv(version))
    assert find("3.10").stdout == f"{machine.pyenv('3.10.13')}\n"


def test_pyenv_is_found_where_it_says_or_where_its_variable_points(machine, find):
    machine.add_python(machine.pyenv("3.10.1", "elsewhere"))
    assert find("3.10").returncode == 1
    by_variable = find("3.10", PYENV_ROOT=str(machine.home / "elsewhere"))
    assert by_variable.stdout == f"{machine.pyenv('3.10.1', 'elsewhere')}\n"
    machine.add("pyenv", f'echo "{machine.home / "elsewhere"}"')
    assert find("3.10").stdout == by_variable.stdout


def test_a_shim_that_does_not_start_is_passed_over(machine, find):
    machine.add("python3.10", "exit 127")
    machine.add_uv()
    good = machine.add_python(machine.pyenv("3.10.1"))
    assert find("3.10").stdout == f"{good}\n"


def test_a_python_of_another_version_is_passed_over(machine, find):
    machine.add("python9.9", f'exec "{sys.executable}" "$@"')
    assert find("9.9").returncode == 1


def test_an_active_environment_gives_way_to_the_python_below_it(machine, find):
    pytest.importorskip("ensurepip")
    machine.add(f"python{HERE}", f'exec "{sys.executable}" "$@"')
    found = find(HERE)
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).is_relative_to(sys.base_prefix)


def test_the_first_version_that_is_there_wins(machine, find):
    older = machine.add_python("python3.12")
    newer = machine.add_python(machine.pyenv("3.13.0"))
    assert find("3.14", "3.13", "3.12").stdout == f"{newer}\n"
    newer.unlink()
    assert find("3.14", "3.13", "3.12").stdout == f"{older}\n"


def test_the_message_says_what_to_do(machine, find):
    result = find("3.10")
    assert result.returncode == 1
    assert result.stdout == ""
    for word in ("No working Python 3.10", "uv python install 3.10", "apt install python3.10", "pyenv install 3.10"):
        assert word in result.stderr


@pytest.fixture
def make_environment(machine, root, tmp_path):
    """Runs a copy of .ci/environment in a made-up checkout with a made-up Python."""
    checkout = tmp_path / "a checkout"
    (checkout / ".ci").mkdir(parents=True)
    for script in ("environment", "find-python"):
        shutil.copy(root / ".ci" / script, checkout / ".ci")
    (checkout / "pyproject.toml").write_text("[project]\n")
    (checkout / "pins.txt").write_text("numpy==1.26.4\n")
    machine.add_python("python3.10").write_text(
        f"""#!/bin/sh
        [ "$1" = -c ] && echo "$0" && exit
        echo "python3.10 $* with $PIP_CONSTRAINT" >> "{machine.log}"
        [ "$1 $2" = "-m venv" ] && mkdir -p "$3/bin" && cat "$0" > "$3/bin/python" && chmod 755 "$3/bin/python"
        [ ! -f "{machine.home}/broken" ]
        """
    )

    def make(*install):
        machine.log.write_text("")
        command = (checkout / ".ci" / "environment", ".venv", "pins.txt", "3.10", *(install or ("--editable", ".")))
        return checkout, machine.run(*command, cwd=checkout), machine.log.read_text()

    return make


def test_the_environment_is_made_once_with_the_pins(make_environment):
    _, result, log = make_environment()
    assert result.returncode == 0, result.stderr
    assert "pip install --quiet --no-compile --editable . with pins.txt" in log
    assert make_environment()[2] == ""


def test_the_environment_is_made_again_when_its_sources_change(make_environment):
    checkout, _, _ = make_environment()
    for name in ("pyproject.toml", "pins.txt"):
        (checkout / name).write_text("# changed\n")
        assert "-m venv .venv" in make_environment()[2]
        assert make_environment()[2] == ""
    assert "-m venv .venv" in make_environment(".")[2]


def test_a_half_made_environment_is_made_again(make_environment, machine):
    (machine.home / "broken").touch()
    assert make_environment()[1].returncode != 0
    (machine.home / "broken").unlink()
    assert "-m venv .venv" in make_environment()[2]


def test_uv_makes_the_environment_where_there_is_one(make_environment, machine):
    machine.add_uv(found=machine.bin / "python3.10")
    _, result, log = make_environment()
    assert "uv venv --quiet --seed" in log
    assert "uv pip install --quiet" in log
    assert "-m venv" not in log
    assert result.returncode == 0, result.stderr


@pytest.fixture
def ci(root, tmp_path):
    """Runs a copy of .ci/run with a `make` that fails at some targets; the first two wait for each other."""
    (tmp_path / "checkout" / ".ci").mkdir(parents=True)
    shutil.copy(root / ".ci" / "run", tmp_path / "checkout" / ".ci")
    (tmp_path / "bin").mkdir()

    def run(*failing):
        make = tmp_path / "bin" / "make"
        make.write_text(
            f"""#!/bin/sh
            touch "{tmp_path}/$1"
            case $1 in test-compiled) other=core-test ;; core-test) other=test-compiled ;; *) other=$1 ;; esac
            while [ ! -e "{tmp_path}/$other" ]; do sleep 0.1; done
            echo "said by $1"; echo "5 passed in 1.0s"
            case " {" ".join(failing)} " in *" $1 "*) exit 2 ;; esac
            """
        )
        make.chmod(0o755)
        environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        command = [tmp_path / "checkout" / ".ci" / "run"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    return run


STAGES = ("test-compiled", "core-test", "test-once", "test-interpreted", "lint", "demo")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize("failing", [(), *((stage,) for stage in STAGES), STAGES])
def test_all_stages_run_and_one_that_fails_fails_the_run(ci, failing):
    done = ci(*failing)
    assert done.returncode == (1 if failing else 0), done.stderr
    _, summary = done.stdout.split("== summary\n")
    for stage in STAGES:
        assert f"said by {stage}\n" in done.stdout
        verdict = "FAILED" if stage in failing else "passed"
        assert any(line.split()[:2] == [stage, verdict] for line in summary.splitlines()), summary
    assert summary.count("5 passed in 1.0s") == 4


def test_what_also_runs_interpreted_lies_where_it_is_collected(root):
    (listed,) = re.findall(r"^INTERPRETED := (.*)$", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    folders = [root / folder for folder in listed.split()]
    marked = re.compile(r"^@pytest\.mark\.interpreted$", re.MULTILINE)
    found = [path for path in (root / "tests").rglob("test_*.py") if marked.search(path.read_text(encoding="utf-8"))]
    assert found
    assert [path for path in found if not any(path.is_relative_to(folder) for folder in folders)] == []
