"""What the model of pulls says of one image, for who plays it elsewhere: fake nodes on a real API server."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime

from sim.model.disk import Disk
from sim.model.images import describe
from sim.model.parameters import PROFILES
from sim.model.pull_model import Missing, PullModel
from sim.time.clock import VirtualClock


@dataclass(frozen=True)
class PullDurations:
    """``seconds`` of so many cold pulls, each on an idle node from an idle registry."""

    image_bytes: int
    seconds: tuple[float, ...]


def pull_durations(image: str, count: int, *, seed: int, profile: str = "eks") -> PullDurations:
    """The same for the same arguments, always. Raises KeyError where there is no such profile."""
    parameters, described = PROFILES[profile], describe(image)
    source = random.Random(f"{seed}/{image}")
    found: list[float] = []
    for _ in range(count):
        clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
        model = PullModel(clock, parameters, source)
        ends: list[float] = []
        _pull(model, Missing.of(described, frozenset()), Disk(parameters.volume), ends, clock)
        while not ends and clock.run_next(float("inf")):
            pass
        found.append(ends[0])
    return PullDurations(described.image_bytes, tuple(found))


def _pull(model: PullModel, missing: Missing, disk: Disk, ends: list[float], clock: VirtualClock) -> None:
    model.pull(missing, disk, 1.0, lambda: ends.append(clock.now))
