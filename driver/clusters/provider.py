"""The edge to whatever makes clusters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, Protocol, runtime_checkable

import msgspec

from driver.planning.study import Study

Handle = dict[str, Any]  # JSON: all that a provider needs to take a cluster down, also in another process
SaveHandle = Callable[[Handle], None]


class ClusterOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster that is wanted."""

    name: str
    size: int  # nodes
    study: Study
    directory: Path  # for kubeconfigs and logs
    previous: Handle | None = None  # of a cluster of this name that was made before and is down
    # Of the cluster before, whose nodes are gone and whose rest is to be taken over: the first handle saved names it.
    base: Handle | None = None


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster that is up."""

    name: str
    size: int
    kubeconfig: Path  # or several, joined as KUBECONFIG has them
    handle: Handle
    node_selector: dict[str, str] = {}  # labels of its nodes, where others share the API server; none: all nodes


class Provider(Protocol):
    """Makes clusters and takes them down. Every method raises ProviderError."""

    name: str
    prefix: str  # of the names of its clusters: "sim-" marks every record of a simulated one
    overhead_seconds: float  # to make and delete a cluster, estimated
    billed: bool  # whether its clusters cost money
    lasting: bool  # whether jobs and events outlive its clusters: then no two runs may give a job the same name
    stall_seconds: float | None  # no change of a running job for so long means it is stuck; None: it may take its time

    async def up(self, order: ClusterOrder, save: SaveHandle) -> Cluster:
        """Make the cluster. ``save`` is called before each step that leaves something behind."""
        ...

    async def clear_cache(self, cluster: Cluster, images: tuple[str, ...]) -> frozenset[str] | None:
        """Have the images removed from all nodes.

        Returns the nodes whose own runtime says that they are gone; of the others node.status.images tells it.
        """
        ...

    async def environment(self, cluster: Cluster) -> dict[str, Any]:
        """What the API does not tell of the nodes: volume, snapshotter, registry."""
        ...

    async def lost(self, cluster: Cluster) -> NoReturn:
        """Wait until the cluster is known to be lost, and raise ProviderError."""
        ...

    async def down(self, name: str, handle: Handle) -> None:
        """Take down all that the handle names. Safe to call again, and in a process that did not make it."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class ReusesClusters(Protocol):
    """A provider whose clusters can follow each other on what is slow to make."""

    async def empty(self, name: str, handle: Handle) -> bool:
        """Take down what is the size's own, if the rest is to be kept for the next one: whether it is.

        What is kept stays in the ledger under this name until another handle names it. Raises ProviderError.
        """
        ...


@runtime_checkable
class SendsSpans(Protocol):
    """A provider whose nodes' runtimes send the spans of their pulls where they are told to. Raises ProviderError."""

    def sends_spans(self, study: Study) -> bool: ...

    async def send_spans(self, cluster: Cluster, url: str) -> None:
        """To this receiver of OTLP over HTTP, from now on."""
        ...

    async def spans_sent(self, cluster: Cluster) -> None:
        """Wait until those that were made by now are sent."""
        ...


@runtime_checkable
class ChecksStudies(Protocol):
    """A provider that can tell what is wrong with a study before anything is begun."""

    def check_study(self, study: Study) -> None:
        """By the study alone. Raises UsageError, ProviderError."""
        ...


@runtime_checkable
class ChecksPlace(Protocol):
    """A provider that can tell what is wrong with where a sweep is begun: this machine, or the cluster given."""

    def check_place(self, study: Study) -> None:
        """Within seconds, and nothing is made or changed. Raises UsageError, ProviderError."""
        ...
