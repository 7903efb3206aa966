"""One job: its pods started in batches, counted as they end, replaced where they fail, and the job brought to its end.

Source: kubernetes ``pkg/controller/job/job_controller.go``.
"""

import math
from functools import partial
from typing import Any, Protocol

from pullstudy.sim.api import pods
from pullstudy.sim.api.apiserver import ApiServer, reference
from pullstudy.sim.api.resources import JOBS, PODS
from pullstudy.sim.control import job_pods, job_status
from pullstudy.sim.events.recorder import Recorder
from pullstudy.sim.model.parameters import ControlPlaneSettings
from pullstudy.sim.time.clock import Timer, Urgency
from pullstudy.sim.time.token_bucket import TokenBucket

Json = dict[str, Any]

DEFAULT_BACKOFF_LIMIT = 6
RETRY_SECONDS = 10.0  # doubling with each failure of the job
RETRY_MAX_SECONDS = 600.0


class Controller(Protocol):
    """What a job needs of its controller."""

    api: ApiServer
    recorder: Recorder
    settings: ControlPlaneSettings
    requests: TokenBucket
    minor: int

    def release_later(self, pod: Json) -> None: ...


class JobWorker:
    """One job from its creation to its end. ``index`` is the completion index; plain jobs just number their pods."""

    def __init__(self, controller: Controller, job: Json) -> None:
        self._c = controller
        self._job = job
        spec = job["spec"]
        self._indexed = spec.get("completionMode") == "Indexed"
        self._completions: int = spec.get("completions") or spec.get("parallelism") or 1
        self._parallelism: int = spec["parallelism"]
        self._active: dict[str, int] = {}  # pod uid to index
        self._running: set[str] = set()  # of the active
        self._pods: dict[str, Json] = {}
        self._ended: dict[str, Json] = {}  # seen to have ended, not yet looked at
        self._counting: set[str] = set()  # seen to have ended, not yet counted
        self._succeeded: set[int] = set()
        self._failures = 0
        self._index_failures: dict[int, int] = {}
        self._failed_indexes: set[int] = set()
        self._to_start = list(range(self._completions))
        self._planned = 0
        self._finished = False
        self._sync_timer: Timer | None = None
        self._timers: list[Timer] = []
        self._begin()

    def _begin(self) -> None:
        clock, spec = self._c.api.clock, self._job["spec"]
        self._at(clock.now + self._c.settings.api_seconds, self._first_sync)
        if seconds := spec.get("activeDeadlineSeconds"):
            text = "Job was active longer than specified deadline"
            self._at(clock.now + seconds, lambda: self._fail("DeadlineExceeded", text), Urgency.PATIENT)

    def _at(self, when: float, step: Any, urgency: Urgency = Urgency.FOREGROUND) -> Timer:
        timer = self._c.api.clock.call_at(when, step, urgency)
        self._timers = [*(t for t in self._timers if t.pending), timer] if urgency else self._timers
        return timer

    def stop(self) -> None:
        """The job is gone or done: nothing planned has an effect."""
        self._finished = True
        for timer in self._timers:
            timer.cancel()

    def _first_sync(self) -> None:
        if self._finished:
            return
        self._job["status"]["startTime"] = self._c.api.clock.stamp()
        self._launch()
        self._write_status()

    def _launch(self) -> None:
        """Start what parallelism allows, in batches of 1, 2, 4, ... as the controller does."""
        clock = self._c.api.clock
        position = 0
        while self._to_start and len(self._active) + self._planned < self._parallelism:
            index = self._to_start.pop(0)
            rounds = int(math.log2(position + 1)) + 1
            allowed = max(self._c.requests.reserve(clock.now) for _ in range(self._c.settings.job_calls_per_pod))
            self._planned += 1
            position += 1
            self._at(allowed + rounds * self._c.settings.api_seconds, partial(self._create, index))

    def _create(self, index: int) -> None:
        if self._finished:
            return
        self._planned -= 1
        pod = self._c.api.create(PODS, job_pods.new_pod(self._job, index, self._c.api.identities))
        text = f"Created pod: {pod['metadata']['name']}"
        self._c.recorder.record(reference(JOBS, self._job), "Normal", "SuccessfulCreate", text)

    def pod_changed(self, kind: str, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        if kind == "ADDED":
            self._pods[uid] = pod
            self._active[uid] = self._index_of(pod)
        elif uid in self._active and (kind == "DELETED" or pods.is_terminal(pod) or pods.is_terminating(pod)):
            if uid not in self._counting:
                self._counting.add(uid)
                self._ended[uid] = pod
                self._sync_soon()
        elif pod["status"]["phase"] == "Running":
            self._sync_soon()
        if kind == "DELETED":
            self._pods.pop(uid, None)
        if uid in self._active and kind != "DELETED" and pods.is_running(pod):
            self._running.add(uid)
        else:
            self._running.discard(uid)

    def _index_of(self, pod: Json) -> int:
        text = (pod["metadata"].get("annotations") or {}).get(pods.INDEX_KEY)
        return int(text) if text is not None else len(self._succeeded) + len(self._active)

    def _sync_soon(self) -> None:
        if self._sync_timer is None and not self._finished:
            at = self._c.api.clock.now + self._c.settings.job_sync_seconds
            self._sync_timer = self._at(at, self._sync)

    def _sync(self) -> None:
        """Count what has ended: the marks come off first, each by a request of its own, then the status is written."""
        self._sync_timer = None
        if self._finished:
            return
        now = self._c.api.clock.now
        ended, self._ended = self._ended, {}
        marked = [pod for pod in ended.values() if pods.TRACKING_FINALIZER in pod["metadata"].get("finalizers", ())]
        done_at = now
        for pod in marked:
            at = max(self._c.requests.reserve(now) for _ in range(self._c.settings.job_calls_per_pod))
            done_at = max(done_at, at + self._c.settings.api_seconds)
            self._c.api.clock.call_at(at, partial(pods.drop_finalizer, self._c.api, pod))
        self._at(done_at, lambda: self._count(list(ended)))

    def _count(self, uids: list[str]) -> None:
        if self._finished:
            return
        retry = []
        for uid in uids:
            index = self._active.pop(uid)
            self._running.discard(uid)
            self._counting.discard(uid)
            pod = self._pods.get(uid)
            if pod is not None and pod["status"]["phase"] == "Succeeded":
                self._succeeded.add(index)
            else:
                self._failures += 1
                retry.append(index)
                self._index_failures[index] = self._index_failures.get(index, 0) + 1
        self._judge(retry)

    def _judge(self, retry: list[int]) -> None:
        spec = self._job["spec"]
        if (per_index := spec.get("backoffLimitPerIndex")) is not None:
            self._failed_indexes |= {i for i in retry if self._index_failures[i] > per_index}
            retry = [i for i in retry if i not in self._failed_indexes]
        elif self._failures > spec.get("backoffLimit", DEFAULT_BACKOFF_LIMIT):
            self._fail("BackoffLimitExceeded", "Job has reached the specified backoff limit")
            return
        if len(self._succeeded) == self._completions:
            self._complete()
        elif len(self._succeeded) + len(self._failed_indexes) == self._completions:
            self._fail("FailedIndexes", "Job has failed indexes")
        else:
            self._replace(retry)
            self._write_status()

    def _replace(self, retry: list[int]) -> None:
        if retry:
            pause = min(RETRY_SECONDS * 2 ** (self._failures - 1), RETRY_MAX_SECONDS)

            def again() -> None:
                self._to_start[:0] = retry
                self._launch()

            self._at(self._c.api.clock.now + pause, again, Urgency.PATIENT)
        self._launch()

    def _complete(self) -> None:
        self._close("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
        self._job["status"]["completionTime"] = self._c.api.clock.stamp()
        self._write_status()
        self._c.recorder.record(reference(JOBS, self._job), "Normal", "Completed", "Job completed")

    def _fail(self, reason: str, text: str) -> None:
        if self._finished:
            return
        self._close("Failed", reason, text)
        self._write_status()
        self._c.recorder.record(reference(JOBS, self._job), "Warning", reason, text)
        for uid in list(self._active):
            pod = self._pods.get(uid)
            if pod is not None:
                pods.request_deletion(self._c.api, pod)
                self._c.release_later(pod)
        self._active.clear()

    def _close(self, kind: str, reason: str, text: str) -> None:
        self.stop()
        api, job = self._c.api, self._job
        job["status"]["conditions"] = job_status.final_conditions(kind, reason, text, api.clock.stamp(), self._c.minor)
        if (ttl := job["spec"].get("ttlSecondsAfterFinished")) is not None:
            api.clock.call_later(ttl, lambda: api.delete(JOBS, job), Urgency.BACKGROUND)

    def _write_status(self) -> None:
        tally = job_status.JobCounts(
            active=0 if self._finished else len(self._active),
            ready=0 if self._finished else len(self._running),
            succeeded=self._succeeded,
            failures=self._failures,
            failed_indexes=self._failed_indexes,
        )
        job_status.write(self._job, tally, self._indexed)
        self._c.api.update(JOBS, self._job)
