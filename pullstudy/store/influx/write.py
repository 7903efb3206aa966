"""Records to InfluxDB, for as long as it takes: each ends as written, or as refused with the reason."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec

from pullstudy.pulls.bug import BUGS
from pullstudy.pulls.notices import Notices
from pullstudy.store.influx.answers import Action, Verdict, judge
from pullstudy.store.influx.bucket_layout import judge_layout, layout_question, layout_to_write, layouts_of
from pullstudy.store.influx.connection import Answer, InfluxConnection, NoAnswerError
from pullstudy.store.influx.line_protocol import PointError, PointFormat
from pullstudy.store.influx.point_layout import FIRST
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.protocol import Delivered, Refused, WriteCounters
from pullstudy.timing import Timing


@dataclass(frozen=True)
class Point:
    """A record and its line."""

    record: msgspec.Struct
    line: bytes


class InfluxWriter:
    """Writes to one bucket. Several deliver() calls may run at once."""

    def __init__(
        self,
        settings: InfluxSettings,
        connection: InfluxConnection,
        notices: Notices,
        random: Random,
        timing: Timing,
        formats: Callable[[int], PointFormat],
    ) -> None:
        """``formats``: how points are written in a layout."""
        self._settings = settings
        self._formats = formats
        self._points: PointFormat | None = formats(settings.layout) if settings.layout else None
        self._asking = asyncio.Lock()
        self._connection = connection
        self._notices = notices
        self._random = random
        self._timing = timing
        self._troubled_at = self._reminded_at = 0.0
        self.counters = WriteCounters()

    async def deliver(self, records: Sequence[msgspec.Struct]) -> Delivered:
        """Write them all: returns when each is written or refused, and waits for the server for ever."""
        points, refused = self._encode(records, self._points or await self._told_format())
        for piece in self._pieces(points):
            refused += await self._write(piece)
        written = len(records) - len(refused)
        self.counters.points += written
        self.counters.refused += len(refused)
        return Delivered(written, tuple(refused))

    async def _told_format(self) -> PointFormat:
        """Of the layout that the bucket has, for as long as this writer lives."""
        async with self._asking:
            if self._points is None:
                await self._until_answered(self._ask_layout)
            assert self._points is not None
            return self._points

    async def _ask_layout(self) -> Verdict:
        question = layout_question(self._settings.bucket)
        return await self._judged(lambda: self._connection.ask(question), self._judge_layout)

    def _judge_layout(self, answer: Answer) -> Verdict:
        verdict = judge_layout(answer, self._timing.now())
        if verdict.action is Action.DONE:
            found = layouts_of(answer)
            self._say_layouts(found)
            self._points = self._formats(layout_to_write(found))
        return verdict

    def _say_layouts(self, found: frozenset[int]) -> None:
        bucket = f"bucket {self._settings.bucket} of InfluxDB {self._settings.url}"
        if found == {FIRST}:
            self._notices.warning(f"{bucket} has layout 1 and goes on in it; collector migrate moves it to layout 2")
        elif FIRST in found:
            self._notices.error(
                f"{bucket} has points of layout 1 beside those of layout 2: what is in both counts twice; see that no"
                " pullstudy 0.2 or earlier writes to it"
            )

    def _encode(self, records: Iterable[msgspec.Struct], form: PointFormat) -> tuple[list[Point], list[Refused]]:
        points, refused = [], []
        for record in records:
            try:
                points.append(Point(record, form.encode(record).encode()))
            except PointError as error:
                refused.append(Refused(record, str(error)))
        return points, refused

    def _pieces(self, points: list[Point]) -> Iterator[list[Point]]:
        piece: list[Point] = []
        size = 0
        for point in points:
            if piece and (
                len(piece) >= self._settings.batch_points or size + len(point.line) > self._settings.batch_bytes
            ):
                yield piece
                piece, size = [], 0
            piece.append(point)
            size += len(point.line) + 1
        if piece:
            yield piece

    async def _write(self, points: list[Point]) -> list[Refused]:
        """The refused ones among the points; the others are written on return."""
        verdict = await self._send(b"\n".join([point.line for point in points]))
        if verdict.action is Action.DONE:
            return []
        if len(points) == 1 or verdict.dropped == len(points):  # a count of more is about something else
            return [Refused(point.record, verdict.reason) for point in points]
        # The answer does not name the points; writing the good ones again changes nothing.
        self.counters.divisions += 1
        middle = len(points) // 2
        return await self._write(points[:middle]) + await self._write(points[middle:])

    async def _send(self, lines: bytes) -> Verdict:
        """Make the request until the answer is about the points."""
        return await self._until_answered(lambda: self._request(lines))

    async def _until_answered(self, ask: Callable[[], Awaitable[Verdict]]) -> Verdict:
        failures = 0
        while True:
            verdict = await ask()
            if verdict.action is not Action.REPEAT:
                self._recovered()
                return verdict
            failures += 1
            self.counters.repeats += 1
            seconds = self._wait_seconds(verdict, failures)
            self._complain(verdict, seconds)
            await self._timing.sleep(seconds)

    async def _request(self, lines: bytes) -> Verdict:
        verdict = await self._judged(lambda: self._connection.write(lines), self._judge)
        self.counters.sent_bytes += len(lines)
        return verdict

    def _judge(self, answer: Answer) -> Verdict:
        return judge(answer.status, answer.headers, answer.body, self._timing.now())

    async def _judged(self, ask: Callable[[], Awaitable[Answer]], judged: Callable[[Answer], Verdict]) -> Verdict:
        started = self._timing.monotonic()
        try:
            answer = await ask()
            status, verdict = answer.status, judged(answer)
        except NoAnswerError as error:
            status, verdict = 0, Verdict(Action.REPEAT, str(error))
        except BUGS as error:  # of an answer that nobody thought of: the next may be another one
            status, verdict = 0, Verdict(Action.REPEAT, _bug_met(error), alarm=True)
        counters = self.counters
        counters.requests += 1
        counters.statuses[status] = counters.statuses.get(status, 0) + 1
        counters.write_seconds += self._timing.monotonic() - started
        return verdict

    def _wait_seconds(self, verdict: Verdict, failures: int) -> float:
        seconds = self._settings.backoff.seconds(failures, self._random)
        wish = min(verdict.wait_seconds or 0.0, self._settings.most_retry_after_seconds)
        return max(seconds, wish)

    def _complain(self, verdict: Verdict, wait_seconds: float) -> None:
        now = self._timing.monotonic()
        new = self.counters.trouble is None
        if new:
            self._troubled_at = now
        if new or verdict.reason != self.counters.trouble or now - self._reminded_at >= self._settings.remind_seconds:
            self._reminded_at = now
            say = self._notices.error if verdict.alarm else self._notices.warning
            say(
                f"InfluxDB {self._settings.url}: {verdict.reason}; nothing is lost, writing is tried again",
                wait_seconds=round(wait_seconds, 1),
                for_seconds=round(now - self._troubled_at),
            )
        self.counters.trouble, self.counters.alarm = verdict.reason, verdict.alarm

    def _recovered(self) -> None:
        if self.counters.trouble is not None:
            seconds = round(self._timing.monotonic() - self._troubled_at)
            self._notices.info(f"InfluxDB {self._settings.url} takes points again", after_seconds=seconds)
            self.counters.trouble, self.counters.alarm = None, False


def _bug_met(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"a bug was met: {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}; please report it"
