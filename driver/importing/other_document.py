"""JSON documents of a log that are no events: node lists, image manifests, and what is neither."""

from collections.abc import Iterator

import msgspec


class Document(msgspec.Struct):
    """What tells them apart."""

    kind: str | None = None
    items: list[msgspec.Raw] | None = None
    manifests: msgspec.Raw = msgspec.Raw()


read_document = msgspec.json.Decoder(Document).decode
"""Raises what UNREADABLE names."""


def node_texts(raw: bytes, document: Document) -> Iterator[tuple[bytes, bool]]:
    """The nodes that there may be in the document, or as which it is: their text, and whether a NodeList has them."""
    items = [bytes(item) for item in document.items] if document.items is not None else [raw]
    return ((item, document.kind == "NodeList") for item in items)
