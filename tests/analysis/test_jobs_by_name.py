"""Pods that are only called as an Indexed Job's are no job's: their pulls stand with those of other pods."""

from pathlib import Path
from typing import Any

import pytest

from pullstudy.analysis.reading.study import opened_study
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.decode import Origin, decode_event
from pullstudy.pulls.event import decode_event_json
from pullstudy.store.embedded.store import EmbeddedStore
from tests.pulls.events import as_json, core_event

ORIGIN = Origin(cluster="c", run="r", size=4)
PULLED = 'Successfully pulled image "a" in 1s'


def of_pod(pod: str, reason: str = "Pulled", text: str = PULLED, **told: Any) -> dict[str, Any]:
    event = core_event(reason, text)
    event["involvedObject"] |= {"name": pod, "uid": f"u-{pod}", **told}
    event["metadata"] = event["metadata"] | {"uid": f"{reason}-{pod}"}
    return event


def of_controller(kind: str, name: str, text: str, reason: str = "SuccessfulCreate") -> dict[str, Any]:
    event = core_event(reason, text)
    event["involvedObject"] = {"kind": kind, "namespace": "default", "name": name, "uid": f"u-{name}"}
    event["metadata"] = event["metadata"] | {"uid": f"{kind}-{text}"}
    return event


def read(directory: Path, *events: dict[str, Any]) -> tuple[list[str], list[str | None]]:
    """Names of jobs, and the pods of the other pulls."""
    store = EmbeddedStore(directory, create=True)
    for event in events:
        decoded = decode_event(decode_event_json(as_json(event)), ORIGIN)
        store.write_now(Batch(pulls=decoded.pulls, milestones=decoded.milestones))
    store.close_now()
    with opened_study(directory) as records:
        return [group.job for group in records.jobs()], [pull.pod for pull in records.other_pulls()]


def test_the_pods_of_a_deployment_config_are_no_jobs(tmp_path: Path) -> None:
    jobs, others = read(
        tmp_path,
        *(of_pod(pod) for pod in ("router-1-8fjc6", "router-2-bcdfg", "web-hnlfh")),
        of_controller("ReplicationController", "router-1", "Created pod: router-1-8fjc6"),
    )
    assert jobs == []
    assert sorted(filter(None, others)) == ["router-1-8fjc6", "router-2-bcdfg", "web-hnlfh"]


def test_a_pod_of_index_0_makes_a_job_of_all_that_are_called_so(tmp_path: Path) -> None:
    jobs, others = read(tmp_path, *(of_pod(pod) for pod in ("pull-0-bcdfg", "pull-1-bcdfg", "router-1-8fjc6")))
    assert (jobs, others) == (["pull"], ["router-1-8fjc6"])


@pytest.mark.parametrize(
    "proof",
    [
        of_controller("Job", "pull", "Created pod: pull-1-bcdfg"),
        of_controller("Job", "pull", "Job completed", "Completed"),
        of_pod("pull-2-bcdfg", labels={"job-name": "pull", "controller-uid": "u"}),
        of_pod("pull-2-bcdfg", ownerReferences=[{"kind": "Job", "name": "pull", "uid": "u"}]),
        of_pod("pull-bcdfg", labels={"job-name": "pull"}),  # one that is not Indexed
    ],
    ids=["made a pod", "completed", "labels", "owner", "another name"],
)
def test_what_tells_of_a_job_makes_one_of_a_log_without_index_0(tmp_path: Path, proof: dict[str, Any]) -> None:
    jobs, others = read(tmp_path, of_pod("pull-1-bcdfg"), proof)
    assert (jobs, others) == (["pull"], [])
