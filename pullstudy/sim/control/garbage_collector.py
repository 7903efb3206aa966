"""What goes when a job is deleted, and in which order: background, foreground and orphan propagation.

Source: kubernetes ``pkg/controller/garbagecollector``. Each pod costs a request of the collector's own limited client.
"""

from functools import partial
from typing import Any

from pullstudy.sim.api import pods
from pullstudy.sim.api.apiserver import ApiServer, owner_of
from pullstudy.sim.api.resources import JOBS, PODS
from pullstudy.sim.model.parameters import ControlPlaneSettings
from pullstudy.sim.time.clock import Urgency
from pullstudy.sim.time.token_bucket import TokenBucket

Json = dict[str, Any]

FOREGROUND_FINALIZER = "foregroundDeletion"


class GarbageCollector:
    def __init__(self, api: ApiServer, settings: ControlPlaneSettings) -> None:
        self._api = api
        self._requests = TokenBucket(settings.controller_qps, settings.controller_burst)
        self._calls_per_pod = settings.collector_calls_per_pod
        self._dependents: dict[str, dict[str, Json]] = {}  # owner's uid, pod's uid
        api.listen(PODS, self._pod_changed)
        api.listen(JOBS, self._job_changed)

    def delete_job(self, job: Json, policy: str) -> None:
        """Background, Foreground or Orphan."""
        dependents = self._dependents.get(job["metadata"]["uid"], {})
        if policy == "Foreground" and dependents:
            job["metadata"]["deletionTimestamp"] = self._api.clock.stamp()
            job["metadata"]["finalizers"] = [FOREGROUND_FINALIZER]
            self._api.update(JOBS, job)
            self._delete_all(list(dependents.values()))
            return
        if policy == "Orphan":
            for pod in dependents.values():
                pod["metadata"]["ownerReferences"] = []
                self._api.update(PODS, pod)
            del self._dependents[job["metadata"]["uid"]]
        self._api.delete(JOBS, job)

    def _job_changed(self, kind: str, job: Json) -> None:
        if kind == "DELETED":
            self._delete_all(list(self._dependents.get(job["metadata"]["uid"], {}).values()))

    def _delete_all(self, dependents: list[Json]) -> None:
        for pod in dependents:
            at = max(self._requests.reserve(self._api.clock.now) for _ in range(self._calls_per_pod))
            self._api.clock.call_at(at, partial(pods.request_deletion, self._api, pod), Urgency.FOREGROUND)

    def _pod_changed(self, kind: str, pod: Json) -> None:
        owner = owner_of(pod)
        if owner is None:
            return
        uid = pod["metadata"]["uid"]
        if kind != "DELETED":
            self._dependents.setdefault(owner["uid"], {})[uid] = pod
            return
        siblings = self._dependents.get(owner["uid"], {})
        siblings.pop(uid, None)
        if not siblings:
            self._dependents.pop(owner["uid"], None)
            self._finish(owner, pod["metadata"]["namespace"])

    def _finish(self, owner: Json, namespace: str) -> None:
        job = self._api.find(JOBS, namespace, owner["name"])
        if job is None or job["metadata"]["uid"] != owner["uid"]:
            return
        if FOREGROUND_FINALIZER in job["metadata"].get("finalizers", ()):
            del job["metadata"]["finalizers"]
            self._api.delete(JOBS, job)
