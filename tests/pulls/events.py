"""Events as the API server sends them, made for a test."""

import json
from typing import Any

NAME_CLOCK = "1806c2a762b52c12"  # 2024-11-11T00:32:10.941901842Z, from a real event's name


def core_event(reason: str, message: str, **changes: Any) -> dict[str, Any]:
    """A core/v1 event of a kubelet about a container of an Indexed Job's pod."""
    event: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {
            "name": f"container-pull-0-xhjfv.{NAME_CLOCK}",
            "namespace": "default",
            "uid": "8d9bbcdb-79f2-4c8a-96af-d0bb3f51e81f",
            "resourceVersion": "1459",
            "creationTimestamp": "2024-11-11T00:32:11Z",
        },
        "involvedObject": {
            "kind": "Pod",
            "namespace": "default",
            "name": "container-pull-0-xhjfv",
            "uid": "d196ddbe-9512-4e33-baa8-90142da90b39",
            "apiVersion": "v1",
            "resourceVersion": "7020",
            "fieldPath": "spec.containers{container-pull}",
        },
        "reason": reason,
        "message": message,
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": "2024-11-11T00:32:10Z",
        "lastTimestamp": "2024-11-11T00:32:10Z",
        "count": 1,
        "type": "Normal",
        "eventTime": None,
        "reportingComponent": "kubelet",
        "reportingInstance": "node-1",
    }
    return event | changes


def new_event(reason: str, note: str, **changes: Any) -> dict[str, Any]:
    """The same, as events.k8s.io/v1 shows it."""
    old = core_event(reason, note)
    event = {
        "kind": "Event",
        "apiVersion": "events.k8s.io/v1",
        "metadata": old["metadata"],
        "regarding": old["involvedObject"],
        "reason": reason,
        "note": note,
        "type": "Normal",
        "eventTime": None,
        "reportingController": "kubelet",
        "reportingInstance": "node-1",
        "deprecatedSource": old["source"],
        "deprecatedFirstTimestamp": old["firstTimestamp"],
        "deprecatedLastTimestamp": old["lastTimestamp"],
        "deprecatedCount": 1,
    }
    return event | changes


def as_json(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()
