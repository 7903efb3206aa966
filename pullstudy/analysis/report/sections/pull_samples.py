"""Pulls as the report shows them: downloads by image and cluster, a unit a job; in one group what may be compared.

Of pods that share a node and an image only the first downloads: the others waited for it, and are left out here. Where
no job pulled anything, the pulls of all other pods are one unit.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from statistics import median_high

from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts, ImageKey, cache_order, image_key
from pullstudy.analysis.report.html import Markup, element, paragraph
from pullstudy.analysis.report.section import cache_words
from pullstudy.analysis.statistics.quantile_intervals import ClusteredSample

SHOWN = 12  # images of a group that are drawn
_NAMED = 8  # of those that are not, named one by one
_DIGITS = (3, 4, 5, 6, 12)

Units = Sequence[Sequence[float]]  # seconds of the downloads of one image, by job


@dataclass(frozen=True)
class SampledImage:
    """One image's downloads.

    ``image_bytes`` is as its kubelets count it, ``sent_bytes`` what a registry sends by its manifest; None: unknown.
    """

    key: ImageKey
    image_bytes: int | None
    units: Mapping[str, Units]  # by series
    sent_bytes: int | None = None

    @property
    def order(self) -> tuple[int, str]:
        """By bytes: unpacked ones where its tag states them."""
        return (self.key.unpacked_bytes or self.image_bytes or 0, self.key.image)

    @property
    def total_seconds(self) -> float:
        return fsum(fsum(unit) for units in self.units.values() for unit in units)

    def seconds(self, label: str) -> list[float]:
        return sorted(value for unit in self.units[label] for value in unit)

    def sample(self, label: str) -> ClusteredSample:
        return ClusteredSample([self.units[label]])


@dataclass(frozen=True)
class SampleGroup:
    """Images whose pulls may stand beside each other: one cache state, one layer count, streamed or not."""

    cache: str
    layers: int | None  # None: of tags that state none
    streamed: bool
    images: tuple[SampledImage, ...]  # by bytes

    @property
    def words(self) -> str:
        layers = f"{wording.plural(self.layers, 'layer')}, " if self.layers else ""
        return f"{layers}{cache_words(self.cache)}{', perhaps streamed' if self.streamed else ''}"

    @property
    def slug(self) -> str:
        return f"{self.cache}-{self.layers or 'other'}-layers{'-streamed' if self.streamed else ''}"

    @property
    def shown(self) -> tuple[SampledImage, ...]:
        """Those with the most pull time, by bytes."""
        most = sorted(self.images, key=lambda image: -image.total_seconds)[:SHOWN]
        return tuple(sorted(most, key=lambda image: image.order))

    def labels(self, labels: Iterable[str]) -> list[str]:
        """Of these series those that pulled any of its images."""
        present = {label for image in self.images for label in image.units}
        return [label for label in labels if label in present]


def sample_groups(facts: Facts) -> list[SampleGroup]:
    """Coldest caches first, then by layers."""
    image_bytes = _image_bytes(facts)
    found: dict[tuple[str, int | None, bool], list[SampledImage]] = defaultdict(list)
    for (cache, streamed, key), units in _units(facts).items():
        found[cache, key.layers, streamed].append(
            SampledImage(key, image_bytes.get(key), units, facts.compressed_bytes.get(key.image))
        )
    groups = [
        SampleGroup(*kind, tuple(sorted(images, key=lambda image: image.order))) for kind, images in found.items()
    ]
    return sorted(groups, key=lambda group: (cache_order(group.cache), group.layers or 0, group.streamed))


def _units(facts: Facts) -> dict[tuple[str, bool, ImageKey], dict[str, list[Sequence[float]]]]:
    found: dict[tuple[str, bool, ImageKey], dict[str, list[Sequence[float]]]] = defaultdict(lambda: defaultdict(list))
    for job in facts.jobs:
        for pulls in job.pulls:
            if pulls.downloads:
                label = facts.series.label(job.cluster)
                found[pulls.cache, pulls.streamed, image_key(pulls.image)][label].append(pulls.downloads)
    if not found:
        for group in facts.groups:
            for (key, cluster), values in group.pulls.items():
                found[group.cache, False, key][facts.series.label(cluster)].append(values.seconds)
    return found


def _image_bytes(facts: Facts) -> dict[ImageKey, int]:
    """The middle of what kubelets said: all should say the same."""
    said: dict[ImageKey, list[int]] = defaultdict(list)
    for group in facts.groups:
        for (key, _), values in group.pulls.items():
            said[key].extend(filter(None, values.image_bytes))
    return {key: median_high(values) for key, values in said.items() if values}


def panel_names(images: Sequence[SampledImage]) -> dict[ImageKey, str]:
    """Short names, of which no two are alike: their bytes, where all state theirs."""
    keys = [image.key for image in images]
    names = [wording.image_name(key.image) for key in keys]
    sizes = [wording.size_of(key.unpacked_bytes) for key in keys]
    if wording.UNKNOWN not in sizes and len(set(sizes)) == len(sizes):
        names = sizes
    short = dict(zip(keys, names, strict=True))
    return {key: name if names.count(name) == 1 else _told_apart(key, keys) for key, name in short.items()}


def _told_apart(key: ImageKey, keys: Sequence[ImageKey]) -> str:
    """With as many parts of its path as no other image ends in."""
    parts = key.image.split("/")
    ends = ("/".join(parts[-count:]) for count in range(1, len(parts)))
    others = [each.image for each in keys if each != key]
    end = next((end for end in ends if not any(f"/{other}".endswith(f"/{end}") for other in others)), None)
    return f"…/{end}" if end else key.image


def gigabytes(images: Sequence[SampledImage]) -> dict[ImageKey, str]:
    """Unpacked GB, with as few digits as tell them apart."""
    keys = [image.key for image in images]
    for digits in _DIGITS:
        found = [f"{(key.unpacked_bytes or 0) / 1e9:.{digits}g}" for key in keys]
        if len(set(found)) == len(found):
            break
    return dict(zip(keys, found, strict=True))


def not_shown(group: SampleGroup) -> list[Markup]:
    """Which images are in no panel, and where they are."""
    shown = {image.key for image in group.shown}
    left = sorted((image for image in group.images if image.key not in shown), key=lambda image: -image.total_seconds)
    if not left:
        return []
    names = panel_names(group.images)
    named = wording.listed([names[image.key] for image in left], at_most=_NAMED)
    drawn = (
        f"Shown are the {len(shown)} images with the most pull time of {len(group.images)}. Not shown: {named}. All: "
    )
    return [paragraph(drawn, element("code", "pulldriver export pulls"), ".")]
