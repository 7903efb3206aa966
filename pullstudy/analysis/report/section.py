"""What a section is."""

from dataclasses import dataclass

from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup

Block = Markup | Figure


@dataclass(frozen=True)
class Section:
    """A part of the report. ``identity`` is its anchor."""

    identity: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        return tuple(block for block in self.blocks if isinstance(block, Figure))


def cache_words(cache: str) -> str:
    """Which pulls are meant, in a heading."""
    return {
        "cold": "cold cache",
        "partial": "partly warm cache",
        "warm": "warm cache",
        "mixed": "nodes in different cache states",
        "unknown": "cache state not recorded",
    }.get(cache, cache)
