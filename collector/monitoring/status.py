"""What the collector counted since it started, and what it does now: for the log and for /metrics."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from collector.monitoring.histogram import Histogram

REASONS_KEPT = 200  # controllers make up reasons of their own: what comes after so many is counted together
LONGEST_REASON = 128  # as events.k8s.io/v1 has it; core/v1 bounds it not at all
OTHER_REASONS = "(others)"


@dataclass
class CollectorStatus:
    """Counters, from zero at the start of the process."""

    reasons: Counter[str] = field(default_factory=Counter)  # events read, by their reason
    outcomes: Counter[str] = field(default_factory=Counter)  # pull records spooled, by their outcome
    lines: int = 0  # of all watches, those that could be read
    milestones: int = 0
    repeated: int = 0  # events that a list brought again
    deleted: int = 0  # deletions seen (an hour after an event, as a rule): nothing is removed for them
    unknown: int = 0  # events about images with a message of no known form, kept as rejects
    unreadable: int = 0  # lines that are no JSON of an event, kept as rejects
    cut: int = 0  # texts of events that were longer than is kept
    bugs: int = 0  # met while a server's answers were read
    reconnects: int = 0
    lists: int = 0
    gaps: int = 0
    stored: int = 0  # records new to the store
    stored_before: int = 0  # records that the store had already
    untold: Counter[str] = field(default_factory=Counter)  # pulls that no event told of, from pod status, by outcome
    accounted: int = 0  # containers whose image came by pod status, and an event told of it
    awaited: int = 0  # containers whose image came, and no event told of it yet
    pods: int = 0  # states of pods that were read
    pods_unreadable: int = 0
    pod_reconnects: int = 0
    dead_letters: int = 0  # records that the store or the bus will never take
    write_seconds: Histogram = field(default_factory=Histogram)  # of batches, from the spool to their acknowledgement

    watching: bool = False  # a watch is open, and what it lists at its beginning is read
    watch_ended: float | None = None  # on the monotonic clock, when the last one ended; None before the first
    last_line_at: datetime | None = None  # when the last line of a watch came
    held: str | None = None  # why the embedded store takes nothing now

    def count_reason(self, reason: str) -> None:
        self.reasons[reason if reason in self.reasons else self._label(reason)] += 1

    def _label(self, reason: str) -> str:
        cut = reason[:LONGEST_REASON]
        return cut if cut in self.reasons or len(self.reasons) < REASONS_KEPT else OTHER_REASONS

    @property
    def events(self) -> int:
        return self.reasons.total()

    def fields(self) -> dict[str, object]:
        """For one line of the log."""
        return {
            "events": self.events,
            **{str(outcome): self.outcomes[outcome] for outcome in sorted(self.outcomes)},
            "milestones": self.milestones,
            "stored": self.stored,
            "stored_before": self.stored_before,
            "dead_letters": self.dead_letters,
            "repeated": self.repeated,
            "deleted": self.deleted,
            "unknown": self.unknown,
            "unreadable": self.unreadable,
            **({"cut": self.cut} if self.cut else {}),
            **({"bugs": self.bugs} if self.bugs else {}),
            "reconnects": self.reconnects,
            "lists": self.lists,
            "gaps": self.gaps,
            "accounted": self.accounted,
            "untold": self.untold.total(),
            "awaited": self.awaited,
            "pods": self.pods,
            "pods_unreadable": self.pods_unreadable,
            "pod_reconnects": self.pod_reconnects,
            "reasons": dict(self.reasons.most_common(12)),
        }
