"""What is watched: all namespaces of a cluster or one of them, the paths of it, and the rights that it takes."""

import re
from dataclasses import dataclass

IDENTITY_NAMESPACE = "kube-system"  # made once in a cluster's life, and never by a user
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123, as the API server has it


def is_namespace(name: str) -> bool:
    """Whether a namespace can be called so."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True)
class Right:
    """A verb on a resource of the core group; ``name`` where only one object is meant."""

    verb: str
    resource: str
    name: str = ""


@dataclass(frozen=True)
class Scope:
    """``namespace`` None is all of them."""

    namespace: str | None = None

    @property
    def events_path(self) -> str:
        # events.k8s.io shows the same objects: watching both would see each twice.
        return self._path("events")

    @property
    def pods_path(self) -> str:
        return self._path("pods")

    def _path(self, resource: str) -> str:
        return f"/api/v1/namespaces/{self.namespace}/{resource}" if self.namespace else f"/api/v1/{resource}"

    @property
    def identity(self) -> str:
        """The namespace whose uid tells this cluster from another.

        A Role can allow to read the one that it is in, and no other.
        """
        return self.namespace or IDENTITY_NAMESPACE

    @property
    def identity_path(self) -> str:
        return f"/api/v1/namespaces/{self.identity}"

    def __str__(self) -> str:
        return f"namespace {self.namespace}" if self.namespace else "all namespaces"

    def rights(self, *, pods: bool) -> tuple[Right, ...]:
        """All that the collector asks of the API server; ``pods`` where it reads their status too."""
        of_pods = (Right("list", "pods"), Right("watch", "pods")) if pods else ()
        return (Right("list", "events"), Right("watch", "events"), *of_pods, Right("get", "namespaces", self.identity))
