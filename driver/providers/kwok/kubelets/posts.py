"""The way of a kubelet's events to the API server."""

from collections.abc import Callable
from typing import Any

from driver.providers.kwok.kubelets.outbox import Write

Json = dict[str, Any]


class Posts:
    """Where the recorders post. ``versions`` are those that pods, by uid, had when their kubelet first saw them."""

    def __init__(self, put: Callable[[Write], None]) -> None:
        self._put = put
        self.versions: dict[str, str] = {}

    def create(self, event: Json) -> str:
        """Returns the name in the uid's place: the uid is the API server's, and told by its answer only."""
        meta, involved = event["metadata"], event["involvedObject"]
        name = {"name": meta["name"], "namespace": meta["namespace"]}
        seen = {**involved, "resourceVersion": self.versions.get(involved["uid"], "")}
        path = f"/api/v1/namespaces/{meta['namespace']}/events"
        self._put(Write(_key(event), "POST", path, {**event, "metadata": name, "involvedObject": seen}))
        return str(meta["name"])

    def patch(self, event: Json) -> bool:
        meta = event["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/events/{meta['name']}"
        self._put(
            Write(_key(event), "PATCH", path, {name: event[name] for name in ("count", "lastTimestamp", "message")})
        )
        return True


def _key(event: Json) -> str:
    return f"events of {event['involvedObject']['uid']}"
