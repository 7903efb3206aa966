"""What is delivered, as objects that compaction merges: one for each kind of a batch, named by its content.

The same batch delivered again is the same object. Another cut of the same records is another one, and merging finds
them to be the same.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kind import Kind, Record
from pullstudy.store.archive.draft import draft_errors
from pullstudy.store.archive.objects import Listed, Objects
from pullstudy.store.archive.parquet_file import write_parquet
from pullstudy.store.archive.partition import INCOMING
from pullstudy.store.archive.tables import kind_of, schema_of, table_of
from pullstudy.store.protocol import Delivered, Refused

_DIGITS = 32  # of a digest in a name


@dataclass(frozen=True)
class Kept:
    """What came of a batch, and the bytes that were written for it."""

    delivered: Delivered
    written_bytes: int = 0


def keep(objects: Objects, batch: Batch) -> Kept:
    """On return each record is durable, or refused with the reason. Raises StoreError."""
    refused: list[Refused] = []
    written_bytes = 0
    with draft_errors(), tempfile.TemporaryDirectory(prefix="pullstudy-") as directory:
        for struct, records in batch.of_kinds.items():
            kind = kind_of(struct)
            table, bad = _storable(kind, records)
            refused += bad
            if table.num_rows:
                written_bytes += _put(objects, kind, table, Path(directory, f"{kind.plural}.parquet"))
    return Kept(Delivered(len(batch) - len(refused), tuple(refused)), written_bytes)


def _put(objects: Objects, kind: Kind[Any], table: Any, draft: Path) -> int:
    write_parquet(draft, schema_of(kind), [table])
    digest = sha256(draft.read_bytes()).hexdigest()[:_DIGITS]
    objects.put(f"{prefix_of(kind)}{digest}.parquet", draft)
    return draft.stat().st_size


def _storable(kind: Kind[Any], records: Sequence[Record]) -> tuple[Any, list[Refused]]:
    """The table of those that Arrow can hold, and the others."""
    try:
        return table_of(kind, records), []
    except (ValueError, OverflowError):
        problems = {id(record): problem for record in records if (problem := _problem(kind, record))}
        good = [record for record in records if id(record) not in problems]
        bad = [Refused(record, problems[id(record)]) for record in records if id(record) in problems]
        return table_of(kind, good), bad


def _problem(kind: Kind[Any], record: Record) -> str | None:
    try:
        table_of(kind, [record])
    except (ValueError, OverflowError) as error:
        return f"Parquet cannot hold it: {error}"
    return None


def prefix_of(kind: Kind[Any]) -> str:
    return f"{INCOMING}{kind.plural}/"


def incoming_of(objects: Objects, kind: Kind[Any]) -> list[Listed]:
    """What is not merged yet. Raises StoreError."""
    return [each for each in objects.list(prefix_of(kind)) if each.key.endswith(".parquet")]
