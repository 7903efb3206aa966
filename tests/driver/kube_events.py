"""Events of pods of job ``pull-0``, as a kubelet's recorder writes them."""

from typing import Any

from tests.driver.kube_objects import IMAGE


def pod_event(index: int, reason: str, message: str, *, uid: str | None = None, count: int = 1) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"pull-0-{index}-bcdfg.{index}",
            "namespace": "default",
            "uid": uid or f"event-{index}-{reason}",
            "resourceVersion": "9",
            "creationTimestamp": "2026-01-01T00:00:10Z",
        },
        "involvedObject": {
            "kind": "Pod",
            "namespace": "default",
            "name": f"pull-0-{index}-bcdfg",
            "uid": f"uid-{index}",
            "fieldPath": "spec.containers{pull}",
        },
        "reason": reason,
        "message": message,
        "source": {"component": "kubelet", "host": f"node-{index}"},
        "firstTimestamp": "2026-01-01T00:00:10Z",
        "lastTimestamp": "2026-01-01T00:00:10Z",
        "count": count,
        "type": "Normal",
    }


def pulled_event(index: int) -> dict[str, Any]:
    return pod_event(index, "Pulled", f'Successfully pulled image "{IMAGE}" in 4.5s (4.5s including waiting)')


def event_list(*events: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "9"}, "items": list(events)}
