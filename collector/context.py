"""What every stage is given: settings, time, chance, a voice and counters. Made once, in ``daemon``; faked in tests."""

from dataclasses import dataclass, field
from random import Random

from collector.clock import Clock
from collector.log import Log
from collector.monitoring.status import Status
from collector.monitoring.vitals import Vitals
from collector.settings import Settings


@dataclass(frozen=True)
class Context:
    """Passed through constructors; nothing in the package reads time, chance or settings from anywhere else."""

    settings: Settings
    clock: Clock
    random: Random
    log: Log
    status: Status = field(default_factory=Status)
    vitals: Vitals = field(default_factory=Vitals)
