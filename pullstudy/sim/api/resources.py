"""The table of what the simulated API serves: groups, kinds, verbs, and which fields a selector may name."""

from dataclasses import dataclass, field

from pullstudy.sim.api import fields
from pullstudy.sim.api.fields import Fields


@dataclass(frozen=True)
class Resource:
    """One kind at one address. ``store_key`` is where its objects are kept: two addresses may show one object."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    fields: Fields
    short_names: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ("get", "list", "watch")
    bookmarks: bool = True
    field_aliases: dict[str, str] = field(default_factory=dict)

    @property
    def store_key(self) -> str:
        return self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def head(self) -> bytes:
        """How each encoded object begins, as Go's encoder orders it; a list's items come without it."""
        return f'{{"kind":"{self.kind}","apiVersion":"{self.api_version}",'.encode()


NAMESPACES = Resource(
    "", "v1", "namespaces", "Namespace", False, fields.NAMESPACE, ("ns",),
    ("create", "delete", "get", "list", "patch", "watch"),
)  # fmt: skip
NODES = Resource("", "v1", "nodes", "Node", False, fields.NODE, ("no",), ("delete", "get", "list", "patch", "watch"))
PODS = Resource(
    "", "v1", "pods", "Pod", True, fields.POD, ("po",),
    ("create", "delete", "deletecollection", "get", "list", "patch", "watch"),
)  # fmt: skip
JOBS = Resource(
    "batch", "v1", "jobs", "Job", True, fields.JOB, (),
    ("create", "delete", "deletecollection", "get", "list", "patch", "watch"),
)  # fmt: skip
# Events have no watch cache in the API server: no bookmarks come with time.
EVENTS = Resource(
    "", "v1", "events", "Event", True, fields.EVENT, ("ev",),
    ("create", "delete", "get", "list", "patch", "watch"), bookmarks=False,
)  # fmt: skip
NEW_EVENTS = Resource(
    "events.k8s.io", "v1", "events", "Event", True, fields.EVENT, ("ev",), ("get", "list", "watch"),
    bookmarks=False, field_aliases=fields.NEW_EVENT_NAMES,
)  # fmt: skip

RESOURCES: tuple[Resource, ...] = (NAMESPACES, NODES, PODS, EVENTS, JOBS, NEW_EVENTS)


def find(group: str, version: str, plural: str) -> Resource | None:
    for resource in RESOURCES:
        if (resource.group, resource.version, resource.plural) == (group, version, plural):
            return resource
    return None
