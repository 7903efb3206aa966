"""What a sweep shows of itself: rows that are painted over on a terminal, plain lines anywhere else."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TextIO

from rich.cells import cell_len, set_cell_size

from driver.course import Course
from driver.progress import JobSummary, JobTally, Progress, say_job
from driver.terminal import StatusArea, window
from pullstudy.polling import Sleep, ticks
from pullstudy.pulls.printable import printable
from pullstudy.store.embedded.ledger import JobRow

TICK_SECONDS = 0.25
SILENCE_SECONDS = 60.0  # without a line, and then what happens is one
BAR_CELLS = 20
_GREEN, _DIM, _END = "\x1b[32m", "\x1b[2m", "\x1b[0m"  # source: ECMA-48, SGR


class Lines:
    """A line for whatever is over. ``course`` is told everything."""

    def __init__(self, write: Callable[[str], None], course: Course) -> None:
        self._write = write
        self._course = course

    def note(self, text: str) -> None:
        self._write(printable(text))

    def doing(self, what: str, found: str = "") -> None:
        self._course.does(what, found)

    def size_begun(self, cluster: str, size: int, jobs: int) -> None:
        self._course.size_begun(cluster, jobs)

    def size_started(self, cluster: str, size: int, jobs: int) -> None:
        self._course.size_started()
        self.note(f"{cluster}: {size} nodes up, {jobs} jobs")

    def job_started(self, row: JobRow, number: int, jobs: int) -> None:
        self._course.job_started(row)

    def tally(self, tally: JobTally) -> None:
        self._course.tallied(tally)

    def job_ended(self, summary: JobSummary) -> None:
        self._course.job_ended(summary)
        self.note(say_job(summary))

    def size_ended(self, cluster: str, accounted: str) -> None:
        self._course.size_ended()
        cost = self._course.say_cost()
        self.note(f"{cluster}: {accounted}; taken down" + (f"; {cost}" if cost else ""))

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass


class PlainProgress(Lines):
    """After a long silence also what happens meanwhile, and how long it has."""

    def __init__(self, write: Callable[[str], None], course: Course, clock: Callable[[], float]) -> None:
        super().__init__(write, course)
        self._clock = clock
        self._told_at = clock()

    def note(self, text: str) -> None:
        super().note(text)
        self._told_at = self._clock()

    def tick(self) -> None:
        if self._course.doing and self._clock() - self._told_at >= SILENCE_SECONDS:
            cluster = f"{self._course.cluster}: " if self._course.cluster else ""
            self.note(f"{cluster}{self._course.say_doing()}; {self._course.say_sweep()}")


class LiveProgress(Lines):
    """The sweep, its cluster and what happens there in a row each; what is over scrolls by above them."""

    def __init__(
        self, area: StatusArea, course: Course, size: Callable[[], os.terminal_size], *, colours: bool, bars: str
    ) -> None:
        """``bars`` are the characters of what is done and of what is not."""
        super().__init__(area.say, course)
        self._area = area
        self._size = size
        self._colours = colours
        self._bars = bars
        area.show(self._rows)

    def tick(self) -> None:
        self._area.say()

    def close(self) -> None:
        self._area.clear()

    def _rows(self) -> list[str]:
        columns, lines = self._size()
        rows = [self._row(share, text, columns) for share, text in self._told()]
        return rows[-max(1, lines - 1) :]

    def _told(self) -> Iterator[tuple[float, str]]:
        """Shares of what is done, and words."""
        course = self._course
        yield _share(course.done, course.jobs), course.say_sweep()
        if course.cluster:
            yield _share(course.cluster_done, course.cluster_jobs), course.say_cluster()
        if course.doing:
            tally = course.tally
            yield (_share(max(tally.started, tally.succeeded), tally.size) if tally else 0.0), course.say_doing()

    def _row(self, share: float, text: str, columns: int) -> str:
        # One column stays free: a terminal that has been written full waits to wrap, each in its own way.
        room = columns - 1
        bar = self._bar(share) + "  " if room >= 3 * BAR_CELLS else ""
        room -= BAR_CELLS + 2 if bar else 0
        words = printable(text)
        return bar + (set_cell_size(words, room) if cell_len(words) > room else words)

    def _bar(self, share: float) -> str:
        done = round(share * BAR_CELLS)
        full, rest = self._bars[0] * done, self._bars[1] * (BAR_CELLS - done)
        return f"{_GREEN}{full}{_END}{_DIM}{rest}{_END}" if self._colours else full + rest


def _share(done: int, of: int) -> float:
    return min(1.0, done / of) if of else 0.0


def make_progress(
    area: StatusArea, stream: TextIO, course: Course, clock: Callable[[], float], environment: Mapping[str, str]
) -> Progress:
    """The live display where somebody looks at ``stream``, on which the area is."""
    if not stream.isatty() or environment.get("TERM", "dumb") == "dumb":
        return PlainProgress(area.say, course, clock)
    bars = "━─" if (stream.encoding or "").lower().startswith("utf") else "#-"
    # https://no-color.org: set to anything but nothing.
    return LiveProgress(area, course, window(stream), colours=not environment.get("NO_COLOR"), bars=bars)


@asynccontextmanager
async def ticking(progress: Progress, sleep: Sleep = asyncio.sleep) -> AsyncIterator[None]:
    """The block, with the progress called from time to time meanwhile. Raises what that raises."""

    async def tick() -> None:
        async for _ in ticks(TICK_SECONDS, sleep=sleep):
            progress.tick()

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
