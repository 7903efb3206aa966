"""What held a pull up, by the model itself: to hold what spans tell against.

Layers are unpacked one after the other, the lowest first, so that each moment of unpacking holds the pull up; what lies
between is the wait for the next layer, by what was done for it then.
"""

from collections.abc import Sequence
from typing import TypeAlias

from pullstudy.sim.model.layer_times import LayerTimes
from pullstudy.sim.model.pull_model import PullCourse

TrueStages: TypeAlias = dict[str, float]
"""Seconds by stage; they add up to the pull's."""


def true_stages(course: PullCourse, times: Sequence[LayerTimes]) -> TrueStages:
    stages = dict.fromkeys(("resolve", "queue", "first_byte", "transfer", "apply", "commit"), 0.0)
    stages["resolve"] = course.resolved_at - course.started_at
    free_at = course.resolved_at
    for each in times:
        stages["queue"] += _within(each.asked_at, each.sent_at, free_at)
        stages["first_byte"] += _within(each.sent_at, each.answered_at, free_at)
        stages["transfer"] += _within(each.answered_at, each.there_at, free_at)
        stages["apply"] += each.applied_at - each.apply_at
        stages["commit"] += each.committed_at - each.applied_at
        free_at = each.committed_at
    return stages


def _within(begin_at: float, end_at: float, from_at: float) -> float:
    return max(0.0, end_at - max(begin_at, from_at))
