"""One pod on its node: pulled, created, started, ended, its status written at each step.

Source: kubernetes ``pkg/kubelet/kuberuntime``: the containers of a pod are handled one after another.
"""

import random
from collections.abc import Callable
from typing import Any, Protocol

from pullstudy.sim.api import pods
from pullstudy.sim.api.apiserver import ApiServer, reference
from pullstudy.sim.api.resources import PODS
from pullstudy.sim.events.recorder import Recorder
from pullstudy.sim.model.parameters import ModelParameters
from pullstudy.sim.node.container import Program, SimContainer
from pullstudy.sim.node.image_puller import ImagePuller, NotReady, Ready
from pullstudy.sim.node.messages import Messages
from pullstudy.sim.node.nodes import SimNode
from pullstudy.sim.time.clock import Urgency

Json = dict[str, Any]


_WHY_NOT_READY = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}


class NodeAgent(Protocol):
    """What a pod needs of the kubelet it is with."""

    api: ApiServer
    node: SimNode
    puller: ImagePuller
    recorder: Recorder
    wording: Messages
    parameters: ModelParameters
    random: random.Random
    exit_code: Callable[[Json], int | None]


class PodWorker:
    """One pod on its node. After ``stop`` nothing that was planned has an effect."""

    def __init__(self, kubelet: NodeAgent, pod: Json) -> None:
        self._kubelet = kubelet
        self._pod = pod
        self._alive = True
        self._give_up: Callable[[], None] = lambda: None
        self._containers = [
            SimContainer(spec, Program.of(spec), {"waiting": {"reason": "ContainerCreating"}})
            for spec in pod["spec"]["containers"]
        ]
        self._retry_at: float | None = None
        self._held_until = 0.0  # by a container's postStart: until then nothing of the pod is noticed

    def start(self) -> None:
        times, source = self._kubelet.parameters.times, self._kubelet.random
        self._later(times.status_seconds, self._first_status)
        sandbox = times.sandbox_seconds * max(0.9, source.gauss(1.0, times.sandbox_sigma))
        if source.random() < times.slow_sandbox_probability:
            sandbox += times.slow_sandbox_seconds * source.random() * 1.5
        self._later(sandbox, lambda: self._sync(0))

    def stop(self) -> None:
        self._alive = False
        self._give_up()

    def kill(self) -> None:
        for container in self._containers:
            if "running" in container.state:
                self._event(container, "Normal", "Killing", f"Stopping container {container.spec['name']}")
        self.stop()

    def _later(self, delay: float, step: Callable[[], None], urgency: Urgency = Urgency.FOREGROUND) -> None:
        def run() -> None:
            if self._alive:
                step()

        self._kubelet.api.clock.call_later(delay, run, urgency)

    def _event(self, container: SimContainer, kind: str, reason: str, text: str) -> None:
        involved = reference(PODS, self._pod, f"spec.containers{{{container.spec['name']}}}")
        self._kubelet.recorder.record(involved, kind, reason, text)

    def _sync(self, position: int) -> None:
        """See to the container at this position, then to the next."""
        while position < len(self._containers) and not self._containers[position].waits:
            position += 1
        if position == len(self._containers):
            self._synced()
            return
        container = self._containers[position]

        def ensured(result: Ready | NotReady) -> None:
            if not self._alive:
                return
            if isinstance(result, Ready):
                container.image_id = result.image_id
                self._create(container, position)
            else:
                self._hold(container, result, position)

        self._give_up = self._kubelet.puller.ensure(self._pod, container.spec, ensured)

    def _hold(self, container: SimContainer, why: NotReady, position: int) -> None:
        container.state = {"waiting": {"reason": why.reason, "message": why.message}}
        if why.retry_at is not None:
            self._retry_at = min(why.retry_at, self._retry_at or why.retry_at)
        self._sync(position + 1)

    def _create(self, container: SimContainer, position: int) -> None:
        times, source = self._kubelet.parameters.times, self._kubelet.random
        busy = self._kubelet.node.disk.busy_at(self._kubelet.api.clock.now)
        create = times.busy_create_seconds if busy else times.create_seconds
        start = times.busy_start_seconds if busy else times.start_seconds
        factor = source.uniform(0.8, 1.25)
        name = container.spec["name"]

        def created() -> None:
            self._event(container, "Normal", "Created", self._kubelet.wording.created(name))
            self._later(start * factor, started)

        def started() -> None:
            self._event(container, "Normal", "Started", self._kubelet.wording.started(name))
            self._started(container)
            if container.hold_seconds:
                self._held_until = self._kubelet.api.clock.now + container.hold_seconds
                self._later(container.hold_seconds, lambda: self._sync(position + 1))
            else:
                self._sync(position + 1)

        self._later(create * factor, created)

    def _started(self, container: SimContainer) -> None:
        clock = self._kubelet.api.clock
        container.container_id = f"containerd://{self._kubelet.random.getrandbits(256):064x}"
        container.state = {"running": {"startedAt": clock.stamp(self._kubelet.node.skew_seconds)}}
        # The overlay is synced to the volume when it is unmounted: a container ends only when its pages are written.
        end = max(clock.now + container.program.seconds, self._kubelet.node.disk.clean_at(clock.now))
        end += self._kubelet.parameters.times.end_seconds
        self._later(end - clock.now, lambda: self._ended(container))

    def _ended(self, container: SimContainer) -> None:
        clock = self._kubelet.api.clock
        code = self._kubelet.exit_code(self._pod)
        code = container.program.exit_code if code is None else code
        stamp = clock.stamp(self._kubelet.node.skew_seconds)
        container.state = {
            "terminated": {
                "exitCode": code,
                "reason": "Completed" if code == 0 else "Error",
                "startedAt": container.state["running"]["startedAt"],
                "finishedAt": stamp,
                "containerID": container.container_id,
            }
        }
        # Noticed at the next look at all containers.
        self._later(self._kubelet.random.random() * self._kubelet.parameters.times.relist_seconds, self._noticed)

    def _noticed(self) -> None:
        if self._kubelet.api.clock.now < self._held_until:
            self._later(self._held_until - self._kubelet.api.clock.now, self._noticed)
            return
        if all(container.ended for container in self._containers):
            failed = [c for c in self._containers if c.state["terminated"]["exitCode"] != 0]
            if failed and self._pod["spec"]["restartPolicy"] != "Never":
                self._restart(failed)
                return
            self._write("Failed" if failed else "Succeeded")
            self._alive = False
        else:
            self._write_running()

    def _restart(self, failed: list[SimContainer]) -> None:
        """restartPolicy OnFailure: the same pod once more, after the crash back-off."""
        settings = self._kubelet.parameters.kubelet
        meta = self._pod["metadata"]
        whole_name = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        for container in failed:
            container.restarts += 1
            name, seconds = container.spec["name"], self._crash_seconds(container)
            text = f"back-off {seconds:.0f}s restarting failed container={name} pod={whole_name}"
            container.state = {"waiting": {"reason": "CrashLoopBackOff", "message": text}}
            restarting = f"Back-off restarting failed container {name} in pod {whole_name}"
            self._event(container, "Warning", "BackOff", restarting)
        self._write("Running")
        pause = max(self._crash_seconds(container) for container in failed)
        self._later(min(pause, settings.back_off_max_seconds), lambda: self._sync(0), Urgency.PATIENT)

    def _crash_seconds(self, container: SimContainer) -> float:
        settings = self._kubelet.parameters.kubelet
        return min(settings.back_off_seconds * 2.0 ** (container.restarts - 1), settings.back_off_max_seconds)

    def _synced(self) -> None:
        """All containers were seen to once: write the status, and come back for those that wait for an image."""
        waiting = [container for container in self._containers if container.waits]
        self._later(self._kubelet.parameters.times.status_seconds, self._write_running)
        if not waiting:
            return
        now, resync = self._kubelet.api.clock.now, self._kubelet.parameters.kubelet.resync_seconds
        pause = resync * self._kubelet.random.uniform(0.85, 1.25)
        # The first look after a failure comes soon and reports the back-off.
        if any(container.state["waiting"]["reason"] == "ErrImagePull" for container in waiting):
            pause = self._kubelet.random.uniform(0.8, 1.6)
        if self._retry_at is not None and self._retry_at > now:
            pause = min(pause, max(0.05, self._retry_at - now + 0.05))
        self._retry_at = None
        self._later(pause, lambda: self._sync(0), Urgency.PATIENT)

    def _first_status(self) -> None:
        self._pod["status"]["startTime"] = self._kubelet.api.clock.stamp(self._kubelet.node.skew_seconds)
        self._write("Pending")

    def _write_running(self) -> None:
        if self._pod["status"]["phase"] in ("Succeeded", "Failed"):
            return
        self._write("Pending" if any(not c.container_id for c in self._containers) else "Running")

    def _write(self, phase: str) -> None:
        """Write the whole status, as the kubelet's status manager patches it."""
        node = self._kubelet.node
        write_status(self._pod, phase, self._containers, node.name, self._kubelet.api.clock.stamp(node.skew_seconds))
        self._kubelet.api.update(PODS, self._pod)


def write_status(pod: Json, phase: str, containers: list[SimContainer], node: str, stamp: str) -> None:
    """Phase, addresses, conditions and containers. ``stamp`` is by the node's own clock."""
    status = pod["status"]
    address = node.split(".")[0].removeprefix("ip-").replace("-", ".")
    status |= {"phase": phase, "hostIP": address, "hostIPs": [{"ip": address}]}
    ready = phase == "Running" and all(container.runs for container in containers)
    reason = "" if ready else _WHY_NOT_READY.get(phase, "ContainersNotReady")
    pods.set_condition(pod, "PodReadyToStartContainers", phase == "Running", stamp)
    pods.set_condition(pod, "Initialized", True, stamp, "PodCompleted" if phase == "Succeeded" else "")
    pods.set_condition(pod, "Ready", ready, stamp, reason)
    pods.set_condition(pod, "ContainersReady", ready, stamp, reason)
    status["containerStatuses"] = [container.status() for container in containers]
