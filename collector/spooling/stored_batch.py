"""A batch as MessagePack keeps it: a map from the kinds' plural names to their records."""

from collections.abc import Iterable
from typing import Any

import msgspec

from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kind import Kind, Record
from pullstudy.pulls.kinds import KINDS


class BatchFormat:
    """Batches of these kinds. ``stored`` is the type as which msgspec reads one."""

    def __init__(self, kinds: Iterable[Kind[Any]]) -> None:
        kinds = tuple(kinds)
        self._names: dict[type[Record], str] = {kind.struct: kind.plural for kind in kinds}
        self._pairs = tuple(self._names.items())
        fields = [(kind.plural, tuple[kind.struct, ...], ()) for kind in kinds]  # type: ignore[name-defined]
        # A kind that this version does not know must not be passed over.
        self.stored: Any = msgspec.defstruct("StoredBatch", fields, frozen=True, gc=False, forbid_unknown_fields=True)

    def to_map(self, batch: Batch) -> dict[str, tuple[Record, ...]]:
        names = self._names
        return {names[struct]: records for struct, records in batch.of_kinds.items()}

    def to_batch(self, stored: Any) -> Batch:
        return Batch.of_groups({struct: records for struct, name in self._pairs if (records := getattr(stored, name))})


BATCHES = BatchFormat(KINDS)
