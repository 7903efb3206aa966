"""What can be seen of a running process from outside: metrics, whether it lives, whether it keeps up.

Its parts put in what they know; ``endpoints`` shows it. Nothing here does I/O.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from collector.monitoring.histogram import Histogram
from pullstudy.pulls.metric_names import Metric

Condition = Callable[[], str | None]
"""Why it does not hold, in one line; None where it holds."""


@dataclass(frozen=True)
class Reading:
    """What a metric is now, by the values of its labels."""

    metric: Metric
    values: Mapping[tuple[str, ...], float | Histogram]


Metrics = Callable[[], Iterable[Reading]]


@dataclass(frozen=True)
class DeliveryTrouble:
    """Why a store or a bus takes nothing now."""

    reason: str  # one line
    alarm: bool = False  # a setting is wrong: waiting does not mend it


@dataclass
class Vitals:
    """Made with the process, filled by its parts."""

    sources: list[Metrics] = field(default_factory=list)
    ready_when: list[Condition] = field(default_factory=list)
    stages: dict[str, asyncio.Task[Any]] = field(default_factory=dict)  # those that have to run for ever
    stopping: bool = False

    def stop(self, _: object = None) -> None:
        """From now on it is unready, and no stage that ends is missed."""
        self.stopping = True

    def readings(self) -> list[Reading]:
        return [reading for source in self.sources for reading in source()]

    def why_not_live(self) -> list[str]:
        """Stages that ended: only a new process mends that. A store that is away is no reason."""
        if self.stopping:
            return []
        return [f"the stage {name!r} has ended" for name, task in self.stages.items() if task.done()]

    def why_not_ready(self) -> list[str]:
        """One line for each condition that does not hold."""
        if self.stopping:
            return ["it is being stopped"]
        if not self.ready_when:
            return ["it has just been started"]
        return [why for condition in self.ready_when if (why := condition()) is not None]
