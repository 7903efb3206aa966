"""What a section is."""

from dataclasses import dataclass

from pullstudy.analysis.report.figure import Drawing, Figure, Panels
from pullstudy.analysis.report.html import Markup

Block = Markup | Drawing


@dataclass(frozen=True)
class Section:
    """A part of the report. ``identity`` is its anchor."""

    identity: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def figures(self) -> tuple[Drawing, ...]:
        return tuple(block for block in self.blocks if isinstance(block, Figure | Panels))


def cache_words(cache: str) -> str:
    """Which pulls are meant, in a heading."""
    return {
        "cold": "cold cache",
        "partial": "partly warm cache",
        "warm": "warm cache",
        "mixed": "nodes in different cache states",
        "unknown": "cache state not recorded",
    }.get(cache, cache)
