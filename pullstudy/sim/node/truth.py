"""What really happened, kept apart from what events reported of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pullstudy.sim.events.recorder import Sent
from pullstudy.sim.model.true_stages import TrueStages

Json = dict[str, Any]


@dataclass(frozen=True)
class TruePull:
    """One pull as the simulated kubelet did it, its durations to the precision that the kubelet's version reports.

    ``sent`` says which event reported it, if one did.
    """

    node: str
    namespace: str
    job: str | None
    pod: str
    pod_uid: str
    container: str
    image: str
    outcome: str
    pull_seconds: float | None
    waiting_seconds: float | None
    image_bytes: int | None
    finished_at: str  # RFC 3339 in UTC, microseconds, by the API server's clock
    error: str | None
    stages: TrueStages | None  # of one of which spans were sent
    sent: Sent

    def row(self) -> Json:
        reported = self.sent.lost is None and self.sent.uid is not None
        row = {name: value for name, value in vars(self).items() if name != "sent"}
        return row | {
            "event_uid": self.sent.uid if reported else None,
            "count": self.sent.count if reported else None,
            "lost": self.sent.lost,
        }


class Truth:
    def __init__(self) -> None:
        self._pulls: list[TruePull] = []

    def add(self, pull: TruePull) -> None:
        self._pulls.append(pull)

    def rows(self, job: str | None = None, outcome: str | None = None) -> Iterator[Json]:
        for pull in self._pulls:
            if (job is None or pull.job == job) and (outcome is None or pull.outcome == outcome):
                yield pull.row()
