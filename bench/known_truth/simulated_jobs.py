"""Jobs on a simulated cluster, with the moments that events tell, and without the server and the stores between."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

import msgspec

from pullstudy.sim.api import admission
from pullstudy.sim.api.resources import EVENTS, JOBS, PODS
from pullstudy.sim.calibration.experiment import NAMESPACE, job_manifest
from pullstudy.sim.cluster import ClusterSettings, SimCluster

REPOSITORY = "ghcr.io/converged-computing/container-chonks-run1"
LAYERS = (9, 125)
BYTES = (1_176_249_324, 2_770_722_493, 6_836_726_027, 10_902_729_561, 14_968_733_095, 19_034_736_629)
# What real pulls and clusters differ by (docs/known-truth.md). Jobs and nodes differ by nothing else.
SPREAD = {"pull_sigma": 0.08, "cluster_sigma": 0.05, "job_sigma": 0.0, "node_sigma": 0.0}

Json = dict[str, Any]


def image_of(layers: int, size_bytes: int) -> str:
    return f"{REPOSITORY}:{layers}-layers-size-{size_bytes}-bytes"


IMAGES = tuple(image_of(layers, size) for layers in LAYERS for size in BYTES)  # those of the built-in study


@dataclass(frozen=True, slots=True)
class SimulatedPod:
    """Seconds of the cluster's clock, to the microsecond as the names of events have them."""

    node: str
    scheduled: float
    pulling: float
    pulled: float
    started: float
    finished: float  # to the second, by the pod's status
    pull_seconds: float  # by the kubelet


@dataclass(frozen=True, slots=True)
class SimulatedJob:
    cluster: str
    size: int
    image: str
    repeat: int
    created: float
    completed: float
    pods: tuple[SimulatedPod, ...]

    @property
    def makespan_seconds(self) -> float:
        return self.completed - self.created


def simulated_jobs(cluster: SimCluster, images: Iterable[str], repeats: int = 1) -> Iterator[SimulatedJob]:
    """Each image ``repeats`` times, cold: job created, waited for, deleted, caches cleared."""
    numbers = count(1)
    for repeat in range(1, repeats + 1):
        for image in images:
            yield _run(cluster, f"job-{next(numbers)}", image, repeat)


def simulated_study(
    settings: Iterable[ClusterSettings], images: Iterable[str] = IMAGES, repeats: int = 1
) -> list[SimulatedJob]:
    """The same on several clusters, as a study of several sizes is."""
    images = tuple(images)
    return [job for each in settings for job in simulated_jobs(SimCluster(each), images, repeats)]


def _run(cluster: SimCluster, name: str, image: str, repeat: int) -> SimulatedJob:
    clock, api, size = cluster.clock, cluster.api, cluster.settings.nodes
    created = clock.now
    manifest = admission.admit_job(job_manifest(name, size, image), NAMESPACE, cluster.identities)
    job = api.create(JOBS, manifest)
    _run_until(cluster, lambda: "completionTime" in job["status"])
    completed = clock.now
    pods = tuple(_pods(cluster, name))
    cluster.events.lapse(0.0)
    cluster.garbage.delete_job(job, "Foreground")
    _run_until(cluster, lambda: not api.exists(JOBS, job))
    cluster.fleet.clear_caches(None)
    return SimulatedJob(cluster.settings.name, size, image, repeat, created, completed, pods)


def _pods(cluster: SimCluster, job: str) -> Iterator[SimulatedPod]:
    """Of each pod the last moment of its kind, by the nanoseconds in its event's name."""
    zero = cluster.clock.unix_ns() - round(cluster.clock.now * 1e9)
    times: dict[str, dict[str, float]] = {}
    for entry in cluster.history.entries(EVENTS):
        event: Json = msgspec.json.decode(entry.data)
        nanoseconds = int(event["metadata"]["name"].rpartition(".")[2], 16)
        times.setdefault(event["involvedObject"]["name"], {})[event["reason"]] = (nanoseconds - zero) / 1e9
    ends = dict(_ends(cluster, job))
    for row in cluster.truth.rows(job=job, outcome="pulled"):
        found = times[row["pod"]]
        yield SimulatedPod(
            node=row["node"],
            scheduled=found["Scheduled"],
            pulling=found["Pulling"],
            pulled=found["Pulled"],
            started=found["Started"],
            finished=ends[row["pod"]] - zero / 1e9,
            pull_seconds=row["pull_seconds"],
        )


def _ends(cluster: SimCluster, job: str) -> Iterator[tuple[str, float]]:
    """Unix seconds."""
    for pod in cluster.api.all(PODS).values():
        if pod["metadata"]["labels"].get("job-name") == job:
            (container,) = pod["status"]["containerStatuses"]
            stamp = container["state"]["terminated"]["finishedAt"]
            yield pod["metadata"]["name"], datetime.fromisoformat(stamp).timestamp()


def _run_until(cluster: SimCluster, done: Any) -> None:
    while not done():
        due = cluster.clock.next_of_any()
        assert due is not None
        cluster.clock.run_next(due)
