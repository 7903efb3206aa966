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

from pulls.batch import Gap, Reject
from pulls.milestone import Milestone
from pulls.record import PullRecord

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
    identity=Reject.__struct_fields__,
    time=None,
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
MEASUREMENTS: tuple[Measurement, ...] = (PULL, MILESTONE, REJECT, GAP, ABANDONED)


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
