"""A provider whose cluster stands already."""

from typing import Any, NoReturn

from driver.clusters.provider import Cluster, ClusterOrder, Handle, SaveHandle


class ExistingCluster:
    """A provider whose one cluster stands already; remembers what it was asked."""

    name = "standing"
    prefix = ""
    overhead_seconds = 0.0
    lasting = False
    billed = False
    stall_seconds: float | None = 20.0

    def __init__(self) -> None:
        self.cleared: list[tuple[str, ...]] = []

    async def up(self, order: ClusterOrder, save: SaveHandle) -> Cluster:
        raise NotImplementedError

    async def clear_cache(self, cluster: Cluster, images: tuple[str, ...]) -> None:
        self.cleared.append(images)

    async def environment(self, cluster: Cluster) -> dict[str, Any]:
        return {}

    async def lost(self, cluster: Cluster) -> NoReturn:
        raise NotImplementedError

    async def down(self, name: str, handle: Handle) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        pass
