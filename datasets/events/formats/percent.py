"""The header of Prophesee's files: lines `% key value`, until `% end` or the first line that is none."""

from __future__ import annotations

import re

from qpsnn_core.common.errors import FormatError, Unquoted, expected

from ..recording import LARGEST_SIDE

END = re.compile(rb"(?:^|\n)%[ \t]*end[ \t]*\r?\n")
LONGEST = 1 << 16
"""Bytes within which `% end` is looked for."""

SIDE = r"[1-9]\d{0,4}"

GENERATIONS = {
    "gen3": "640x480",
    "gen30": "640x480",
    "gen31": "640x480",
    "gen4": "1280x720",
    "gen40": "1280x720",
    "gen41": "1280x720",
    "gen42": "1280x720",
    "imx636": "1280x720",
    "imx646": "1280x720",
    "genx320": "320x320",
}
"""WIDTHxHEIGHT of Prophesee's sensors, by the names that headers use: OpenEB's table of systems and devices."""

NAMING = ("plugin_name", "sensor_name", "camera_integrator_name", "integrator_name")
"""Fields that may name a sensor among other words."""


def header(data: bytes) -> tuple[dict[str, str], int]:
    """What the lines say, keys in small letters, and where the events begin.

    Where there is a line `% end`, every line before it is the header's. Elsewhere a line that is no text ends it.
    """
    end = END.search(data, 0, LONGEST) if data.startswith(b"%") else None
    if end:
        lines = data[: end.start() + 1].split(b"\n")
        return dict(_field(line) for line in lines if line.startswith(b"%")), end.end()
    fields: dict[str, str] = {}
    begin = 0
    while data[begin : begin + 1] == b"%":
        stop = data.find(b"\n", begin)
        line = data[begin:stop]
        if stop < 0 or not line.decode("latin-1").rstrip("\r").replace("\t", " ").isprintable():
            break
        begin = stop + 1
        fields |= [_field(line)]
    return fields, begin


def _field(line: bytes) -> tuple[str, str]:
    key, _, value = line[1:].decode("latin-1").strip().replace("\t", " ").partition(" ")
    return key.lower(), value.strip()


def options(fields: dict[str, str]) -> dict[str, str]:
    """The parts of `format NAME;key=value;...`, in small letters."""
    pairs = (part.split("=", 1) for part in fields.get("format", "").lower().split(";")[1:] if "=" in part)
    return {key.strip(): value.strip() for key, value in pairs}


def named_sensor(fields: dict[str, str], name: str) -> tuple[int, int]:
    """(H, W) from `geometry WxH`, `height` and `width`, or `format ...;height=H;width=W`.

    Raises FormatError where none is there, which suggests the size of the sensor that is named, or where two differ.
    """
    inner = options(fields)
    size = re.fullmatch(r"(\d+)x(\d+)", fields.get("geometry", ""))
    pairs = {
        (size[2], size[1]) if size else ("", ""),
        (fields.get("height", ""), fields.get("width", "")),
        (inner.get("height", ""), inner.get("width", "")),
    }
    found = {(int(h), int(w)) for h, w in pairs if re.fullmatch(SIDE, h) and re.fullmatch(SIDE, w)}
    if len(found) == 1:
        return found.pop()
    if found:
        said = " and ".join(f"{width}x{height}" for height, width in sorted(found))
        raise FormatError(expected(f"{name}: header", "one size of the sensor (or it given)", Unquoted(said)))
    for height, width in pairs:
        if height.isdecimal() and width.isdecimal():
            got = Unquoted(f"{width:.20}x{height:.20}")
            raise FormatError(expected(f"{name}: header", f"a sensor of 1 to {LARGEST_SIDE:,} pixels a side", got))
    want = f"the sensor's size in the header, or given: --sensor WIDTHxHEIGHT{_suggestion(fields)}"
    raise FormatError(expected(f"{name}: header", want, Unquoted(", ".join(fields) or "nothing")))


def _suggestion(fields: dict[str, str]) -> str:
    """The size of the sensor that a field names; "" where none does, or two that differ."""
    names = [(key, word) for key in NAMING for word in re.split(r"[^a-z0-9.]+", fields.get(key, "").lower())]
    names += [(key, f"gen{fields[key]}") for key in ("sensor_generation", "generation") if key in fields]
    known = {word.replace(".", ""): key for key, word in names if word.replace(".", "") in GENERATIONS}
    if len({GENERATIONS[word] for word in known}) != 1:
        return ""
    word, key = next(iter(known.items()))
    return f", usually {GENERATIONS[word]} for {key} {fields[key]}"
