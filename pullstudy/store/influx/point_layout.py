"""Which columns are tags and which are fields, in this one table: docs/influxdb.md is written from it.

A tag is indexed, and each combination of tags is a series that the server keeps in its index for as long as a shard
with it lives; so only what is bounded by the fleet and by the software that runs on it is a tag. Names of pods and
jobs, uids, digests and image tags grow with every pod and every release: they are fields, and so is all free text.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import UnionType
from typing import Any, get_args, get_type_hints

import msgspec

from pullstudy.pulls.batch import REJECT_IDENTITY, Gap, Reject
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.record import PullRecord

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Measurement:
    """How one struct becomes points. All columns that are no tag are fields.

    ``lane`` is a tag that no column holds: one of 256, by the identity, where the node is unknown. A node's pulls are
    told apart by the node's tag; a job controller creates thousands of pods in a second, and those have no node yet.
    """

    name: str
    struct: type[msgspec.Struct]
    identity: tuple[str, ...]
    time: str | None  # the column with the point's time; None where the struct has none
    tags: tuple[str, ...]
    fields: tuple[str, ...] = field(init=False)
    types: dict[str, type] = field(init=False)

    def __post_init__(self) -> None:
        columns = self.struct.__struct_fields__
        object.__setattr__(self, "fields", tuple(name for name in columns if name not in self.tags))
        object.__setattr__(self, "types", {name: _type(hint) for name, hint in get_type_hints(self.struct).items()})


def _type(hint: Any) -> type:
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    found: type = next(kind for kind in kinds if kind is not type(None))
    return found


class AbandonedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job attempt that another one replaced: what it pulled is left out on reading. The driver's word, no sink's."""

    cluster: str
    job: str
    at: datetime  # when it was given up


class PullCache(msgspec.Struct, frozen=True, kw_only=True):
    """What a node held before a pull: one more field of the pull's own point. The driver's word, no sink's."""

    cluster: str
    run: str | None = None
    size: int | None = None
    node: str | None = None
    repository: str | None = None
    outcome: str
    finished_at: datetime | None = None
    count: int
    event_uid: str
    cache: str


class Stretches(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from the known moment before to this one; unknown where the moment has no witness."""

    until_pod_created_seconds: float | None = None
    until_scheduled_seconds: float | None = None
    until_pulling_seconds: float | None = None
    until_pulled_seconds: float | None = None
    until_created_seconds: float | None = None
    until_started_seconds: float | None = None
    until_finished_seconds: float | None = None
    until_job_completed_seconds: float | None = None


class JobPhases(Stretches, frozen=True, kw_only=True):
    """Where the makespan of a job that is over went: its critical path. The driver's word, no sink's."""

    cluster: str
    run: str | None = None
    size: int | None = None
    cache: str  # cold, partial, warm; mixed where nodes differ
    job: str
    image: str | None = None
    at: datetime  # the job's first moment
    pod: str | None = None  # the critical one
    node: str | None = None
    makespan_seconds: float | None = None


class PodPhases(Stretches, frozen=True, kw_only=True):
    """Where the time of one container of such a job went, and how late its pod was. The driver's word, no sink's."""

    cluster: str
    run: str | None = None
    size: int | None = None
    node: str | None = None
    cache: str
    job: str
    image: str | None = None
    at: datetime
    pod: str
    container: str | None = None
    started_seconds: float | None = None  # from the job's first moment; of the pod's last container to start
    median_seconds: float | None = None  # of the job's pods
    excess_seconds: float | None = None
    straggled: int | None = None  # 1 or 0


LANE = "lane"
PULL = Measurement(
    name="pull",
    struct=PullRecord,
    identity=("event_uid", "count"),
    time="finished_at",
    tags=("cluster", "node", "outcome", "repository", "run", "size"),
)
MILESTONE = Measurement(
    name="milestone",
    struct=Milestone,
    identity=("event_uid", "count", "moment"),
    time="at",
    tags=("cluster", "moment", "node", "run", "size"),
)
REJECT = Measurement(
    name="reject",
    struct=Reject,
    identity=REJECT_IDENTITY,
    time="at",
    tags=("cluster",),
)
GAP = Measurement(
    name="gap",
    struct=Gap,
    identity=Gap.__struct_fields__,
    time="found_at",
    tags=("cluster",),
)
ABANDONED = Measurement(
    name="abandoned",
    struct=AbandonedJob,
    identity=("cluster", "job"),
    time="at",
    tags=("cluster",),
)
PULL_CACHE = Measurement(name=PULL.name, struct=PullCache, identity=PULL.identity, time=PULL.time, tags=PULL.tags)
JOB_PHASES = Measurement(
    name="job_phases",
    struct=JobPhases,
    identity=("cluster", "run", "job", "image"),
    time="at",
    tags=("cache", "cluster", "run", "size"),
)
POD_PHASES = Measurement(
    name="pod_phases",
    struct=PodPhases,
    identity=("cluster", "run", "job", "image", "pod", "container"),
    time="at",
    tags=("cache", "cluster", "node", "run", "size"),
)
MEASUREMENTS: tuple[Measurement, ...] = (
    PULL,
    MILESTONE,
    REJECT,
    GAP,
    ABANDONED,
    PULL_CACHE,
    JOB_PHASES,
    POD_PHASES,
)


def nanoseconds(at: datetime) -> int:
    """Since 1970, exact."""
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def from_nanoseconds(value: int) -> datetime:
    """To the microsecond."""
    return EPOCH + timedelta(microseconds=value // 1_000)


# From the text of a query's cell, by the column's type; enums are made by their own class.
READERS: dict[type, Callable[[str], Any]] = {
    int: int,
    float: float,
    datetime: lambda text: from_nanoseconds(int(text)),
}
