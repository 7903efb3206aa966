"""From events to records: those of a watch and those of a list in, one Batch out. Without I/O.

Only what speaks of pulls goes on; of all other events the reason is counted. What cannot be read becomes a Reject,
and never stops the rest.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from collector.monitoring.pull_durations import PullDurations
from collector.monitoring.status import CollectorStatus
from collector.sources.bounded_event import LONGEST_TEXT, bounded_event
from collector.sources.recent_events import RecentEvents
from collector.sources.reported import ReportedContainers
from pullstudy.pulls.batch import Batch, Gap, Reject
from pullstudy.pulls.bug import BUGS, Bugs
from pullstudy.pulls.decode import Origin, decode_event, event_time
from pullstudy.pulls.event import UNREADABLE, Event, decode_event_json
from pullstudy.pulls.kind import Record
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import PullRecord

SOURCE = "watch"  # of a Reject, also of a list's: both show the same objects
RAW_MOST_CHARACTERS = 65_536  # kept of what cannot be read: more is no event


class _WholeLine(msgspec.Struct):
    object: msgspec.Raw


_KIND = b'"kind":"Event","apiVersion":"v1",'  # as an API server writes it: before all else
_decode_whole_line = msgspec.json.Decoder(_WholeLine).decode


class Intake:
    """Gathers what events report, until take_batch()."""

    def __init__(
        self,
        origin: Origin,
        recent: RecentEvents,
        status: CollectorStatus,
        reported: ReportedContainers | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        durations: PullDurations | None = None,
        bugs: Bugs | None = None,
    ) -> None:
        """``reported`` is filled with what the events report of containers, where somebody asks.

        ``durations`` counts pulls that are news, where somebody may ask for metrics.
        ``bugs`` is told what nobody thought of, and the event is kept as a Reject; without, it is raised.
        """
        self._bugs = bugs
        self._now = now
        self._durations = durations
        self._reported = reported
        self._origin = origin
        self._recent = recent
        self._status = status
        self._pulls: list[PullRecord] = []
        self._milestones: list[Milestone] = []
        self._rejects: list[Reject] = []
        self._gaps: list[Gap] = []
        self._others: list[Record] = []

    def take_batch(self) -> Batch:
        """What was gathered since the last call."""
        batch = Batch(
            pulls=tuple(self._pulls),
            milestones=tuple(self._milestones),
            rejects=tuple(self._rejects),
            gaps=tuple(self._gaps),
            more=self._others,
        )
        for gathered in (self._pulls, self._milestones, self._rejects, self._gaps, self._others):
            gathered.clear()
        return batch

    def forget(self) -> None:
        """A batch that was taken may not have been kept: its events are news when they come again."""
        self._recent.forget()

    def unreadable(self, raw: bytes, version: str, error: Exception) -> None:
        """A line of a watch or an item of a list, after this version: kept as a Reject."""
        self._status.unreadable += 1
        self._reject(version, f"not an event: {error}", raw.decode(errors="replace"), self._now())

    def event(self, event: Event, line: bytes) -> None:
        """An event of a watch, and the line that brought it."""
        problem = self._take_guarded(event, len(line))
        if problem is not None:
            self._unknown(event, problem, _decode_whole_line(line).object)

    def item(self, item: msgspec.Raw, version: str) -> None:
        """An item of a list of this version."""
        try:
            event = decode_event_json(item)
        except UNREADABLE as error:
            self.unreadable(bytes(item), version, error)
            return
        problem = self._take_guarded(event, memoryview(item).nbytes)
        if problem is not None:
            self._unknown(event, problem, item)

    def gap(self, gap: Gap) -> None:
        """A stretch that nobody watched."""
        self._gaps.append(gap)
        self._status.gaps += 1

    def _take_guarded(self, event: Event, length: int) -> str | None:
        if length > LONGEST_TEXT:
            event, cut = bounded_event(event)
            self._status.cut += cut
        try:
            return self._take(event)
        except BUGS as error:  # of one event: the others are read
            if self._bugs is None:
                raise
            self._bugs.found("an event", error)
            return f"a bug was met: {type(error).__name__}"

    def _take(self, event: Event) -> str | None:
        # Returns the problem where the event has to be kept as unknown too.
        self._status.count_reason(event.reason or "(none)")
        decoded = decode_event(event, self._origin)
        if not (decoded.pulls or decoded.milestones or decoded.others or decoded.unknown):
            return None
        if self._reported is not None:
            self._reported.add(decoded)
        if event.metadata is not None and not self._recent.add(event.metadata.uid, event.times_seen):
            self._status.repeated += 1
            return None
        for record in decoded.pulls:
            self._status.outcomes[record.outcome] += 1
            if self._durations is not None:
                self._durations.count(record)
        self._status.milestones += len(decoded.milestones)
        self._pulls.extend(decoded.pulls)
        self._milestones.extend(decoded.milestones)
        self._others.extend(decoded.others)
        return decoded.unknown

    def _unknown(self, event: Event, problem: str, raw: msgspec.Raw) -> None:
        self._status.unknown += 1
        version = event.metadata.resource_version if event.metadata else ""
        when = event_time(event)
        self._reject(version, problem, _without_kind(raw), when.at if when else self._now())

    def _reject(self, version: str, problem: str, raw: str, at: datetime) -> None:
        self._rejects.append(
            Reject(
                cluster=self._origin.cluster,
                source=SOURCE,
                position=version,
                problem=problem,
                raw=raw[:RAW_MOST_CHARACTERS],
                at=at,
            )
        )


def _without_kind(raw: msgspec.Raw) -> str:
    if memoryview(raw).nbytes > RAW_MOST_CHARACTERS:  # is cut; 16 MiB of empty lists take 400 when they are decoded
        return bytes(memoryview(raw)[: RAW_MOST_CHARACTERS * 4]).replace(_KIND, b"", 1).decode(errors="replace")
    try:
        whole = msgspec.json.decode(raw)
        for name in ("kind", "apiVersion"):
            whole.pop(name, None)  # a watch gives them and a list does not: the same event must be the same Reject
        return msgspec.json.encode(whole).decode()
    except UNREADABLE:  # a field that is not read holds 1e999, 5,000 digits, or no UTF-8
        return bytes(raw).decode(errors="replace")
