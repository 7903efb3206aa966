"""What travels together from the watch to the store."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, cast

from msgspec import Meta

from pullstudy.pulls.kind import R, Record
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import PullRecord


class Reject(Record, frozen=True, kw_only=True, gc=False):
    """Input that could not be understood, kept whole. Identity is all of it but ``at``: see kinds."""

    source: Annotated[str, Meta(description='a file\'s name, or "watch"')]
    position: Annotated[str, Meta(description="a line number, or a resource version")]
    problem: Annotated[str, Meta(description="one line: what is wrong")]
    raw: Annotated[str, Meta(description="the text as it came")]
    at: Annotated[
        datetime | None, Meta(description="the event's own time where it can be read, else when the text was seen")
    ] = None


class Gap(Record, frozen=True, kw_only=True, gc=False):
    """A stretch of the event stream that nobody watched: what was deleted in it, or updated twice, is unknown."""

    from_version: Annotated[str, Meta(description="the last resource version that was read; empty if none was")]
    to_version: Annotated[str, Meta(description="the version of the list that ended the gap")]
    found_at: Annotated[datetime, Meta(description="when the gap was noticed")]
    why: Annotated[str, Meta(description="one line")]


class Batch:
    """Records of any kinds; those of one kind in the order in which they were read. Never changed."""

    __slots__ = ("_of_kinds",)
    _of_kinds: dict[type[Record], tuple[Record, ...]]

    def __init__(
        self,
        *,
        pulls: Iterable[PullRecord] = (),
        milestones: Iterable[Milestone] = (),
        rejects: Iterable[Reject] = (),
        gaps: Iterable[Gap] = (),
        more: Iterable[Record] = (),
    ) -> None:
        """``more`` are records of any kinds, mixed."""
        of_kinds: dict[type[Record], tuple[Record, ...]] = {}
        given: tuple[tuple[type[Record], Iterable[Record]], ...] = (
            (PullRecord, pulls),
            (Milestone, milestones),
            (Reject, rejects),
            (Gap, gaps),
        )
        for struct, records in given:
            if kept := tuple(records):
                of_kinds[struct] = kept
        for struct, mixed in _by_struct(more).items():
            of_kinds[struct] = (*of_kinds.get(struct, ()), *mixed)
        self._of_kinds = of_kinds

    @staticmethod
    def of_groups(groups: dict[type[Record], tuple[Record, ...]]) -> "Batch":
        """Records that are parted by kind already, without empty groups."""
        batch = Batch.__new__(Batch)
        batch._of_kinds = groups
        return batch

    @staticmethod
    def joined(batches: Iterable["Batch"]) -> "Batch":
        """One of all, in order."""
        groups: dict[type[Record], list[Record]] = {}
        for batch in batches:
            for struct, records in batch.of_kinds.items():
                groups.setdefault(struct, []).extend(records)
        return Batch.of_groups({struct: tuple(records) for struct, records in groups.items()})

    def of(self, struct: type[R]) -> tuple[R, ...]:
        """Those of one kind."""
        return cast(tuple[R, ...], self._of_kinds.get(struct, ()))

    @property
    def of_kinds(self) -> Mapping[type[Record], tuple[Record, ...]]:
        """By kind, of which there are any."""
        return self._of_kinds

    def records(self) -> list[Record]:
        """All of them, kind by kind."""
        return [record for records in self._of_kinds.values() for record in records]

    @property
    def pulls(self) -> tuple[PullRecord, ...]:
        return self.of(PullRecord)

    @property
    def milestones(self) -> tuple[Milestone, ...]:
        return self.of(Milestone)

    @property
    def rejects(self) -> tuple[Reject, ...]:
        return self.of(Reject)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        return self.of(Gap)

    def __bool__(self) -> bool:
        return bool(self._of_kinds)

    def __len__(self) -> int:
        return sum(map(len, self._of_kinds.values()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Batch) and self._of_kinds == other._of_kinds

    def __repr__(self) -> str:
        return f"Batch({', '.join(map(repr, self.records()))})"


def _by_struct(records: Iterable[Record]) -> dict[type[Record], list[Record]]:
    found: dict[type[Record], list[Record]] = {}
    for record in records:
        found.setdefault(type(record), []).append(record)
    return found
