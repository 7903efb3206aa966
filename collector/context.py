"""What every stage is given: settings, time, chance, a voice and counters. Made once, in ``daemon``; faked in tests."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random

from collector.clock import Clock
from collector.log import Log
from collector.monitoring.bug_reports import BugReports
from collector.monitoring.pull_durations import PullDurations
from collector.monitoring.status import CollectorStatus
from collector.monitoring.vitals import Vitals
from collector.settings import Settings


@dataclass(frozen=True)
class Context:
    """Passed through constructors; nothing in the package reads time, chance or settings from anywhere else."""

    settings: Settings
    clock: Clock
    random: Random
    log: Log
    status: CollectorStatus = field(default_factory=CollectorStatus)
    vitals: Vitals = field(default_factory=Vitals)
    durations: PullDurations | None = None  # counted where somebody may ask for metrics
    reports: Path | None = None  # where reports of bugs are written, if anywhere

    @cached_property
    def bugs(self) -> BugReports:
        return BugReports(self.reports, self.log, self.status)
