"""Which pulls tell of their inside, where not all do: some nodes of each image, chosen beforehand."""

import random
from collections.abc import Sequence

from pullstudy.sim.model.images import Image

FEWEST_NODES = 3


class TracedPulls:
    """Of each image those of as many nodes as have ``most_layers`` of it in all, and of three at least; None: of all.

    A span costs whoever receives it much the same whatever it tells: images of many layers are told of by fewer nodes.
    """

    def __init__(self, most_layers: int | None, nodes: Sequence[str], seed: int) -> None:
        self._most_layers = most_layers
        self._nodes = nodes
        self._seed = seed
        self._chosen: dict[str, frozenset[str]] = {}

    def covers(self, node: str, image: Image) -> bool:
        if self._most_layers is None:
            return True
        if image.reference not in self._chosen:
            self._chosen[image.reference] = self._choose(image, self._most_layers)
        return node in self._chosen[image.reference]

    def _choose(self, image: Image, most_layers: int) -> frozenset[str]:
        """The same nodes for every job of the image, and no draw of the cluster's own."""
        count = max(FEWEST_NODES, most_layers // max(1, len(image.layers)))
        source = random.Random(f"{self._seed} {image.reference}")
        return frozenset(source.sample(self._nodes, min(count, len(self._nodes))))
