"""The machine that a pickle programs, for plain data only: it calls nothing, and holds little more than the pickle.

Python's own reader makes room for a false index before it looks at the rest, and hashes whatever is a key, which takes
for ever where tuples share tuples. Here a key is a text, bytes or a number, and an index is at most the file's length.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Callable
from typing import Any

MARK = object()

CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
BYTES = ("STRING", "BINSTRING", "SHORT_BINSTRING")
"""Texts of Python 2, whose numbers are kept."""

VALUES = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
KEYS = (str, bytes, int, float, bool, type(None))

NOTHING = ("PROTO", "FRAME")


class Machine:
    """Runs the opcodes of one pickle. find: what stands for a global name; it may be called, and be given a state."""

    def __init__(self, data: bytes, find: Callable[[str, str], Any]) -> None:
        self._data, self._find = data, find
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """What the pickle holds. Raises UnpicklingError, ValueError, IndexError, ...: whatever damage leads to."""
        for opcode, argument, _ in pickletools.genops(self._data):
            name = opcode.name
            if name == "STOP":
                return self._stack.pop()
            if name in VALUES:
                self._stack.append(argument)
            elif name in BYTES:
                self._stack.append(str(argument).encode("latin-1"))
            elif name in CONSTANTS:
                self._stack.append(CONSTANTS[name])
            elif name in STEPS:
                STEPS[name](self, argument)
            elif name not in NOTHING:
                raise pickle.UnpicklingError(f"the operation {name} is refused")
        raise pickle.UnpicklingError("no end")

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def drop_marked(self) -> None:
        """Take what `marked` takes, for nothing."""
        self.marked()

    def marked(self) -> list[Any]:
        """Take what is above the last mark, and the mark."""
        at = len(self._stack) - 1
        while self._stack[at] is not MARK:
            at -= 1
            if at < 0:
                raise pickle.UnpicklingError("no mark")
        taken = self._stack[at + 1 :]
        del self._stack[at:]
        return taken

    def put(self, index: int | None) -> None:
        """Remember the top of the stack."""
        index = len(self._memo) if index is None else index
        if index > len(self._data):
            raise pickle.UnpicklingError(f"the index {index} in {len(self._data)} bytes")
        self._memo[index] = self._stack[-1]

    def get(self, index: int) -> None:
        """Put what is remembered on the stack."""
        self._stack.append(self._memo[index])

    def last(self, count: int) -> None:
        """Put the last `count` values together in a tuple."""
        taken = self._stack[len(self._stack) - count :]
        if len(taken) < count or any(value is MARK for value in taken):
            raise pickle.UnpicklingError("too few values")
        del self._stack[len(self._stack) - count :]
        self._stack.append(tuple(taken))

    def extend(self, values: list[Any]) -> None:
        """Append to the list below."""
        if type(self._stack[-1]) is not list:
            raise pickle.UnpicklingError("no list to append to")
        self._stack[-1].extend(values)

    def update(self, values: list[Any]) -> None:
        """Put keys and values, in turn, into the dictionary below."""
        if type(self._stack[-1]) is not dict or len(values) % 2:
            raise pickle.UnpicklingError("no dictionary, or a key without a value")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) not in KEYS:
                raise pickle.UnpicklingError(f"a key that is a {type(key).__name__} is refused")
            self._stack[-1][key] = value

    def named(self, module: Any, name: Any) -> None:
        """Put what stands for a global name on the stack."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise pickle.UnpicklingError("a name that is no text")
        self._stack.append(self._find(module, name))

    def reduce(self) -> None:
        """What a stand-in makes of its arguments."""
        arguments, function = self._stack.pop(), self._stack.pop()
        if type(arguments) is not tuple or not callable(function):
            raise pickle.UnpicklingError("a call of what is no name")
        self._stack.append(function(*arguments))

    def build(self) -> None:
        """Give a stand-in its state."""
        state = self._stack.pop()
        setter = getattr(self._stack[-1], "set_state", None)
        if setter is None:
            raise pickle.UnpicklingError(f"a state of a {type(self._stack[-1]).__name__} is refused")
        setter(state)

    def pop(self) -> Any:
        """Take the top of the stack."""
        return self._stack.pop()


def _from_marked(make: Callable[[list[Any]], Any]) -> Callable[[Machine, Any], None]:
    return lambda machine, _: machine.push(make(machine.marked()))


def _dictionary(machine: Machine, _: Any) -> None:
    values = machine.marked()
    machine.push({})
    machine.update(values)


def _name(machine: Machine, argument: str) -> None:
    module, _, name = argument.partition(" ")
    machine.named(module, name)


def _stacked_name(machine: Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    machine.named(module, name)


def _set_item(machine: Machine, _: Any) -> None:
    value, key = machine.pop(), machine.pop()
    machine.update([key, value])


STEPS: dict[str, Callable[[Machine, Any], None]] = {
    "MARK": lambda machine, _: machine.push(MARK),
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": lambda machine, _: machine.drop_marked(),
    "PUT": Machine.put,
    "BINPUT": Machine.put,
    "LONG_BINPUT": Machine.put,
    "MEMOIZE": Machine.put,
    "GET": Machine.get,
    "BINGET": Machine.get,
    "LONG_BINGET": Machine.get,
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "LIST": _from_marked(list),
    "APPEND": lambda machine, _: machine.extend([machine.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.marked()),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE": _from_marked(tuple),
    "TUPLE1": lambda machine, _: machine.last(1),
    "TUPLE2": lambda machine, _: machine.last(2),
    "TUPLE3": lambda machine, _: machine.last(3),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "DICT": _dictionary,
    "SETITEM": _set_item,
    "SETITEMS": lambda machine, _: machine.update(machine.marked()),
    "GLOBAL": _name,
    "STACK_GLOBAL": _stacked_name,
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
}
"""What each operation does that is more than a value."""
