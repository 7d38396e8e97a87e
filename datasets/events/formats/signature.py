"""What a file says that it is, in its first bytes: names and versions of formats, matched whole."""

from __future__ import annotations

import re

from qpsnn_core.common.errors import FormatError, Unquoted, expected

from .percent import header

AEDAT = re.compile(rb"#!AER-DAT([^\r\n]{1,16}?)[ \t]*\r?\n")
"""The first line of AEDAT 2.0 and later; its end is CR LF, and LF where a tool has changed it."""

EVT = {
    "2": "EVT 2.0",
    "2.0": "EVT 2.0",
    "EVT2": "EVT 2.0",
    "2.1": "EVT 2.1",
    "EVT21": "EVT 2.1",
    "3": "EVT 3.0",
    "3.0": "EVT 3.0",
    "EVT3": "EVT 3.0",
}
"""Prophesee's RAW: what the fields `evt` and `format` of the header say, and what that is."""

BINARY = {
    b"\x93NUMPY": "NumPy .npy",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x89HDF\r\n\x1a\n": "HDF5",
}
SHOWN = 14
"""Bytes of a file that a message has."""


def signature(data: bytes) -> str:
    """Format and version, such as "AEDAT 2.0", "EVT 2.1", "HISTO3D", "DAT 2" or "HDF5"; "" where nothing says it.

    A version that is not known is given as the file has it, such as "AEDAT 2.01" or "EVT4".
    """
    aedat = AEDAT.match(data)
    if aedat:
        return f"AEDAT {aedat[1].decode('latin-1')}"
    if data.startswith(b"%"):
        return _prophesee(header(data)[0])
    return next((name for begin, name in BINARY.items() if data.startswith(begin)), "")


def check(data: bytes, name: str, *wanted: str) -> str:
    """The signature, which is one of those wanted; FormatError says what the file is instead."""
    found = signature(data)
    if found not in wanted:
        raise FormatError(expected(f"{name}: format", " or ".join(wanted), Unquoted(found or shown(data))))
    return found


def check_nameless(data: bytes, name: str, want: str) -> None:
    """FormatError where the file says that it is something; for a format whose files say nothing."""
    if found := signature(data):
        raise FormatError(expected(f"{name}: format", want, Unquoted(found)))


def shown(data: bytes) -> str:
    """The first bytes for a message: as text where they are, else as hexadecimal digits."""
    begin = data[:SHOWN]
    text = begin.decode("latin-1").rstrip("\r\n")
    if not begin:
        return "an empty file"
    return f"a file that begins {text!r}" if text.isascii() and text.isprintable() else f"bytes {begin.hex(' ')}"


def _prophesee(fields: dict[str, str]) -> str:
    """Of a RAW file what `evt` and `format` say, both where they differ; of a DAT file its version."""
    said = [fields[key].split(";")[0].strip() for key in ("evt", "format") if fields.get(key)]
    names = dict.fromkeys(EVT.get(each, each if each[:1].isalpha() else f"EVT {each}") for each in said)
    if names:
        return " and ".join(names)
    return f"DAT {fields['version']}" if fields.get("version") else ""
