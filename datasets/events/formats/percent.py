"""The header of Prophesee's files: lines `% key value`, until `% end` or the first line that is none."""

from __future__ import annotations

import re

from qpsnn_core.common.errors import FormatError, Unquoted, expected


def header(data: bytes) -> tuple[dict[str, str], int]:
    """What the lines say, keys in small letters, and where the events begin."""
    fields: dict[str, str] = {}
    begin = 0
    while data[begin : begin + 1] == b"%":
        end = data.find(b"\n", begin)
        if end < 0:
            break
        line = data[begin + 1 : end].decode("latin-1").strip()
        if not line.isprintable():
            break
        begin = end + 1
        key, _, value = line.partition(" ")
        fields[key.lower()] = value.strip()
        if key.lower() == "end" and not value:
            break
    return fields, begin


def named_sensor(fields: dict[str, str], name: str) -> tuple[int, int]:
    """(H, W) from `geometry WxH`, `height` and `width`, or `format ...;height=H;width=W`; FormatError without."""
    pairs = dict(part.split("=", 1) for part in fields.get("format", "").lower().split(";") if "=" in part)
    size = re.fullmatch(r"(\d+)x(\d+)", fields.get("geometry", ""))
    width, height = (size[1], size[2]) if size else (None, None)
    height = height or fields.get("height") or pairs.get("height") or ""
    width = width or fields.get("width") or pairs.get("width") or ""
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        want = "the sensor's size in the header (or given)"
        raise FormatError(expected(f"{name}: header", want, Unquoted(", ".join(fields) or "nothing")))
    return int(height), int(width)
