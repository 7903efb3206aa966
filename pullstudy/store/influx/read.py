"""Records from InfluxDB, streamed: ordered, and by the same rules as the embedded store's views.

The server is asked for one stretch of time of one cluster after the other, each with at most some ten thousand points;
those are sorted here.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import chain, groupby
from typing import Any, NamedTuple

from pullstudy.pulls.kind import Kind, R
from pullstudy.pulls.kinds import PULL
from pullstudy.pulls.record import WITNESS_PREFIX, Outcome, PullRecord
from pullstudy.store.influx import point_layout
from pullstudy.store.influx.blocking_query import ask
from pullstudy.store.influx.flux import EVER, Row, literal
from pullstudy.store.influx.line_protocol import DAY, LAST
from pullstudy.store.influx.pieces import WINDOWS, Piece, finer_than, first_day_first, is_first_day, merged
from pullstudy.store.influx.point_layout import Measurement, measurement_of
from pullstudy.store.influx.point_text import original
from pullstudy.store.influx.query import (
    PIVOT,
    TIMES,
    has_tag,
    identity_of,
    is_field,
    is_of,
    is_whole,
    points,
    record_of,
    selected,
    stretch,
)
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.protocol import Identity, Records, StoredRun, StoreError
from pullstudy.store.selection import ALL, Selection

LOOKS, LOOK_SECONDS = 5, 0.2  # at a piece with half a point in it
GROWTH = 4  # of a piece since its points were counted: what holds more would not fit into our memory


class Stretch(NamedTuple):
    """Some time of the points of one measurement and one cluster."""

    layout: Measurement
    conditions: tuple[str, ...]
    piece: Piece


class InfluxReader(Records):
    """Asks one bucket. Plain blocking calls, as all reading of stores is."""

    def __init__(self, settings: InfluxSettings, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._sleep = sleep

    def runs(self) -> list[StoredRun]:
        counted = self._of_each_run("count()", EVER)
        first, last = (self._of_each_run(f"{which}()", stretch(DAY, LAST)) for which in ("first", "last"))
        found = [
            StoredRun(
                run=run,
                cluster=cluster,
                size=int(size) if size else None,
                pulls=row.whole_number("_value"),
                first_at=_second(first.get((run, cluster, size))),
                last_at=_second(last.get((run, cluster, size))),
            )
            for (run, cluster, size), row in counted.items()
        ]
        # As SQLite orders them: what is unknown comes first.
        return sorted(found, key=lambda each: (each.run or "", each.run is not None, each.size or 0, each.cluster))

    def _of_each_run(self, which: str, times: str) -> dict[tuple[str | None, str, str], Row]:
        """A row for each run, cluster and size; a field that every pull has stands for the pull."""
        flux = points(self._settings.bucket, [is_of(point_layout.PULL), is_field("event_uid")], times)
        rows = self._query(f'{flux} |> group(columns: ["run", "cluster", "size"]) |> {which}')
        return {
            (original(row["run"]) if row.get("run") else None, original(row["cluster"]), row.get("size", "")): row
            for row in rows
        }

    def pulls(
        self, selection: Selection = ALL, *, outcome: Outcome | None = None, job: str | None = None
    ) -> Iterator[PullRecord]:
        superseded = self._superseded(selection)
        more = [] if outcome is None else [has_tag("outcome", outcome)]
        for record in self.records(PULL, selection, more):
            if (job is None or record.job == job) and (record.run, *record.identity) not in superseded:
                yield record

    def records(self, kind: Kind[R], selection: Selection = ALL, more: list[str] | None = None) -> Iterator[R]:
        """Those of one kind, in its order; of abandoned job attempts none. ``more`` are conditions in Flux."""
        abandoned = self.abandoned(selection) if kind.of_job else set()
        for record in self._in_order(kind, selection, more or []):
            if not abandoned or (record.cluster, getattr(record, "job", None)) not in abandoned:
                yield record

    def _in_order(self, kind: Kind[R], selection: Selection, more: list[str]) -> Iterator[R]:
        pieces = self._pieces(measurement_of(kind), selection, more)
        if kind.order[0] == kind.time:  # pieces are stretches of time, one cluster after the other
            for records in pieces:
                yield from sorted(records, key=kind.reading_order())
        else:  # they are few, or something is badly wrong
            yield from sorted(chain.from_iterable(pieces), key=kind.reading_order())

    def abandoned(self, selection: Selection) -> set[tuple[str, str | None]]:
        """(cluster, job) of the attempts that another one replaced."""
        pieces = self._pieces(point_layout.ABANDONED, selection, [])
        return {(each.cluster, each.job) for each in chain.from_iterable(pieces)}

    def _superseded(self, selection: Selection) -> set[tuple[str | None, str, str, int]]:
        """What only pod status witnessed, where an event came after all: the run and the identity."""
        witnessed: dict[tuple[str, ...], list[Identity]] = {}
        for row in self._places(selection, witness=True):
            witnessed.setdefault(_place(row), []).append(identity_of(row))
        if not witnessed:
            return set()
        told = {_place(row) for row in self._places(selection, witness=False)}
        return {
            (original(run) if run else None, *identity)
            for (cluster, run, *place), identities in witnessed.items()
            if "" not in place and (cluster, run, *place) in told
            for identity in identities
        }

    def _places(self, selection: Selection, *, witness: bool) -> Iterator[Row]:
        pull, fields = point_layout.PULL, is_field("pod_uid", "container", "event_uid", "count")
        is_witness = f"strings.hasPrefix(v: r.event_uid, prefix: {literal(WITNESS_PREFIX)})"
        return self._query(
            f'import "strings" {points(self._settings.bucket, [is_of(pull), *selected(pull, selection), fields])}'
            # Of a point that is being written now, some fields may not be there yet.
            f" {PIVOT} |> filter(fn: (r) => exists r.event_uid and exists r.count)"
            f" |> filter(fn: (r) => {is_witness if witness else f'not {is_witness}'}) |> group()"
        )

    # -- all records of a measurement --------------------------------------------------------------------------------

    def _pieces(self, layout: Measurement, selection: Selection, more: list[str]) -> Iterator[list[Any]]:
        for stored in self.stretches(layout, selection, more):
            yield self.stored(stored)

    def stretches(self, layout: Measurement, selection: Selection, more: list[str]) -> Iterator[Stretch]:
        """All that is selected, as stretches of time of one cluster after the other."""
        wanted = [is_of(layout), *selected(layout, selection), *more]
        for cluster, hours in self._clusters(layout, wanted):
            of_cluster = (*wanted, f"r.cluster == {literal(cluster)}")
            for piece in merged(self._refined(layout, [*of_cluster], hours), self._settings.read_points):
                yield Stretch(layout, of_cluster, piece)

    def stored(self, each: Stretch) -> list[Any]:
        """All records of the stretch, in no order, those of abandoned attempts too."""
        most = GROWTH * max(each.piece.points, self._settings.read_points)
        own = each.layout.own_field
        of_own = f" |> filter(fn: (r) => exists r.{own})" if own else ""
        return self._whole(each.layout, f"{self._values(each)} {PIVOT}{of_own} |> group()", most)

    def times(self, each: Stretch) -> set[int]:
        """Of the points that this bucket has in that stretch: the same record has the same time in every bucket."""
        rows = self._query(f"{self._values(each, is_field(each.layout.always))} {TIMES}")
        return {row.whole_number("at") for row in rows}

    def _values(self, each: Stretch, *more: str) -> str:
        return points(self._settings.bucket, [*each.conditions, *more], stretch(each.piece.start, each.piece.stop))

    def _whole(self, layout: Measurement, flux: str, most: int) -> list[Any]:
        """The piece's records. A point that is only half there is being written now: then it is asked for again."""
        for _ in range(LOOKS):
            half = False
            records = []
            for row in self._at_most(most, flux):
                if is_whole(layout, row):
                    records.append(record_of(layout, row))
                else:
                    half = True
            if not half:
                return records
            self._sleep(LOOK_SECONDS)
        return [record_of(layout, row) for row in self._at_most(most, flux)]

    def _at_most(self, most: int, flux: str) -> Iterator[Row]:
        for number, row in enumerate(self._query(flux)):
            if number >= most:
                raise StoreError(f"InfluxDB {self._settings.url}: over {most} points where fewer were counted")
            yield row

    def _clusters(self, layout: Measurement, wanted: list[str]) -> Iterator[tuple[str, list[Piece]]]:
        """Each cluster, as its tag is stored, and the hours that have points of it."""
        hours = self._counted(layout, wanted, EVER, "1h")
        ordered = sorted(hours, key=lambda pair: (original(pair[0]), *pair))
        for cluster, group in groupby(ordered, key=lambda pair: pair[0]):
            yield cluster, first_day_first([piece for _, piece in group])

    def _refined(
        self, layout: Measurement, wanted: list[str], pieces: Iterable[Piece], every: str = "1h"
    ) -> Iterator[Piece]:
        """Where a piece holds too many points, finer ones in its place."""
        finer = finer_than(every)
        for piece in pieces:
            if piece.points <= self._settings.read_points or finer is None or is_first_day(piece):
                yield piece
                continue
            parts = self._counted(layout, wanted, stretch(piece.start, piece.stop), finer)
            yield from self._refined(layout, wanted, sorted(part for _, part in parts), finer)

    def _counted(self, layout: Measurement, wanted: list[str], times: str, every: str) -> Iterator[tuple[str, Piece]]:
        """By cluster and window; a field that every point has stands for the point."""
        flux = points(self._settings.bucket, [*wanted, is_field(layout.always)], times)
        rows = self._query(
            f'{flux} |> group(columns: ["cluster"])'
            f' |> aggregateWindow(every: {every}, fn: count, timeSrc: "_start", createEmpty: false)'
            " |> map(fn: (r) => ({r with at: int(v: r._time)}))"
            ' |> group() |> keep(columns: ["cluster", "at", "_value"])'
        )
        for row in rows:
            start = row.whole_number("at")
            yield row["cluster"], Piece(start, start + WINDOWS[every], row.whole_number("_value"))

    # -- one query ---------------------------------------------------------------------------------------------------

    def _query(self, flux: str) -> Iterator[Row]:
        return ask(self._settings, flux)


def _second(row: Row | None) -> datetime | None:
    try:
        return datetime.fromisoformat(f"{row['_time'][:19]}Z") if row else None
    except ValueError as error:
        raise StoreError(f"InfluxDB: the answer's times are none: {error}") from error


def _place(row: Row) -> tuple[str, ...]:
    # Pod status tells that an image is there, and only guesses whether it was pulled: either event tells it better.
    outcome = Outcome.PULLED if row["outcome"] == Outcome.CACHED else row["outcome"]
    return (row["cluster"], row.get("run", ""), outcome, row.get("pod_uid", ""), row.get("container", ""))
