"""What tests of C need: a compiler, and flags with which wrong C ends with a message."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) on PATH")

SANITIZED = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

UNOPTIMIZED = ("-O0", *SANITIZED[1:])
"""The same for many small networks, which compile twice as fast so and run no longer."""


def _missing_for_arm() -> str:
    """What of Debian's gcc-arm-none-eabi, libnewlib-arm-none-eabi, qemu-system-arm is not here, or ""."""
    for program in ("make", "arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(program) is None:
            return f"no {program} on PATH"
    words = ["arm-none-eabi-gcc", "--print-file-name=rdimon.specs"]
    found = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    return "" if os.path.isabs(found) else "no newlib for arm-none-eabi-gcc (rdimon.specs)"


needs_arm = pytest.mark.skipif(bool(_missing_for_arm()), reason=_missing_for_arm() or "all there")
