"""Pages of documentation whose commands and examples are run: their blocks, their links, and a shell beside Python."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def blocks(page, language):
    """The contents of a page's fenced blocks of a language."""
    found = re.findall(r"^```([^\n]*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def links(page):
    """The files that a page links to."""
    return re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))


def run(command, folder):
    """What a command says, `qpsnn` being that of this Python; it must succeed."""
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": search}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
