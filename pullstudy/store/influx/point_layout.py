"""Which columns of a point are tags and which are fields: of the kinds of record, and of what the driver tells.

A tag is indexed, and each combination of tags is a series that the server keeps in its index for as long as a shard
with it lives; so only what has few values is a tag, and of one record always the same. Nodes and repositories, of which
there are thousands, names of pods and jobs, uids, digests and image tags are fields, and so is all free text.

There are two layouts. In layout 1, which is no longer begun, the node and the repository were tags. A bucket has the
one or the other (``bucket_layout``); in both, a point has the same name, the same time and the same columns.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import msgspec

from pullstudy.pulls import kinds
from pullstudy.pulls.columns import columns_of
from pullstudy.pulls.kind import Kind
from pullstudy.store.protocol import AbandonedJob

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LANE, LAYOUT = "lane", "layout"
LANES, FIRST_LANES = 64, 256
FIRST, NEWEST = 1, 2  # layouts


@dataclass(frozen=True, eq=False)
class Measurement:
    """How one struct becomes points. All columns that are no tag are fields.

    With ``lanes``, two tags that no column holds are added: ``lane``, one of 64 by the hash of what tells one from
    another, and ``layout``. Thousands of pulls may end in one second: so spread, two of them hardly meet in one point.
    In layout 1 ``lane``, then one of 256, stood only where the node was unknown, which else told pulls apart.
    """

    name: str
    struct: type[msgspec.Struct]
    hashed: tuple[str, ...]  # the columns that, with the tags, tell one from another
    time: str  # the column with the point's time
    tags: tuple[str, ...]
    meaning: str  # what one point is
    lanes: bool = False
    first_tags: tuple[str, ...] = ()  # in layout 1, where those were others
    own_field: str = ""  # what tells these points from others of the same name, where there are others
    fields: tuple[str, ...] = field(init=False)
    types: dict[str, type] = field(init=False)

    def __post_init__(self) -> None:
        types = {column.name: column.type for column in columns_of(self.struct)}
        object.__setattr__(self, "fields", tuple(name for name in types if name not in self.tags))
        object.__setattr__(self, "types", types)

    @property
    def always(self) -> str:
        """A field that each of these points has, and no other of the same name: it stands for the point in counts."""
        return self.own_field or next(name for name in self.hashed if name in self.fields)

    @property
    def all_tags(self) -> tuple[str, ...]:
        """With those that no column holds; sorted."""
        return tuple(sorted((*self.tags, LANE, LAYOUT) if self.lanes else self.tags))

    def in_layout(self, layout: int) -> "Measurement":
        """As it is in a bucket of that layout."""
        if layout == NEWEST or not self.first_tags:
            return self
        return replace(self, tags=self.first_tags, lanes=False, first_tags=())


@cache
def measurement_of(kind: Kind[Any]) -> Measurement:
    """How the kind's records become points."""
    return Measurement(
        name=kind.name,
        struct=kind.struct,
        hashed=kind.point_hash or kind.identity,
        time=kind.time,
        tags=kind.tags,
        meaning=kind.meaning,
        lanes=kind.lanes,
        first_tags=kind.first_tags,
    )


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
    started_seconds: float | None = None  # from its own Pulling to its last container's start
    median_seconds: float | None = None  # of the job's pods
    excess_seconds: float | None = None
    straggled: int | None = None  # 1 or 0


PULL = measurement_of(kinds.PULL)
MILESTONE = measurement_of(kinds.MILESTONE)
REJECT = measurement_of(kinds.REJECT)
GAP = measurement_of(kinds.GAP)
PULL_STAGES = measurement_of(kinds.PULL_STAGES)
LAYER = measurement_of(kinds.LAYER)
ABANDONED = Measurement(
    name="abandoned",
    struct=AbandonedJob,
    hashed=("cluster", "job"),
    time="at",
    tags=("cluster",),
    meaning="one job attempt that another replaced; its pulls are left out on reading",
)
PULL_CACHE = Measurement(
    name=PULL.name,
    struct=PullCache,
    hashed=PULL.hashed,
    time=PULL.time,
    tags=PULL.tags,
    lanes=PULL.lanes,
    first_tags=PULL.first_tags,
    own_field="cache",
    meaning="to the same point as the pull's own: what the node held before the job",
)
JOB_PHASES = Measurement(
    name="job_phases",
    struct=JobPhases,
    hashed=("cluster", "run", "job", "image"),
    time="at",
    tags=("cache", "cluster", "run", "size"),
    meaning="where the makespan of one job that is over went: its critical path, as the report has it",
)
POD_PHASES = Measurement(
    name="pod_phases",
    struct=PodPhases,
    hashed=("cluster", "run", "job", "image", "pod", "container"),
    time="at",
    tags=("cache", "cluster", "run", "size"),
    lanes=True,
    first_tags=("cache", "cluster", "node", "run", "size"),
    meaning="where the time of one container of such a job went, and how long its pod took from Pulling to its start",
)
TOLD: tuple[Measurement, ...] = (ABANDONED, PULL_CACHE, JOB_PHASES, POD_PHASES)  # by the driver; no kinds of record
MEASUREMENTS: tuple[Measurement, ...] = (*map(measurement_of, kinds.KINDS), *TOLD)


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
    bool: lambda text: text == "true",
    datetime: lambda text: from_nanoseconds(int(text)),
}
