"""What `--help` prints of every command is what its help texts say, brackets and all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("typer")

import typer

from qpsnn_core.cli.app import app

pytestmark = pytest.mark.cli


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))


ALL = dict(commands(typer.main.get_command(app)))


def squeezed(text: str) -> str:
    """Without what depends on the width of the terminal."""
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_prints_what_is_written(qpsnn, words):
    code, out, _ = qpsnn(*words, "--help")
    assert code == 0
    command, printed = ALL[words], squeezed(out)
    texts = [command.help, *(one.help for one in command.params)]
    for text in filter(None, texts):
        assert squeezed(text) in printed, text


def test_one_of_them_has_brackets():
    assert "[finetune]" in ALL["finetune",].help
