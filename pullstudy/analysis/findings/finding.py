"""A finding: one statement of the report or of a comparison, with what it rests on.

A finding exists only where trials with a known truth show that its kind is right (bench/known_truth.py). The page and
``--json`` show the same objects.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec


class FindingId(StrEnum):
    """What kinds of statement there are. Scripts look for these names: none changes."""

    PULL_SECONDS = "pull-seconds"  # how long pulls take: p50, with p95 and p99
    PULL_GROWTH = "pull-growth"  # times as long a doubling of the nodes
    MAKESPAN_GROWTH = "makespan-growth"  # the same of the jobs' makespans
    BOUND = "bound"  # what bounds the makespan: a value of Bound
    WRITE_RATE = "write-rate"  # of the nodes' volumes, where these bound the makespan
    PHASE = "phase"  # one phase of the makespan at one size
    STAGE = "stage"  # one stage inside of an image's pulls: mean seconds
    STRAGGLER = "straggler"  # what was slow, where something was
    LOSS = "loss"  # pulls that should be on record and are not
    COST = "cost"
    MODEL_ERROR = "model-error"  # times as long as a model had foretold before each job
    SPEED_UP = "speed-up"  # of a comparison: how many times as fast the second study's pulls are
    MAKESPAN_SPEED_UP = "makespan-speed-up"
    COST_RATIO = "cost-ratio"  # of the second's over the first's, as the three below
    P95_RATIO = "p95-ratio"
    P99_RATIO = "p99-ratio"
    SPREAD_RATIO = "spread-ratio"  # of the interquartile ranges of jobs' pulls
    STAGE_DIFFERENCE = "stage-difference"  # how many times as long one stage inside of pulls takes in the second
    FAILURE_RATIO = "failure-ratio"  # of failed attempts over all attempts
    ADVICE = "advice"  # a change, and the seconds of makespans that it would save
    BAR = "bar"  # compare --fail-if: yes where it is met beyond chance
    OBJECTIVE = "slo"  # report --slo: yes where it is met beyond chance


class Verdict(StrEnum):
    """Whether the statement holds. ``unknown``: these data cannot tell."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


Interval = tuple[float | None, float | None]  # 95%; None where a side is unbounded


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One statement. ``value`` is None where nothing is claimed."""

    id: FindingId
    subject: str  # "all", or what of it: "4 nodes", an image, "4 nodes, IMAGE"
    value: float | str | None
    interval: Interval | None = None
    unit: str
    n: int
    counts: str  # what n counts: "jobs", "pulls", "clusters", "pairs of jobs"
    verdict: Verdict
    evidence: str  # the sentence that the page shows
    assumptions: tuple[str, ...] = ()
    p95: float | None = None  # of pull-seconds
    p95_interval: Interval | None = None
    p99: float | None = None
    p99_interval: Interval | None = None
    coverage: float | None = None  # of model-error: the share of pulls within the bounds of nine of ten
    node_hours: float | None = None  # of advice, that would be saved
    money: float | None = None  # the same, in ``currency``
    currency: str | None = None
    size: int | None = None
    image: str | None = None
    cache: str | None = None
    run: str | None = None
    phase: str | None = None
    stage: str | None = None
    node: str | None = None


# Left out of JSON where nothing is to be said of them; what stands before them always is there.
_OPTIONAL = (
    *("p95", "p95_interval", "p99", "p99_interval", "coverage"),
    *("node_hours", "money", "currency"),
    *("size", "image", "cache", "run", "phase", "stage", "node"),
)


def findings_of_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings as objects for JSON."""
    told = (msgspec.to_builtins(finding) for finding in findings)
    return [
        {name: value for name, value in each.items() if value is not None or name not in _OPTIONAL} for each in told
    ]
