"""``pulldriver import``: event logs, node lists and image manifests of an earlier run, into a study's store.

Importing again, in pieces or shuffled changes nothing: a record's identity is its event's.
"""

import gzip
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec

from driver.clusters.environment import Environment, environment_of
from driver.errors import UsageError
from pullstudy.atomic_file import write_file
from pullstudy.pulls.batch import Batch, Reject
from pullstudy.pulls.decode import Decoded, Origin, decode_event
from pullstudy.pulls.eventlog import ExporterLine, Item, LoggedEvent, OtherDocument, UnreadableLine, read_log
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import PullRecord
from pullstudy.store.destination import Destination
from pullstudy.store.embedded.ledger import ClusterRow, ClusterState, Ledger, Run

REJECTS_FILE = "rejects.jsonl"
STANDARD_INPUT = Path("-")
_BATCH_RECORDS = 5_000  # a transaction's worth: some 10 MB of memory, some 0.2 s
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass
class FileTally:
    """What one file held."""

    path: Path
    events: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    exporter_lines: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    nodes: int = 0
    layers: int = 0
    new: int | None = 0  # records and milestones that the store did not have; None where it does not say
    cut_off: str | None = None  # why the file could not be read to its end


class ImportStore(Protocol):
    """Where the records go."""

    def write_now(self, batch: Batch) -> int | None:
        """How many of them were new; None where the store does not say. Raises StoreError."""
        ...

    def rejects(self) -> Iterator[Reject]: ...


def check_readable(paths: Iterable[Path]) -> None:
    """Raises UsageError, before anything is done, where a path cannot be read."""
    for path in paths:
        if path == STANDARD_INPUT:
            continue
        try:
            path.open("rb").close()
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}; nothing was imported") from error


def import_logs(
    paths: Iterable[Path],
    origin: Origin,
    directory: Path,
    store: ImportStore,
    *,
    destination: Destination = Destination(),  # noqa: B008 - immutable
    now: Callable[[], datetime],
    advance: Callable[[Path, int], None] = lambda path, size: None,
) -> list[FileTally]:
    """Read the files into the directory's study, made where there is none, and their records into the store.

    ``destination`` is what the run is said to be in. ``advance`` is told the bytes read. What cannot be read is kept in
    the store and in ``rejects.jsonl``. Raises UsageError, StoreError, AnalysisError.
    """
    with ExitStack() as stack:
        ledger = Ledger(directory, create=True)
        stack.callback(ledger.close)
        if origin.size is not None:
            _announce(ledger, origin, destination, now())
        tallies = [_Import(store, ledger, directory, origin, path).run(advance) for path in paths]
        _write_rejects(store, directory)
    return tallies


def _announce(ledger: Ledger, origin: Origin, destination: Destination, at: datetime) -> None:
    run = origin.run or ""
    swept = ledger.swept_run()
    if swept is not None and swept.run == run:
        raise UsageError(f"run {run!r} in this directory is a sweep's own; import under another --run or --out")
    known = {row.cluster for row in ledger.clusters(run)}
    if not known:
        study = msgspec.json.encode({"collect": destination} if destination.shared else {}).decode()
        ledger.begin(Run(run=run, provider="import", study=study, started_at=at, finished_at=at), [])
    if origin.cluster not in known:
        row = ClusterRow(cluster=origin.cluster, run=run, size=origin.size or 0, state=ClusterState.DOWN)
        ledger.put_cluster(row)


class _Import:
    """One file's way into the store."""

    def __init__(self, store: ImportStore, ledger: Ledger, directory: Path, origin: Origin, path: Path) -> None:
        self._store = store
        self._ledger = ledger
        self._directory = directory
        self._origin = origin
        self._tally = FileTally(path)
        self._pulls: list[PullRecord] = []
        self._milestones: list[Milestone] = []
        self._rejects: list[Reject] = []

    def run(self, advance: Callable[[Path, int], None]) -> FileTally:
        path = self._tally.path
        with _opened(path) as file:
            for item in read_log(self._lines(file, advance)):
                self._take(item)
                if len(self._pulls) + len(self._milestones) + len(self._rejects) >= _BATCH_RECORDS:
                    self._flush()
        self._flush()
        return self._tally

    def _lines(self, file: IO[bytes], advance: Callable[[Path, int], None]) -> Iterator[bytes]:
        try:
            for line in file:
                advance(self._tally.path, len(line))
                yield line
        except (EOFError, OSError, zlib.error) as error:
            # gzip tells a cut-off file by EOFError, a damaged one by the other two: what came before is good.
            self._tally.cut_off = str(error) or type(error).__name__

    def _take(self, item: Item) -> None:
        match item:
            case LoggedEvent():
                self._take_event(item)
            case ExporterLine(message=message):
                self._tally.exporter_lines[message] += 1
            case UnreadableLine(line=line, problem=problem, raw=raw):
                self._reject(line, problem, raw)
            case OtherDocument(line=line, value=value):
                self._take_document(line, value)

    def _take_event(self, item: LoggedEvent) -> None:
        self._need_size("events")
        decoded: Decoded = decode_event(item.event, self._origin)
        self._tally.events += 1
        self._tally.kinds[decoded.kind] += 1
        self._pulls.extend(decoded.pulls)
        self._milestones.extend(decoded.milestones)
        if decoded.unknown:
            self._reject(item.line, decoded.unknown, item.raw)

    def _take_document(self, line: int, value: dict[str, Any]) -> None:
        from pullstudy.analysis.reading.manifests import import_manifests, looks_like_manifests

        if looks_like_manifests(value):
            self._tally.layers += import_manifests(self._tally.path, self._directory)
        elif nodes := _nodes(value):
            self._need_size("nodes")
            self._tally.nodes += len(nodes)
            self._keep_environment(environment_of(nodes))
        else:
            self._reject(line, "a JSON document that is no event, no node list and no manifests", b"")

    def _need_size(self, what: str) -> None:
        if self._origin.size is None:
            raise UsageError(f"{self._tally.path} has {what}: say by --size how many nodes their cluster had")

    def _keep_environment(self, environment: Environment) -> None:
        rows = {row.cluster: row for row in self._ledger.clusters(self._origin.run or "")}
        row = rows[self._origin.cluster]
        text = msgspec.json.encode(environment).decode()
        self._ledger.put_cluster(msgspec.structs.replace(row, environment=text))

    def _reject(self, line: int, problem: str, raw: bytes) -> None:
        reject = Reject(
            cluster=self._origin.cluster,
            source=self._tally.path.name,
            position=str(line),
            problem=problem,
            raw=raw.decode(errors="replace"),
        )
        self._rejects.append(reject)
        self._tally.rejects.append(reject)

    def _flush(self) -> None:
        self._store.write_now(Batch(rejects=tuple(self._rejects)))
        batch = Batch(pulls=tuple(self._pulls), milestones=tuple(self._milestones))
        new = self._store.write_now(batch)
        self._tally.new = None if new is None or self._tally.new is None else self._tally.new + new
        self._pulls, self._milestones, self._rejects = [], [], []


def _nodes(value: dict[str, Any]) -> list[dict[str, Any]]:
    items = value.get("items")
    if not isinstance(items, list):
        return []
    listed = value.get("kind") == "NodeList"
    return [item for item in items if isinstance(item, dict) and (listed or item.get("kind") == "Node")]


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if path == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with path.open("rb") as file:
        packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        if packed:
            with gzip.open(file) as unpacked:
                yield unpacked  # type: ignore[misc]
        else:
            yield file


def _write_rejects(store: ImportStore, directory: Path) -> None:
    """All rejects of the store, in a file beside it."""
    rejects = list(store.rejects())
    if rejects:
        lines = b"".join(msgspec.json.encode(reject) + b"\n" for reject in rejects)
        write_file(directory / REJECTS_FILE, lines)
