"""The job controller: pods of Indexed (and plain) Jobs made, counted, replaced, and the job brought to its end.

Source: kubernetes ``pkg/controller/job/job_controller.go``. What makes large jobs slow is here: every pod costs
requests, and the controller's client sends only some 20 a second.
"""

from typing import Any

from pullstudy.sim.api import pods
from pullstudy.sim.api.apiserver import ApiServer, owner_of
from pullstudy.sim.api.resources import JOBS, PODS
from pullstudy.sim.control.job_worker import JobWorker
from pullstudy.sim.events.recorder import Recorder
from pullstudy.sim.model.parameters import ControlPlaneSettings
from pullstudy.sim.time.token_bucket import TokenBucket

Json = dict[str, Any]


class JobController:
    def __init__(self, api: ApiServer, recorder: Recorder, settings: ControlPlaneSettings, minor: int) -> None:
        """``minor`` is the Kubernetes version's: from 1.31 on a job that succeeds says first why."""
        self.api = api
        self.recorder = recorder
        self.settings = settings
        self.minor = minor
        self.requests = TokenBucket(settings.controller_qps, settings.controller_burst)
        self._jobs: dict[str, JobWorker] = {}
        api.listen(JOBS, self._job_changed)
        api.listen(PODS, self._pod_changed)

    def _job_changed(self, kind: str, job: Json) -> None:
        uid = job["metadata"]["uid"]
        if kind == "ADDED":
            self._jobs[uid] = JobWorker(self, job)
        elif kind == "DELETED" or "deletionTimestamp" in job["metadata"]:
            worker = self._jobs.pop(uid, None)
            if worker is not None:
                worker.stop()

    def _pod_changed(self, kind: str, pod: Json) -> None:
        owner = owner_of(pod)
        if owner is None or owner["kind"] != "Job":
            return
        worker = self._jobs.get(owner["uid"])
        if worker is not None:
            worker.pod_changed(kind, pod)
        elif kind != "DELETED" and pods.is_terminating(pod):
            # Its job is gone: the mark that was to keep it until it is counted holds nothing any more.
            self.release_later(pod)

    def release_later(self, pod: Json) -> None:
        if pods.TRACKING_FINALIZER in pod["metadata"].get("finalizers", ()):
            at = self.requests.reserve(self.api.clock.now)
            self.api.clock.call_at(at, lambda: pods.drop_finalizer(self.api, pod))
