"""What bounds a job's makespan: the download, the unpacking, the volume that writes the image back, or a fixed time.

Named models of the seconds from the last "Pulling" to the job's end are compared: a constant (fixed), the pull and a
constant (download or unpack), and the pull and the wait for the volume (write-back). Where none of them fits, or the
jobs are too few, that is what is said.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pullstudy.analysis.findings.finding import Finding, FindingId, Interval, Verdict
from pullstudy.analysis.findings.writeback import LEAST_SIZES, JobPoint, WriteBackFit, fit_write_back
from pullstudy.analysis.statistics.regression import FittedLine, fit_grouped

BETTER_P = 0.01  # of a model with more parameters
MISFIT_P = 0.05
LEAST_WAIT_SHARE = 0.05  # of the makespans: a wait for the volume that is less bounds nothing
WIDEST = 2.5  # times from one end of the interval to the other: a rate known less well is not known
LEAST_PULL_SHARE = 0.5  # of the time to the end: what takes less does not bound it
FIXED_SHARE = 0.1  # of the mean: by so much at most does a fixed time differ from the smallest image to the largest
SLOWEST_LINK = 10e6  # bytes a second; slower than any registry brings an image to a node of a cloud
CLEARLY_LESS = 0.25  # times as much left unexplained by the one kind of bytes as by the other
COMPARABLE = ("cold", "unknown")  # of the cache states those in which an image's bytes are written whole


class Bound(StrEnum):
    DOWNLOAD = "download"
    UNPACK = "unpack"
    WRITE_BACK = "write-back"
    FIXED = "fixed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class BoundFit:
    """What was found of some jobs. ``why_no_rate`` is None where a write rate is claimed."""

    bound: Bound
    why: str
    write_back: WriteBackFit | None
    why_no_rate: str | None


def bound_findings(points: Iterable[JobPoint]) -> list[Finding]:
    """``bound`` and ``write-rate`` of all jobs, and of each layer count where there are several."""
    groups = list(_subjects([point for point in points if point.cache in COMPARABLE]))
    fits = _consistent([(group, bound_of(group)) for _, group in groups])
    return [
        found for (subject, group), fit in zip(groups, fits, strict=True) for found in _findings(subject, group, fit)
    ]


def _consistent(found: Sequence[tuple[Sequence[JobPoint], BoundFit]]) -> list[BoundFit]:
    """A volume writes at one rate, whatever the image: where the groups' rates exclude each other, none is claimed."""
    claimed = [fit.write_back for _, fit in found if fit.write_back is not None and fit.why_no_rate is None]
    low = max((fit.interval[0] or 0.0 for fit in claimed), default=0.0)
    high = min((fit.interval[1] or math.inf for fit in claimed), default=math.inf)
    if low <= high:
        return [fit for _, fit in found]
    rates = " and ".join(_megabytes(rate) for rate in sorted(fit.law.write_rate for fit in claimed))
    why = f"images of different layers give rates that exclude each other, {rates}, and a volume has one"
    return [_without_rate(points, fit, why) for points, fit in found]


def _without_rate(points: Sequence[JobPoint], found: BoundFit, why: str) -> BoundFit:
    if found.write_back is None or found.why_no_rate is not None:
        return found
    return BoundFit(*_other_bound(points, found.write_back, why), found.write_back, why)


def _subjects(points: Sequence[JobPoint]) -> Iterator[tuple[str, list[JobPoint]]]:
    if points:
        yield "all", list(points)
    layers = sorted({point.layers for point in points})
    if len(layers) > 1:
        yield from ((f"{count} layers", [each for each in points if each.layers == count]) for count in layers)


def bound_of(points: Sequence[JobPoint]) -> BoundFit:
    fit = fit_write_back(points)
    if fit is None:
        few = f"jobs of at least {LEAST_SIZES} image sizes with a known end are needed"
        return BoundFit(Bound.UNKNOWN, few, None, few)
    why_no_rate = _why_no_rate(fit)
    if why_no_rate is None and _volume_is_slower(points, fit):
        return BoundFit(Bound.WRITE_BACK, _WRITE_BACK, fit, None)
    return BoundFit(*_other_bound(points, fit, why_no_rate), fit, why_no_rate)


_WRITE_BACK = (
    "jobs end when the volume has written the image back, and it is slower than the image is unpacked: further bytes "
    "cost what the volume takes for them"
)


def _why_no_rate(fit: WriteBackFit) -> str | None:
    if fit.better_p > BETTER_P:
        return "the ends of the jobs are explained as well without a wait for the volume"
    if fit.misfit_p < MISFIT_P:
        return f"a wait for the volume at one rate does not fit these jobs (lack of fit, p = {fit.misfit_p:.2g})"
    if fit.wait_share < LEAST_WAIT_SHARE:
        return f"jobs wait for the volume for {fit.wait_share:.1%} of their time at most: it bounds nothing"
    low, high = fit.interval
    if low is None or high is None or high > WIDEST * low:
        return "the rate cannot be told from these data: its interval is too wide"
    return None


def _volume_is_slower(points: Iterable[JobPoint], fit: WriteBackFit) -> bool:
    """Than images come into a node's memory where they come fastest."""
    high = fit.interval[1]
    return high is not None and high < max(point.image_bytes / max(point.to_start, 0.01) for point in points)


def _other_bound(points: Sequence[JobPoint], fit: WriteBackFit, why_no_rate: str | None) -> tuple[Bound, str]:
    if _is_fixed(points):
        return Bound.FIXED, "the time to the end does not depend on the image's size"
    if why_no_rate is not None and fit.better_p <= BETTER_P and fit.wait_share >= LEAST_WAIT_SHARE:
        return Bound.UNKNOWN, f"jobs end as if they waited for the volume, but {why_no_rate}"
    share = sum(point.to_start for point in points) / sum(point.to_end for point in points)
    if share < LEAST_PULL_SHARE:
        return Bound.UNKNOWN, f"the pulls are {share:.0%} of the time to the end, and the rest is not explained"
    return _part_of_pull(points, share)


def _is_fixed(points: Sequence[JobPoint]) -> bool:
    line = _line(points, [float(point.image_bytes) for point in points], [point.to_end for point in points])
    if line is None or line.slope_low is None or line.slope_high is None:
        return False
    sizes = [point.image_bytes for point in points]
    most = max(abs(line.slope_low), abs(line.slope_high)) * (max(sizes) - min(sizes))
    return most < FIXED_SHARE * sum(point.to_end for point in points) / len(points)


def _part_of_pull(points: Sequence[JobPoint], share: float) -> tuple[Bound, str]:
    """Bytes that come and bytes that are unpacked tell apart only where images are compressed differently."""
    pull = f"the pulls are {share:.0%} of the time to the end"
    known = [point for point in points if point.compressed_bytes]
    if len(known) < len(points):
        return Bound.UNKNOWN, f"{pull}; the compressed sizes are not known that tell download from unpacking"
    fastest = max((point.compressed_bytes or 0) / max(point.to_start, 0.01) for point in known)
    if fastest < SLOWEST_LINK:
        return Bound.UNPACK, f"{pull}, in which {fastest / 1e6:.2g} MB/s came at most: no link is so slow"
    seconds = [point.to_start for point in known]
    by_compressed = _left(known, [float(point.compressed_bytes or 0) for point in known], seconds)
    by_unpacked = _left(known, [float(point.image_bytes) for point in known], seconds)
    if by_compressed < CLEARLY_LESS * by_unpacked:
        return Bound.DOWNLOAD, f"{pull}, and go by the compressed bytes"
    if by_unpacked < CLEARLY_LESS * by_compressed:
        return Bound.UNPACK, f"{pull}, and go by the unpacked bytes"
    return Bound.UNKNOWN, f"{pull}; download and unpacking cannot be told apart where all images compress alike"


def _line(points: Sequence[JobPoint], xs: Sequence[float], ys: Sequence[float]) -> FittedLine | None:
    return fit_grouped([point.group for point in points], xs, ys)


def _left(points: Sequence[JobPoint], xs: Sequence[float], ys: Sequence[float]) -> float:
    """The share that a line leaves unexplained."""
    line = _line(points, xs, ys)
    return 1.0 if line is None or line.r_squared is None else 1 - line.r_squared


def _findings(subject: str, points: Sequence[JobPoint], found: BoundFit) -> Iterator[Finding]:
    yield Finding(
        id=FindingId.BOUND,
        subject=subject,
        value=str(found.bound),
        unit="",
        n=len(points),
        counts="jobs",
        verdict=Verdict.UNKNOWN if found.bound is Bound.UNKNOWN else Verdict.YES,
        evidence=f"{_sentence(found.bound)}: {found.why}.",
        assumptions=_ASSUMED,
    )
    claimed = found.write_back if found.why_no_rate is None else None
    yield Finding(
        id=FindingId.WRITE_RATE,
        subject=subject,
        value=claimed.law.write_rate if claimed else None,
        interval=claimed.interval if claimed else None,
        unit="bytes/s",
        n=len(points),
        counts="jobs",
        verdict=Verdict.YES if claimed else Verdict.UNKNOWN,
        evidence=_rate_sentence(claimed, found.why_no_rate),
        assumptions=_ASSUMED if claimed else (),
    )


def _sentence(bound: Bound) -> str:
    if bound is Bound.UNKNOWN:
        return "What bounds the makespan cannot be told from these data"
    return f"The makespan is bound by {_WORDS[bound]}"


_WORDS = {
    Bound.DOWNLOAD: "the download",
    Bound.UNPACK: "the unpacking",
    Bound.WRITE_BACK: "the write-back to the nodes' volumes",
    Bound.FIXED: "a fixed time",
}
_ASSUMED = (
    "containers do nothing and end when their image is on the volume",
    "an image's unpacked bytes are those that its tag states",
    "volumes of all nodes write alike, and nothing else writes to them",
)


def _rate_sentence(claimed: WriteBackFit | None, why_not: str | None) -> str:
    if claimed is None:
        return f"No write rate can be told: {why_not}."
    return (
        f"The volumes write {_megabytes(claimed.law.write_rate)} ({_between(claimed.interval)}), by when jobs end: the "
        f"wait for them fits (lack of fit, p = {claimed.misfit_p:.2g}) and leaves {claimed.deviation_seconds:.2g} s."
    )


def _between(interval: Interval) -> str:
    low, high = (_megabytes(value or math.nan) for value in interval)
    return f"95%: {low} to {high}"


def _megabytes(rate: float) -> str:
    return f"{rate / 1e6:.4g} MB/s"
