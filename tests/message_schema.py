"""The JSON Schema of the messages on Kafka, written from the table of kinds.

    python -m tests.message_schema

rewrites docs/assets/messages.schema.json. A test fails where it differs.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from pullstudy.bus.record_format import SCHEMA
from pullstudy.pulls.columns import columns_of
from pullstudy.pulls.kind import Kind
from pullstudy.pulls.kinds import KINDS

PATH = Path(__file__).parent.parent / "docs" / "assets" / "messages.schema.json"
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """A message is one of the kinds; columns that a newer version adds are no mistake."""
    _, parts = msgspec.json.schema_components([kind.struct for kind in KINDS], ref_template="#/$defs/{name}")
    for kind in KINDS:
        _describe_times(kind, parts[kind.struct.__name__])
    title = "A message of pullstudy on Kafka"
    return {"$schema": DRAFT, "title": title, "oneOf": [_message(kind) for kind in KINDS], "$defs": parts}


def _message(kind: Kind[Any]) -> dict[str, Any]:
    head = {"schema": {"type": "integer", "minimum": 1, "maximum": SCHEMA}, "kind": {"const": kind.name}}
    return {"$ref": f"#/$defs/{kind.struct.__name__}", "properties": head, "required": list(head)}


def _describe_times(kind: Kind[Any], part: dict[str, Any]) -> None:
    part["description"] = f"{kind.meaning}"
    for column in columns_of(kind.struct):
        if column.type is datetime:
            shape = part["properties"][column.name]
            text = next((each for each in shape.get("anyOf", ()) if each["type"] == "string"), shape)
            text["format"] = "date-time"


def text() -> str:
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(text())
