"""The API server as the controllers see it: objects created, updated and deleted, and passed to listeners."""

import random
from collections.abc import Callable
from typing import Any

from pullstudy.sim.api import status
from pullstudy.sim.api.history import History
from pullstudy.sim.api.resources import JOBS, NAMESPACES, NODES, PODS, Resource
from pullstudy.sim.time.clock import VirtualClock

Json = dict[str, Any]
Key = tuple[str, str]
Listener = Callable[[str, Json], None]  # ADDED, MODIFIED or DELETED, and the object

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery's rand.String: no vowels, no look-alikes


class Identities:
    """Uids and name suffixes, all from one seeded source."""

    def __init__(self, source: random.Random) -> None:
        self._random = source

    def uid(self) -> str:
        # A UUID of version 4, put together by hand: every object and event gets one.
        bits = f"{self._random.getrandbits(128):032x}"
        return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}"

    def suffix(self) -> str:
        return "".join(self._random.choices(_SUFFIX_LETTERS, k=5))


class ApiServer:
    """Live objects as plain dicts, which their owners change and then ``update``; the history keeps the bytes."""

    def __init__(self, clock: VirtualClock, history: History, identities: Identities) -> None:
        self.clock = clock
        self.history = history
        self.identities = identities
        self._objects: dict[str, dict[Key, Json]] = {r.store_key: {} for r in (NAMESPACES, NODES, PODS, JOBS)}
        self._listeners: dict[str, list[Listener]] = {}

    def listen(self, resource: Resource, listener: Listener) -> None:
        self._listeners.setdefault(resource.store_key, []).append(listener)

    def all(self, resource: Resource) -> dict[Key, Json]:
        return self._objects[resource.store_key]

    def find(self, resource: Resource, namespace: str, name: str) -> Json | None:
        return self._objects[resource.store_key].get((namespace, name))

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """Raises ApiFailureError 404."""
        found = self.find(resource, namespace, name)
        if found is None:
            raise status.not_found(resource.plural, resource.group, name)
        return found

    def create(self, resource: Resource, obj: Json) -> Json:
        """Give the object its identity and keep it. Raises ApiFailureError 409."""
        meta = obj["metadata"]
        if "name" not in meta:
            meta["name"] = meta["generateName"] + self.identities.suffix()
        key = (meta.get("namespace", ""), meta["name"])
        if key in self._objects[resource.store_key]:
            raise status.already_exists(resource.plural, resource.group, meta["name"])
        meta.setdefault("uid", self.identities.uid())
        meta["creationTimestamp"] = self.clock.stamp()
        whole = {"kind": resource.kind, "apiVersion": resource.api_version, **obj}
        self._objects[resource.store_key][key] = whole
        self.history.put(resource, whole)
        self._tell(resource, "ADDED", whole)
        return whole

    def update(self, resource: Resource, obj: Json) -> None:
        if not self.exists(resource, obj):
            return  # deleted meanwhile: the writer's patch would have met 404
        self.history.put(resource, obj)
        self._tell(resource, "MODIFIED", obj)

    def delete(self, resource: Resource, obj: Json) -> None:
        """Remove it now, without grace or finalizers."""
        if not self.exists(resource, obj):
            return
        del self._objects[resource.store_key][_key(obj)]
        self.history.remove(resource, obj)
        self._tell(resource, "DELETED", obj)

    def exists(self, resource: Resource, obj: Json) -> bool:
        return self._objects[resource.store_key].get(_key(obj)) is obj

    def _tell(self, resource: Resource, kind: str, obj: Json) -> None:
        for listener in self._listeners.get(resource.store_key, ()):
            listener(kind, obj)


def _key(obj: Json) -> Key:
    return (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def owner_of(obj: Json) -> Json | None:
    """The controller among the owners, if any."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            found: Json = owner
            return found
    return None


def reference(resource: Resource, obj: Json, field_path: str | None = None) -> Json:
    """The ObjectReference that an event carries."""
    meta = obj["metadata"]
    involved = {"kind": resource.kind}
    if resource.namespaced:
        involved["namespace"] = meta["namespace"]
    involved |= {
        "name": meta["name"],
        "uid": meta["uid"],
        "apiVersion": resource.api_version,
        "resourceVersion": meta["resourceVersion"],
    }
    if field_path:
        involved["fieldPath"] = field_path
    return involved
