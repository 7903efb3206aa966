"""Events as a kubelet and a scheduler make them, as JSON objects."""

from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
IMAGE = "ghcr.io/converged-computing/container-chonks-run1:9-layers-size-1176249324-bytes"
PULLED = f'Successfully pulled image "{IMAGE}" in 4.409s (4.609s including waiting). Image size: 1176249324 bytes.'


def event(
    number: int,
    *,
    reason: str = "Pulled",
    message: str = PULLED,
    count: int = 1,
    component: str = "kubelet",
    uid: str | None = None,
    at: datetime | None = None,
) -> dict[str, Any]:
    """The event with this number: of a pod of its own, on one of 8 nodes."""
    first = (at or START) + timedelta(seconds=number)
    pod = f"pull-0-chonks-r1-a1-{number}-bcdfg"
    node = f"node-{number % 8}"
    stamp = first.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {
            "name": f"{pod}.{int(first.timestamp()) * 10**9 + 123456789:x}",
            "namespace": "default",
            "uid": uid or f"{number:08x}-0000-4000-8000-{abs(hash(reason)) % 16**12:012x}",
            "creationTimestamp": stamp,
        },
        "involvedObject": {
            "kind": "Pod",
            "namespace": "default",
            "name": pod,
            "uid": f"{number:08x}-0000-4000-9000-000000000000",
            "apiVersion": "v1",
            "fieldPath": "spec.containers{chonk}",
        },
        "reason": reason,
        "message": message,
        "source": {"component": component, "host": node},
        "firstTimestamp": stamp,
        "lastTimestamp": (first + timedelta(seconds=count - 1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "count": count,
        "type": "Normal",
        "eventTime": None,
        "reportingComponent": component,
        "reportingInstance": node,
    }


def backoff(number: int, count: int) -> dict[str, Any]:
    """A BackOff event that has been updated in place count times."""
    return event(number, reason="BackOff", message=f'Back-off pulling image "{IMAGE}"', count=count)
