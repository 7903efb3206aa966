"""Spans whose pull is not over: gathered by trace, until a pull has all of its spans or none came for a while.

Pure: time is passed in, and nothing is written.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from collector.settings import TracingSettings
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.kind import Record
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.spans.pull_trace import PullTrace, keep_distinct, pull_traces
from pullstudy.pulls.spans.span import Span, is_above_root, is_root
from pullstudy.pulls.spans.stage_records import pull_name, records_of_pull


class Settled(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A pull whose records were made: what comes of it afterwards is late, or comes again."""

    pull: str
    start: int
    end: int


@dataclass(slots=True)
class _Trace:
    spans: dict[str, Span] = field(default_factory=dict)  # by id
    segments: set[int] = field(default_factory=set)  # of the journal
    last_seconds: float = 0.0  # when its last span came
    look_seconds: float = 0.0  # when to look at its pulls again
    has_root: bool = False


class PendingSpans:
    """What waits, by trace."""

    def __init__(self, origin: Origin, settings: TracingSettings, settled: Iterable[Settled] = ()) -> None:
        self._origin = origin
        self._settings = settings
        self._traces: OrderedDict[str, _Trace] = OrderedDict()  # the one that waits longest for a span first
        self._settled: OrderedDict[str, Settled] = OrderedDict((each.pull, each) for each in settled)
        self._settled_of: dict[str, list[Settled]] = {}
        for each in self._settled.values():
            self._settled_of.setdefault(_trace_of(each), []).append(each)
        self.spans = 0  # that wait
        self.late = 0  # came for a pull whose records were made
        self.given_up = 0  # their pull never ended
        self.pulls = 0  # whose records were made

    def add(self, spans: Iterable[Span], segment: int, now_seconds: float) -> None:
        """Spans of pulls, which are in this segment of the journal."""
        for span in spans:
            if self._is_late(span):
                self.late += 1
                continue
            trace = self._traces.setdefault(span.trace, _Trace())
            self.spans -= len(trace.spans)
            keep_distinct(trace.spans, span)
            self.spans += len(trace.spans)
            trace.segments.add(segment)
            trace.last_seconds = trace.look_seconds = now_seconds
            trace.has_root = trace.has_root or is_root(span)
            self._traces.move_to_end(span.trace)

    def due(self, now_seconds: float) -> list[str]:
        """The traces to look at: with a root and news, or without news for long enough."""
        return [
            name
            for name, trace in self._traces.items()
            if (trace.has_root and now_seconds >= trace.look_seconds) or self._is_given_up(trace, now_seconds)
        ]

    def settle(self, name: str, now_seconds: float) -> list[Record]:
        """The records of those of the trace's pulls that are over. What is over is forgotten here."""
        trace = self._traces[name]
        trace.look_seconds = trace.last_seconds + self._settings.give_up_seconds
        records: list[Record] = []
        for pull in pull_traces(trace.spans.values()) if trace.has_root else ():
            made = records_of_pull(pull, self._origin)
            over_seconds = trace.last_seconds + self._patience(pull, made)
            if now_seconds >= over_seconds:
                records += made
                self._forget(trace, pull)
            else:
                trace.look_seconds = min(trace.look_seconds, over_seconds)
        if not trace.spans:
            del self._traces[name]
        elif self._is_given_up(trace, now_seconds):
            self._give_up(name)
        return records

    def _is_given_up(self, trace: _Trace, now_seconds: float) -> bool:
        of_kubelet = all(map(is_above_root, trace.spans.values()))  # most of those are of no pull
        patience = self._settings.kubelet_seconds if of_kubelet else self._settings.give_up_seconds
        return now_seconds - trace.last_seconds >= patience

    def _patience(self, pull: PullTrace, made: list[Record]) -> float:
        """How long to wait after the last span: not at all where the tree is whole up to its top."""
        settings = self._settings
        if pull.root.parent and pull.pod is None:
            return settings.kubelet_seconds  # the kubelet's own span ends after the pull
        complete = any(isinstance(record, PullStages) and record.complete for record in made)
        return 0.0 if complete else settings.quiet_seconds

    def _forget(self, trace: _Trace, pull: PullTrace) -> None:
        gone = [pull.root.id, *(span.id for span in pull.spans)]
        for id in gone:
            self.spans -= trace.spans.pop(id, None) is not None
        trace.has_root = any(is_root(span) for span in trace.spans.values())
        settled = Settled(pull_name(pull.root), pull.root.start, pull.root.end)
        self._settled[settled.pull] = settled
        self._settled_of.setdefault(pull.root.trace, []).append(settled)
        self.pulls += 1
        while len(self._settled) > self._settings.settled_pulls:
            _, oldest = self._settled.popitem(last=False)
            of_trace = self._settled_of[_trace_of(oldest)]
            of_trace.remove(oldest)
            if not of_trace:
                del self._settled_of[_trace_of(oldest)]

    def give_up_longest(self) -> None:
        """Forget the trace that has waited longest for a span."""
        if self._traces:
            self._give_up(next(iter(self._traces)))

    def _give_up(self, name: str) -> None:
        trace = self._traces.pop(name)
        self.spans -= len(trace.spans)
        self.given_up += sum(not is_above_root(span) for span in trace.spans.values())

    def _is_late(self, span: Span) -> bool:
        settled = self._settled_of.get(span.trace, ())
        if is_root(span):
            return any(pull_name(span) == each.pull for each in settled)
        return not is_above_root(span) and any(each.start <= span.start <= each.end for each in settled)

    @property
    def segments(self) -> set[int]:
        """Of the journal, with spans that wait."""
        return set().union(*(trace.segments for trace in self._traces.values()))

    def last_settled(self) -> list[Settled]:
        """To be kept beside the records: a restart knows these."""
        return list(islice(reversed(self._settled.values()), self._settings.settled_kept))[::-1]


def _trace_of(settled: Settled) -> str:
    return settled.pull.partition("/")[0]
