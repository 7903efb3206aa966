"""What travels together from the watch to the store."""

from datetime import datetime

import msgspec

from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import PullRecord


class Reject(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Input that could not be understood, kept whole. Identity is all of it but ``at``: see REJECT_IDENTITY."""

    cluster: str
    source: str  # a file's name, or "watch"
    position: str  # a line number, or a resource version
    problem: str  # one line: what is wrong
    raw: str  # the text as it came
    at: datetime | None = None  # the event's own time where it can be read, else when the text was seen


REJECT_IDENTITY = ("cluster", "source", "position", "problem", "raw")  # two who see the same see it at two times


class Gap(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stretch of the event stream that nobody watched: what was deleted in it, or updated twice, is unknown."""

    cluster: str
    from_version: str  # the last resource version that was read; empty if none was
    to_version: str  # the version of the list that ended the gap
    found_at: datetime
    why: str  # one line


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Records, milestones, rejects and gaps, in the order in which they were read."""

    pulls: tuple[PullRecord, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    rejects: tuple[Reject, ...] = ()
    gaps: tuple[Gap, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pulls or self.milestones or self.rejects or self.gaps)

    def __len__(self) -> int:
        return len(self.pulls) + len(self.milestones) + len(self.rejects) + len(self.gaps)
