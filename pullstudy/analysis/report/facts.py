"""What the sections of the report share, computed once."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path

from pullstudy.analysis.findings.bound import bound_findings
from pullstudy.analysis.findings.clock_skew import ClockBounds, NodeClock
from pullstudy.analysis.findings.failed_pulls import Event, FailedPulls, newly_counted
from pullstudy.analysis.findings.finding import Finding
from pullstudy.analysis.findings.growth import Decomposition, decompositions
from pullstudy.analysis.findings.loss import Unaudited, without_audit
from pullstudy.analysis.findings.model_error import foretold_jobs, model_errors
from pullstudy.analysis.findings.pull_groups import PullCounts, PullGroups
from pullstudy.analysis.findings.stage_seconds import StageSeconds, stage_seconds
from pullstudy.analysis.findings.stragglers import Stragglers
from pullstudy.analysis.findings.writeback import JobPoint, point_of
from pullstudy.analysis.reading.image_sizes import compressed_bytes, guessed_images
from pullstudy.analysis.reading.job_records import JobRecords
from pullstudy.analysis.reading.source import StudySource
from pullstudy.analysis.reading.study import Study, StudyRecords, opened_study
from pullstudy.analysis.report.series import Series, series_of
from pullstudy.analysis.timelines.assembly import timelines_of
from pullstudy.analysis.timelines.job_summary import JobSummary, summary_of
from pullstudy.analysis.timelines.phase_seconds import PhaseSeconds
from pullstudy.analysis.timelines.timeline import JobTimeline
from pullstudy.pulls.batch import Gap, Reject
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.pulls.streamed import StreamedPulls

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


@dataclass(frozen=True, slots=True)
class PullValues:
    """Of each pull its seconds, and its bytes as the kubelet counts the image: 0 where it does not say."""

    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    image_bytes: "array[int]" = field(default_factory=lambda: array("q"))


@dataclass(frozen=True)
class PullGroup:
    """Pulls that may stand in one distribution: one cache state, one layer count (None: images that state none)."""

    cache: str
    layers: int | None
    pulls: dict[tuple[ImageKey, str], PullValues]  # by image and cluster

    @property
    def order(self) -> tuple[int, int]:
        return (cache_order(self.cache), self.layers or 0)

    @property
    def images(self) -> list[ImageKey]:
        return sorted({key for key, _ in self.pulls}, key=lambda key: key.order)


@dataclass
class Rejected:
    """Input that could not be understood: the first place, and how often."""

    position: str
    times: int = 0


@dataclass(frozen=True)
class Facts:
    """A study and what follows from it: no records and no timelines, but what these were folded into.

    ``counts`` and ``groups`` are of the pulls of jobs; of all pulls, where no job pulled anything. ``pulls`` are all.
    """

    study: Study
    jobs: tuple[JobSummary, ...]
    series: Series
    groups: tuple[PullGroup, ...]
    counts: PullCounts
    pulls: PullGroups
    failed: FailedPulls
    phases: PhaseSeconds
    stages: StageSeconds
    stragglers: Stragglers
    clocks: tuple[NodeClock, ...]
    points: tuple[JobPoint, ...]
    gaps: tuple[Gap, ...]
    rejects: Mapping[tuple[str, str], Rejected]  # by source and problem
    discards: Mapping[str, int]  # events that an exporter did not write, by cluster
    present: Mapping[str, int]  # containers of jobs whose image came or was there, by cluster
    advise: "Advise"  # what a model says of changes; nothing where there is none

    @cached_property
    def decompositions(self) -> tuple[Decomposition, ...]:
        return tuple(decompositions(self.jobs))

    @cached_property
    def bounds(self) -> tuple[Finding, ...]:
        """What bounds the makespan, and the write rate of volumes."""
        return tuple(bound_findings(self.points))

    @cached_property
    def model_errors(self) -> tuple[Finding, ...]:
        """Of what was foretold before each job; of nothing where nothing was."""
        return tuple(model_errors(foretold_jobs(self.jobs, self.study.ledger.foretold)))

    @cached_property
    def advice(self) -> tuple[Finding, ...]:
        """Changes that would save something, the most first."""
        return tuple(self.advise(self))

    @cached_property
    def unaudited(self) -> tuple[Unaudited, ...]:
        """Of each cluster with jobs how many pulls there would be, which counts where there is no audit."""
        return tuple(without_audit(self.jobs, self.present, self.discards))

    @cached_property
    def guessed_images(self) -> tuple[str, ...]:
        """Whose size nobody told a simulation. Real nodes pull what there is."""
        if not self.study.simulated:
            return ()
        return tuple(guessed_images(self.study.ledger.runs, self.counts.images))

    @cached_property
    def compressed_bytes(self) -> Mapping[str, int]:
        """By image, as manifests or the study tell it."""
        return compressed_bytes(self.study.ledger.runs, self.study.layers)

    @property
    def dates(self) -> tuple[datetime, datetime] | None:
        return (self.counts.first_at, self.counts.last_at) if self.counts.first_at and self.counts.last_at else None

    @property
    def providers(self) -> list[str]:
        return list(dict.fromkeys(run.provider for run in self.study.ledger.runs))


Advise = Callable[[Facts], Iterable[Finding]]


def no_advice(_: Facts) -> Iterable[Finding]:
    """Of a study that no model is asked about."""
    return ()


def gather_facts(where: Path | StudySource, advise: Advise = no_advice) -> Facts:
    """Reads the study once, job by job. Raises NotAStudyError, StoreError."""
    with opened_study(where) as records:
        return facts_of(records, advise)


def facts_of(records: StudyRecords, advise: Advise = no_advice) -> Facts:
    """Raises StoreError."""
    fold = _Fold(records.study, records.streamed_pulls())
    for group in records.jobs():
        fold.add_group(group)
    fold.add_others(records.other_pulls())
    discards = Counter(discard.cluster for discard in records.discards())
    stages = stage_seconds(records.pull_stages(), records.pulled_layers())
    return fold.facts(tuple(records.gaps()), _rejects(records.rejects()), discards, stages, advise)


def _rejects(rejects: Iterable[Reject]) -> dict[tuple[str, str], Rejected]:
    found: dict[tuple[str, str], Rejected] = {}
    for reject in rejects:
        found.setdefault((reject.source, reject.problem), Rejected(reject.position)).times += 1
    return found


class _Fold:
    """What is kept while records stream by: those of jobs first, then the others."""

    def __init__(self, study: Study, streamed: StreamedPulls) -> None:
        self._study = study
        self._streamed = streamed
        self._series = series_of(study)
        self._jobs: list[JobSummary] = []
        self._groups: dict[tuple[str, int | None], PullGroup] = {}
        self._of_jobs, self._of_others = PullCounts(), PullCounts()
        self._pulls = PullGroups(_span(study))
        self._failed, self._phases = FailedPulls(), PhaseSeconds()
        self._stragglers, self._clocks = Stragglers(), ClockBounds()
        self._points: list[JobPoint] = []
        self._present: Counter[str] = Counter()

    def add_group(self, group: JobRecords) -> None:
        caches = {row.node: str(row.cache) for row in group.node_caches}
        for pull in group.pulls:
            self._add(pull, self._of_jobs)
            self._add_duration(pull, caches.get(pull.node or "", UNKNOWN_CACHE))
        self._add_failures(group.pulls, {})
        there = (pull for pull in group.pulls if pull.outcome in (Outcome.PULLED, Outcome.CACHED))
        self._present[group.cluster] += len({(pull.pod_uid or pull.pod, pull.container) for pull in there})
        for job in timelines_of(group):
            self._add_job(job)

    def add_others(self, pulls: Iterable[PullRecord]) -> None:
        alone = not self._of_jobs.pulled
        counts: dict[Event, int] = {}
        for pull in pulls:
            self._add(pull, self._of_others)
            if alone:
                self._add_duration(pull, UNKNOWN_CACHE)
            self._add_failures((pull,), counts)

    def _add_failures(self, pulls: Iterable[PullRecord], counts: dict[Event, int]) -> None:
        for added in newly_counted(pulls, counts):
            self._failed.add(added)
            self._pulls.add_failures(added)

    def facts(
        self,
        gaps: tuple[Gap, ...],
        rejects: Mapping[tuple[str, str], Rejected],
        discards: Mapping[str, int],
        stages: StageSeconds,
        advise: Advise,
    ) -> Facts:
        jobs = tuple(sorted(self._jobs, key=lambda job: job.order))
        return Facts(
            study=self._study,
            jobs=jobs,
            series=self._series,
            groups=tuple(sorted(self._groups.values(), key=lambda group: group.order)),
            counts=self._of_jobs if self._of_jobs.pulled else self._of_others,
            pulls=self._pulls,
            failed=self._failed,
            phases=self._phases,
            stages=stages,
            stragglers=self._stragglers,
            clocks=tuple(self._clocks.clocks()),
            points=tuple(self._points),
            gaps=gaps,
            rejects=rejects,
            discards=discards,
            present=self._present,
            advise=advise,
        )

    def _add(self, pull: PullRecord, counts: PullCounts) -> None:
        self._pulls.add(pull)
        counts.add(pull)

    def _add_job(self, job: JobTimeline) -> None:
        self._jobs.append(summary_of(job, self._streamed))
        self._phases.add(job)
        self._stragglers.add(job)
        self._clocks.add(job)
        point = point_of(job)
        if point is not None:
            self._points.append(point)

    def _add_duration(self, pull: PullRecord, cache: str) -> None:
        if pull.outcome is not Outcome.PULLED or pull.pull_seconds is None or pull.image is None:
            return
        key = image_key(pull.image)
        group = self._groups.setdefault((cache, key.layers), PullGroup(cache, key.layers, {}))
        values = group.pulls.setdefault((key, pull.cluster), PullValues())
        values.seconds.append(pull.pull_seconds)
        values.image_bytes.append(pull.image_bytes or 0)


def _span(study: Study) -> tuple[datetime, datetime] | None:
    begun = [each.first_at for each in study.stored if each.first_at is not None]
    ended = [each.last_at for each in study.stored if each.last_at is not None]
    return (min(begun), max(ended)) if begun and ended else None


@lru_cache(4096)
def image_key(image: str) -> ImageKey:
    shape = study_shape(parse_image(image).tag)
    return ImageKey(image, *(shape or (None, None)))


def cache_order(cache: str) -> int:
    return _CACHE_ORDER.index(cache) if cache in _CACHE_ORDER else len(_CACHE_ORDER)
