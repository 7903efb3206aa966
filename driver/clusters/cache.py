"""What the nodes' image caches hold: looked at in node.status.images, cleared through the provider, and confirmed."""

import asyncio
from collections.abc import Callable, Iterable, Set
from functools import lru_cache

from driver.clusters.cluster_api import ClusterApi
from driver.errors import LimitError
from pullstudy.kube.objects import Node
from pullstudy.polling import Pace, Sleep, polls
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.image import ImageReference, parse_image

Layers = Callable[[ImageReference], frozenset[str]]  # of an image, as far as its manifest is known; else empty

PACE = Pace(0.02, 5.0, factor=1.5)


@lru_cache(maxsize=4096)
def canonical(name: str) -> str:
    """The full name, as containerd and Docker complete it: ``nginx`` is ``docker.io/library/nginx:latest``."""
    reference = parse_image(name)
    repository = reference.repository
    host, slash, rest = repository.partition("/")
    if not slash:
        repository = f"docker.io/library/{repository}"
    elif not ("." in host or ":" in host or host == "localhost"):
        repository = f"docker.io/{host}/{rest}"
    if reference.digest:
        return f"{repository}@{reference.digest}"
    return f"{repository}:{reference.tag or 'latest'}"


def cached_names(node: Node, gone: Set[str] = frozenset()) -> set[str]:
    """Everything that the node's images are called. Kubelets list at most 50 images (nodeStatusMaxImages).

    An image that bears one of the ``gone`` names was removed since the kubelet made its list.
    """
    found: set[str] = set()
    for image in node.status.images or ():
        names = {canonical(name) for name in image.names or () if "<none>" not in name}
        if not names & gone:
            found |= names
    return found


def cache_state(image: str, names: set[str], layers: Layers) -> CacheState:
    """What a node that holds these names has of the image.

    Partial: another image shares a layer with it by their manifests; where those are not known, another image of the
    same repository counts as partial, so that a warm layer is never taken for a cold one.
    """
    wanted = canonical(image)
    if wanted in names:
        return CacheState.WARM
    mine = parse_image(wanted)
    own_layers = layers(mine)
    for name in names:
        other = parse_image(name)
        its_layers = layers(other) if own_layers and other.tag else frozenset()
        if own_layers & its_layers:
            return CacheState.PARTIAL
        if not its_layers and other.repository == mine.repository and (other.tag or not own_layers):
            return CacheState.PARTIAL
    return CacheState.COLD


def holding(nodes: Iterable[Node], images: Iterable[str]) -> list[str]:
    """The nodes that list one of the images. A node that is not ready says nothing new, and gets no pods."""
    wanted = {canonical(image) for image in images}
    return [node.metadata.name for node in nodes if node.ready and wanted & cached_names(node)]


async def wait_until_cleared(
    api: ClusterApi,
    images: tuple[str, ...],
    *,
    limit_seconds: float,
    sleep: Sleep = asyncio.sleep,
) -> tuple[Node, ...]:
    """The nodes, as soon as none of them has any of the images. Raises LimitError, ApiError."""
    async for _ in polls(PACE, limit_seconds, sleep=sleep):
        nodes = await api.nodes()
        still = holding(nodes, images)
        if not still:
            return nodes
    raise LimitError(
        f"{len(still)} of {len(nodes)} nodes ({still[0]}, ...) still list {images[0]} after"
        f" {limit_seconds:.0f} s: raise limits.cache_clear_seconds, or run with --cache warm"
    )
