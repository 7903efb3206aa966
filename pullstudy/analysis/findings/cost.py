"""What a study cost: node-hours at the price that its study names.

Hours are by the cluster's own clock, from the first job's creation to the last one's end, because a simulated cluster
has no other and a real one's creation and deletion differ by provider; those are given separately where they are known.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pullstudy.analysis.reading.study import Study
from pullstudy.analysis.timelines.job_summary import JobSummary

_HOUR = 3600.0


@dataclass(frozen=True)
class NodePrice:
    """Of one node for an hour."""

    per_node_hour: float
    currency: str
    as_of: str | None


@dataclass(frozen=True)
class ClusterCost:
    """``lifetime_seconds`` is from the cluster's order to its end by the driver's clock; None where it has none."""

    cluster: str
    size: int
    jobs_seconds: float
    lifetime_seconds: float | None
    price: NodePrice | None

    @property
    def node_hours(self) -> float:
        return self.size * self.jobs_seconds / _HOUR

    @property
    def amount(self) -> float | None:
        return self.node_hours * self.price.per_node_hour if self.price else None

    @property
    def lifetime_amount(self) -> float | None:
        if self.price is None or self.lifetime_seconds is None:
            return None
        return self.size * self.lifetime_seconds / _HOUR * self.price.per_node_hour


def price_of(study_json: str) -> NodePrice | None:
    """The price in a run's study; None where it names none, as an import does."""
    study: Any = json.loads(study_json)
    price = study.get("cluster", {}).get("price") if isinstance(study, dict) else None
    if not price or price.get("per_node_hour") is None:
        return None
    return NodePrice(float(price["per_node_hour"]), str(price.get("currency", "USD")), price.get("as_of"))


def cluster_costs(study: Study, jobs: Iterable[JobSummary]) -> list[ClusterCost]:
    """Of each cluster of which a job's start and end are known, by size."""
    prices = {run.run: price_of(run.study) for run in study.ledger.runs}
    rows = {row.cluster: row for row in study.ledger.clusters}
    found = []
    for cluster, (begin, end, size, run) in _spans(jobs).items():
        row = rows.get(cluster)
        lifetime = None
        if row and row.created_at and row.down_at and not study.is_simulated(cluster):
            lifetime = (row.down_at - row.created_at).total_seconds()
        price = prices.get(row.run if row else run or "")
        found.append(ClusterCost(cluster, size, (end - begin).total_seconds(), lifetime, price))
    return sorted(found, key=lambda cost: (cost.size, cost.cluster))


def _spans(jobs: Iterable[JobSummary]) -> dict[str, tuple[datetime, datetime, int, str | None]]:
    spans: dict[str, list[JobSummary]] = defaultdict(list)
    for job in jobs:
        if job.start is not None and job.end is not None and job.size:
            spans[job.cluster].append(job)
    return {
        cluster: (
            min(job.start.at for job in found if job.start),
            max(job.end.at for job in found if job.end),
            found[0].size or 0,
            found[0].run,
        )
        for cluster, found in spans.items()
    }
