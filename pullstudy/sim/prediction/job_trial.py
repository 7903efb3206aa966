"""One job by the model alone: the pulls of its pods and its makespan, as the simulator would have them.

The simulator keeps objects, events and watches beside. Here is only what decides when something happens, by the same
chances and the same end of a pull. A test holds the two against each other.
"""

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pullstudy.sim.model.disk import Disk
from pullstudy.sim.model.parameters import ControlPlaneSettings, KubeletTimes, ModelParameters
from pullstudy.sim.model.pull_model import Missing, PullChances, finish, node_volume
from pullstudy.sim.model.request_limit import RequestLimit
from pullstudy.sim.prediction.transfers import Transfers, transfers
from pullstudy.sim.time.token_bucket import TokenBucket

REFUSAL_SECONDS = 0.4  # until a refusal is there, and the kubelet looks again once its back-off is over


@dataclass(frozen=True, slots=True)
class PodTrial:
    """Seconds: of the pull, and since the job's creation until its container starts and its end is reported."""

    pull_seconds: float
    started_at: float
    ended_at: float


class ClusterTrial:
    """Jobs on one cluster of a pod a node, its nodes idle and their disks clean before each."""

    def __init__(self, parameters: ModelParameters, nodes: int, source: random.Random) -> None:
        self._parameters = parameters
        self._nodes = nodes
        self._random = source
        self._chances = PullChances(parameters, source, source)
        self._volumes = [node_volume(parameters, source) for _ in range(nodes)]
        self._jobs = 0

    def job(self, missing: Missing) -> "JobTrial":
        """Of all pods."""
        requests = bucket_of(self._parameters.control)
        bound = bound_at(self._parameters.control, requests, self._nodes)
        pods, came, refused = self._pods(self._parameters, missing, bound)
        return JobTrial(self._parameters, pods, came, requests, refused)

    def some_pulls(self, missing: Missing, pods: int) -> list[float]:
        """The pull seconds of so many of the job's pods, evenly among them, which share as much less of the egress."""
        control, registry = self._parameters.control, self._parameters.registry
        bound = bound_at(control, bucket_of(control), self._nodes)
        chosen = [bound[place * self._nodes // pods] for place in range(pods)]
        egress = registry.egress_bytes_per_second * pods / self._nodes
        parameters = replace(self._parameters, registry=replace(registry, egress_bytes_per_second=egress))
        return [pod.pull_seconds for pod in self._pods(parameters, missing, chosen)[0]]

    def _pods(
        self, parameters: ModelParameters, missing: Missing, bound: Sequence[float]
    ) -> tuple[list[PodTrial], Transfers, int]:
        """And their downloads, and how many pulls were refused."""
        registry, times = parameters.registry, parameters.times
        self._jobs += 1
        begun, refused = self._admitted([at + _sandbox_seconds(times, self._random) for at in bound])
        chances = [self._chances.draw(1.0, str(self._jobs)) for _ in bound]
        resolved = [at + registry.resolve_seconds * chance.requests for at, chance in zip(begun, chances, strict=True)]
        wanted = [(at, missing.compressed_bytes * chance.link) for at, chance in zip(resolved, chances, strict=True)]
        came = transfers(wanted, registry.egress_bytes_per_second, parameters.network.bytes_per_second)
        found = []
        pulls = zip(begun, resolved, came.ends, chances, self._volumes, strict=False)  # of some pods: some nodes
        for begin, resolved_at, downloaded_at, chance, volume in pulls:
            disk, end = Disk(volume), resolved_at
            if registry.streamed_seconds is not None:
                end = begin + registry.streamed_seconds * chance.requests
            elif missing.layers:
                pauses = self._chances.pauses(1.0)
                end = finish(parameters, missing, disk, chance, resolved_at, downloaded_at, pauses)
            found.append(self._ran(times, disk, begin, end))
        return found, came, refused

    def _admitted(self, wanted: Sequence[float]) -> tuple[list[float], int]:
        """When each pull begins that the registry does not refuse, and how many it refused: the kubelet tries again."""
        limit, kubelet = RequestLimit(self._parameters.registry), self._parameters.kubelet
        begun, refused = list(wanted), 0
        waiting = [(at, pod, kubelet.back_off_seconds) for pod, at in enumerate(wanted)]
        heapq.heapify(waiting)
        while waiting:
            at, pod, pause = heapq.heappop(waiting)
            begun[pod] = at
            if limit.refuses(at):
                refused += 1
                again_at = at + REFUSAL_SECONDS + pause
                heapq.heappush(waiting, (again_at, pod, min(2 * pause, kubelet.back_off_max_seconds)))
        return begun, refused

    def _ran(self, times: KubeletTimes, disk: Disk, begun: float, pulled: float) -> PodTrial:
        busy, factor = disk.busy_at(pulled), self._random.uniform(0.8, 1.25)
        create = times.busy_create_seconds if busy else times.create_seconds
        start = times.busy_start_seconds if busy else times.start_seconds
        started = pulled + (create + start) * factor
        ended = disk.clean_at(started) + times.end_seconds + self._random.random() * times.relist_seconds
        return PodTrial(pulled - begun, started, ended)


class JobTrial:
    """One job that is over."""

    def __init__(
        self,
        parameters: ModelParameters,
        pods: Sequence[PodTrial],
        transfers: Transfers,
        requests: TokenBucket,
        refused: int,
    ) -> None:
        """``requests`` are the job controller's, which made the pods; ``refused`` pulls were begun again."""
        self.transfers = transfers
        self.refused = refused
        self.pull_seconds = sorted(pod.pull_seconds for pod in pods)
        self.makespan_seconds = _completed_at(parameters, requests, pods)


def bucket_of(control: ControlPlaneSettings) -> TokenBucket:
    """The job controller's, of requests."""
    return TokenBucket(control.controller_qps, control.controller_burst)


def bound_at(control: ControlPlaneSettings, requests: TokenBucket, pods: int) -> list[float]:
    """When each pod has its node: the controller makes them in batches of 1, 2, 4, ..., the scheduler one by one."""
    begun, free_at = control.api_seconds, 0.0
    found = []
    for position in range(pods):
        allowed = max(requests.reserve(begun) for _ in range(control.job_calls_per_pod))
        created = allowed + (position + 1).bit_length() * control.api_seconds
        free_at = max(created, free_at) + 1 / control.scheduler_pods_per_second
        found.append(free_at)
    return found


def _sandbox_seconds(times: KubeletTimes, source: random.Random) -> float:
    seconds = times.sandbox_seconds * max(0.9, source.gauss(1.0, times.sandbox_sigma))
    if source.random() < times.slow_sandbox_probability:
        seconds += times.slow_sandbox_seconds * source.random() * 1.5
    return seconds


def _completed_at(parameters: ModelParameters, requests: TokenBucket, pods: Sequence[PodTrial]) -> float:
    """The controller looks a while after a change, takes the mark off each pod that has ended, and then counts them."""
    control, status = parameters.control, parameters.times.status_seconds
    changes = sorted([(pod.started_at + status, 0) for pod in pods] + [(pod.ended_at, 1) for pod in pods])
    look_at, ended, completed = 0.0, 0, 0.0
    for at, ends in [*changes, (math.inf, 0)]:
        if at > look_at:
            for _ in range(ended * control.job_calls_per_pod):
                completed = max(completed, requests.reserve(look_at) + control.api_seconds)
            look_at, ended = at + control.job_sync_seconds, 0
        ended += ends
    return completed
