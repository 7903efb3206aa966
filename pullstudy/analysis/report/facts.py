"""What the sections of the report share, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pullstudy.analysis.findings.growth import Decomposition, decompositions
from pullstudy.analysis.reading.study import StudyData
from pullstudy.analysis.report.series import Series, series_of
from pullstudy.analysis.timelines.assembly import build_timelines
from pullstudy.analysis.timelines.timeline import JobTimeline
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.pulls.record import Outcome, PullRecord

COLD, UNKNOWN_CACHE = "cold", "unknown"
_CACHE_ORDER = (COLD, "partial", "warm", "mixed", UNKNOWN_CACHE)


@dataclass(frozen=True)
class ImageKey:
    """An image in a chart: its layers and unpacked bytes where its tag states them."""

    image: str
    layers: int | None
    unpacked_bytes: int | None

    @property
    def order(self) -> tuple[int, int, str]:
        return (self.layers or 0, self.unpacked_bytes or 0, self.image)


@dataclass(frozen=True)
class PullGroup:
    """Pulls that may stand in one distribution: one cache state, one layer count (None: images that state none)."""

    cache: str
    layers: int | None
    pulls: dict[tuple[ImageKey, str], list[PullRecord]]  # by image and series

    @property
    def images(self) -> list[ImageKey]:
        return sorted({key for key, _ in self.pulls}, key=lambda key: key.order)


@dataclass(frozen=True)
class Facts:
    """A study and what follows from it."""

    study: StudyData
    jobs: tuple[JobTimeline, ...]
    series: Series
    groups: tuple[PullGroup, ...]
    decompositions: tuple[Decomposition, ...]

    @property
    def pulled(self) -> list[PullRecord]:
        return [record for record in self.study.pulls if record.outcome is Outcome.PULLED]

    @property
    def dates(self) -> tuple[datetime, datetime] | None:
        times = [record.finished_at for record in self.study.pulls if record.finished_at is not None]
        return (min(times), max(times)) if times else None

    @property
    def providers(self) -> list[str]:
        return list(dict.fromkeys(run.provider for run in self.study.ledger.runs))


def gather_facts(study: StudyData) -> Facts:
    jobs = tuple(build_timelines(study))
    series = series_of(study)
    return Facts(study, jobs, series, tuple(_groups(study, series)), tuple(decompositions(jobs)))


def image_key(image: str) -> ImageKey:
    shape = study_shape(parse_image(image).tag)
    return ImageKey(image, *(shape or (None, None)))


def cache_order(cache: str) -> int:
    return _CACHE_ORDER.index(cache) if cache in _CACHE_ORDER else len(_CACHE_ORDER)


def _groups(study: StudyData, series: Series) -> Sequence[PullGroup]:
    caches = {(row.cluster, row.job, row.node): str(row.cache) for row in study.ledger.node_caches}
    groups: dict[tuple[str, int | None], PullGroup] = {}
    for record in study.pulls:
        if record.outcome is not Outcome.PULLED or record.pull_seconds is None or record.image is None:
            continue
        key = image_key(record.image)
        cache = caches.get((record.cluster, record.job or "", record.node or ""), UNKNOWN_CACHE)
        group = groups.setdefault((cache, key.layers), PullGroup(cache, key.layers, {}))
        group.pulls.setdefault((key, series.label(record.cluster)), []).append(record)
    return sorted(groups.values(), key=lambda group: (cache_order(group.cache), group.layers or 0))
