"""What tests of C need: a compiler, and flags with which wrong C ends with a message."""

from __future__ import annotations

import shutil

import pytest

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) on PATH")

SANITIZED = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

UNOPTIMIZED = ("-O0", *SANITIZED[1:])
"""The same for many small networks, which compile twice as fast so and run no longer."""
