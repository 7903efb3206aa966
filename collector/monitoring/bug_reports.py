"""Bugs that were met while the collector goes on: each kind said once, with a file that tells where it was."""

import os
import traceback
from pathlib import Path

from collector.log import Log
from collector.monitoring.status import CollectorStatus

MOST_REPORTS = 20  # of one process: what comes after is counted only
LONGEST_REPORT = 65_536  # characters: an error can show all that it met


class BugReports:
    """Told by loops that go on after what nobody thought of."""

    def __init__(self, directory: Path | None, log: Log, status: CollectorStatus) -> None:
        """Without a directory no file is written."""
        self._directory = directory
        self._log = log
        self._status = status
        self._said: set[tuple[str, str]] = set()

    def found(self, doing: str, error: Exception) -> None:
        """``doing`` is what went wrong. One that was met before, at the same place, is counted and not said."""
        self._status.bugs += 1
        place = (type(error).__name__, _place(error))
        if place in self._said or len(self._said) >= MOST_REPORTS:
            return
        self._said.add(place)
        self._log.error(
            f"a bug was met, and the work goes on: {doing}: {place[0]} at {place[1]}; please report it",
            report=self._write(doing, error),
        )

    def _write(self, doing: str, error: Exception) -> str:
        if self._directory is None:
            return "none"
        path = self._directory / f"bug-{os.getpid()}-{len(self._said)}.txt"
        text = f"{doing}\n{''.join(traceback.format_exception(error))}"[-LONGEST_REPORT:]
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", errors="backslashreplace") as file:
                file.write(text)
        except OSError as failed:
            return f"not written: {failed.strerror}"
        return str(path)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
