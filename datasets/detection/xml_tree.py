"""XML of others as a tree, without what makes XML dangerous: no document types, so no entities, and no deep nesting."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from qpsnn_core.common.errors import FormatError, Unquoted, expected

DEEPEST = 32


def read_xml(data: bytes, place: str) -> Element:
    """The root element. FormatError: not XML, a document type (which could define entities), nested too deep."""
    builder, depth = TreeBuilder(), [0]
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        depth[0] += 1
        if depth[0] > DEEPEST:
            raise FormatError(expected(place, f"XML of at most {DEEPEST} levels", Unquoted("more")))
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        depth[0] -= 1
        builder.end(tag)

    def refuse(*_: Any) -> None:
        raise FormatError(expected(place, "XML without a document type", Unquoted("a DOCTYPE, which is not read")))

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
        return builder.close()
    except expat.ExpatError as error:
        raise FormatError(expected(place, "XML", Unquoted(str(error)))) from error
