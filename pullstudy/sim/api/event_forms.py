"""One event, two addresses: the form of core/v1 and that of events.k8s.io/v1 (kubernetes ``pkg/apis/events/v1``)."""

from typing import Any

import msgspec

from pullstudy.sim.api.resources import NEW_EVENTS, Resource

_RENAMED = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}


def as_seen_at(resource: Resource, data: bytes) -> bytes:
    """An object's bytes in the form that this address serves."""
    return new_form(data) if resource is NEW_EVENTS else data


def new_form(data: bytes) -> bytes:
    core: dict[str, Any] = msgspec.json.decode(data)
    core["apiVersion"] = NEW_EVENTS.api_version
    return msgspec.json.encode({_RENAMED.get(name, name): value for name, value in core.items()})
