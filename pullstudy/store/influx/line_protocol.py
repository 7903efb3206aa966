"""Records as InfluxDB line protocol, and back: ``pull,cluster=c,node=n,... pull_seconds=1.5,... <nanoseconds>``.

A point is a pure function of its record, so that writing it again overwrites it and never doubles it. Two records with
the same tags in the same second stay two points, because the nanoseconds of the point's time are a hash of the record's
identity; the exact time is a field. See docs/influxdb.md for how likely two of them meet.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import msgspec

from pullstudy.store.influx.point_layout import (
    FIRST_LANES,
    LANE,
    LANES,
    LAYOUT,
    MEASUREMENTS,
    NEWEST,
    READERS,
    Measurement,
    nanoseconds,
)
from pullstudy.store.influx.point_text import field_value, original, tag_value

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
EARLIEST, LAST = -(2**63) + 2, 2**63 - 2  # the times that the server takes: models.MinNanoTime, MaxNanoTime


class PointError(ValueError):
    """The record has a value that no point can hold."""


class PointFormat:
    """The lines of these measurements in a bucket of one layout."""

    def __init__(self, measurements: Iterable[Measurement], layout: int = NEWEST) -> None:
        self._by_name: dict[str, Measurement] = {}
        self._encoders: dict[type[msgspec.Struct], Callable[[msgspec.Struct], str]] = {}
        for measurement in measurements:
            self._by_name.setdefault(measurement.name, measurement)
            self._encoders[measurement.struct] = _encoder(measurement.in_layout(layout))

    def encode(self, record: msgspec.Struct) -> str:
        """The record's line, without the newline. Raises PointError."""
        try:
            return self._encoders[type(record)](record)
        except (TypeError, ValueError, ArithmeticError) as error:
            # A record is checked when it is read, not when it is made: a time without a zone, an int of 5,000 digits.
            raise error if isinstance(error, PointError) else PointError(f"no point can be made: {error}") from error

    def decode(self, line: str) -> msgspec.Struct:
        """The record of a line that encode() made. Raises PointError."""
        parts = parse_line(line)
        layout = self._by_name.get(parts.measurement)
        if layout is None:
            raise PointError(f"no measurement of ours: {parts.measurement}")
        return decode_columns(layout, {**parts.tags, **parts.fields})


def _encoder(layout: Measurement) -> Callable[[msgspec.Struct], str]:
    tags, fields = attrgetter(*layout.tags), attrgetter(*layout.fields)
    # One name gives the bare value, not a tuple.
    tag_values = tags if len(layout.tags) > 1 else lambda record: (tags(record),)
    writers = [(name, _WRITERS.get(layout.types[name], field_value)) for name in layout.fields]
    lane_of, time = _lane_of(layout), layout.time

    def encode(record: msgspec.Struct) -> str:
        digest = _digest(layout, record)
        cells = [
            f"{name}={write(value)}"
            for (name, write), value in zip(writers, fields(record), strict=True)
            if value is not None
        ]
        at = _time(getattr(record, time), digest)
        return f"{_head(layout, tag_values(record), lane_of(record, digest))} {','.join(cells)} {at}"

    return encode


def _lane_of(layout: Measurement) -> Callable[[Any, bytes], int | None]:
    if layout.lanes:
        return lambda record, digest: digest[8] % LANES
    if "node" in layout.tags:  # a job controller creates thousands of pods in a second, and those have no node yet
        return lambda record, digest: digest[8] % FIRST_LANES if record.node is None else None
    return lambda record, digest: None


@lru_cache(maxsize=16_384)
def _head(layout: Measurement, values: tuple[Any, ...], lane: int | None) -> str:
    pairs = [(name, str(value)) for name, value in zip(layout.tags, values, strict=True) if value is not None]
    if lane is not None:
        added = [(LANE, f"{lane:02x}"), *([(LAYOUT, str(NEWEST))] if layout.lanes else [])]
        pairs = sorted([*pairs, *added])
    return ",".join([layout.name, *(f"{name}={tag_value(text)}" for name, text in pairs)])


def _digest(layout: Measurement, record: msgspec.Struct) -> bytes:
    identity = "\0".join([str(getattr(record, name)) for name in layout.hashed])
    return blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _time(at: datetime | None, digest: bytes) -> int:
    """The second of the time and a hash below it; a day of 1970 and a hash where the time is unknown."""
    number = int.from_bytes(digest[:8], "big")
    if at is None:
        return number % DAY
    point_time = nanoseconds(at) // SECOND * SECOND + number % SECOND
    if not EARLIEST <= point_time <= LAST:
        raise PointError(f"the time {at.isoformat()} is outside of what InfluxDB can hold (1677 to 2262)")
    return point_time


def _integer(value: int) -> str:
    if not -(2**63) <= value < 2**63:
        raise PointError(f"the number {value} does not fit into 64 bits")
    return f"{value}i"


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise PointError(f"{value} is no number that InfluxDB can hold")
    return repr(float(value))


_WRITERS: dict[type, Callable[[Any], str]] = {
    int: _integer,
    float: _float,
    bool: lambda value: "true" if value else "false",
    datetime: lambda value: _integer(nanoseconds(value)),
}


def decode_columns(layout: Measurement, columns: Mapping[str, str]) -> msgspec.Struct:
    """The record of a point's tags and fields, each as the text of its value; an empty text is unknown.

    Raises PointError.
    """
    try:
        values = {name: read(text) for name, read in _readers(layout).items() if (text := columns.get(name))}
        return layout.struct(**values)
    except (TypeError, ValueError) as error:
        raise PointError(f"no {layout.name} of this version: {error}") from error


@lru_cache
def _readers(layout: Measurement) -> dict[str, Callable[[str], Any]]:
    def reader(kind: type) -> Callable[[str], Any]:
        return original if kind is str else READERS.get(kind, kind)

    return {name: reader(layout.types[name]) for name in layout.struct.__struct_fields__}


class Line(msgspec.Struct, frozen=True):
    """A line taken apart, line protocol's own escapes undone. Integers are without their ``i``."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, str]
    time: int


def parse_line(line: str) -> Line:
    """By the server's rules (models/points.go). Raises PointError."""
    head, rest = _split_once(line, " ")
    body, time = _split_once(rest, " ", quotes=True)
    name, *tags = _split(head, ",")
    cells = _split(body, ",", quotes=True)
    return Line(
        measurement=name,
        tags={key: _unescape(value, ",= ") for key, value in (_split_once(tag, "=") for tag in tags)},
        fields={key: _field_text(value) for key, value in (_split_once(cell, "=") for cell in cells)},
        time=int(time),
    )


def _field_text(value: str) -> str:
    if value.startswith('"'):
        return _unescape(value[1:-1], '"\\')
    return value.removesuffix("i")


def _split(text: str, separator: str, *, quotes: bool = False) -> list[str]:
    parts = []
    rest: str | None = text
    while rest is not None:
        end = _find(rest, separator, quotes)
        parts.append(rest if end < 0 else rest[:end])
        rest = None if end < 0 else rest[end + 1 :]
    return parts


def _split_once(text: str, separator: str, *, quotes: bool = False) -> tuple[str, str]:
    end = _find(text, separator, quotes)
    if end < 0:
        raise PointError(f"no {separator!r} in {text[:80]!r}")
    return text[:end], text[end + 1 :]


def _find(text: str, separator: str, quotes: bool) -> int:
    """Where the separator first stands unescaped, and outside of quotes where quotes mean something; -1 if nowhere."""
    escaped = quoted = False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"' and quotes:
            quoted = not quoted
        elif character == separator and not quoted:
            return position
    return -1


def _unescape(text: str, escapable: str) -> str:
    if "\\" not in text:
        return text
    parts, position = [], 0
    while position < len(text):
        if text[position] == "\\" and text[position + 1 : position + 2] in tuple(escapable):
            position += 1
        parts.append(text[position])
        position += 1
    return "".join(parts)


_format = PointFormat(MEASUREMENTS)
encode_point, decode_point = _format.encode, _format.decode
