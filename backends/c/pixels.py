"""The C text that drives the pixels of a layer one after another: of neurons, and of the readout (one pixel)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qpsnn_backends.c.synapses import Synapse


def every_pixel(
    height: int, width: int, name: str, synapses: Sequence[Synapse], then: Callable[[str], Sequence[str]]
) -> str:
    """Statements that list, for each row, the spikes that its windows see, and for each pixel fill `drive`.

    name: of the layer, whose biases come first; "": zeros do. then: the statements that use the drive, given the
    pixel's place.
    """
    if height == width == 1:
        lists, driven = _lists(synapses, "0"), _driven(synapses, "0", "0", 1)
        return _lines(1, [*lists, _biases(name), *driven, *then("0")])
    lines = [
        f"    for (int32_t y = 0; y < {height}; y++) {{",
        *([_lines(2, lists)] if (lists := _lists(synapses, "y")) else []),
        f"        for (int32_t x = 0; x < {width}; x++) {{",
        _lines(
            3, [f"const int32_t at = y * {width} + x;", _biases(name), *_driven(synapses, "y", "x", 3), *then("at")]
        ),
        "        }",
        "    }",
    ]
    return "\n".join(lines)


def place(array: str, at: str, elements: int) -> str:
    """Where a pixel's elements begin in an array."""
    return array if at == "0" else f"{array} + {at} * {elements}"


def _biases(name: str) -> str:
    return f"memcpy(drive, {name}_bias, sizeof {name}_bias);" if name else "memset(drive, 0, sizeof drive);"


def _lists(synapses: Sequence[Synapse], y: str) -> list[str]:
    """What lists the spikes for row y, each synapse's behind the one before."""
    return [
        line
        for one, (spikes, columns) in zip(synapses, _places(synapses), strict=True)
        for line in one.lists(y, spikes, columns)
    ]


def _driven(synapses: Sequence[Synapse], y: str, x: str, depth: int) -> list[str]:
    """What adds each synapse's current at (y, x) to the drive."""
    pairs = zip(synapses, _places(synapses), strict=True)
    return [one.driven(y, x, spikes, columns, depth) for one, (spikes, columns) in pairs]


def _places(synapses: Sequence[Synapse]) -> list[tuple[int, int]]:
    """Where each one's lists of spikes and of columns begin."""
    places, spikes, columns = [], 0, 0
    for one in synapses:
        places.append((spikes, columns))
        spikes, columns = spikes + one.listed, columns + one.marks
    return places


def _lines(depth: int, lines: Sequence[str]) -> str:
    return "\n".join(f"{'    ' * depth}{line}" for line in lines)
