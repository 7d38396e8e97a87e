"""What one room of the code does with each kind of node, or each value of an option: literal tables, their lookups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from qpsnn_core.common.errors import NodeKindError, QpsnnError, Unquoted, UnsupportedError, expected

Entry = TypeVar("Entry")


class Refusal(NamedTuple):
    """Stands in a table for a kind that the room cannot treat, with the reason."""

    reason: str


class KindTable(Generic[Entry]):
    """`{kind of node: entry}` of one room; `table[node]` is the entry for that node's exact type.

    room: names the table in messages, as in "the cost counter". entries: a function, or whatever the room needs, or a
    Refusal. refusal: the error that a refused kind raises. A kind that is not in the table raises NodeKindError, so
    that a new kind of node cannot be forgotten in silence; a subclass is a kind of its own.
    """

    def __init__(
        self, room: str, entries: Mapping[type[Any], Entry | Refusal], refusal: type[QpsnnError] = NodeKindError
    ) -> None:
        self.room = room
        self.entries = dict(entries)
        self.refusal = refusal

    def __getitem__(self, node: Any) -> Entry:
        """The entry for a node. Raises NodeKindError (unknown kind), or the room's own error (refused kind)."""
        name, kind = getattr(node, "name", "node"), type(node)
        if kind not in self.entries:
            known = ", ".join(one.__name__ for one in self.entries)
            want = f"a kind of node that {self.room} knows ({known})"
            raise NodeKindError(expected(name, want, Unquoted(kind.__name__)))
        entry = self.entries[kind]
        if isinstance(entry, Refusal):
            raise self.refusal(f"{name}: {self.room} takes no {kind.__name__}: {entry.reason}")
        return entry

    def __iter__(self) -> Iterator[type[Any]]:
        return iter(self.entries)

    def __repr__(self) -> str:
        return f"KindTable({self.room!r}, {', '.join(one.__name__ for one in self.entries)})"


class OptionTable(Generic[Entry]):
    """`{value of one option: entry}` of one room; `table[node]` is the entry for the value that the node has.

    room, entries: as of a KindTable. option: the attribute's name. Raises UnsupportedError for a value that is refused,
    and for one that is not in the table, so that a new value cannot be ignored in silence.
    """

    def __init__(self, room: str, option: str, entries: Mapping[Any, Entry | Refusal]) -> None:
        self.room = room
        self.option = option
        self.entries: dict[Any, Entry | Refusal] = dict(entries)

    def __getitem__(self, node: Any) -> Entry:
        """The entry for a node. Raises UnsupportedError."""
        place, value = f"{node.name}.{self.option}", getattr(node, self.option)
        if value not in self.entries:
            want = f"a {self.option} that {self.room} knows ({', '.join(map(str, self.entries))})"
            raise UnsupportedError(expected(place, want, value))
        entry = self.entries[value]
        if isinstance(entry, Refusal):
            raise UnsupportedError(f"{place}: {self.room} takes no {value!r}: {entry.reason}")
        return entry
