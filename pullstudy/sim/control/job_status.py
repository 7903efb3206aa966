"""The status of a job: its numbers while it runs, its conditions when it is over."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

CRITERIA_MINOR = 31  # from 1.31 on a job says that its end is decided before it says that it has ended
_CRITERIA = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}


@dataclass(frozen=True)
class JobCounts:
    """What the controller has counted."""

    active: int
    ready: int
    succeeded: set[int]
    failures: int
    failed_indexes: set[int]


def write(job: Json, tally: JobCounts, indexed: bool) -> None:
    """Bring the numbers in the job's status up to date; Go leaves out what is 0."""
    status = job["status"]
    counts = {"active": tally.active, "succeeded": len(tally.succeeded), "failed": tally.failures}
    for name, count in counts.items():
        status.pop(name, None)
        if count:
            status[name] = count
    status |= {"ready": tally.ready, "terminating": 0, "uncountedTerminatedPods": {}}
    if indexed and tally.succeeded:
        status["completedIndexes"] = intervals(tally.succeeded)
    if tally.failed_indexes:
        status["failedIndexes"] = intervals(tally.failed_indexes)


def final_conditions(kind: str, reason: str, text: str, stamp: str, minor: int) -> list[Json]:
    """``kind`` is Complete or Failed."""
    kinds = [_CRITERIA[kind], kind] if minor >= CRITERIA_MINOR else [kind]
    return [
        {
            "type": name,
            "status": "True",
            "lastProbeTime": stamp,
            "lastTransitionTime": stamp,
            "reason": reason,
            "message": text,
        }
        for name in kinds
    ]


def intervals(numbers: set[int]) -> str:
    """As status.completedIndexes: 1,3-5,7."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
