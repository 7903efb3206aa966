"""``pulldriver import``: event logs, lists of nodes and pods, image manifests of an earlier run, into a study's store.

Importing again, in pieces or shuffled changes nothing: a record's identity is its event's.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import msgspec

from driver.clusters.environment import DescribedNode, environment_of
from driver.errors import UsageError
from driver.importing.archive import Part, PassedOver, parts_of
from driver.importing.byte_stream import ByteStream, UnreadableFileError
from driver.importing.cluster_size import NodeCount
from driver.importing.listed_nodes import ListedNodes, read_node
from driver.importing.listed_pods import ListedPods, NoPodError, read_pod
from driver.importing.log_file import BinaryFileError, lines_of, opened
from driver.importing.other_document import Document, node_texts, read_document
from driver.importing.rejects import HeldRejects, KeptRejects
from driver.importing.said import Said, SaidCache
from driver.importing.span_files import GatheredSpans, Read, span_requests
from pullstudy.atomic_file import atomic_file
from pullstudy.pulls.batch import Batch, Reject
from pullstudy.pulls.decode import Decoded, Origin, decode_event
from pullstudy.pulls.described_pod import NO_TIME, coarsened
from pullstudy.pulls.discard import read_discard
from pullstudy.pulls.enclosed_event import may_enclose_event
from pullstudy.pulls.event import UNREADABLE
from pullstudy.pulls.event_table import NO_NAMES
from pullstudy.pulls.eventlog import (
    BarrenError,
    ExporterLine,
    LoggedEvent,
    LogItem,
    OtherDocument,
    UnreadableLine,
    read_log,
)
from pullstudy.pulls.kind import Record
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import PullRecord
from pullstudy.pulls.spans.otlp import OtlpError
from pullstudy.store.destination import Destination
from pullstudy.store.embedded.ledger import IMPORTED, ClusterRow, ClusterState, Ledger, NodeCache, Run

REJECTS_FILE = "rejects.jsonl"
_REJECTS_FILE_BYTES = 64 << 20
_BATCH_RECORDS = 5_000  # a transaction's worth: some 10 MB of memory, some 0.2 s
_BATCH_NODES = 500
_BATCH_BYTES = 8 << 20  # of events' text, where they are long
_EXPORTER_MESSAGES = 100  # different ones that are counted apart
_MESSAGE_LENGTH = 500
_OTHER_MESSAGES = "(other messages)"
_OF_EVENTS = (NO_NAMES, NO_TIME)  # of a member of an archive: reasons to say that it is not read


@dataclass
class FileTally:
    """What one file held."""

    path: Path
    events: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    exporter_lines: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)  # the first of them
    reasons: Counter[str] = field(default_factory=Counter)  # of all
    unkept: int = 0  # of these, how many are neither in the store nor in the rejects file
    members: int = 0  # of an archive, that were read
    passed_over: Counter[str] = field(default_factory=Counter)  # members without events, nodes, pods or manifests
    nodes: int = 0
    pods: int = 0
    layers: int = 0
    spans: int = 0  # of pulls
    new: int | None = 0  # records of all kinds that the store did not have; None where it does not say
    cut_off: str | None = None  # why the file could not be read to its end

    @property
    def rejected(self) -> int:
        return self.reasons.total()

    @property
    def understood(self) -> bool:
        """Whether anything in it was."""
        return bool(self.events or self.nodes or self.pods or self.layers or self.spans)


class ImportStore(Protocol):
    """Where the records go."""

    def write_now(self, batch: Batch) -> int | None:
        """How many of them were new; None where the store does not say. Raises StoreError."""
        ...

    def rejects(self) -> Iterator[Reject]: ...


def import_logs(
    paths: Iterable[Path],
    origin: Origin,
    directory: Path,
    store: ImportStore,
    *,
    destination: Destination = Destination(),  # noqa: B008 - immutable
    said: Said = Said(),  # noqa: B008 - immutable
    now: Callable[[], datetime],
    advance: Callable[[Path, int], None] = lambda path, size: None,
    note: Callable[[str], None] = lambda line: None,
) -> list[FileTally]:
    """Read the files into the directory's study, made where there is none, and their records into the store.

    ``destination`` is what the run is said to be in. ``advance`` is told the bytes read, ``note`` what is waited for.
    What cannot be read is kept in the store and in ``rejects.jsonl``, up to a limit a file.
    Raises UsageError, StoreError, AnalysisError.
    """
    if said.note is not None and origin.size is None:
        raise UsageError("--note: these files have no run that it could be kept with")
    with ExitStack() as stack:
        ledger = Ledger(directory, create=True)
        stack.callback(ledger.close)
        if origin.size is not None:
            _announce(ledger, origin, destination, now())
            _keep_said(ledger, origin, said)
        count = NodeCount()
        pods, spans = ListedPods(origin), GatheredSpans(origin)
        tallies = [
            _Import(store, ledger, directory, origin, path, count, pods, spans, said).run(advance, note)
            for path in paths
        ]
        _write_proved(store, pods)
        _write_stages(store, spans)
        _write_rejects(store, directory)
    if origin.size is not None:
        _check_size(count, origin.size, origin.cluster)
    return tallies


def _write_proved(store: ImportStore, pods: ListedPods) -> None:
    """The pulls that only the status of pods proves."""
    pulls = pods.pulls()
    while part := tuple(islice(pulls, _BATCH_RECORDS)):
        store.write_now(Batch(pulls=part))


def _write_stages(store: ImportStore, spans: GatheredSpans) -> None:
    """What the spans of all files tell of the inside of pulls."""
    records = spans.records()
    while part := list(islice(records, _BATCH_RECORDS)):
        store.write_now(Batch(more=part))


def _check_size(count: NodeCount, size: int, cluster: str) -> None:
    """Of what could be read only once: else it was looked at before."""
    try:
        count.check(size)
    except UsageError as error:
        raise UsageError(f"{error}; what was read is stored, as cluster {cluster}: import into another --out") from None


def _announce(ledger: Ledger, origin: Origin, destination: Destination, at: datetime) -> None:
    run = origin.run or ""
    swept = ledger.swept_run()
    if swept is not None and swept.run == run:
        raise UsageError(f"run {run!r} in this directory is a sweep's own; import under another --run or --out")
    known = {row.cluster for row in ledger.clusters(run)}
    if not known:
        study = msgspec.json.encode({"collect": destination} if destination.shared else {}).decode()
        ledger.begin(Run(run=run, provider=IMPORTED, study=study, started_at=at, finished_at=at), [])
    if origin.cluster not in known:
        row = ClusterRow(cluster=origin.cluster, run=run, size=origin.size or 0, state=ClusterState.DOWN)
        ledger.put_cluster(row)


def _keep_said(ledger: Ledger, origin: Origin, said: Said) -> None:
    if said.cache is SaidCache.UNKNOWN:
        ledger.forget_node_caches(origin.cluster)
    run = next(run for run in ledger.runs() if run.run == (origin.run or "")).noted(said.note)
    if said.note is not None:
        ledger.put_run(run)
    if said.price is not None:
        study = msgspec.json.decode(run.study) | {"cluster": {"price": said.price}}
        ledger.put_run(msgspec.structs.replace(run, study=msgspec.json.encode(study).decode()))


class _Import:
    """One file's way into the store."""

    def __init__(
        self,
        store: ImportStore,
        ledger: Ledger,
        directory: Path,
        origin: Origin,
        path: Path,
        count: NodeCount,
        pods: ListedPods,
        spans: GatheredSpans,
        said: Said,
    ) -> None:
        self._spans = spans
        self._count = count
        self._listed_pods = pods
        self._cache = said.cache.state if said.cache is not None else None
        self._as_of = said.as_of
        self._store = store
        self._ledger = ledger
        self._directory = directory
        self._origin = origin
        self._tally = FileTally(path)
        self._pulls: list[PullRecord] = []
        self._milestones: list[Milestone] = []
        self._others: list[Record] = []
        self._bytes = 0  # of the text of them all
        self._rejects = KeptRejects(origin.cluster, path.name)
        self._nodes = ListedNodes(origin.cluster)
        self._described = False  # the ledger has rows of its nodes
        self._member = ""  # of an archive, that is read now
        self._held: HeldRejects | None = None  # while nothing of the member is understood

    def run(self, advance: Callable[[Path, int], None], note: Callable[[str], None]) -> FileTally:
        """Raises UsageError, StoreError, AnalysisError, OSError."""
        path, tally = self._tally.path, self._tally
        with opened(path, note) as file:
            try:
                for part in parts_of(file):
                    self._take_part(part, lambda size: advance(path, size))
            except UnreadableFileError as error:
                tally.cut_off = tally.cut_off or str(error)
        self._rejects.end()
        self._flush()
        tally.rejects, tally.reasons, tally.unkept = self._rejects.first, self._rejects.reasons, self._rejects.unkept
        tally.nodes = self._nodes.count
        if self._described:
            self._keep_environment()
        return tally

    def _take_part(self, part: Part | PassedOver, advance: Callable[[int], None]) -> None:
        self._member, self._held = part.name, None
        if isinstance(part, Part):
            self._held = HeldRejects() if part.name else None
            self._tally.members += bool(part.name)
            self._read(part.stream, advance)
            self._end_member()
        elif part.refused:
            self._reject(1, part.why, b"")
        else:
            self._tally.passed_over[part.why] += 1

    def _read(self, stream: ByteStream, advance: Callable[[int], None]) -> None:
        try:
            if (requests := span_requests(stream, advance)) is not None:
                self._take_spans(requests)
                return
            for item in read_log(lines_of(stream, advance=advance), as_of=self._as_of):
                self._take(item)
                if self._batch_is_full:
                    self._flush()
        except BinaryFileError as error:
            self._reject(1, str(error), error.beginning)
        except BarrenError as error:
            if not self._member:
                self._tally.cut_off = str(error)
            self._reject(error.line, str(error), b"")
        except UnreadableFileError as error:
            self._tally.cut_off = f"{self._member}: {error}" if self._member else str(error)

    def _take_spans(self, requests: Iterable[Read]) -> None:
        self._understand()
        self._need_size("spans")
        for number, read in enumerate(requests, start=1):
            try:
                found = read()
            except OtlpError as error:
                self._reject(number, f"a request of spans that {error}", b"")
                continue
            self._spans.add(found.spans)
            self._tally.spans += len(found.spans)

    def _understand(self) -> None:
        """Something of the member: so what else is in it belongs to a log too."""
        held, self._held = self._held, None
        if held is not None:
            for each in held.first:
                self._reject(each.line, each.problem, each.raw)
            for problem, times in held.more.items():
                self._rejects.count(problem, times)

    def _end_member(self) -> None:
        """Of a member of which nothing was understood, that it is no log, or else its rejects."""
        held = self._held
        if held is None or not held.first:
            return
        if any(may_enclose_event(each.raw) or each.problem in _OF_EVENTS for each in held.first):
            self._understand()
        else:
            self._tally.passed_over[held.first[0].problem] += 1

    @property
    def _batch_is_full(self) -> bool:
        records = len(self._pulls) + len(self._milestones) + len(self._others)
        return records >= _BATCH_RECORDS or self._bytes >= _BATCH_BYTES or self._nodes.waiting >= _BATCH_NODES

    def _take(self, item: LogItem) -> None:
        match item:
            case LoggedEvent():
                self._take_event(item)
            case ExporterLine(message=message, raw=raw):
                self._take_discard(raw)
                if self._held is None:  # logs of other programs have such lines too
                    self._count_message(message[:_MESSAGE_LENGTH])
            case UnreadableLine(line=line, problem=problem, raw=raw):
                self._reject(line, problem, raw)
            case OtherDocument(line=line, raw=raw):
                self._take_document(line, raw)

    def _take_event(self, item: LoggedEvent) -> None:
        if item.event.metadata is None or not item.event.metadata.uid:
            self._reject(item.line, "an event without a uid, by which it would be known again", item.raw)
            return
        self._understand()
        self._need_size("events")
        decoded: Decoded = coarsened(decode_event(item.event, self._origin), item.resolution_seconds)
        self._count.add_event(item.event)
        self._tally.events += 1
        self._tally.kinds[decoded.kind] += 1
        self._take_pulls(decoded)
        self._milestones.extend(decoded.milestones)
        self._others.extend(decoded.others)
        if decoded.pulls or decoded.milestones or decoded.others:
            self._bytes += len(item.raw)
        subject = item.event.object
        if subject is not None and subject.kind == "Node" and subject.labels:
            self._nodes.add_labels(subject.name, subject.labels)
        if decoded.unknown:
            self._reject(item.line, decoded.unknown, item.raw)

    def _take_pulls(self, decoded: Decoded) -> None:
        self._pulls.extend(decoded.pulls)
        for pull in decoded.pulls:
            self._listed_pods.add_event_pull(pull)

    def _take_discard(self, raw: bytes) -> None:
        discard = read_discard(raw, self._origin)
        if discard is not None:
            self._understand()
            self._need_size("events")
            self._others.append(discard)
            self._bytes += len(raw)

    def _count_message(self, message: str) -> None:
        counted = self._tally.exporter_lines
        known = message in counted or len(counted) < _EXPORTER_MESSAGES
        counted[message if known else _OTHER_MESSAGES] += 1

    def _take_document(self, line: int, raw: bytes) -> None:
        from pullstudy.analysis.errors import ManifestsError
        from pullstudy.analysis.reading.manifests import import_manifests

        try:
            document = read_document(raw)
            if document.manifests:
                self._tally.layers += import_manifests(self._tally.path, self._directory, text=raw)
                self._understand()
            elif not self._take_objects(line, raw, document):
                self._reject(line, "a JSON document that is no event, no node, no pod and no manifests", raw)
        except ManifestsError as error:
            self._reject(line, str(error), raw)
        except UNREADABLE as error:
            self._reject(line, f"neither nodes, pods nor manifests: {error}", raw)

    def _take_objects(self, line: int, raw: bytes, document: Document) -> bool:
        """Whether there was a node or a pod, in the document or as which it is."""
        found = False
        for text, of_list in node_texts(raw, document):
            node = read_node(text, of_list)
            if node is not None:
                self._take_node(node)
            found |= node is not None or self._take_pod(line, text)
        return found

    def _take_node(self, node: DescribedNode) -> None:
        self._understand()
        self._need_size("nodes")
        self._nodes.add(node)
        self._count.add_listed(node)

    def _take_pod(self, line: int, text: bytes) -> bool:
        """Whether it is one."""
        try:
            pod = read_pod(text)
            if pod is None:
                return False
            self._understand()
            self._need_size("pods")
            self._count.add_pod(pod)
            self._tally.pods += 1
            self._milestones.extend(self._listed_pods.add(pod))
            self._bytes += len(text)
        except NoPodError as error:
            self._reject(line, str(error), text)
        except UNREADABLE as error:
            self._reject(line, f"not a pod: {error}", text)
        return True

    def _need_size(self, what: str) -> None:
        if self._origin.size is None:
            raise UsageError(f"{self._tally.path} has {what}: say by --size how many nodes their cluster had")

    def _keep_environment(self) -> None:
        rows = {row.cluster: row for row in self._ledger.clusters(self._origin.run or "")}
        row = rows[self._origin.cluster]
        text = msgspec.json.encode(environment_of(self._ledger.nodes(row.cluster))).decode()
        self._ledger.put_cluster(msgspec.structs.replace(row, environment=text))

    def _reject(self, line: int, problem: str, raw: bytes) -> None:
        if self._held is not None:
            self._held.add(line, problem, raw)
        elif self._rejects.add(line, problem, raw, self._member):
            self._flush()

    def _flush(self) -> None:
        self._store.write_now(Batch(rejects=self._rejects.taken()))
        batch = Batch(pulls=self._pulls, milestones=self._milestones, more=self._others)
        new = self._store.write_now(batch)
        if rows := self._nodes.taken():
            self._ledger.put_nodes(rows)
            self._described = True
        self._keep_caches()
        self._tally.new = None if new is None or self._tally.new is None else self._tally.new + new
        self._pulls, self._milestones, self._others, self._bytes = [], [], [], 0

    def _keep_caches(self) -> None:
        if self._cache is not None:
            places = {(pull.job, pull.node) for pull in self._pulls}
            self._ledger.put_node_caches(
                NodeCache(cluster=self._origin.cluster, job=job, node=node, cache=self._cache)
                for job, node in places
                if job is not None and node is not None
            )


def _write_rejects(store: ImportStore, directory: Path) -> None:
    """The rejects of the store, in a file beside it, whole or not at all; at its limit it says how many follow."""
    rejects = store.rejects()
    first = next(rejects, None)
    if first is None:
        return
    with atomic_file(directory / REJECTS_FILE, mode=0o600) as file:
        written = more = 0
        for reject in chain([first], rejects):
            if written >= _REJECTS_FILE_BYTES:
                more += 1
            else:
                written += file.write(msgspec.json.encode(reject) + b"\n")
        if more:
            file.write(msgspec.json.encode({"problem": f"{more} more are in the store alone"}) + b"\n")
