"""Do pulls, or makespans, take longer on larger clusters? By how much, times, with every doubling of the nodes?

All jobs of a cluster share its day, its registry and its machines, so that a cluster is one value: the mean of its
images' logarithms, each image beside its own mean. A line through the clusters' values over log2 of their sizes has
their scatter about it for its error, and as many degrees of freedom as there are clusters beyond two: of two clusters
nothing can be told. Images are tested together (Holm). "No" is said where the interval excludes a growth that matters.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from pullstudy.analysis.findings.finding import Finding, FindingId, Interval, Verdict
from pullstudy.analysis.statistics.holm import holds
from pullstudy.analysis.statistics.quantiles import median
from pullstudy.analysis.statistics.regression import CONFIDENCE, FittedLine, fit
from pullstudy.analysis.timelines.job_summary import JobSummary
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.pulls.milestone import Moment

RELEVANT = 1.05  # times a doubling: less growth from 4 to 256 nodes is less than by 1.34
LEAST_CLUSTERS = 3
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
    """Up to the last moment that all these jobs have: a job whose end is not on record is not shorter for it."""
    usable = [job for job in jobs if job.size and job.start is not None and not job.failed and job.image]
    until = _last_common(usable)
    for job in usable:
        seconds = job.makespan_seconds if until is None else job.reached.get(until)
        if job.size and job.image and seconds is not None and seconds > 0:
            yield JobSeconds(job.cluster, job.size, job.image, job.cache, seconds, job.run)


def _last_common(jobs: Sequence[JobSummary]) -> Moment | None:
    """None: the end of the job."""
    if all(job.completed for job in jobs):
        return None
    return max(
        (moment for moment in Moment if all(moment in job.reached for job in jobs)),
        key=list(Moment).index,
        default=None,
    )


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
    lines = {image: cluster_line(part) for image, part in images.items()}
    held = holds([line.p if line is not None and _told(line) else None for line in lines.values()])
    for (image, line), grew in zip(lines.items(), held, strict=True):
        count = len({each.cluster for each in images[image]})
        yield _told_finding(identity, f"{image}{mark}", line, grew, count, kind, image)


def _of_whole(identity: FindingId, subject: str, values: Sequence[JobSeconds], kind: _Kind) -> Finding:
    line = cluster_line(values)
    held = line is not None and _told(line) and line.p is not None and line.p <= 1 - CONFIDENCE
    return _told_finding(identity, subject, line, held, len({each.cluster for each in values}), kind, None)


def cluster_line(values: Iterable[JobSeconds]) -> FittedLine | None:
    """Natural logarithms of seconds a doubling of the nodes, a cluster a point; None where sizes do not differ."""
    sizes, cells = {}, defaultdict(list)
    for each in values:
        sizes[each.cluster] = each.size
        cells[each.cluster, each.image].append(math.log(each.seconds))
    levels = _levels({key: fmean(found) for key, found in cells.items()})
    clusters = list(levels)
    return fit([math.log2(sizes[cluster]) for cluster in clusters], [levels[cluster] for cluster in clusters])


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


def _told(line: FittedLine) -> bool:
    return line.count >= LEAST_CLUSTERS and line.slope_low is not None and line.slope_high is not None


def _told_finding(
    identity: FindingId,
    subject: str,
    line: FittedLine | None,
    held: bool,
    clusters: int,
    kind: _Kind,
    image: str | None,
) -> Finding:
    told = line if line is not None and _told(line) else None
    value = _ratio(line.slope) if line is not None else None
    interval = (_ratio(told.slope_low), _ratio(told.slope_high)) if told else (None, None)
    verdict = _verdict(told, held)
    return Finding(
        id=identity,
        subject=subject,
        value=value,
        interval=interval if line is not None else None,
        unit="times a doubling of the nodes",
        n=clusters,
        counts="clusters",
        verdict=verdict,
        evidence=_evidence(_WHAT[identity], value, interval, verdict, clusters),
        assumptions=_ASSUMED if told else (),
        cache=kind.cache,
        run=kind.run,
        image=image,
    )


_WHAT = {FindingId.PULL_GROWTH: "Pulls", FindingId.MAKESPAN_GROWTH: "Makespans"}
_ASSUMED = (
    "clusters differ by chance as these do about a line over log2 of their sizes",
    "growth is by the same factor with every doubling; where it is not, the interval is wider",
)


def _ratio(logarithm: float | None) -> float | None:
    return math.exp(max(-700.0, min(logarithm, 700.0))) if logarithm is not None else None


def _verdict(line: FittedLine | None, held: bool) -> Verdict:
    if line is None or line.slope_high is None:
        return Verdict.UNKNOWN
    if held and line.slope > 0:
        return Verdict.YES
    return Verdict.NO if line.slope_high < math.log(RELEVANT) else Verdict.UNKNOWN


def _evidence(what: str, value: float | None, interval: Interval, verdict: Verdict, clusters: int) -> str:
    if value is None:
        return f"{what} were seen at one size only: whether they grow cannot be told."
    low, high = interval
    if low is None or high is None:
        return (
            f"{what} took {value:.3g} times as long a doubling; whether that is growth or how clusters differ cannot "
            f"be told from {clusters} clusters: {LEAST_CLUSTERS} or more are needed."
        )
    between = f"95%: {low:.3f} to {high:.3f}, {clusters} clusters"
    measured = f"{value:.3f} times as long with every doubling of the nodes ({between})"
    if verdict is Verdict.YES:
        return f"{what} take longer on larger clusters: {measured}."
    if verdict is Verdict.NO:
        less = f"or by less than {RELEVANT - 1:.0%} a doubling"
        return f"{what} do not take longer on larger clusters, {less}: {measured}."
    return f"Whether {what.lower()} take longer on larger clusters cannot be told: {measured}."
