"""One job watched to its end: complete, failed, or ended early because it cannot end well."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec

from driver.clusters.cluster_api import ClusterApi
from driver.errors import LimitError, first_error
from driver.planning.study import Study
from driver.progress import JobTally
from pullstudy.kube.object_watch import Change
from pullstudy.kube.objects import Job
from pullstudy.polling import Sleep, ticks
from pullstudy.pulls.failure import FailureClass, classify
from pullstudy.pulls.pod import Pod
from pullstudy.pulls.witness import BACKOFF_REASON, FAILED_REASONS

STUCK_LOOKS = 4  # a time of limits.stuck_seconds
_NO_TROUBLE = frozenset(("", "ContainerCreating", "PodInitializing"))  # reasons for which any container waits at first


class Ending(StrEnum):
    """How the watch ended."""

    COMPLETE = "complete"
    FAILED = "failed"  # by the cluster's word: its deadline, too many failed pods
    HOPELESS = "hopeless"  # ended early by the driver: no attempt to pull can end otherwise
    STUCK = "stuck"  # ended early by the driver: a pod has no node, or a lost one


class JobEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a job. ``pods`` are their last known states, also of those that the cluster has deleted since."""

    ending: Ending
    job: Job
    pods: dict[str, Pod]  # by uid
    error: str | None = None


class JobWatch:
    """Follows the job and its pods on two watches until one of the endings is certain."""

    def __init__(
        self,
        api: ClusterApi,
        study: Study,
        job: Job,
        size: int,
        *,
        stall_seconds: float | None,
        tell: Callable[[JobTally], None] = lambda tally: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """``stall_seconds`` without any change is taken for a stuck cluster; None waits as long as the job may take."""
        self._study = study
        self._job = job
        self._size = size
        self._pods: dict[str, Pod] = {}
        self._deleted: set[str] = set()  # of them, by uid
        self._attempts: Counter[str] = Counter()  # failed attempts whose cause is hopeless, by pod uid
        self._states: Counter[str] = Counter()
        self._tell = tell
        limits = study.limits
        self._patience = stall_seconds or limits.job_seconds + limits.silence_seconds
        self._limit_is_stall = stall_seconds is not None
        self._timeout: asyncio.Timeout | None = None
        self._next_look = 0.0
        self._api = api
        self._sleep = sleep
        self._changes = 0
        self._end: asyncio.Future[tuple[Ending, str | None]] = asyncio.get_running_loop().create_future()

    async def run(self) -> JobEnd:
        """Raises LimitError, ApiError."""
        api, name = self._api, self._job.metadata.name
        named = ("fieldSelector", f"metadata.name={name}")
        try:
            with first_error():
                async with asyncio.timeout(self._patience) as self._timeout, asyncio.TaskGroup() as group:
                    watches: list[asyncio.Task[None]] = [
                        group.create_task(api.watch(api.jobs_path, named, Job, self._job_changed)),
                        group.create_task(api.watch(api.pods_path, api.pods_of(name), Pod, self._pod_changed)),
                    ]
                    if not self._limit_is_stall:
                        watches.append(group.create_task(self._look_for_stuck_pods()))
                    ending, error = await self._end
                    for watch in watches:
                        watch.cancel()
        except TimeoutError:
            raise LimitError(f"job {name}: no change for {self._patience:.0f} s, and no end") from None
        if ending is Ending.FAILED:
            error = "; ".join([error or "failed", *troubles(self._pods.values()), *await self._refusals()])
        return JobEnd(ending=ending, error=error, job=self._job, pods=self._pods)

    def _job_changed(self, change: Change[Job]) -> None:
        self._alive()
        self._job = change.object
        if change.deleted:
            self._finish(Ending.FAILED, "somebody deleted the job")
        for condition in change.object.status.conditions:
            if condition.true and condition.type == "Complete":
                self._finish(Ending.COMPLETE, None)
            elif condition.true and condition.type == "Failed":
                self._finish(Ending.FAILED, f"{condition.reason}: {condition.message}")

    def _pod_changed(self, change: Change[Pod]) -> None:
        self._alive()
        self._changes += 1
        pod, before = change.object, self._pods.get(change.object.metadata.uid)
        self._judge(before, pod)
        self._pods[pod.metadata.uid] = pod
        if before is not None:
            self._states[_state(before)] -= 1
        if change.deleted:
            self._deleted.add(pod.metadata.uid)
        else:
            self._states[_state(pod)] += 1
        self._tell(self.tally())

    async def _look_for_stuck_pods(self) -> None:
        period = self._study.limits.stuck_seconds / STUCK_LOOKS
        seen, quiet = -1, 0
        async for _ in ticks(period, sleep=self._sleep):
            quiet = quiet + 1 if self._changes == seen else 0
            seen = self._changes
            if quiet >= STUCK_LOOKS:
                lost = {node.metadata.name for node in await self._api.nodes() if not node.ready}
                stuck = [_say_stuck(pod, lost) for pod in self._living()]
                said = sorted(text for text in stuck if text) or await self._refusals()
                if said:
                    more = f" (and {len(said) - 1} more pods)" if len(said) > 1 else ""
                    self._finish(Ending.STUCK, f"stuck for {self._study.limits.stuck_seconds:.0f} s: {said[0]}{more}")

    def _living(self) -> list[Pod]:
        return [pod for uid, pod in self._pods.items() if uid not in self._deleted]

    async def _refusals(self) -> list[str]:
        """Why there are too few pods."""
        if len(self._living()) >= self._size:
            return []
        said = await self._api.pod_refusals(self._job.metadata.name)
        return [f"pods cannot be made: {said[-1]}"] if said else []

    def _judge(self, before: Pod | None, pod: Pod) -> None:
        """Count a failed attempt where a pod comes newly to wait for the reason of one."""
        reason, message = _waiting(pod)
        if reason not in FAILED_REASONS or (before is not None and _waiting(before) == (reason, message)):
            return
        cause = classify(f"{reason}: {message}")
        if not cause.hopeless:
            return
        self._attempts[pod.metadata.uid] += 1
        if self._attempts[pod.metadata.uid] >= self._study.run.hopeless_attempts:
            self._finish(Ending.HOPELESS, _say_hopeless(cause, pod, message))

    def tally(self) -> JobTally:
        return JobTally(self._size, self._states["started"], self._job.status.succeeded, self._states["failing"])

    def _alive(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._limit_is_stall and self._timeout is not None and now > self._next_look and not self._timeout.expired():
            self._next_look = now + self._patience / 10  # a change a millisecond need not move the alarm each time
            self._timeout.reschedule(now + self._patience)

    def _finish(self, ending: Ending, error: str | None) -> None:
        if not self._end.done():
            self._end.set_result((ending, error))


def _say_hopeless(cause: FailureClass, pod: Pod, message: str) -> str:
    image = pod.spec.containers[0].image if pod.spec.containers else "its image"
    return f"{cause}: {image} on node {pod.spec.node_name}: {message}"


def troubles(pods: Iterable[Pod]) -> list[str]:
    """What pods of a failed job say of themselves, each once: how many, what, and an example's node."""
    found: dict[str, list[Pod]] = {}
    for pod in pods:
        said = _say_trouble(pod)
        if said:
            found.setdefault(said, []).append(pod)
    return [
        f"{len(those)} {'pod' if len(those) == 1 else 'pods'} {said}{_on_node(those[0])}"
        for said, those in sorted(found.items(), key=lambda item: -len(item[1]))[:3]
    ]


def disrupted(pods: Iterable[Pod]) -> list[Pod]:
    """Those that were taken away, so that others had to take their place."""
    return sorted((pod for pod in pods if _say_disruption(pod)), key=lambda pod: pod.metadata.name)


def say_disrupted(pods: Iterable[Pod]) -> str | None:
    """A job that completed all the same is no clean repeat: what happened to the first of them."""
    found = disrupted(pods)
    if not found:
        return None
    more = f" (and {len(found) - 1} more pods)" if len(found) > 1 else ""
    return f"pod {found[0].metadata.name} {_say_disruption(found[0])}{_on_node(found[0])}{more}"


def _say_disruption(pod: Pod) -> str | None:
    """By a kubelet that was short of something, the eviction API, a taint, or the scheduler for a better pod."""
    if pod.status.reason:
        return f"ended as {pod.status.reason}: {pod.status.message}"
    disrupted = next((c for c in pod.status.conditions if c.type == "DisruptionTarget" and c.true), None)
    return f"was taken away ({disrupted.reason}): {disrupted.message}" if disrupted else None


def _say_trouble(pod: Pod) -> str | None:
    reason, message = _waiting(pod)
    unscheduled, disrupted = _unscheduled(pod), _say_disruption(pod)
    if disrupted:
        return disrupted
    if unscheduled:
        return f"without a node: {unscheduled}"
    if reason not in _NO_TROUBLE:
        return f"waiting with {reason}: {message}"
    if pod.spec.node_name and pod.status.phase == "Pending" and _state(pod) == "waiting":
        return "still without the image"
    return _say_exit(pod) or _say_running(pod)


def _say_running(pod: Pod) -> str | None:
    """A command that does not end, or a container that a webhook has put beside it."""
    running = [status.name for status in pod.status.container_statuses if status.state.running is not None]
    return f"still running {', '.join(running)}" if running else None


def _say_exit(pod: Pod) -> str | None:
    """That a command is not in the image is an end too: code 128, StartError."""
    for status in pod.status.container_statuses:
        ended = status.state.terminated
        if ended is not None and ended.exit_code:
            return f"ended with code {ended.exit_code} ({ended.reason})" + (
                f": {ended.message}" if ended.message else ""
            )
    return None


def _unscheduled(pod: Pod) -> str | None:
    found = (c for c in pod.status.conditions if c.type == "PodScheduled" and not c.true and c.reason)
    return next((f"{c.reason}: {c.message}" for c in found), None) if pod.spec.node_name is None else None


def _say_stuck(pod: Pod, lost: set[str]) -> str | None:
    if pod.status.phase in ("Succeeded", "Failed"):
        return None
    if pod.spec.node_name in lost:
        return f"pod {pod.metadata.name}: its node {pod.spec.node_name} is lost (not ready)"
    unscheduled = _unscheduled(pod)
    return f"pod {pod.metadata.name} has no node: {unscheduled}" if unscheduled else None


def _on_node(pod: Pod) -> str:
    return f" (node {pod.spec.node_name})" if pod.spec.node_name else ""


def _waiting(pod: Pod) -> tuple[str, str]:
    for status in pod.status.container_statuses:
        if status.state.waiting is not None:
            return status.state.waiting.reason, status.state.waiting.message
    return "", ""


def _state(pod: Pod) -> str:
    if any(status.image_id for status in pod.status.container_statuses):
        return "started"
    reason, _ = _waiting(pod)
    return "failing" if reason in FAILED_REASONS or reason == BACKOFF_REASON else "waiting"
