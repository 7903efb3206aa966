"""Records from InfluxDB, streamed: ordered, and by the same rules as the embedded store's views.

The server is asked for pieces of at most some ten thousand points, since it sorts in memory; the rows of a piece are
turned into records as they arrive.
"""

import io
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import msgspec

from pulls.batch import Gap, Reject
from pulls.milestone import Milestone
from pulls.record import WITNESS_PREFIX, Outcome, PullRecord
from store import point_layout
from store.flux import EVER, literal, read_rows
from store.influx_settings import InfluxSettings
from store.line_protocol import PointError, decode_columns
from store.point_layout import Measurement
from store.point_text import original
from store.protocol import StoreError

HOUR = 3_600 * 1_000_000_000
_ERROR_BYTES = 64 * 1024
_PIVOT = '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
_COUNT_BY_HOUR = (
    '|> group(columns: ["cluster"])'
    ' |> aggregateWindow(every: 1h, fn: count, timeSrc: "_start", createEmpty: false)'
    " |> map(fn: (r) => ({r with hour: int(v: r._time)}))"
    ' |> group() |> keep(columns: ["cluster", "hour", "_value"])'
)


@dataclass(frozen=True)
class Piece:
    """A stretch of time of one cluster, in nanoseconds since 1970."""

    cluster: str  # as its tag is stored
    start: int
    stop: int


class InfluxReader:
    """Asks one bucket. Plain blocking calls, as all reading of stores is."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings

    def pulls(self, outcome: Outcome | None, job: str | None) -> Iterator[PullRecord]:
        abandoned = self.abandoned()
        superseded = self._superseded()
        for record in self._ordered(point_layout.PULL, _pull_order):
            if (
                (outcome is None or record.outcome is outcome)
                and (job is None or record.job == job)
                and (record.cluster, record.job) not in abandoned
                and record.identity not in superseded
            ):
                yield record

    def milestones(self) -> Iterator[Milestone]:
        abandoned = self.abandoned()
        for record in self._ordered(point_layout.MILESTONE, _milestone_order):
            if (record.cluster, record.job) not in abandoned:
                yield record

    def rejects(self) -> Iterator[Reject]:
        # Their order is not that of time: they are few, or something is badly wrong.
        found = self._records(point_layout.REJECT)
        return iter(sorted(found, key=lambda reject: (reject.cluster, reject.source, reject.position)))

    def gaps(self) -> Iterator[Gap]:
        return self._ordered(point_layout.GAP, lambda gap: (gap.found_at,))

    def abandoned(self) -> set[tuple[str, str | None]]:
        """(cluster, job) of the attempts that another one replaced."""
        return {(each.cluster, each.job) for each in self._records(point_layout.ABANDONED)}

    def _superseded(self) -> set[tuple[str, int]]:
        """The identities of what only pod status witnessed, where an event came after all."""

        def rows(condition: str) -> Iterator[dict[str, str]]:
            wanted = " or ".join(
                f"r._field == {literal(name)}" for name in ("pod_uid", "container", "event_uid", "count")
            )
            return self._query(
                f'import "strings" {self._from(EVER)}'
                f" |> filter(fn: (r) => r._measurement == {literal(point_layout.PULL.name)} and ({wanted}))"
                f" {_PIVOT} |> group() |> filter(fn: (r) => {condition})"
            )

        witness = f"strings.hasPrefix(v: r.event_uid, prefix: {literal(WITNESS_PREFIX)})"
        witnessed: dict[tuple[str, ...], list[tuple[str, int]]] = {}
        for row in rows(witness):
            identity = (original(row["event_uid"]), int(row["count"]))
            witnessed.setdefault(_place(row), []).append(identity)
        if not witnessed:
            return set()
        told = rows(f"not {witness}")
        places = {place for row in told if "" not in (place := _place(row)) and place in witnessed}
        return {identity for place in places for identity in witnessed[place]}

    def _from(self, times: str) -> str:
        return f"from(bucket: {literal(self._settings.bucket)}) |> range({times})"

    # -- all records of a measurement --------------------------------------------------------------------------------

    def _ordered(self, layout: Measurement, order: Callable[[Any], tuple[Any, ...]]) -> Iterator[Any]:
        """By cluster, then as ``order`` says, which has to begin with the point's second."""
        for _, rows in groupby(self._rows(layout), key=_stretch):
            yield from sorted([_record(layout, row) for row in rows], key=order)

    def _records(self, layout: Measurement) -> Iterator[Any]:
        return (_record(layout, row) for row in self._rows(layout))

    def _rows(self, layout: Measurement) -> Iterator[dict[str, str]]:
        for piece in self._pieces(layout):
            times = f"start: time(v: {piece.start}), stop: time(v: {piece.stop})"
            cluster = f"r.cluster == {literal(piece.cluster)}"
            yield from self._query(
                f"{self._from(times)}"
                f" |> filter(fn: (r) => r._measurement == {literal(layout.name)} and {cluster})"
                f' {_PIVOT} |> group() |> sort(columns: ["_time"])'
            )

    def _pieces(self, layout: Measurement) -> Iterator[Piece]:
        """Whole hours, as many as hold read_points together; one hour with more is one piece."""
        always = next(name for name in layout.identity if name in layout.fields)
        hours = self._query(
            f"{self._from(EVER)}"
            f" |> filter(fn: (r) => r._measurement == {literal(layout.name)} and r._field == {literal(always)})"
            f" {_COUNT_BY_HOUR}"
        )
        counted = sorted(
            (original(row["cluster"]), row["cluster"], int(row["hour"]), int(row["_value"])) for row in hours
        )
        for _, group in groupby(counted, key=lambda each: each[1]):
            yield from self._merged([(tag, hour, count) for _, tag, hour, count in group])

    def _merged(self, hours: list[tuple[str, int, int]]) -> Iterator[Piece]:
        tag, start, points = hours[0][0], hours[0][1], 0
        for _, hour, count in hours:
            if points and points + count > self._settings.read_points:
                yield Piece(tag, start, hour)
                start, points = hour, 0
            points += count
        yield Piece(tag, start, hours[-1][1] + HOUR)

    # -- one query ---------------------------------------------------------------------------------------------------

    def _query(self, flux: str) -> Iterator[dict[str, str]]:
        body = {"query": flux, "type": "flux", "dialect": {"header": True, "annotations": []}}
        request = urllib.request.Request(
            f"{self._settings.url}/api/v2/query?{urllib.parse.urlencode({'org': self._settings.organisation})}",
            data=msgspec.json.encode(body),
            headers={"Content-Type": "application/json", "Accept": "application/csv"},
        )
        try:
            request.add_unredirected_header("Authorization", f"Token {self._settings.current_token()}")
            with urllib.request.urlopen(
                request, timeout=self._settings.read_seconds, context=self._settings.tls()
            ) as response:
                yield from read_rows(io.TextIOWrapper(response, "utf-8", newline=""))
        except urllib.error.HTTPError as error:
            with error:
                text = error.read(_ERROR_BYTES).decode(errors="replace")
            raise StoreError(f"InfluxDB {self._settings.url}: {error.code} {text}") from error
        except (OSError, EOFError) as error:
            raise StoreError(f"InfluxDB {self._settings.url} cannot be read: {error}") from error


def _record(layout: Measurement, row: dict[str, str]) -> msgspec.Struct:
    try:
        return decode_columns(layout, row)
    except PointError as error:
        raise StoreError(f"InfluxDB: the point at {row['_time']} was not written by pullstudy: {error}") from error


def _stretch(row: dict[str, str]) -> tuple[str, str]:
    """What is sorted together: a second, or the day in which all points of unknown time lie."""
    at = row["_time"]
    return (row["cluster"], at[:10] if at.startswith("1970-01-01") else at[:19])


def _place(row: dict[str, str]) -> tuple[str, ...]:
    # Pod status tells that an image is there, and only guesses whether it was pulled: either event tells it better.
    outcome = Outcome.PULLED if row["outcome"] == Outcome.CACHED else row["outcome"]
    return (outcome, row.get("pod_uid", ""), row.get("container", ""))


def _pull_order(record: PullRecord) -> tuple[Any, ...]:
    at = record.finished_at
    return (at is not None, at, record.event_uid, record.count)


def _milestone_order(record: Milestone) -> tuple[Any, ...]:
    return (record.at, record.event_uid, record.count, record.moment)
