"""The table of ``kubectl get events -o wide``. An event's name tells when it was made, to the nanosecond, and serves as
its identity: the table has no uid. Of an event that came several times the last time is an age, so it has none here.

Source: kubernetes ``pkg/printers/internalversion/printers.go``, printEvent.
"""

import re
from datetime import UTC, datetime

import msgspec

HEADER = re.compile(rb"(?:NAMESPACE +)?LAST SEEN +TYPE +REASON +OBJECT +")
_NAMES = (
    "NAMESPACE",
    "LAST SEEN",
    "TYPE",
    "REASON",
    "OBJECT",
    "SUBOBJECT",
    "SOURCE",
    "MESSAGE",
    "FIRST SEEN",
    "COUNT",
    "NAME",
)
_NEEDED = ("REASON", "OBJECT", "SOURCE", "MESSAGE", "NAME")
_KINDS = {"pod": "Pod", "job": "Job", "node": "Node"}
_CLOCK = re.compile(r"[0-9a-f]{14,16}")
_MOST_DIGITS = 9  # the API counts in 32 bits
NO_NAMES = "a table without the events' names: take kubectl get events -o wide, or better -o json"


class EventTable:
    """A table by its first line."""

    def __init__(self, header: bytes) -> None:
        text = header.decode(errors="replace").rstrip()
        starts: list[tuple[str, int]] = []
        for name in _NAMES:
            at = re.search(rf"(?:^|(?<=  )){re.escape(name)}(?=  |$)", text)
            if at is not None:
                starts.append((name, at.start()))
        self._columns = starts
        self.readable = {*_NEEDED} <= {name for name, _ in starts}

    def event(self, row: bytes) -> bytes | None:
        """A row's event as the API has it, in JSON; None where it is no row."""
        cells = self._cells(row.decode(errors="replace").rstrip("\r\n"))
        kind, slash, name = cells["OBJECT"].partition("/")
        if not slash or not cells["NAME"] or not cells["REASON"]:
            return None
        namespace = cells.get("NAMESPACE") or None
        component, _, host = cells["SOURCE"].partition(", ")
        told = cells.get("COUNT", "")
        count = int(told) if told.isdecimal() and len(told) <= _MOST_DIGITS else 1
        made_at = _made_at(cells["NAME"]) if count == 1 else None
        return msgspec.json.encode(
            {
                "metadata": {
                    "name": cells["NAME"],
                    "namespace": namespace,
                    "uid": f"name:{namespace or ''}/{cells['NAME']}",
                },
                "involvedObject": {
                    "kind": _KINDS.get(kind, kind),
                    "namespace": namespace,
                    "name": name,
                    "fieldPath": cells.get("SUBOBJECT") or None,
                },
                "reason": cells["REASON"],
                "message": cells["MESSAGE"],
                "source": {"component": component, "host": host or None},
                "firstTimestamp": made_at,
                "lastTimestamp": made_at,
                "count": count,
            }
        )

    def _cells(self, row: str) -> dict[str, str]:
        ends = [start for _, start in self._columns[1:]] + [len(row)]
        return {name: row[start:end].strip() for (name, start), end in zip(self._columns, ends, strict=True)}


def _made_at(name: str) -> str | None:
    clock = name.rpartition(".")[2]
    if not _CLOCK.fullmatch(clock):
        return None
    try:
        return datetime.fromtimestamp(int(clock, 16) // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None
