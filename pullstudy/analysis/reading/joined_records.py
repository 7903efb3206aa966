"""The records of a source, from its file and its buckets, in order, as those of one store."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from pullstudy.analysis.errors import NoSuchRunError
from pullstudy.analysis.reading.source import StudySource
from pullstudy.pulls.batch import Gap, Reject
from pullstudy.pulls.kind import Kind, R
from pullstudy.pulls.kinds import GAP, MILESTONE, PULL, REJECT
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import PullRecord
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.protocol import Records, StoredRun
from pullstudy.store.selection import Selection
from pullstudy.store.stores import open_reader, opened_by_job

T = TypeVar("T")


@dataclass(frozen=True)
class JoinedRecords:
    """The records of a source, in the order of a store."""

    parts: tuple[tuple[Records, Selection], ...]

    def runs(self) -> list[StoredRun]:
        return [
            each
            for records, selection in self.parts
            for each in records.runs()
            if (not selection.runs or each.run in selection.runs)
            and (not selection.clusters or each.cluster in selection.clusters)
        ]

    def pulls(self) -> Iterator[PullRecord]:
        return self._joined(lambda records, selection: records.pulls(selection), PULL.reading_order())

    def milestones(self) -> Iterator[Milestone]:
        return self._joined(lambda records, selection: records.milestones(selection), MILESTONE.reading_order())

    def rejects(self) -> Iterator[Reject]:
        return self._joined(lambda records, selection: records.rejects(selection), REJECT.reading_order())

    def gaps(self) -> Iterator[Gap]:
        return self._joined(lambda records, selection: records.gaps(selection), GAP.reading_order())

    def records(self, kind: Kind[R]) -> Iterator[R]:
        return self._joined(lambda records, selection: records.records(kind, selection), kind.reading_order())

    def _joined(self, read: Callable[[Records, Selection], Iterator[T]], order: Callable[[T], Any]) -> Iterator[T]:
        return heapq.merge(*(read(*part) for part in self.parts), key=order)


@contextmanager
def opened(source: StudySource) -> Iterator[JoinedRecords]:
    """Its records, for as long as the block lasts. Raises NotAStudyError, StoreError."""
    parts: list[tuple[Records, Selection]] = []
    with ExitStack() as stack:
        if source.file is not None and source.directory is not None:
            file = EmbeddedStore(source.directory, create=False)
            stack.callback(file.close_now)
            parts.append((file, source.file))
        for settings, selection in source.buckets:
            by_job = opened_by_job(settings, selection)
            parts.append((stack.enter_context(by_job) if by_job is not None else open_reader(settings), selection))
        yield JoinedRecords(tuple(parts))


def check_chosen(source: StudySource, runs: Sequence[str | None], clusters: Sequence[str]) -> None:
    """Raises NoSuchRunError where no record is of a run or cluster asked for: an empty answer would mislead."""
    with opened(source) as records:
        found = records.runs()
        if {each.run for each in found}.issuperset(runs) and {each.cluster for each in found}.issuperset(clusters):
            return
        there = [each for part, _ in records.parts for each in part.runs()]
    raise NoSuchRunError(str(source), runs, clusters, there)
