"""What a pod's own status proves of its pulls, and what it leaves unknown."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from pullstudy.pulls.decode import Origin
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.pod import ContainerStatus, Pod, decode_pod
from pullstudy.pulls.record import Outcome, witness_uid
from pullstudy.pulls.witness import (
    PodWitness,
    container_witness,
    had_its_image,
    pod_milestones,
    waits_for_its_image,
    witnessed_pull,
)

ORIGIN = Origin(cluster="c", run="r", size=4)
DIGEST = "sha256:" + "ab" * 32
IMAGE = "registry.example/app:1"


def at(second: int) -> datetime:
    return datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)


def witness(**status: Any) -> PodWitness:
    """A container's row; ``status`` is what its containerStatus says beside the name."""
    pod = {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u", "creationTimestamp": "2026-01-01T00:00:01Z"},
        "spec": {"nodeName": "n", "containers": [{"name": "k", "image": IMAGE}]},
        "status": {"phase": "Running"},
    }
    found = msgspec.convert(pod, Pod)
    return container_witness(
        found, found.spec.containers[0], msgspec.convert({"name": "k", **status}, ContainerStatus), "c", ""
    )


def test_a_pods_own_owner_and_job_stand_in_its_row_and_in_each_of_its_moments() -> None:
    pod = msgspec.convert(
        {"metadata": {"name": "j-0-bcdfg", "uid": "u", "creationTimestamp": "2026-01-01T00:00:01Z",
                      "ownerReferences": [{"kind": "Job", "name": "j", "uid": "ju", "controller": True}]},
         "spec": {"containers": [{"name": "k"}]}},
        Pod,
    )  # fmt: skip
    row = container_witness(pod, pod.spec.containers[0], ContainerStatus("k"), "c", "j")
    assert (row.job_uid, row.owner) == ("ju", "Job/j")
    (milestone,) = pod_milestones([row], ORIGIN, "ns")
    assert (milestone.job, milestone.job_uid, milestone.owner) == ("j", "ju", "Job/j")


RUNNING = {"running": {"startedAt": "2026-01-01T00:00:10Z"}}
ENDED = {"terminated": {"startedAt": "2026-01-01T00:00:05Z", "finishedAt": "2026-01-01T00:00:07Z"}}


@pytest.mark.parametrize(
    ("status", "started"),
    [
        ({"state": RUNNING}, at(10)),
        ({"state": ENDED}, at(5)),
        ({"state": RUNNING, "lastState": ENDED, "restartCount": 1}, at(5)),
        ({"state": RUNNING, "lastState": ENDED, "restartCount": 2}, None),
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, None),
    ],
)
def test_the_start_is_the_first_one_or_unknown(status: dict[str, Any], started: datetime | None) -> None:
    assert witness(**status).started_at == started


def test_an_image_is_proven_by_its_id_or_by_a_start_and_a_failure_by_what_the_container_waits_for() -> None:
    assert had_its_image(witness(imageID=f"registry.example/app@{DIGEST}"))
    assert had_its_image(witness(state=RUNNING))
    assert not had_its_image(witness(state={"waiting": {"reason": "ErrImagePull"}}))
    for reason, waits in (("ErrImagePull", True), ("ImagePullBackOff", True), ("CrashLoopBackOff", False), ("", False)):
        assert waits_for_its_image(witness(state={"waiting": {"reason": reason}})) is waits


def test_a_pull_that_no_event_told_of_has_no_duration_and_cannot_be_taken_for_a_measured_one() -> None:
    record = witnessed_pull(
        witness(state=RUNNING, imageID=f"registry.example/app@{DIGEST}"), Outcome.PULLED, ORIGIN, "ns"
    )
    assert (record.finished_at, record.digest, record.tag, record.job) == (at(10), DIGEST, "1", None)
    assert (record.started_at, record.pull_seconds, record.waiting_seconds, record.image_bytes) == (None,) * 4
    assert record.identity == (record.cluster, witness_uid("u", "k"), 1)


def test_a_failure_and_what_came_of_it_later_are_two_records() -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    failure = witnessed_pull(witness(state=waiting), Outcome.FAILED, ORIGIN, "ns")
    later = witnessed_pull(witness(state=RUNNING), Outcome.PULLED, ORIGIN, "ns")
    assert (failure.error, failure.finished_at) == ("ErrImagePull: not found", None)
    assert failure.identity != later.identity
    assert failure.event_uid.startswith(later.event_uid)


def test_moments_come_with_the_resolution_of_a_second() -> None:
    found = pod_milestones([witness(state=ENDED)], ORIGIN, "ns")
    assert [(one.moment, one.at, one.clock) for one in found] == [
        (Moment.POD_CREATED, at(1), "control-plane"),
        (Moment.STARTED, at(5), "n"),
        (Moment.FINISHED, at(7), "n"),
    ]


def test_containers_of_init_and_debugging_are_containers_too() -> None:
    body = (
        b'{"spec":{"initContainers":[{"name":"i"}],"containers":[{"name":"k"}],"ephemeralContainers":[{"name":"e"}]},'
        b'"status":{"initContainerStatuses":[{"name":"i"}],"ephemeralContainerStatuses":[{"name":"e"}]}}'
    )
    pod = decode_pod(body)
    assert [container.name for container in pod.spec.every_container()] == ["i", "k", "e"]
    assert [status.name for status in pod.status.every_status()] == ["i", "e"]
