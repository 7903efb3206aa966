"""What a kind of record is: the one description by which batches, messages, points and both stores handle it."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from pullstudy.pulls.columns import Column, columns_of


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all records have. A kind's struct adds columns; their order is that of exports and new tables.

    A column that is added to a kind later has to be optional: what was kept before has none.
    """

    cluster: Annotated[str, Meta(description="the cluster's name; a simulated one begins with `sim-`")]


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, eq=False)
class Kind(Generic[R]):
    """One kind of record. Two with the same values of the ``identity`` are the same record, in every store."""

    name: str  # in messages, and of the measurement in InfluxDB
    plural: str  # in the spool, and what readers of the embedded store select from
    struct: type[R]
    meaning: str  # what one is
    identity: tuple[str, ...]
    time: str  # the column with the time of the point
    tags: tuple[str, ...]  # the columns that InfluxDB indexes, see docs/influxdb.md; sorted
    order: tuple[str, ...]  # by which it is read, within its cluster
    point_hash: tuple[str, ...] = ()  # what the nanoseconds of its point are made from; the identity where empty
    lanes: bool = False  # whether its points are spread over lanes by what they are hashed from: many are of one second
    first_tags: tuple[str, ...] = ()  # what InfluxDB indexed in the layout 1 of its points, where that was not the same
    main: bool = False  # in the bus's main topic; the others stand around these

    @property
    def columns(self) -> tuple[Column, ...]:
        return columns_of(self.struct)

    def has(self, column: str) -> bool:
        return column in self.struct.__struct_fields__

    @property
    def of_job(self) -> bool:
        """Whether it is left out on reading where its job's attempt was abandoned."""
        return self.has("job")

    @property
    def table(self) -> str:
        """Of the embedded store: all there is. ``plural`` is a view of it where something is left out on reading."""
        return f"{self.name}_records" if self.of_job else self.plural

    def reading_order(self) -> Callable[[R], Any]:
        """A key for sorted(): the cluster, then as ``order`` says. What is unknown comes first, as in SQLite."""
        optional = {column.name for column in self.columns if column.optional}
        get = attrgetter(*self.order)

        def key(record: R) -> tuple[Any, ...]:
            found = get(record)
            values = found if len(self.order) > 1 else (found,)
            cells = [
                (value is not None, value) if name in optional else value
                for name, value in zip(self.order, values, strict=True)
            ]
            return (record.cluster, *cells)

        return key
