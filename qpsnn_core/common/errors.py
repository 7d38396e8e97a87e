"""Every error that qpsnn raises on purpose, drawn as a tree.

QpsnnError
├── NetworkError       the graph: names, order, cycles, dangling sources
│   ├── ShapeError     two nodes that do not fit
│   └── NodeKindError  a kind of node that a part of the code does not know, or cannot treat
├── ConfigError        a hyper-parameter or recipe key
│   └── ArgumentError  an argument of another type than a verb takes
├── DataError          images, labels, events
│   └── LabelError     a label that is no class
├── NumericsError      NaN or infinity where a number must be, an integer out of its range
├── FileError          a file that cannot be read or written
│   ├── FormatError    not the kind of file it should be, or damaged
│   └── VersionError   written by another version of the format
├── LoweringError      a network that has no integer form
└── BackendError       a backend that cannot run the network, or failed while running it
    ├── UnsupportedError    the backend says no before anything starts
    │   └── MissingError    what it runs on is not installed in this Python
    └── BackendTimeout      it did not answer in time

QpsnnWarning               what the user must know, though the work goes on
├── DeadLayerWarning       a layer of neurons that can never fire, or never fired
├── ClippedWeightsWarning  a layer whose quantizer cuts off much of its weights
├── ClippedImagesWarning   numbers beyond the range of a byte, which were cut
└── ChangedDataWarning     a set that is not the one that a checkpoint was trained on

A message reads `place: expected ..., got ...`; `expected` builds one.
"""

from __future__ import annotations

from typing import Any


class QpsnnError(Exception):
    """Base of every error raised on purpose."""


class NetworkError(QpsnnError, ValueError):
    """The graph is wrong: a name, an order, a cycle, a source that is not there."""


class ShapeError(NetworkError):
    """Two shapes, or two kinds of value, do not fit."""


class NodeKindError(NetworkError):
    """A part of the code does not know this kind of node, or cannot treat it."""


class ConfigError(QpsnnError, ValueError):
    """A hyper-parameter or a recipe key is wrong."""


class ArgumentError(ConfigError, TypeError):
    """An argument is of another type than the verb takes."""


class DataError(QpsnnError, ValueError):
    """Images, labels or events are wrong."""


class LabelError(DataError):
    """A label is not one of the classes."""


class NumericsError(QpsnnError, ArithmeticError):
    """NaN or infinity where a number must be, or an integer out of its range."""


class FileError(QpsnnError, OSError):
    """A file cannot be read or written."""


class FormatError(FileError):
    """A file is not of the kind it should be, or is damaged."""


class VersionError(FileError):
    """A file was written by another version of the format."""


class LoweringError(QpsnnError, ValueError):
    """A network has no integer form."""


class BackendError(QpsnnError, RuntimeError):
    """A backend failed."""


class UnsupportedError(BackendError):
    """A backend refuses a network before anything starts."""


class MissingError(UnsupportedError):
    """What a backend runs on is not installed in this Python, but could be had beside it."""


class BackendTimeout(BackendError, TimeoutError):  # noqa: N818 - reads as what it is
    """A backend did not answer in time."""


class QpsnnWarning(UserWarning):
    """Base of every warning: the command line prints it on one line of standard error."""


class DeadLayerWarning(QpsnnWarning):
    """No neuron of a layer can fire, or none did: whatever comes behind it does not depend on the input."""


class ClippedWeightsWarning(QpsnnWarning):
    """The quantizer of a layer cuts off much of its weights, and no batch norm restores the scale."""


class ClippedImagesWarning(QpsnnWarning):
    """Real numbers lie beyond what a byte of the input can hold, and were cut at its ends."""


class DimImagesWarning(QpsnnWarning):
    """Images hold 0 and 1 alone where the input takes 0..255: its neurons hardly see them, if they are spikes."""


class NothingPrunedWarning(QpsnnWarning):
    """A rate above 0 removes no channel, since no layer can lose any."""


class ChangedDataWarning(QpsnnWarning):
    """A set that a checkpoint names has other samples than those it was trained on."""


class Unquoted(str):
    """A description of what came: `expected` shows it without the quotes that a string value gets."""

    __slots__ = ()

    def __repr__(self) -> str:
        """The text itself."""
        return str(self)


LONGEST = 200
"""Characters of a value that a message shows."""


def expected(place: str, want: object, got: Any) -> str:
    """`place: expected want, got got`: the one form of every message, in one line. A long value is cut."""
    text = repr(got) if isinstance(got, str) else str(got)
    if "\n" in text:
        text = " ".join(repr(got).split())
    if len(text) > LONGEST and not isinstance(got, Unquoted):
        text = f"{text[:LONGEST]}..."
    return f"{place}: expected {want}, got {text}"
