"""Studies made by hand: every time is chosen, so that every figure is known beforehand."""

import json
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pullstudy.analysis.reading.study import opened_study
from pullstudy.analysis.timelines.assembly import timelines_of
from pullstudy.analysis.timelines.job_summary import JobSummary, summary_of
from pullstudy.analysis.timelines.timeline import JobTimeline
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.image import parse_image
from pullstudy.pulls.milestone import CONTROL_PLANE, Milestone, Moment, Witness
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.pulls.witness import PodWitness
from pullstudy.store.embedded.ledger import Audit, ClusterRow, ClusterState, JobRow, JobState, Ledger, NodeCache, Run
from pullstudy.store.embedded.schema import FILE_NAME
from pullstudy.store.embedded.store import EmbeddedStore

ZERO = datetime(2026, 1, 2, 3, 0, 0, tzinfo=UTC)
REPOSITORY = "ghcr.io/converged-computing/container-chonks-run1"
RUN = "run-1"
MICROSECOND = 1e-6
STUDY = {"cluster": {"price": {"per_node_hour": 0.6, "currency": "USD"}}, "name": "hand-made"}


def image_of(layers: int = 9, size: int = 1_000_000_000) -> str:
    return f"{REPOSITORY}:{layers}-layers-size-{size}-bytes"


def at(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


def timelines_in(directory: Path) -> list[JobTimeline]:
    """Of all jobs, in order of size, cluster and start."""
    with opened_study(directory) as records:
        jobs = [(job, summary_of(job)) for group in records.jobs() for job in timelines_of(group)]
    return [job for job, _ in sorted(jobs, key=lambda pair: pair[1].order)]


def summaries_in(directory: Path) -> list[JobSummary]:
    """The same, folded."""
    return [summary_of(job) for job in timelines_in(directory)]


@dataclass
class HandMade:
    """What a study shall hold; ``write`` puts it into a directory."""

    cluster: str = "c-4"
    size: int = 4
    pulls: list[PullRecord] = field(default_factory=list)
    milestones: list[Milestone] = field(default_factory=list)
    jobs: list[JobRow] = field(default_factory=list)
    caches: list[NodeCache] = field(default_factory=list)
    pods: list[PodWitness] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)
    environment: dict[str, object] | None = None
    serial: int = 0

    def uid(self) -> str:
        self.serial += 1
        return f"{self.cluster}-{self.serial:06d}"

    def pull(self, job: str | None, pod: str, image: str, seconds: float | None = 1.0, **changes: object) -> PullRecord:
        """A pull that ended at ``changes['finished']`` seconds (default: as long as it took)."""
        finished = float(changes.pop("finished", seconds or 0.0))  # type: ignore[arg-type]
        reference = parse_image(image)
        fields: dict[str, object] = {
            "cluster": self.cluster,
            "run": RUN,
            "size": self.size,
            "node": "node-0",
            "namespace": "default",
            "job": job,
            "pod": pod,
            "pod_uid": f"uid-{self.cluster}-{pod}",
            "container": "pull",
            "image": image,
            "repository": reference.repository,
            "tag": reference.tag,
            "outcome": Outcome.PULLED,
            "finished_at": at(finished),
            "pull_seconds": seconds,
            "waiting_seconds": 0.0 if seconds is not None else None,
            "count": 1,
            "event_uid": self.uid(),
        }
        record = PullRecord(**{**fields, **changes})  # type: ignore[arg-type]
        self.pulls.append(record)
        return record

    def mark(self, job: str, pod: str | None, moment: Moment, seconds: float, **changes: object) -> Milestone:
        """A milestone at ``seconds``: of the kubelet for a container's moments, else of the control plane."""
        of_container = moment in (Moment.PULLING, Moment.PULLED, Moment.CREATED, Moment.STARTED, Moment.FINISHED)
        node = changes.pop("node", "node-0")
        fields: dict[str, object] = {
            "cluster": self.cluster,
            "run": RUN,
            "size": self.size,
            "node": node if of_container or moment is Moment.SCHEDULED else None,
            "namespace": "default",
            "job": job,
            "pod": pod,
            "pod_uid": f"uid-{self.cluster}-{pod}" if pod else None,
            "container": "pull" if of_container else None,
            "moment": moment,
            "at": at(seconds),
            "resolution_seconds": MICROSECOND,
            "witness": Witness.EVENT_NAME,
            "clock": node if of_container else CONTROL_PLANE,
            "count": 1,
            "event_uid": self.uid(),
        }
        milestone = Milestone(**{**fields, **changes})  # type: ignore[arg-type]
        self.milestones.append(milestone)
        return milestone

    def life(self, job: str, pod: str, image: str, times: dict[Moment, float], **changes: object) -> None:
        """A pod's pull and all of its moments."""
        node = str(changes.get("node", "node-0"))
        for moment, seconds in times.items():
            self.mark(job, pod, moment, seconds, node=node)
        if Moment.PULLED in times:
            began = times.get(Moment.PULLING, times[Moment.PULLED])
            seconds = times[Moment.PULLED] - began
            self.pull(job, pod, image, seconds, finished=times[Moment.PULLED], **changes)

    def job(self, job: str, image: str, created: float, completed: float | None, **changes: object) -> JobRow:
        fields: dict[str, object] = {
            "job": job,
            "cluster": self.cluster,
            "run": RUN,
            "size": self.size,
            "image": image,
            "repeat": 1,
            "attempt": 1,
            "position": len(self.jobs),
            "cache_mode": "cold",
            "state": JobState.DONE,
            "created_at": at(created),
            "completed_at": at(completed) if completed is not None else None,
        }
        row = JobRow(**{**fields, **changes})  # type: ignore[arg-type]
        self.jobs.append(row)
        return row

    def cache(self, job: str, node: str, state: CacheState) -> None:
        self.caches.append(NodeCache(cluster=self.cluster, job=job, node=node, cache=state))

    def write(self, directory: Path, *, provider: str = "kubeconfig") -> None:
        store = EmbeddedStore(directory, create=True)
        store.write_now(Batch(pulls=tuple(self.pulls), milestones=tuple(self.milestones)))
        store.close_now()
        if not self.jobs:
            return
        ledger = Ledger(directory, create=True)
        ledger.begin(Run(run=RUN, provider=provider, study=json.dumps(STUDY), started_at=ZERO), [])
        ledger.put_cluster(
            ClusterRow(
                cluster=self.cluster,
                run=RUN,
                size=self.size,
                state=ClusterState.DOWN,
                environment=json.dumps(self.environment) if self.environment else None,
                created_at=ZERO,
                up_at=ZERO,
                down_at=at(3600),
            )
        )
        for row in self.jobs:
            ledger.put_job(row)
        ledger.put_node_caches(self.caches)
        ledger.put_pod_witnesses(self.pods)
        for audit in self.audits:
            ledger.put_audit(audit)
        ledger.close()


def synthetic_sweep(
    directory: Path,
    sizes: tuple[int, ...] = (2, 4),
    image_bytes: tuple[int, ...] = (1_000_000_000, 2_000_000_000),
    layer_counts: tuple[int, ...] = (9,),
    prefix: str = "sim-hand",
) -> None:
    """A sweep whose pulls take a second a 100 MB at every size, and whose pods are created 0.05 s apart."""
    for size in sizes:
        made = HandMade(cluster=f"{prefix}-{size}", size=size)
        made.environment = {"nodes": size, "kubelets": ["v1.34.4"], "instance_types": ["c5a.4xlarge"]}
        clock = 0.0
        for layers in layer_counts:
            for total in image_bytes:
                clock = _synthetic_job(made, image_of(layers, total), clock, size, total / 1e8) + 5.0
        made.write(directory, provider="sim")


def _synthetic_job(made: HandMade, image: str, begin: float, size: int, seconds: float) -> float:
    job = f"pull-{len(made.jobs)}-a1"
    last = begin
    for index in range(size):
        created = begin + 0.1 + 0.05 * index
        took = seconds * (1 + 0.01 * (index % 7))
        times = {
            Moment.POD_CREATED: created,
            Moment.SCHEDULED: created + 0.02,
            Moment.PULLING: created + 0.5,
            Moment.PULLED: created + 0.5 + took,
            Moment.CREATED: created + 0.6 + took,
            Moment.STARTED: created + 0.7 + took,
        }
        pod, node = f"{job}-{index}-xxxxx", f"node-{index}"
        made.life(job, pod, image, times, node=node, image_bytes=int(seconds * 1e6))
        made.cache(job, node, CacheState.COLD)
        finished = at(created + 1.7 + took).replace(microsecond=0)
        made.pods.append(
            PodWitness(
                cluster=made.cluster,
                job=job,
                pod=pod,
                pod_uid=f"uid-{made.cluster}-{pod}",
                container="pull",
                node=node,
                image=image,
                finished_at=finished,
            )
        )
        last = max(last, created + 2.5 + took)
    made.mark(job, None, Moment.JOB_COMPLETED, last)
    made.job(job, image, begin, last)
    made.audits.append(
        Audit(
            cluster=made.cluster,
            job=job,
            expected=size,
            events=size,
            pod_status=size,
            spooled=size,
            stored=size,
            recovered=0,
        )
    )
    return last


def ledger_alone(directory: Path, copy: Path) -> Path:
    """A study's directory as it is where its records are elsewhere: none in its file."""
    copy.mkdir(parents=True)
    with sqlite3.connect(directory / FILE_NAME) as source, sqlite3.connect(copy / FILE_NAME) as target:
        source.backup(target)
        for table in ("pull_records", "milestone_records", "rejects", "gaps"):
            target.execute(f"DELETE FROM {table}")
    source.close()
    target.close()
    return copy
