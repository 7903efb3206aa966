"""Where real pulls are measured: a registry on a link that is slow as told, images to order in it, and nodes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.real.traced_node import TracedNode, push_ordered
from tests.stack.containerd_node import ContainerdNode, Settings
from tests.stack.home import StackHome
from tests.stack.network import Direction, Place, Switch
from tests.stack.registry import Registry

REGISTRY_ADDRESS = "10.88.0.1"
FIRST_NODE = 11  # the last part of its address


@dataclass(frozen=True, slots=True)
class PullSite:
    """A registry with images, and where nodes join."""

    home: StackHome
    switch: Switch
    place: Place
    registry: Registry
    images: list[str]

    def node(self, directory: Path, settings: Settings, number: int = 0) -> ContainerdNode:
        """Not started. Nodes that are there at the same time have numbers of their own."""
        name, address = f"node-{number + 1}", f"10.88.0.{FIRST_NODE + number}"
        return ContainerdNode(self.home, directory, self.switch, address, [self.registry.host], settings, name=name)

    @asynccontextmanager
    async def traced(self, directory: Path, settings: Settings, number: int = 0) -> AsyncIterator[TracedNode]:
        """A node whose pulls are traced."""
        async with TracedNode(self.node(directory, settings, number), directory) as traced:
            yield traced

    def rate(self, megabits_per_second: float) -> None:
        """What the registry sends, to all nodes together."""
        self.place.link.shape(Direction.SENT, megabits_per_second)


@asynccontextmanager
async def pull_site(home: StackHome, directory: Path, *orders: Sequence[str]) -> AsyncIterator[PullSite]:
    """Each order is options of ``pulldriver images build``. Raises StackError."""
    async with (
        Switch(directory / "switch") as switch,
        Place("registry-place", directory, switch, REGISTRY_ADDRESS) as place,
        Registry(home, directory / "registry", place=place) as registry,
    ):
        images: list[str] = []
        for order in orders:
            images = await push_ordered(registry, place, directory / "images", order)
        yield PullSite(home, switch, place, registry, images)
