"""The kubelet's image manager on one node: limits, shared pulls, back-off, and the events around a pull.

Source: kubernetes ``pkg/kubelet/images/image_manager.go`` and ``puller.go``.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pullstudy.pulls.kubernetes_names import reference_fault
from pullstudy.sim.api.apiserver import owner_of, reference
from pullstudy.sim.api.resources import PODS
from pullstudy.sim.events.recorder import Recorder, Sent
from pullstudy.sim.model.images import Image, ImageCatalogue
from pullstudy.sim.model.parameters import KubeletSettings
from pullstudy.sim.model.pull_model import Missing, PullCourse, PullModel
from pullstudy.sim.model.true_stages import TrueStages
from pullstudy.sim.node import messages
from pullstudy.sim.node.messages import Messages, ReportedPull
from pullstudy.sim.node.nodes import SimNode
from pullstudy.sim.node.pull_failures import QPS_EXCEEDED, TOO_MANY_REQUESTS, PullFailure, failure_of
from pullstudy.sim.node.truth import TruePull, Truth
from pullstudy.sim.time.clock import VirtualClock
from pullstudy.sim.time.token_bucket import TokenBucket
from pullstudy.sim.tracing.pull_tracer import PullTracer, Teller

Json = dict[str, Any]

REFUSAL_SECONDS = 0.35  # until a registry's refusal is there
TIMEOUT_SECONDS = 30.0  # containerd's dialler gives up
NO_SPACE_SHARE = 0.6  # of a pull, until the disk is full


class FailureSource(Protocol):
    """Says whether a pull that starts now will fail, and how."""

    def pull_failure(self, image: str, node: str) -> tuple[str, PullFailure] | None: ...


@dataclass(frozen=True)
class Ready:
    """The image is there: what status.containerStatuses will say of it."""

    image_id: str


@dataclass(frozen=True)
class NotReady:
    """Why the container waits, and until when another try is useless."""

    reason: str
    message: str
    retry_at: float | None = None


Result = Callable[[Ready | NotReady], None]


@dataclass
class _PullRequest:
    """One container's wish for an image."""

    pod: Json
    container: str
    image: str
    result: Result
    asked_at: float
    cancelled: bool = False


@dataclass
class _OngoingPull:
    """One image on its way, for one ask or several."""

    image: Image
    started_at: float
    asks: list[_PullRequest] = field(default_factory=list)


@dataclass
class _BackOff:
    until: float
    seconds: float
    cause: str
    failed_at: float


class ImagePuller:
    def __init__(
        self,
        clock: VirtualClock,
        node: SimNode,
        model: PullModel,
        recorder: Recorder,
        truth: Truth,
        wording: Messages,
        settings: KubeletSettings,
        failures: FailureSource,
        images_changed: Callable[[SimNode], None],
        images: ImageCatalogue,
        tracer: PullTracer | None = None,
    ) -> None:
        self._clock = clock
        self._node = node
        self._model = model
        self._recorder = recorder
        self._truth = truth
        self._wording = wording
        self._settings = settings
        self._failures = failures
        self._images_changed = images_changed
        self._images = images
        self._tracer = tracer
        self._rate = TokenBucket(settings.registry_pull_qps, settings.registry_burst)
        self._back_offs: dict[tuple[str, str], _BackOff] = {}
        self._under_way: dict[str, _OngoingPull] = {}
        self._running = 0
        self._waiting: deque[_PullRequest] = deque()

    @property
    def _slots(self) -> int | None:
        return 1 if self._settings.serialize_image_pulls else self._settings.max_parallel_image_pulls

    def ensure(self, pod: Json, container: Json, result: Result) -> Callable[[], None]:
        """Make the image of this container present; returns a function that gives the wish up."""
        name, image, policy = container["name"], container["image"], container["imagePullPolicy"]
        ask = _PullRequest(pod, name, image, result, self._clock.now)
        present = self._node.images.get(image)
        if fault := reference_fault(image):
            self._refuse(ask, "InspectFailed", "InvalidImageName", messages.invalid_name(image, fault))
        elif present and policy != "Always":
            sent = self._event(ask, "Normal", "Pulled", self._wording.present(image))
            self._note(ask, "cached", sent)
            result(Ready(_image_id(present)))
        elif not present and policy == "Never":
            self._refuse(ask, "ErrImageNeverPull", "ErrImageNeverPull", messages.never(image))
        elif back_off := self._held_back(ask):
            self._note(ask, "backoff", self._event(ask, "Normal", "BackOff", messages.back_off(image)))
            self._event(ask, "Warning", "Failed", "Error: ImagePullBackOff")
            text = self._wording.back_off_waiting(image, back_off.cause)
            result(NotReady("ImagePullBackOff", text, back_off.until))
        else:
            self._event(ask, "Normal", "Pulling", messages.pulling(image))
            self._start_or_queue(ask)

        def give_up() -> None:
            ask.cancelled = True

        return give_up

    def _refuse(self, ask: _PullRequest, event: str, reason: str, text: str) -> None:
        """No pull is tried: until the pod is another nothing changes."""
        self._note(ask, "failed", self._event(ask, "Warning", event, text), error=text)
        self._event(ask, "Warning", "Failed", f"Error: {reason}")
        ask.result(NotReady(reason, text))

    def forget(self, pod_uid: str) -> None:
        """The pod is gone, and its back-off with it."""
        for key in [key for key in self._back_offs if key[0] == pod_uid]:
            del self._back_offs[key]

    def _held_back(self, ask: _PullRequest) -> _BackOff | None:
        back_off = self._back_offs.get(_key(ask))
        return back_off if back_off and self._clock.now < back_off.until else None

    def _start_or_queue(self, ask: _PullRequest) -> None:
        if not self._rate.take(self._clock.now):
            self._fail(ask, PullFailure("", QPS_EXCEEDED))
        elif self._slots is not None and self._running >= self._slots:
            self._waiting.append(ask)
        else:
            self._start(ask)

    def _start(self, ask: _PullRequest) -> None:
        failure = self._failures.pull_failure(ask.image, self._node.name) or self._refusal(ask.image)
        self._running += 1
        started_at = self._clock.now
        if failure is not None:
            self._clock.call_later(
                self._seconds_to_fail(*failure, ask.image), lambda: self._failed(ask, failure[1], started_at)
            )
        elif ask.image in self._under_way:
            # The runtime fetches a layer once: who comes later waits for the same bytes.
            self._under_way[ask.image].asks.append(ask)
        else:
            pulling = _OngoingPull(self._images.describe(ask.image), started_at, [ask])
            self._under_way[ask.image] = pulling
            missing = Missing.of(pulling.image, self._node.layers)
            done = lambda course: self._pulled(pulling, course)  # noqa: E731
            self._model.pull(missing, self._node.disk, self._node.slowdown, _job_of(ask), done)

    def _refusal(self, image: str) -> tuple[str, PullFailure] | None:
        """Of a registry that has had too many requests; who waits for another's download asks it nothing."""
        if image in self._under_way or not self._model.refuses():
            return None
        return TOO_MANY_REQUESTS, failure_of(TOO_MANY_REQUESTS, image)

    def _seconds_to_fail(self, kind: str, failure: PullFailure, image: str) -> float:
        if kind == "timeout":
            return TIMEOUT_SECONDS
        if kind == "no_space":
            missing = Missing.of(self._images.describe(image), self._node.layers)
            return NO_SPACE_SHARE * self._model.unpack_seconds(missing)
        return REFUSAL_SECONDS if failure.code else 0.0

    def _failed(self, ask: _PullRequest, failure: PullFailure, started_at: float) -> None:
        self._free_slot()
        asked = failure.code and not self._node.lost  # else the runtime was not asked, or tells nothing more
        if asked and self._tracer is not None:
            self._tracer.failed(self._teller(), self._images.describe(ask.image), started_at, failure.text)
        if not ask.cancelled:
            self._fail(ask, failure)

    def _fail(self, ask: _PullRequest, failure: PullFailure) -> None:
        error = self._wording.pull_error(failure.code, failure.text)
        sent = self._event(ask, "Warning", "Failed", messages.pull_failed(ask.image, error))
        self._note(ask, "failed", sent, error=error)
        self._event(ask, "Warning", "Failed", "Error: ErrImagePull")
        ask.result(NotReady("ErrImagePull", error, self._back_off(ask, error).until))

    def _back_off(self, ask: _PullRequest, cause: str) -> _BackOff:
        settings, now = self._settings, self._clock.now
        last = self._back_offs.get(_key(ask))
        # flowcontrol.Backoff starts anew where the last failure is twice the longest pause away.
        if last is None or now - last.failed_at > 2 * settings.back_off_max_seconds:
            seconds = settings.back_off_seconds
        else:
            seconds = min(last.seconds * 2, settings.back_off_max_seconds)
        self._back_offs[_key(ask)] = _BackOff(now + seconds, seconds, cause, now)
        return self._back_offs[_key(ask)]

    def _teller(self) -> Teller:
        return Teller(self._node.name, self._node.skew_seconds)

    def _pulled(self, pulling: _OngoingPull, course: PullCourse) -> None:
        del self._under_way[pulling.image.reference]
        wanted = [ask for ask in pulling.asks if not ask.cancelled and not self._node.lost]
        if wanted:
            self._node.add(pulling.image)
            self._images_changed(self._node)
        for _ in pulling.asks:
            self._free_slot()
        # Who came later waited for the first one's pull: the runtime tells of that one.
        stages = self._tracer.pulled(self._teller(), pulling.image, course) if wanted and self._tracer else None
        for place, ask in enumerate(wanted):
            self._report_pulled(ask, pulling, stages if place == 0 else None)

    def _report_pulled(self, ask: _PullRequest, pulling: _OngoingPull, stages: TrueStages | None) -> None:
        image, now = pulling.image, self._clock.now
        self._back_offs.pop(_key(ask), None)
        pull_seconds = now - max(pulling.started_at, ask.asked_at)
        reported = self._wording.report(ask.image, pull_seconds, now - ask.asked_at, image.image_bytes)
        sent = self._event(ask, "Normal", "Pulled", self._wording.pulled(reported))
        self._note(ask, "pulled", sent, reported, stages=stages)
        ask.result(Ready(_image_id(image)))

    def _free_slot(self) -> None:
        self._running -= 1
        while self._waiting and (self._slots is None or self._running < self._slots):
            ask = self._waiting.popleft()
            if not ask.cancelled:
                self._start(ask)

    def _event(self, ask: _PullRequest, kind: str, reason: str, text: str) -> Sent:
        involved = reference(PODS, ask.pod, f"spec.containers{{{ask.container}}}")
        return self._recorder.record(involved, kind, reason, text)

    def _note(
        self,
        ask: _PullRequest,
        outcome: str,
        sent: Sent,
        reported: ReportedPull | None = None,
        error: str | None = None,
        stages: TrueStages | None = None,
    ) -> None:
        reported = reported or ReportedPull(ask.image)
        meta = ask.pod["metadata"]
        owner = owner_of(ask.pod)
        self._truth.add(
            TruePull(
                node=self._node.name,
                namespace=meta["namespace"],
                job=owner["name"] if owner else None,
                pod=meta["name"],
                pod_uid=meta["uid"],
                container=ask.container,
                image=ask.image,
                outcome=outcome,
                pull_seconds=_seconds(reported.pull_ns),
                waiting_seconds=_seconds(reported.waiting_ns),
                image_bytes=reported.image_bytes,
                finished_at=self._clock.at().isoformat(timespec="microseconds"),
                error=error,
                stages=stages,
                sent=sent,
            )
        )


def _key(ask: _PullRequest) -> tuple[str, str]:
    return ask.pod["metadata"]["uid"], ask.image


def _job_of(ask: _PullRequest) -> str:
    owner = owner_of(ask.pod)
    return str(owner["uid"] if owner else ask.pod["metadata"]["uid"])


def _image_id(image: Image) -> str:
    return f"{image.reference.rpartition(':')[0]}@{image.digest}"


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e9
