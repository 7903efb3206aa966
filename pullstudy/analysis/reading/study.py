"""A study as it is read: what is small of it at once, its records a job at a time.

A fleet's year does not fit into memory. What is read from InfluxDB is copied to a temporary file first, so that
everything is read in the order of one: by cluster and job. An archive is read in that order as it is.
"""

import gc
import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from heapq import merge
from itertools import chain, groupby
from pathlib import Path
from typing import Any, TypeVar

from pullstudy.analysis.reading.job_records import JobRecords
from pullstudy.analysis.reading.joined_records import JoinedRecords
from pullstudy.analysis.reading.joined_stages import JoinedStages, joined_stages
from pullstudy.analysis.reading.layers import Layer, read_layers
from pullstudy.analysis.reading.ledger import (
    LedgerTables,
    node_caches,
    nodes,
    of_selection,
    pod_witnesses,
    read_ledger,
)
from pullstudy.analysis.reading.pod_records import by_pod
from pullstudy.analysis.reading.source import StudySource, as_source
from pullstudy.pulls.batch import Gap, Reject
from pullstudy.pulls.discard import Discard
from pullstudy.pulls.kind import Kind, R
from pullstudy.pulls.kinds import DISCARD, GAP, LAYER, MILESTONE, PULL, PULL_STAGES, REJECT, STREAMING
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.record import PullRecord
from pullstudy.pulls.streamed import StreamedPulls, streams_images
from pullstudy.store.copying import all_batches
from pullstudy.store.embedded.ledger import ClusterRow, JobRow, NodeRow
from pullstudy.store.embedded.store import EmbeddedStore, open_connection, store_errors
from pullstudy.store.job_stream import JobStream
from pullstudy.store.protocol import JobName, Records, RecordsByJob, StoredRun
from pullstudy.store.selection import ALL, Selection
from pullstudy.store.stores import open_reader, opened_by_job

SIMULATED_PREFIXES = ("sim-", "kwok-")  # kwok's nodes pull nothing: their times are the simulator's
_COPIED_AT_ONCE = 10_000  # records of a transaction
T = TypeVar("T")


@dataclass(frozen=True)
class Study:
    """All that is known but for the records themselves. ``stored`` says of which runs and clusters those are."""

    name: str
    stored: tuple[StoredRun, ...] = ()
    ledger: LedgerTables = field(default_factory=LedgerTables)
    layers: tuple[Layer, ...] = ()

    @property
    def clusters(self) -> tuple[str, ...]:
        names = [row.cluster for row in self.ledger.clusters]
        return tuple(dict.fromkeys([*names, *(each.cluster for each in self.stored)]))

    @property
    def notes(self) -> tuple[str, ...]:
        """What those who ran it said of it, each once."""
        return tuple(dict.fromkeys(note for run in self.ledger.runs for note in run.notes))

    @property
    def sizes(self) -> dict[str, int | None]:
        """Nodes by cluster, as its records have them."""
        return {each.cluster: each.size for each in self.stored}

    @property
    def simulated(self) -> bool:
        """Whether any of it came from the simulator: every picture says so."""
        return any(map(self.is_simulated, self.clusters))

    def is_simulated(self, cluster: str) -> bool:
        """By its name; or by what was saved of it, where a simulator stood behind a cluster that was really made."""
        rows = (row for row in self.ledger.clusters if row.cluster == cluster)
        return cluster.startswith(SIMULATED_PREFIXES) or any(map(said_simulated, rows))


def said_simulated(row: ClusterRow) -> bool:
    """Whether its provider found the simulator in its place."""
    saved = json.loads(row.environment) if row.environment else {}
    return bool(saved.get("provider", {}).get("simulated"))


Part = tuple[RecordsByJob, Selection]


class StudyRecords:
    """The records of a study: each method reads them anew, and holds those of one job at a time."""

    def __init__(self, study: Study, parts: Sequence[Part], ledger: sqlite3.Connection | None = None) -> None:
        self.study = study
        self._parts = parts
        self._ledger = ledger
        self._proven: dict[JobName, bool] = {}  # each is asked for twice: by jobs() and by other_pulls()

    def jobs(self) -> Iterator[JobRecords]:
        """The jobs of each name on each cluster, in order of both; those too of which only the ledger tells."""
        entries = self._entries()
        caches, pods = (JobStream(partial(self._of_ledger, read)) for read in (node_caches, pod_witnesses))
        for job in self._names(entries):
            if job in entries or self._is_proven(job):
                yield JobRecords(
                    *job,
                    pulls=tuple(self._of_job(PULL, job)),
                    milestones=tuple(self._of_job(MILESTONE, job)),
                    entry=entries.get(job),
                    node_caches=caches.take(job),
                    pods=pods.take(job),
                )

    def other_pulls(self) -> Iterator[PullRecord]:
        """Pulls of pods of no job, in the order of a store; then those of pods that are only called as a job's are."""
        return self._of_no_job(PULL)

    def other_pods(self) -> Iterator[JobRecords]:
        """The records of pods of no job, by pod, with ``job`` empty. Raises StoreError."""
        return by_pod(self._of_no_job(PULL), self._of_no_job(MILESTONE))

    def _of_no_job(self, kind: Kind[R]) -> Iterator[R]:
        yield from self._merged([store.of_no_job(kind, chosen) for store, chosen in self._parts], kind.reading_order())
        entries = self._entries()
        for job in self._names(entries):
            if job not in entries and not self._is_proven(job):
                yield from self._of_job(kind, job)

    def discards(self) -> Iterator[Discard]:
        """Events that an exporter saw and did not write."""
        return self._of_kind(DISCARD)

    def _entries(self) -> dict[JobName, JobRow]:
        return {(row.cluster, row.job): row for row in self.study.ledger.jobs}

    def _names(self, entries: Iterable[JobName]) -> Iterator[JobName]:
        named = [store.jobs(chosen) for store, chosen in self._parts]
        return (job for job, _ in groupby(merge(sorted(entries), *named)))

    def _is_proven(self, job: JobName) -> bool:
        if job not in self._proven:
            self._proven[job] = any(store.proves_job(job) for store, _ in self._parts)
        return self._proven[job]

    def rejects(self) -> Iterator[Reject]:
        return self._merged([store.rejects(chosen) for store, chosen in self._parts], REJECT.reading_order())

    def gaps(self) -> Iterator[Gap]:
        return self._merged([store.gaps(chosen) for store, chosen in self._parts], GAP.reading_order())

    def pull_stages(self) -> Iterator[PullStages]:
        return self._of_kind(PULL_STAGES)

    def pulled_layers(self) -> Iterator[PulledLayer]:
        return self._of_kind(LAYER)

    def joined_stages(self) -> Iterator[JoinedStages]:
        """Each pull's inside with the kubelet's word of it. Pulls are read where there is any inside."""
        stages = self.pull_stages()
        first = next(stages, None)
        return iter(()) if first is None else joined_stages(chain((first,), stages), self._of_kind(PULL))

    def streamed_pulls(self) -> StreamedPulls:
        """What tells whether a pull was streamed."""
        nodes = {(row.cluster, row.node): streams_images(json.loads(row.labels)) for row in self.nodes()}
        return StreamedPulls(self._of_kind(STREAMING), nodes)

    def nodes(self) -> Iterator[NodeRow]:
        """As the ledger has them."""
        return nodes(self._ledger) if self._ledger is not None else iter(())

    def _of_kind(self, kind: Kind[R]) -> Iterator[R]:
        return self._merged([store.records(kind, chosen) for store, chosen in self._parts], kind.reading_order())

    def _of_job(self, kind: Kind[R], job: JobName) -> Iterator[R]:
        streams = [store.of_job(kind, job, chosen) for store, chosen in self._parts]
        return self._merged(streams, kind.reading_order())

    def _merged(self, streams: Sequence[Iterator[T]], order: Any) -> Iterator[T]:
        return streams[0] if len(streams) == 1 else merge(*streams, key=order)

    def _of_ledger(self, read: Any) -> Iterator[Any]:
        return read(self._ledger) if self._ledger is not None else iter(())


@contextmanager
def opened_study(where: Path | StudySource) -> Iterator[StudyRecords]:
    """For as long as the block lasts. Raises NotAStudyError, StoreError."""
    source = as_source(where)
    with ExitStack() as stack:
        stack.enter_context(_no_search_for_cycles())
        parts: list[Part] = []
        if source.file is not None and source.directory is not None:
            file = EmbeddedStore(source.directory, create=False)
            stack.callback(file.close_now)
            parts.append((file, source.file))
        readers = []
        for settings, selection in source.buckets:
            if (by_job := opened_by_job(settings, selection)) is not None:
                parts.append((stack.enter_context(by_job), selection))
            else:
                readers.append((open_reader(settings), selection))
        if readers:
            parts.append((stack.enter_context(copied(readers)), ALL))
        yield stack.enter_context(study_of(source.name, parts, source.directory, source.ledger))


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """While records are read and folded: none of them is in a cycle, and the search takes a fifth of the time."""
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()


@contextmanager
def study_of(name: str, parts: Sequence[Part], directory: Path | None, chosen: Selection) -> Iterator[StudyRecords]:
    """Of records in open files, with the chosen part of the directory's ledger. Raises StoreError."""
    stored = tuple(JoinedRecords(tuple(parts)).runs())
    if directory is None:
        yield StudyRecords(Study(name, stored), parts)
        return
    connection = open_connection(directory, create=False)
    try:
        with store_errors(directory):
            ledger = of_selection(read_ledger(connection), chosen)
        yield StudyRecords(Study(name, stored, ledger, tuple(read_layers(directory))), parts, connection)
    finally:
        connection.close()


@contextmanager
def copied(parts: Iterable[tuple[Records, Selection]]) -> Iterator[EmbeddedStore]:
    """What is selected of other stores, in a file that is gone after the block. Raises StoreError."""
    with tempfile.TemporaryDirectory(prefix="pullstudy-") as directory:
        file = EmbeddedStore(Path(directory), create=True)
        try:
            for records, selection in parts:
                for batch in all_batches(records, _COPIED_AT_ONCE, selection):
                    file.write_now(batch)
            yield file
        finally:
            file.close_now()
