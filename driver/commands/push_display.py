"""How far a push is: a bar on a terminal, and lines of what it waits for; without one the lines alone."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from driver.terminal import write_text
from pullstudy.pulls.printable import printable


class _Lines:
    """Without a terminal."""

    def __init__(self, complaints: TextIO) -> None:
        self._complaints = complaints

    def sent(self, size: int) -> None:
        """There is nothing to paint it on."""

    def waits(self, why: str, seconds: float) -> None:
        write_text(self._complaints, f"pulldriver: {printable(why)}; tried again in {seconds:.0f} s\n")

    def line(self, text: str) -> None:
        write_text(sys.stdout, f"{text}\n")


class _Bar(_Lines):
    """Above it, lines scroll by."""

    def __init__(self, total: int, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        super().__init__(stream)
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        console = Console(file=stream)
        # What goes into a pipe is no business of the terminal that the bar is on.
        self.painted = Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty())
        self._task = self.painted.add_task("push", total=total)

    def sent(self, size: int) -> None:
        self.painted.advance(self._task, size)


@contextmanager
def shown_progress(total: int, stream: TextIO) -> Iterator[_Lines]:
    """Of ``total`` bytes, until the block ends."""
    if not stream.isatty():
        yield _Lines(stream)
        return
    bar = _Bar(total, stream)
    with bar.painted:
        yield bar
