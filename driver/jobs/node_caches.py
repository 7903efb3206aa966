"""The image caches of one cluster's nodes around each job: cleared and proven before it, and what they held recorded.

What a runtime said to be gone is believed over the kubelet's list, which comes late.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from driver.clusters.cache import cache_state, cached_names, canonical, holding, wait_until_cleared
from driver.clusters.cluster_api import ClusterApi
from driver.clusters.provider import Cluster, Provider
from driver.planning.study import CacheMode, Study
from pullstudy.kube.objects import Node
from pullstudy.polling import Sleep
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.image import ImageReference
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.pulls.witness import PodWitness
from pullstudy.store.embedded.ledger import JobRow, Ledger, NodeCache


class NodeCaches:
    """Of one cluster, from job to job. Raises ApiError, LimitError, ProviderError, StoreError."""

    def __init__(
        self,
        study: Study,
        provider: Provider,
        cluster: Cluster,
        api: ClusterApi,
        ledger: Ledger,
        *,
        doing: Callable[[str], None],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._doing = doing
        self._study = study
        self._provider = provider
        self._cluster = cluster
        self._api = api
        self._ledger = ledger
        self._sleep = sleep
        self._cold = study.run.cache is CacheMode.COLD
        self._nodes: tuple[Node, ...] | None = None  # as they were after the last job, or not looked at yet
        self._gone: dict[str, frozenset[str]] = {}  # canonical image -> nodes whose runtime said that it has it no more
        self._cleared: frozenset[str] | None = None  # since the last job, by their own runtime; None: not known
        self._layers = lru_cache(maxsize=4096)(self._known_layers)
        self.held: tuple[frozenset[str], ...] = ()  # by each node before the last job: images by their full names

    async def before(self, row: JobRow) -> dict[str, CacheState]:
        """What each node holds of the job's image, in the ledger too. In a cold study, no node is left uncleared."""
        first = self._nodes is None
        if self._nodes is None:
            self._nodes = await self._api.nodes()
        if self._cold and (self._may_hold(self._nodes) if first else self._unproven(self._nodes)):
            await self._clear(row.image)
        names = {
            node.metadata.name: self._names(node)
            for node in self._nodes
            if node.takes(self._study.job.tolerations) and node.ready
        }
        self.held = tuple(map(frozenset, names.values()))
        found = {node: cache_state(row.image, held, self._layers) for node, held in names.items()}
        self._ledger.put_node_caches(
            NodeCache(cluster=row.cluster, job=row.job, node=node, cache=cache) for node, cache in found.items()
        )
        # From here on it is pulled.
        self._gone.pop(canonical(row.image), None)
        return found

    async def after(self, row: JobRow) -> None:
        """Its pods are gone: clear the caches if the study wants them cold."""
        if self._cold:
            await self._clear(row.image)
        else:
            self._nodes = await self._api.nodes()

    def _may_hold(self, nodes: Iterable[Node]) -> bool:
        """A cluster that was there before may hold the study's images; kubelets list 50 of all that they have."""
        return self._provider.lasting or bool(holding(nodes, self._study.images.references))

    def _unproven(self, nodes: Iterable[Node]) -> bool:
        """A node that was lost while the others were cleared brings its images back with it."""
        if self._cleared is None:
            return False
        return any(node.ready and node.metadata.name not in self._cleared for node in nodes)

    async def _clear(self, image: str) -> None:
        """All of the study's images: one whose job was ended may have come after it was cleared."""
        self._doing("clearing images from the nodes")
        images = tuple(dict.fromkeys((image, *self._study.images.references)))
        self._cleared = await self._provider.clear_cache(self._cluster, images)
        cleared = self._cleared or frozenset()
        self._gone |= {canonical(image): cleared for image in images}
        if self._cleared is not None:
            self._nodes = await self._api.nodes()
            return
        self._nodes = await wait_until_cleared(
            self._api,
            images,
            limit_seconds=min(self._study.limits.cache_clear_seconds, self._provider.stall_seconds or math.inf),
            sleep=self._sleep,
        )

    def _names(self, node: Node) -> set[str]:
        """What the node's list has, less what its runtime has removed since."""
        gone = {name for name, nodes in self._gone.items() if node.metadata.name in nodes}
        return cached_names(node, gone)

    def _known_layers(self, image: ImageReference) -> frozenset[str]:
        return self._ledger.layer_digests(image.repository, image.tag or "")


def not_cold(stored: Iterable[PullRecord], rows: list[PodWitness], before: Mapping[str, CacheState]) -> str | None:
    """A repeat that was to be cold is none where a node had its image: it says so, and how that is known.

    A pod that follows a failed one on its node finds what that one pulled, which is no warm start.
    """
    node_of = {row.pod_uid: row.node for row in rows}
    told: dict[Outcome, set[str]] = {outcome: set() for outcome in Outcome}
    for pull in stored:
        told[pull.outcome].add(pull.node or node_of.get(pull.pod_uid or "") or "unknown")
    listed = {node for node, state in before.items() if state is CacheState.WARM}
    warm = sorted(told[Outcome.CACHED] - told[Outcome.PULLED] | listed)
    if not warm:
        return None
    more = f" and {len(warm) - 1} more" if len(warm) > 1 else ""
    return f"not cold: {warm[0]}{more} had the image already"


def say_caches(states: Iterable[CacheState]) -> str:
    """``cold``, or how many were what."""
    counts = Counter(states)
    if len(counts) == 1:
        return next(iter(counts)).value
    return " and ".join(f"{count} {state.value}" for state, count in sorted(counts.items()))
