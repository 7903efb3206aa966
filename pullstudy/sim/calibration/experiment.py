"""A study run on a simulated cluster without a server: for calibration, and for anyone who wants numbers quickly."""

from dataclasses import dataclass
from statistics import median
from typing import Any

from pullstudy.sim.api import admission
from pullstudy.sim.api.resources import JOBS, PODS
from pullstudy.sim.cluster import ClusterSettings, SimCluster

Json = dict[str, Any]

NAMESPACE = "default"


@dataclass(frozen=True)
class JobRun:
    """One job: seconds of virtual time. ``tail_seconds`` lie between the last container's start and the job's end."""

    image: str
    pull_seconds: tuple[float, ...]
    tail_seconds: float
    makespan_seconds: float
    deletion_seconds: float

    @property
    def median_pull_seconds(self) -> float:
        return median(self.pull_seconds)

    @property
    def wall_seconds(self) -> float:
        return self.makespan_seconds + self.deletion_seconds


def job_manifest(name: str, size: int, image: str) -> Json:
    """As the study's: Indexed, one pod a node."""
    term = {"labelSelector": {"matchLabels": {"job-name": name}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    containers = [{"name": "pull", "image": image, "command": ["true"]}]
    template = {"spec": {"restartPolicy": "Never", "affinity": affinity, "containers": containers}}
    spec = {"completions": size, "parallelism": size, "completionMode": "Indexed", "template": template}
    return {"metadata": {"name": name}, "spec": spec}


def run_study(settings: ClusterSettings, images: list[str]) -> list[JobRun]:
    """Each image once, cold: job created, waited for, deleted as by the driver and kubectl, caches cleared.

    The pods of a deleted job go while the next one runs.
    """
    cluster = SimCluster(settings)
    return [_run_job(cluster, f"job-{position}", image) for position, image in enumerate(images)]


def _run_job(cluster: SimCluster, name: str, image: str) -> JobRun:
    clock, api = cluster.clock, cluster.api
    started: list[float] = []
    seen: set[str] = set()

    def note_start(_: str, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        if pod["status"]["phase"] == "Running" and uid not in seen:
            seen.add(uid)
            started.append(clock.now)

    api.listen(PODS, note_start)
    begun = clock.now
    manifest = admission.admit_job(job_manifest(name, cluster.settings.nodes, image), NAMESPACE, cluster.identities)
    job = api.create(JOBS, manifest)
    _run_until(cluster, lambda: "completionTime" in job["status"])
    completed = clock.now
    cluster.garbage.delete_job(job, "Background")
    _run_until(cluster, lambda: not api.exists(JOBS, job))
    cluster.fleet.clear_caches(None)
    pulls = tuple(row["pull_seconds"] for row in cluster.truth.rows(job=name, outcome="pulled"))
    return JobRun(image, pulls, completed - max(started), completed - begun, clock.now - completed)


def _run_until(cluster: SimCluster, done: Any) -> None:
    while not done():
        due = cluster.clock.next_of_any()
        assert due is not None
        cluster.clock.run_next(due)
