"""Queries over our points as Flux text, and their rows as records.

Conditions on tags go first, so that the server looks into few series. Nothing is sorted there: ``sort`` of 2.7.12 mixes
the columns of tables of more than some 10,000 rows up.
"""

from collections.abc import Mapping
from functools import cache

import msgspec

from pullstudy.store.influx.flux import EVER, Row, literal
from pullstudy.store.influx.line_protocol import PointError, decode_columns
from pullstudy.store.influx.point_layout import Measurement
from pullstudy.store.influx.point_text import original, stored_field, stored_tag
from pullstudy.store.protocol import Identity, StoreError
from pullstudy.store.selection import Selection

PIVOT = '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'

TIMES = '|> map(fn: (r) => ({r with at: int(v: r._time)})) |> keep(columns: ["at"]) |> group()'


def points(bucket: str, conditions: list[str], times: str = EVER) -> str:
    """The bucket's values that fulfil all of the conditions."""
    return f"from(bucket: {literal(bucket)}) |> range({times}) |> filter(fn: (r) => {' and '.join(conditions)})"


def stretch(start: int, stop: int) -> str:
    """A range in nanoseconds since 1970; the stop is left out."""
    return f"start: time(v: {start}), stop: time(v: {stop})"


def is_of(layout: Measurement) -> str:
    return f"r._measurement == {literal(layout.name)}"


def has_tag(name: str, value: str | None) -> str:
    """None: the point has no such tag."""
    return f"not exists r.{name}" if value is None else f"r.{name} == {literal(stored_tag(value))}"


def is_field(*names: str) -> str:
    either = " or ".join(f"r._field == {literal(name)}" for name in names)
    return f"({either})"


def has_field(name: str, value: str) -> str:
    """Of values: the field's own, with this text."""
    return f"{is_field(name)} and r._value == {literal(stored_field(value))}"


def selected(layout: Measurement, selection: Selection) -> list[str]:
    """What a selection says of a measurement; a measurement without runs is not parted by them."""
    given: dict[str, tuple[str | None, ...]] = {"run": selection.runs, "cluster": selection.clusters}
    return [
        f"({' or '.join(has_tag(name, value) for value in values)})"
        for name, values in given.items()
        if values and name in layout.tags
    ]


def is_whole(layout: Measurement, row: Mapping[str, str]) -> bool:
    """Whether all is there that every record has: a query may see a point of which only some fields are taken yet."""
    return all(row.get(name) for name in _required(layout.struct))


@cache
def _required(struct: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(field.name for field in msgspec.structs.fields(struct) if field.required)


def identity_of(row: Row) -> Identity:
    """Of a joined row of pulls or milestones."""
    return (original(row["cluster"]), original(row["event_uid"]), row.whole_number("count"))


def record_of(layout: Measurement, row: Mapping[str, str]) -> msgspec.Struct:
    """The record of a joined row. Raises StoreError."""
    try:
        return decode_columns(layout, row)
    except PointError as error:
        raise StoreError(f"InfluxDB: the point at {row['_time']} was not written by pullstudy: {error}") from error
