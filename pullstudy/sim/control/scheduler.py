"""The scheduler: one pod after another, at random among the nodes that will do.

The real one scores nodes, but in both logs several pods of a job shared a node while others stood empty: what keeps
pods apart is anti-affinity or a topology spread, not luck.
"""

import random
from collections import OrderedDict
from typing import Any

from pullstudy.sim.api import pods
from pullstudy.sim.api.apiserver import ApiServer, reference
from pullstudy.sim.api.resources import NODES, PODS
from pullstudy.sim.control.placement import Placement, unschedulable_message
from pullstudy.sim.events.recorder import Recorder
from pullstudy.sim.model.parameters import ControlPlaneSettings
from pullstudy.sim.time.clock import Timer, Urgency

Json = dict[str, Any]


class Scheduler:
    def __init__(
        self, api: ApiServer, recorder: Recorder, settings: ControlPlaneSettings, source: random.Random
    ) -> None:
        self._api = api
        self._recorder = recorder
        self._settings = settings
        self._random = source
        self._placement = Placement()
        self._queue: OrderedDict[str, Json] = OrderedDict()  # uid; in order of arrival
        self._unschedulable: dict[str, Json] = {}
        self._timer: Timer | None = None
        api.listen(NODES, self._node_changed)
        api.listen(PODS, self._pod_changed)

    def _node_changed(self, kind: str, node: Json) -> None:
        if kind == "DELETED":
            self._placement.node_gone(node["metadata"]["name"])
        else:
            self._placement.node_changed(node)
        if self._unschedulable:
            self._retry()

    def _pod_changed(self, kind: str, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        if kind == "ADDED" and "nodeName" not in pod["spec"]:
            self._queue[uid] = pod
            self._plan()
        elif kind == "DELETED" or pods.is_terminal(pod):
            self._queue.pop(uid, None)
            self._unschedulable.pop(uid, None)
            if self._placement.release(pod) and self._unschedulable:
                self._retry()

    def _retry(self) -> None:
        """Something has changed: what found no node may find one now."""
        self._queue |= self._unschedulable
        self._unschedulable = {}
        self._plan()

    def _plan(self) -> None:
        if self._timer is None or not self._timer.pending:
            self._timer = self._api.clock.call_later(1 / self._settings.scheduler_pods_per_second, self._next)

    def _next(self) -> None:
        self._timer = None
        if not self._queue:
            return
        _, pod = self._queue.popitem(last=False)
        names, refusals = self._placement.feasible(pod)
        if names:
            self._bind(pod, self._random.choice(names))
        else:
            self._refuse(pod, unschedulable_message(sum(refusals.values()), refusals))
        if self._queue:
            self._plan()

    def _bind(self, pod: Json, node: str) -> None:
        meta = pod["metadata"]
        pod["spec"]["nodeName"] = node
        self._placement.occupy(pod, node)
        pods.set_condition(pod, "PodScheduled", True, self._api.clock.stamp())
        text = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
        self._recorder.record(reference(PODS, pod), "Normal", "Scheduled", text)
        self._api.update(PODS, pod)

    def _refuse(self, pod: Json, text: str) -> None:
        self._unschedulable[pod["metadata"]["uid"]] = pod
        pods.set_condition(pod, "PodScheduled", False, self._api.clock.stamp(), "Unschedulable", text)
        self._recorder.record(reference(PODS, pod), "Warning", "FailedScheduling", text)
        self._api.update(PODS, pod)
        retry = self._settings.unschedulable_retry_seconds * 60
        self._api.clock.call_later(retry, lambda: self._retry() if self._unschedulable else None, Urgency.BACKGROUND)
