"""Do pulls, or makespans, take longer on larger clusters? By how much, times, with every doubling of the nodes?

All jobs of a cluster share its day, its registry and its machines, so that a cluster is one value: the mean of its
images' logarithms, each image beside its own mean. A line through the clusters' values over log2 of their sizes has
their scatter about it for its error, and as many degrees of freedom as there are clusters beyond two: of two clusters
nothing can be told. Images are tested together (Holm). "No" is said where the interval excludes a growth that matters.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from pullstudy.analysis.findings.common_moments import last_common
from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.findings.growth_finding import RELEVANT, growth_finding, growth_verdict
from pullstudy.analysis.statistics.doubling import Doubling, per_doubling
from pullstudy.analysis.statistics.holm import holds
from pullstudy.analysis.statistics.quantiles import median
from pullstudy.analysis.timelines.job_summary import JobSummary
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.pulls.milestone import Moment

LEAST_CLUSTERS = 3  # of two nothing tells how much they scatter
ALL = "all"
_ROUNDS = 100  # of alternating means, where clusters have different images


@dataclass(frozen=True, slots=True)
class JobSeconds:
    """What one job took: the median of its downloads, or its makespan."""

    cluster: str
    size: int
    image: str
    cache: str
    seconds: float
    run: str | None = None


def pull_values(jobs: Iterable[JobSummary]) -> Iterator[JobSeconds]:
    """Of each job and image the median download; none that was streamed, as these end before all bytes have come."""
    for job in jobs:
        for pulls in job.pulls:
            if job.size and pulls.downloads and not pulls.streamed and (seconds := median(pulls.downloads)) > 0:
                yield JobSeconds(job.cluster, job.size, pulls.image, pulls.cache, seconds, job.run)


def makespan_values(jobs: Iterable[JobSummary]) -> Iterator[JobSeconds]:
    """Up to the last moment that at every size nearly all have: a job whose end is not on record is not shorter."""
    usable = [job for job in jobs if job.size and job.start is not None and not job.failed and job.image]
    sizes: dict[int | None, list[Mapping[Moment, float]]] = defaultdict(list)
    for job in usable:
        sizes[job.size].append(job.seconds_until)
    until = last_common(sizes.values())
    for job in usable:
        seconds = job.seconds_until.get(until) if until else None
        if job.size and job.image and seconds is not None and seconds > 0:
            yield JobSeconds(job.cluster, job.size, job.image, job.cache, seconds, job.run)


def pull_growth(jobs: Iterable[JobSummary]) -> list[Finding]:
    """Times as long a doubling of the nodes, of downloads: of all images, of each layer count and of each image."""
    return growth_findings(FindingId.PULL_GROWTH, pull_values(jobs))


def makespan_growth_of_parts(jobs: Iterable[JobSummary]) -> list[Finding]:
    """The same of the makespans of each layer count and of each image; that of all is the decomposition's."""
    found = growth_findings(FindingId.MAKESPAN_GROWTH, makespan_values(jobs))
    return [each for each in found if each.subject.partition(",")[0] != ALL]


def growth_findings(identity: FindingId, values: Iterable[JobSeconds]) -> list[Finding]:
    """Of all images, of each layer count where there are several, and of each image; runs and cache states apart."""
    kinds: dict[_Kind, list[JobSeconds]] = defaultdict(list)
    for each in values:
        kinds[_Kind(each.run, each.cache)].append(each)
    caches = {kind.cache for kind in kinds}
    found = []
    for kind, group in kinds.items():
        mark = f", {kind.cache}" if len(caches) > 1 else ""
        found += [_of_whole(identity, f"{subject}{mark}", part, kind) for subject, part in _wholes(group)]
        found += list(_of_images(identity, group, kind, mark))
    return found


class _Kind(NamedTuple):
    """What may stand in one comparison."""

    run: str | None
    cache: str


def _wholes(values: Sequence[JobSeconds]) -> Iterator[tuple[str, list[JobSeconds]]]:
    yield ALL, list(values)
    layers: dict[int, list[JobSeconds]] = defaultdict(list)
    for each in values:
        shape = study_shape(parse_image(each.image).tag)
        if shape is not None:
            layers[shape[0]].append(each)
    if len(layers) > 1:
        yield from ((f"{count} layers", part) for count, part in sorted(layers.items()))


def _of_images(identity: FindingId, values: Sequence[JobSeconds], kind: _Kind, mark: str) -> Iterator[Finding]:
    images: dict[str, list[JobSeconds]] = defaultdict(list)
    for each in values:
        images[each.image].append(each)
    if len(images) < 2:
        return
    growths = {image: cluster_growth(part) for image, part in images.items()}
    held = holds([growth.p if growth else None for growth in growths.values()])
    for (image, growth), grew in zip(growths.items(), held, strict=True):
        verdict = growth_verdict(growth, grew)
        yield _finding(identity, f"{image}{mark}", growth, verdict, images[image], kind, image)


def _of_whole(identity: FindingId, subject: str, values: Sequence[JobSeconds], kind: _Kind) -> Finding:
    growth = cluster_growth(values)
    return _finding(identity, subject, growth, growth_verdict(growth), values, kind, None)


def cluster_growth(values: Iterable[JobSeconds]) -> Doubling | None:
    """A cluster one value; None where sizes do not differ."""
    sizes, cells = {}, defaultdict(list)
    for each in values:
        sizes[each.cluster] = each.size
        cells[each.cluster, each.image].append(math.log(each.seconds))
    levels = _levels({key: fmean(found) for key, found in cells.items()})
    return per_doubling([sizes[cluster] for cluster in levels], list(levels.values()))


def _levels(cells: dict[tuple[str, str], float]) -> dict[str, float]:
    """Of each cluster, beside the images' own: by least squares, in turn."""
    clusters, images = ({key[axis]: 0.0 for key in cells} for axis in (0, 1))
    by_cluster, by_image = defaultdict(list), defaultdict(list)
    for (cluster, image), value in cells.items():
        by_cluster[cluster].append((image, value))
        by_image[image].append((cluster, value))
    whole = all(len(found) == len(by_image) for found in by_cluster.values())
    for _ in range(1 if whole else _ROUNDS):
        images = {image: fmean(value - clusters[c] for c, value in found) for image, found in by_image.items()}
        clusters = {c: fmean(value - images[image] for image, value in found) for c, found in by_cluster.items()}
    return clusters


def _finding(
    identity: FindingId,
    subject: str,
    growth: Doubling | None,
    verdict: Verdict,
    values: Iterable[JobSeconds],
    kind: _Kind,
    image: str | None,
) -> Finding:
    clusters = len({each.cluster for each in values})
    return growth_finding(
        identity,
        subject,
        growth,
        verdict,
        _evidence(_WHAT[identity], growth, verdict, clusters),
        _ASSUMED if growth and growth.low is not None else (),
        clusters=clusters,
        cache=kind.cache,
        run=kind.run,
        image=image,
    )


_WHAT = {FindingId.PULL_GROWTH: "Pulls", FindingId.MAKESPAN_GROWTH: "Makespans"}
_ASSUMED = (
    "clusters differ by chance as these do about a line over log2 of their sizes",
    "growth is by the same factor with every doubling; where it is not, the interval is wider",
)


def _evidence(what: str, growth: Doubling | None, verdict: Verdict, clusters: int) -> str:
    if growth is None:
        return f"{what} were seen at one size only: whether they grow cannot be told."
    if growth.low is None or growth.high is None:
        return f"From {clusters} clusters growth cannot be told from how clusters differ: it takes {LEAST_CLUSTERS}."
    between = f"95%: {growth.low:.3f} to {growth.high:.3f}, {clusters} clusters"
    measured = f"{growth.value:.3f} times as long with every doubling of the nodes ({between})"
    if verdict is Verdict.YES:
        return f"{what} take longer on larger clusters: {measured}."
    if verdict is Verdict.NO:
        less = f"or by less than {RELEVANT - 1:.0%} a doubling"
        return f"{what} do not take longer on larger clusters, {less}: {measured}."
    return f"Whether {what.lower()} take longer on larger clusters cannot be told: {measured}."
