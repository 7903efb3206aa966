"""kwok's Stage objects: a pod's life on a fake node, with the events that a kubelet emits. Pure.

A stage's message is fixed, so an image has a stage for each of its durations, and kwok draws one of them.
Source: kwok 0.7 ``v1alpha1.Stage``.
"""

import json
from collections.abc import Iterable
from typing import Any

from driver.job import IMAGE_LABEL, MANAGED_BY, image_label
from driver.study import Study
from sim.durations import pull_durations

ACCEPT_SECONDS, CREATE_SECONDS, START_SECONDS, RUN_SECONDS = 0.43, 0.02, 0.05, 1.0  # as the model's kubelet

_PHASE = ".status.phase"
_STEP = ".status.containerStatuses.[0].state.waiting.message"


def stages(study: Study) -> list[dict[str, Any]]:
    """Of every pod of the study's images, from its binding to its end."""
    speed = study.kwok.speed
    created, started = "Created container: pull", "Started container pull"
    found = [
        _stage("created", _step("pulled"), CREATE_SECONDS / speed, ("Created", created), _waiting("created", True)),
        _stage("started", _step("created"), START_SECONDS / speed, ("Started", started), _RUNNING),
        _stage("ended", [_in(_PHASE, "Running")], RUN_SECONDS / speed, None, _ENDED),
    ]
    for image in study.images.references:
        label = {IMAGE_LABEL: image_label(image)}
        pulling = ("Pulling", f'Pulling image "{image}"')
        accepted = [_absent(_STEP), _in(_PHASE, "Pending")]
        found.append(
            _stage(
                f"pulling-{label[IMAGE_LABEL]}",
                accepted,
                ACCEPT_SECONDS / speed,
                pulling,
                _waiting("pulling", False),
                label,
            )
        )
        found.extend(_pulled(study, image, label))
    return found


def _pulled(study: Study, image: str, label: dict[str, str]) -> Iterable[dict[str, Any]]:
    plan = study.kwok
    drawn = pull_durations(image, plan.durations, seed=plan.seed, profile=plan.profile)
    for number, seconds in enumerate(drawn.seconds):
        passed = round(seconds / plan.speed, 3)
        took = f"{passed:.3f}s" if passed >= 1 else f"{round(passed * 1000)}ms"
        text = f'Successfully pulled image "{image}" in {took} ({took} including waiting)'
        name = f"pulled-{label[IMAGE_LABEL]}-{number}"
        yield _stage(
            name,
            _step("pulling"),
            passed,
            ("Pulled", f"{text}. Image size: {drawn.image_bytes} bytes."),
            _waiting("pulled", True),
            label,
        )


def _stage(
    name: str,
    expressions: list[dict[str, Any]],
    seconds: float,
    event: tuple[str, str] | None,
    status: str,
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    following: dict[str, Any] = {"statusTemplate": status}
    if event:
        following["event"] = {"type": "Normal", "reason": event[0], "message": event[1]}
    selector = {
        "matchLabels": {**MANAGED_BY, **(labels or {})},
        "matchExpressions": [_absent(".metadata.deletionTimestamp"), *expressions],
    }
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": f"pullstudy-{name}"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": selector,
            "weight": 1,
            "delay": {"durationMilliseconds": max(1, round(seconds * 1000))},
            "next": following,
            "immediateNextStage": True,  # kwok's own watch brings a change seconds late
        },
    }


def _in(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": [value]}


def _absent(key: str) -> dict[str, Any]:
    return {"key": key, "operator": "DoesNotExist"}


def _step(value: str) -> list[dict[str, Any]]:
    return [_in(_STEP, value)]


def _status(state: str, present: bool, rest: str) -> str:
    image_id = "    imageID: {{ .image | Quote }}\n" if present else ""
    return (
        "{{ $now := Now }}\n{{ $root := . }}\ncontainerStatuses:\n{{ range .spec.containers }}\n"
        "  - name: {{ .name | Quote }}\n    image: {{ .image | Quote }}\n"
        f"{image_id}    ready: false\n    restartCount: 0\n    state:\n{state}{{{{ end }}}}\n{rest}"
    )


def _waiting(step: str, present: bool) -> str:
    state = f"      waiting:\n        reason: ContainerCreating\n        message: {step}\n"
    return _status(state, present, "phase: Pending\nstartTime: {{ or .status.startTime $now | Quote }}\n")


_RUNNING = _status("      running:\n        startedAt: {{ $now | Quote }}\n", True, "phase: Running\n")
_ENDED = _status(
    "      terminated:\n        exitCode: 0\n        reason: Completed\n        finishedAt: {{ $now | Quote }}\n"
    "        startedAt: {{ (index $root.status.containerStatuses 0).state.running.startedAt | Quote }}\n",
    True,
    "phase: Succeeded\n",
)

DELETED = {
    "apiVersion": "kwok.x-k8s.io/v1alpha1",
    "kind": "Stage",
    "metadata": {"name": "pullstudy-deleted"},
    "spec": {
        "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
        "selector": {
            "matchExpressions": [
                {"key": ".metadata.deletionTimestamp", "operator": "Exists"},
                _absent(".metadata.finalizers"),
            ]
        },
        "next": {"delete": True},
    },
}


def stage_file(study: Study) -> str:
    """All of them as kwok's ``--config`` takes them; JSON is YAML."""
    return "\n---\n".join(json.dumps(stage) for stage in [*stages(study), DELETED])
