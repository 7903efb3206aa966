"""An event with texts of a bounded length: core/v1 bounds neither reason nor message, and etcd an object at 1.5 MiB."""

from typing import Any

import msgspec

from pullstudy.pulls.event import Event

LONGEST_TEXT = 16_384  # characters of one: a kubelet's message has 1,024 at the most


def bounded_event(event: Event) -> tuple[Event, int]:
    """The event with what is longer than LONGEST_TEXT cut, and a mark at its end; and how many texts were cut."""
    return _bounded(event)


def _bounded(struct: Any) -> tuple[Any, int]:
    changed: dict[str, Any] = {}
    cuts = 0
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            changed[name], more = f"{value[:LONGEST_TEXT]} [cut: {len(value)} characters]", 1
        elif isinstance(value, msgspec.Struct):
            changed[name], more = _bounded(value)
        elif isinstance(value, (dict, list)) and value:  # an exporter's alone, and nobody's of a cluster
            changed[name], more = None, 1
        else:
            continue
        cuts += more
    return (msgspec.structs.replace(struct, **changed) if cuts else struct), cuts
