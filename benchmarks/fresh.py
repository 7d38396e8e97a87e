"""What has to be measured in a process of its own: run one, and read the JSON that it prints last."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def run(*words: object, environment: Mapping[str, str] | None = None) -> Any:
    """The last line of what `python WORDS` prints, as JSON; RuntimeError, with its last words, where it fails.

    environment: variables beside this process's own.
    """
    command = [sys.executable, *map(str, words)]
    settings = {**os.environ, **(environment or {})}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
