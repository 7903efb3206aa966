"""What one colour in a chart stands for: a cluster, named by its number of nodes.

Where two clusters have the same number of nodes, as in two runs, the cluster's name is added; where the number is
unknown, the name stands alone.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pullstudy.analysis.reading.study import Study
from pullstudy.analysis.report.colours import size_colours

_NO_SERIES = "#8b95a3"  # of a cluster in which no job pulled anything


@dataclass(frozen=True)
class Series:
    """Labels of clusters, in the order of their sizes."""

    label_of: dict[str, str]  # by cluster

    @property
    def labels(self) -> list[str]:
        return list(self.label_of.values())

    def colours(self, labels: Iterable[str]) -> dict[str, str]:
        """Of these labels, in their order: a label's colour is the same in every figure, whichever others are in it."""
        known = dict(zip(self.labels, size_colours(self.labels), strict=True))
        return {label: known.get(label, _NO_SERIES) for label in labels}

    def label(self, cluster: str) -> str:
        return self.label_of.get(cluster, cluster)


def series_of(study: Study) -> Series:
    sizes = _sizes(study)
    ordered = sorted(sizes, key=lambda cluster: (sizes[cluster], cluster))
    return Series(dict(zip(ordered, _labels(ordered, sizes), strict=True)))


def _sizes(study: Study) -> dict[str, int]:
    sizes = {each.cluster: each.size or 0 for each in study.stored}
    # A cluster that was planned and never pulled anything has no place in a chart.
    sizes.update({row.cluster: row.size for row in study.ledger.clusters if row.cluster in sizes})
    return sizes


def _labels(clusters: Iterable[str], sizes: dict[str, int]) -> Iterable[str]:
    shared = Counter(sizes.values())
    for cluster in clusters:
        size = sizes[cluster]
        yield cluster if not size else str(size) if shared[size] == 1 else f"{size} ({cluster})"
