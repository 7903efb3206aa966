"""How long pulls take: the median with p95 and p99, of all, by size, by image, and by image and size.

Of downloads alone: a pod that waited for another one's download on its node waited for a part of it. Pulls of different
cache states never stand in one distribution. A job is a unit; where a study has no jobs, an image's pulls on a cluster.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pullstudy.analysis.findings.finding import Finding, FindingId, Interval, Verdict
from pullstudy.analysis.statistics.quantile_intervals import ASSUMED_SPREAD, ClusteredSample, QuantileEstimate
from pullstudy.pulls.streamed import Streamed

K = TypeVar("K", bound=Hashable)
MOST_IMAGES_AT_SIZES = 400  # findings of an image at a size: of more images and sizes only those of each alone


@dataclass(frozen=True, slots=True)
class Downloads:
    """Seconds of an image's downloads in one job."""

    cluster: str
    size: int | None
    image: str
    cache: str
    seconds: Sequence[float]
    streamed: Streamed = Streamed.WHOLE


def sample_of(downloads: Iterable[Downloads]) -> ClusteredSample:
    """Images on clusters are strata, jobs units."""
    strata: dict[tuple[str, str, str], list[Sequence[float]]] = defaultdict(list)
    for each in downloads:
        strata[each.cluster, each.image, each.cache].append(each.seconds)
    return ClusteredSample(strata.values())


def assumptions(downloads: Iterable[Downloads], sample: ClusteredSample, counts: str) -> tuple[str, ...]:
    """What intervals of these rest on."""
    found = [f"{counts} are a sample of what these clusters would do; how clusters differ is not in it"]
    if sample.alone:
        found.append(
            f"where an image has one of the {counts} on a cluster, these differ by {ASSUMED_SPREAD:.0%} (standard "
            "deviation) and its pulls are independent"
        )
    if any(each.streamed is not Streamed.WHOLE for each in downloads):
        found.append("pulls were streamed, or may have been: not all of their bytes had come")
    return tuple(found)


def pull_seconds(downloads: Iterable[Downloads], counts: str = "jobs") -> Iterator[Finding]:
    """``counts`` is what a unit is."""
    by_cache: dict[str, list[Downloads]] = defaultdict(list)
    for each in downloads:
        if each.seconds:
            by_cache[each.cache].append(each)
    for cache, found in by_cache.items():
        said = f", {cache}" if len(by_cache) > 1 else ""
        yield _finding(found, f"all{said}", counts, cache=cache)
        for size, part in _grouped(found, lambda each: each.size).items():
            yield _finding(part, f"{_nodes(size)}{said}", counts, cache=cache, size=size)
        for image, part in _grouped(found, lambda each: each.image).items():
            yield _finding(part, f"{image}{said}", counts, cache=cache, image=image)
        pairs = _grouped(found, lambda each: (each.size, each.image))
        if len(pairs) <= MOST_IMAGES_AT_SIZES:
            for (size, image), part in pairs.items():
                yield _finding(part, f"{_nodes(size)}, {image}{said}", counts, cache=cache, size=size, image=image)


def _grouped(downloads: Iterable[Downloads], by: Callable[[Downloads], K]) -> dict[K, list[Downloads]]:
    found: dict[K, list[Downloads]] = defaultdict(list)
    for each in downloads:
        found[by(each)].append(each)
    return found


def _nodes(size: int | None) -> str:
    return f"{size} nodes" if size else "nodes unknown"


def _finding(
    downloads: Sequence[Downloads],
    subject: str,
    counts: str,
    *,
    cache: str,
    size: int | None = None,
    image: str | None = None,
) -> Finding:
    sample = sample_of(downloads)
    middle, p95, p99 = (sample.quantile(probability) for probability in (0.5, 0.95, 0.99))
    assert middle is not None  # only quantiles near 1 ask for more than one value
    bounded = middle.low is not None and middle.high is not None
    return Finding(
        id=FindingId.PULL_SECONDS,
        subject=subject,
        value=middle.value,
        interval=(middle.low, middle.high),
        unit="s",
        n=sample.units,
        counts=counts,
        verdict=Verdict.YES if bounded else Verdict.UNKNOWN,
        evidence=(
            f"{subject}: median {_told(middle)}, of {len(sample.ordered):,} downloads in {sample.units:,} {counts}"
        ),
        assumptions=assumptions(downloads, sample, counts),
        p95=p95.value if p95 else None,
        p95_interval=_interval(p95),
        p99=p99.value if p99 else None,
        p99_interval=_interval(p99),
        size=size,
        image=image,
        cache=cache,
    )


def _interval(estimate: QuantileEstimate | None) -> Interval | None:
    return (estimate.low, estimate.high) if estimate else None


def _told(estimate: QuantileEstimate) -> str:
    low, high = ("?" if bound is None else f"{bound:.3g}" for bound in (estimate.low, estimate.high))
    return f"{estimate.value:.3g} s (95%: {low} to {high})"
