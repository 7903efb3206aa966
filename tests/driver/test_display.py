"""What a sweep shows of itself: no line is lost, and what happens is said."""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import TextIO

import pyte
import pytest

from driver.course import Course
from driver.display import PlainProgress, make_progress
from driver.planning.plan import Overhead
from driver.planning.time_left import ClusterLeft, TimeLeft
from driver.progress import JobSummary, JobTally
from driver.terminal import StatusArea
from tests.driver.told_sweep import JOBS, job, progress_on, tell

EVERY_JOB = list(range(1, JOBS + 1))


class Terminal:
    """A terminal emulator at the other end of a pty, with all that scrolled off its top."""

    def __init__(self, master: int, slave: int, columns: int, lines: int) -> None:
        self._master = master
        self._slave = slave
        self._screen = pyte.HistoryScreen(columns, lines, history=100_000, ratio=0.5)
        self._parser = pyte.ByteStream(self._screen)
        self.resize(columns, lines)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._screen.resize(lines, columns)

    def read(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self._parser.feed(os.read(self._master, 65536))

    def text(self) -> str:
        past = ("".join(line[column].data for column in sorted(line)) for line in self._screen.history.top)
        return "\n".join(line.rstrip() for line in (*past, *self._screen.display))


@contextmanager
def terminal(columns: int, lines: int) -> Iterator[tuple[Terminal, TextIO]]:
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    with open(slave, "w", encoding="utf-8") as stream:
        yield Terminal(master, slave, columns, lines), stream
    os.close(master)


def jobs_shown(text: str) -> list[int]:
    """The jobs that are over, by their lines; in narrow terminals they are wrapped."""
    return [int(number) for number in re.findall(r"\d+/40 job-(\d+)-end,", text.replace("\n", ""))]


@pytest.mark.parametrize(("columns", "lines"), [(200, 50), (80, 24), (80, 3), (40, 10), (24, 5), (80, 1)])
def test_each_job_of_forty_is_on_the_screen_or_above_it_once(columns: int, lines: int) -> None:
    with terminal(columns, lines) as (screen, stream):
        progress = progress_on(stream)
        progress.size_begun("sim-x-4", 4, JOBS)
        for _ in tell(progress, EVERY_JOB):
            screen.read()
        progress.close()
        screen.read()
        assert jobs_shown(screen.text()) == EVERY_JOB


def test_none_is_lost_where_the_terminal_gets_narrower_and_wider_meanwhile() -> None:
    with terminal(100, 24) as (screen, stream):
        progress = progress_on(stream)
        progress.size_begun("sim-x-4", 4, JOBS)
        widths = [100, 61, 140, 80, 55, 90]
        for step, _ in enumerate(tell(progress, EVERY_JOB)):
            screen.read()
            if step % 7 == 0:
                screen.resize(widths[step // 7 % len(widths)], 24)
        progress.close()
        screen.read()
        assert jobs_shown(screen.text()) == EVERY_JOB


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_none_is_lost_in_a_terminal_that_lays_out_its_lines_anew(tmp_path: Path) -> None:
    sizes = ["80x24", "40x24", "120x10", "50x8", "100x30"]
    tmux = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null"]

    def run(*words: str) -> str:
        return subprocess.run([*tmux, *words], check=True, capture_output=True, text=True).stdout

    def shown() -> str:
        return run("capture-pane", "-p", "-J", "-S", "-")

    command = f"{sys.executable} -m tests.driver.told_sweep {' '.join(sizes)}; exec cat"
    run("new-session", "-d", "-x", "80", "-y", "24", f"LC_ALL=C.UTF-8 {command}")
    try:
        for turn, size in enumerate(sizes, start=1):
            columns, lines = size.split("x")
            run("resize-window", "-x", columns, "-y", lines)
            last = JOBS // len(sizes) * turn
            wait_for(lambda last=last: f"job-{last}-end, " in shown())  # type: ignore[misc]
        wait_for(lambda: "over" in shown())
        assert jobs_shown(shown()) == EVERY_JOB
    finally:
        run("kill-server")


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_rows_tell_of_the_sweep_its_cluster_and_what_happens_there() -> None:
    clock = Clock()
    left = TimeLeft([ClusterLeft(overhead=Overhead(make_seconds=60, delete_seconds=30), jobs=(100.0, 100.0))] * 2, 1.0)
    course = Course(clock=clock, jobs=4, left=left, cost=lambda: "1.25 USD")
    with terminal(100, 10) as (screen, stream):
        progress = make_progress(StatusArea(stream), stream, course, clock, {"TERM": "xterm"})
        progress.size_begun("eks-x-4", 4, 2)
        progress.doing("waiting for nodes", "1 of 4 nodes ready")
        clock.now += 30
        progress.tick()
        screen.read()
        rows = [line[20:].strip() for line in screen.text().splitlines() if line]
        assert rows == [
            "0 of 4 jobs, about 9 min left, 1.25 USD so far",
            "eks-x-4: 0 of 2 jobs, about 4 min left",
            "waiting for nodes: 1 of 4 nodes ready, 30 s",
        ]
        progress.size_started("eks-x-4", 4, 2)
        progress.job_started(job(1), 1, 2)
        clock.now += 50
        progress.tally(JobTally(4, 2, 1, 1))
        progress.tick()
        screen.read()
        rows = [line[20:].strip() for line in screen.text().splitlines() if line.startswith("━") or "─" in line]
        assert rows[1:] == [
            "eks-x-4: 0 of 2 jobs, about 3 min left, 2 pulls (0.0 a second)",
            "pulling job-1-end: 2 of 4 nodes, 1 failing, 50 s",
        ]


def test_all_pulls_of_a_job_count_that_is_done_before_the_last_of_its_pods_was_heard_of() -> None:
    clock = Clock()
    course = Course(clock=clock, jobs=2)
    course.size_begun("sim-x-4", 2)
    course.size_started()
    course.job_started(job(1))
    course.tallied(JobTally(4, 1, 0, 0))
    clock.now += 2
    course.job_ended(JobSummary(row=job(1), number=1, jobs=2, accounted="4/4 accounted for", caches="cold"))
    assert course.say_cluster() == "sim-x-4: 1 of 2 jobs, 4 pulls (2.0 a second)"


def test_nothing_is_said_of_cost_where_nothing_is_paid() -> None:
    assert Course(clock=Clock(), jobs=4).say_sweep() == "0 of 4 jobs"


def test_a_long_silence_is_broken_by_what_happens_and_how_long_it_has() -> None:
    clock, lines = Clock(), list[str]()
    progress = PlainProgress(lines.append, Course(clock=clock, jobs=12), clock)
    progress.size_begun("eks-x-8", 8, 12)
    for seconds in range(150):
        progress.doing("waiting for nodes", f"{seconds // 30} of 8 nodes ready")
        progress.tick()
        clock.now += 1
    assert lines == [
        "eks-x-8: waiting for nodes: 2 of 8 nodes ready, 60 s; 0 of 12 jobs",
        "eks-x-8: waiting for nodes: 4 of 8 nodes ready, 120 s; 0 of 12 jobs",
    ]


def test_a_terminal_that_can_move_no_cursor_gets_plain_lines() -> None:
    with terminal(80, 24) as (screen, stream):
        clock = Clock()
        progress = make_progress(StatusArea(stream), stream, Course(clock=clock), clock, {"TERM": "dumb"})
        progress.note("a line")
        progress.tick()
        screen.read()
        assert screen.text().strip() == "a line"


def test_lines_of_others_are_plain_before_and_after_the_rows() -> None:
    written = StringIO()
    area = StatusArea(written)
    area.say("before")
    area.show(lambda: ["row"])
    area.clear()
    area.say("after")
    assert written.getvalue().startswith("before\n")
    assert written.getvalue().endswith("\x1b[?25hafter\n")
