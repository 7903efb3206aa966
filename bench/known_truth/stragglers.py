"""Nodes that are slow by order, and what the product says of them and of their pulls."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product

from bench.known_truth.simulated_jobs import SPREAD, SimulatedJob, SimulatedPod, image_of, simulated_jobs
from bench.known_truth.trial import Trial
from pullstudy.analysis.findings.finding import Verdict
from pullstudy.analysis.findings.stragglers import Stragglers
from pullstudy.analysis.timelines.timeline import ContainerTimeline, JobTimeline, Timestamp
from pullstudy.pulls.milestone import Moment, Witness
from pullstudy.sim.cluster import ClusterSettings, SimCluster
from pullstudy.sim.model.parameters import EKS, override

SIZES = (4, 8, 16, 64, 256)
FACTORS = (1.0, 1.5, 2.0)
SHARE = 0.0625  # of the nodes, one at least
SEEDS = {4: 20, 8: 20, 16: 10, 64: 4, 256: 2}
# Larger ones wait for the volume and are as slow on every node.
IMAGES = tuple(image_of(layers, size) for layers in (9, 125) for size in (1_176_249_324, 2_770_722_493))
ZERO = datetime(2026, 1, 1, tzinfo=UTC)


def trials(sizes: Sequence[int] = SIZES) -> Iterator[Trial]:
    for size, factor in product(sizes, FACTORS):
        for seed in range(SEEDS[size]):
            yield from study_trials(size, factor, seed)


def study_trials(size: int, factor: float, seed: int) -> Iterator[Trial]:
    """Each node and each pull of a study is one trial: on nodes that are slow by this factor, and on the others."""
    # Stragglers of the simulator's own are slow for no reason that a truth could name.
    parameters = override(EKS, {"spread": SPREAD, "stragglers": {"probability": 0.0}})
    cluster = SimCluster(ClusterSettings(f"sim-{size}", size, seed, parameters=parameters))
    share = max(SHARE, 1 / size)
    slow = set(cluster.slow_down(None, share, factor)) if factor > 1 else set()
    found = Stragglers()
    jobs = [timeline(job) for job in simulated_jobs(cluster, IMAGES)]
    for job in jobs:
        found.add(job)
    named = {each.node for each in found.findings() if each.verdict is Verdict.YES and each.subject == each.node}
    nodes = {container.node for job in jobs for container in job.containers}
    yield from (_trial("node", size, factor, node in slow, node in named) for node in sorted(filter(None, nodes)))
    late = {(spread.job, each.pod) for spread in found.spreads for each in spread.stragglers}
    for job in jobs:
        for pod in job.containers:
            yield _trial("pull", size, factor, pod.node in slow, (job.job, pod.pod) in late)


def _trial(what: str, size: int, factor: float, slow: bool, said: bool) -> Trial:
    truth = f"{what}, {factor:g} times slow" if slow else f"{what}, ordinary"
    right = (True if said else None) if slow else not said
    return Trial("straggler", f"{truth}, {size} nodes", "slow" if said else "nothing", right)


def timeline(job: SimulatedJob) -> JobTimeline:
    """As the product puts it together from events."""
    times = {Moment.JOB_CREATED: _at(job.created), Moment.JOB_COMPLETED: _at(job.completed)}
    return JobTimeline(
        cluster=job.cluster,
        run="run1",
        size=job.size,
        namespace="default",
        job=f"{job.image} {job.repeat}",
        number=1,
        image=job.image,
        images=(job.image,),
        repeat=job.repeat,
        times=times,
        containers=tuple(_container(job.image, place, pod) for place, pod in enumerate(job.pods)),
    )


def _container(image: str, place: int, pod: SimulatedPod) -> ContainerTimeline:
    moments = {
        Moment.SCHEDULED: pod.scheduled,
        Moment.PULLING: pod.pulling,
        Moment.PULLED: pod.pulled,
        Moment.STARTED: pod.started,
    }
    times = {moment: _at(seconds) for moment, seconds in moments.items()}
    return ContainerTimeline(f"pod-{place}", "pull", pod.node, image, "cold", times)


def _at(seconds: float) -> Timestamp:
    return Timestamp(ZERO + timedelta(seconds=seconds), 1e-6, Witness.EVENT_NAME, "node")
