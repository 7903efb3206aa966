"""All that is read of a store, in batches for another."""

from collections.abc import Iterator
from itertools import islice

from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kind import Record
from pullstudy.pulls.kinds import KINDS, PULL
from pullstudy.store.protocol import Records
from pullstudy.store.selection import ALL, Selection


def all_batches(records: Records, of_records: int, selection: Selection = ALL) -> Iterator[Batch]:
    """Of so many records at most, each of one kind. Raises StoreError."""
    for kind in KINDS:
        stream: Iterator[Record] = records.pulls(selection) if kind is PULL else records.records(kind, selection)
        while some := tuple(islice(stream, of_records)):
            yield Batch(more=some)
