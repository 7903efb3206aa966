"""Where a sweep is: what is done, what happens now and since when, what is left, and what it has cost."""

from collections.abc import Callable

from driver.planning.time_left import TimeLeft
from driver.progress import JobSummary, JobTally, say_image, say_seconds
from pullstudy.store.embedded.ledger import JobRow, JobState

COST_SECONDS = 5.0  # between two looks at what was paid


class Course:
    """Told what ``Progress`` is told, and says it in phrases. ``clock`` never goes back; ``cost`` says an amount."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        jobs: int = 0,
        done: int = 0,
        left: TimeLeft | None = None,
        cost: Callable[[], str] | None = None,
    ) -> None:
        self._clock = clock
        self._left = left
        self._cost = cost
        self._cost_said, self._cost_at = "", float("-inf")
        self.jobs, self.done = jobs, done
        self.cluster = ""  # "" between two
        self.cluster_jobs = self.cluster_done = 0
        self._pulls, self._up_since = 0, 0.0  # of this cluster
        self.doing, self.found, self._since = "", "", 0.0
        self.tally: JobTally | None = None  # of the job at work

    def does(self, what: str, found: str = "") -> None:
        if what != self.doing:
            self.doing, self._since = what, self._clock()
        self.found = found

    def size_begun(self, cluster: str, jobs: int) -> None:
        self.cluster, self.cluster_jobs, self.cluster_done = cluster, jobs, 0
        self._pulls = 0
        if self._left:
            self._left.begin_cluster(self._clock())

    def size_started(self) -> None:
        self._up_since = self._clock()
        if self._left:
            self._left.cluster_made(self._up_since)

    def job_started(self, row: JobRow) -> None:
        self.tallied(JobTally(row.size, 0, 0, 0))
        self.does(f"pulling {say_image(row.image)}", self._pulled())

    def tallied(self, tally: JobTally) -> None:
        self.tally = tally
        self.found = self._pulled()

    def job_ended(self, summary: JobSummary) -> None:
        self.done += 1
        self.cluster_done += 1
        # A job may be complete before the last change of its pods is heard of.
        self._pulls += summary.row.size if summary.row.state is JobState.DONE else _there(self.tally)
        self.tally = None
        self.does(f"deleting the job of {say_image(summary.row.image)}")
        if self._left:
            self._left.job_ended(self._clock())

    def size_ended(self) -> None:
        self.cluster, self.doing, self.found = "", "", ""
        if self._left:
            self._left.cluster_ended(self._clock())

    def say_sweep(self) -> str:
        """``18 of 64 jobs, about 12 min left, 1.24 USD so far``."""
        left = self._left.of_sweep(self._clock()) if self._left else None
        return ", ".join(filter(None, (f"{self.done} of {self.jobs} jobs", _say_left(left), self.say_cost())))

    def say_cluster(self) -> str:
        """``sim-x-4: 3 of 6 jobs, about 2 min left, 41 pulls (0.2 a second)``."""
        left = self._left.of_cluster(self._clock()) if self._left else None
        jobs = f"{self.cluster_done} of {self.cluster_jobs} jobs"
        return f"{self.cluster}: " + ", ".join(filter(None, (jobs, _say_left(left), self._say_pulls())))

    def say_doing(self) -> str:
        """``waiting for nodes: 4 of 8 ready, 63 s``."""
        seconds = f"{self._clock() - self._since:.0f} s"
        return f"{self.doing}: {self.found}, {seconds}" if self.found else f"{self.doing}, {seconds}"

    def say_cost(self) -> str:
        """Empty where nothing is paid."""
        if self._cost is not None and self._clock() - self._cost_at >= COST_SECONDS:
            self._cost_said, self._cost_at = f"{self._cost()} so far", self._clock()
        return self._cost_said

    def _say_pulls(self) -> str:
        pulls, seconds = self._pulls + _there(self.tally), self._clock() - self._up_since
        if not pulls or seconds <= 0:
            return ""
        rate = pulls / seconds
        return f"{pulls:,} pulls ({rate:,.0f} a second)" if rate >= 10 else f"{pulls:,} pulls ({rate:.1f} a second)"

    def _pulled(self) -> str:
        tally = self.tally
        assert tally is not None
        failing = f", {tally.failing} failing" if tally.failing else ""
        return f"{_there(tally)} of {tally.size} nodes{failing}"


def _there(tally: JobTally | None) -> int:
    """On how many nodes the image is."""
    return max(tally.started, tally.succeeded) if tally else 0


def _say_left(seconds: float | None) -> str:
    return "" if seconds is None else f"about {say_seconds(seconds)} left"
