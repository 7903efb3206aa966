"""Kubernetes objects by hand, as a server writes them."""

from typing import Any

import msgspec

from pullstudy.kube.objects import Job, Node
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.pod import Pod
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.store.embedded.ledger import JobRow

ORIGIN = Origin(cluster="sim-test-2", run="run1", size=2)
IMAGE = "ghcr.io/study/images:9-layers-size-1176249324-bytes"
ROW = JobRow(
    job="pull-0",
    cluster=ORIGIN.cluster,
    run="run1",
    size=2,
    image=IMAGE,
    repeat=1,
    attempt=1,
    position=0,
    cache_mode="cold",
)
DIGEST = "sha256:" + "ab" * 32


def pod_json(index: int, *, node: str | None = None, uid: str | None = None, **state: Any) -> dict[str, Any]:
    """A pod of job ``pull-0``; ``state`` is its container's state, nothing means Succeeded."""
    node = node or f"node-{index}"
    ended = {
        "terminated": {"exitCode": 0, "startedAt": f"2026-01-01T00:00:1{index}Z", "finishedAt": "2026-01-01T00:00:20Z"}
    }
    waiting = "waiting" in state
    status = {
        "name": "pull",
        "image": IMAGE,
        "imageID": "" if waiting else f"ghcr.io/study/images@{DIGEST}",
        "state": state or ended,
    }
    return {
        "metadata": {
            "name": f"pull-0-{index}-abcde",
            "namespace": "default",
            "uid": uid or f"uid-{index}",
            "resourceVersion": "5",
            "creationTimestamp": "2026-01-01T00:00:01Z",
            "annotations": {"batch.kubernetes.io/job-completion-index": str(index)},
        },
        "spec": {"nodeName": node, "containers": [{"name": "pull", "image": IMAGE}]},
        "status": {
            "phase": "Pending" if waiting else "Succeeded",
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:02Z"},
            ],
            "containerStatuses": [status],
        },
    }


def pod(index: int, **changes: Any) -> Pod:
    return msgspec.convert(pod_json(index, **changes), Pod)


def waiting(reason: str, message: str) -> dict[str, Any]:
    return {"reason": reason, "message": message}


def job_json(*conditions: dict[str, Any], name: str = "pull-0", version: str = "7") -> dict[str, Any]:
    status: dict[str, Any] = {"succeeded": 0, "conditions": list(conditions)}
    if any(condition["type"] == "Complete" for condition in conditions):
        status |= {"succeeded": 2, "completionTime": "2026-01-01T00:00:30Z"}
    metadata = {"name": name, "uid": "job-uid", "resourceVersion": version, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": metadata, "status": status}


def job(*conditions: dict[str, Any]) -> Job:
    return msgspec.convert(job_json(*conditions), Job)


COMPLETE = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:30Z"}
DEADLINE = {
    "type": "Failed",
    "status": "True",
    "reason": "DeadlineExceeded",
    "message": "Job was active longer than specified deadline",
    "lastTransitionTime": "2026-01-01T00:00:40Z",
}


READY = {"type": "Ready", "status": "True"}


def node(name: str, *images: str, **spec: Any) -> Node:
    status = {"images": [{"names": list(images), "sizeBytes": 1}] if images else [], "conditions": [READY]}
    return msgspec.convert({"metadata": {"name": name}, "spec": spec, "status": status}, Node)


def pulled(index: int, outcome: Outcome = Outcome.PULLED, **changes: Any) -> PullRecord:
    record = PullRecord(
        cluster=ORIGIN.cluster,
        run="run1",
        size=2,
        node=f"node-{index}",
        job="pull-0",
        pod=f"pull-0-{index}-abcde",
        pod_uid=f"uid-{index}",
        container="pull",
        image=IMAGE,
        outcome=outcome,
        count=1,
        event_uid=f"event-{index}",
    )
    return msgspec.structs.replace(record, **changes)
