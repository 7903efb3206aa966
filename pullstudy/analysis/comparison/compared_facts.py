"""What of a study is compared: less is kept of it than a report shows, since two studies are in memory together."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pullstudy.analysis.findings.comparison import ComparedStudy, Ended, Item, Pulls, most_streamed
from pullstudy.analysis.findings.cost import cluster_costs
from pullstudy.analysis.findings.failed_pulls import Event, newly_counted
from pullstudy.analysis.findings.pull_groups import Name, PullCounts, image_of, owner_of
from pullstudy.analysis.findings.stage_differences import JobStages
from pullstudy.analysis.reading.job_records import JobRecords
from pullstudy.analysis.reading.joined_stages import JoinedStages
from pullstudy.analysis.reading.source import StudySource
from pullstudy.analysis.reading.study import Study, opened_study
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import UNKNOWN_CACHE, ImageKey, cache_order, image_key
from pullstudy.analysis.statistics.rate_ratio import Counted
from pullstudy.analysis.timelines.assembly import timelines_of
from pullstudy.analysis.timelines.job_summary import ImagePulls, JobSummary, summary_of
from pullstudy.pulls.image import image_fits
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.pulls.streamed import Streamed, StreamedPulls

Wanted = Callable[[str], bool]


@dataclass(frozen=True)
class ComparedFacts:
    """A study and what of it is put beside another's.

    ``counts`` are of the pulls of jobs; of all, where no job pulled anything.
    """

    study: Study
    compared: ComparedStudy
    counts: PullCounts
    failed_attempts: int
    failed_jobs: int
    discards: int
    stages: tuple[JobStages, ...] = ()


def compared_facts(where: Path | StudySource, images: Sequence[str] = ()) -> ComparedFacts:
    """Of the images that fit one of the patterns; of all without any. Reads the study once, job by job.

    Raises NotAStudyError, StoreError.
    """

    def wanted(image: str) -> bool:
        return not images or any(image_fits(image, pattern) for pattern in images)

    with opened_study(where) as records:
        fold = _Fold(wanted, _Attempts(wanted if images else None), records.streamed_pulls())
        for group in records.jobs():
            fold.add_group(group)
        fold.add_others(records.other_pulls())
        fold.add_stages(records.joined_stages(), records.study.sizes)
        return fold.facts(records.study, sum(1 for _ in records.discards()))


class _Fold:
    """What is kept while records stream by: those of jobs first, then the others."""

    def __init__(self, wanted: Wanted, attempts: "_Attempts", streamed: StreamedPulls) -> None:
        self._wanted = wanted
        self._attempts = attempts
        self._streamed = streamed
        self._jobs: list[JobSummary] = []
        self._apart = _PullsApart(wanted)
        self._of_jobs, self._of_others = PullCounts(), PullCounts()
        self._stages: tuple[JobStages, ...] = ()

    def add_group(self, group: JobRecords) -> None:
        caches = {row.node: str(row.cache) for row in group.node_caches}
        for pull in group.pulls:
            self._add(pull, self._of_jobs)
            if pull.pod is None or pull.container is None:  # it is in no timeline
                self._apart.add(pull, caches.get(pull.node or "", UNKNOWN_CACHE))
        self._attempts.add_failures(group.pulls, {})
        self._jobs.extend(summary_of(job, self._streamed) for job in timelines_of(group))

    def add_others(self, pulls: Iterable[PullRecord]) -> None:
        alone = not self._of_jobs.pulled
        counts: dict[Event, int] = {}
        for pull in pulls:
            self._add(pull, self._of_others)
            if alone:
                self._apart.add(pull, UNKNOWN_CACHE)
            self._attempts.add_failures((pull,), counts)

    def add_stages(self, found: Iterable[JoinedStages], sizes: Mapping[str, int | None]) -> None:
        """Once the jobs are there: their caches are known by then."""
        caches = {(job.cluster, job.job): job.cache for job in self._jobs}
        kept: dict[tuple[str, str | None, str], JobStages] = {}
        for each in found:
            stages, job = each.stages, each.pull.job if each.pull is not None else None
            image = stages.image
            if stages.outcome is not Outcome.PULLED or not stages.complete or image is None or not self._wanted(image):
                continue
            key = (stages.cluster, job, image)
            if key not in kept:
                size = stages.size or sizes.get(stages.cluster) or 0
                item = item_of(image, caches.get((stages.cluster, job or ""), UNKNOWN_CACHE))
                kept[key] = JobStages(stages.cluster, size, item)
            kept[key].add(stages)
        of_jobs = tuple(stages for (_, job, _), stages in kept.items() if job is not None)
        self._stages = of_jobs or tuple(kept.values())  # beside jobs, what joins none is of nobody's known occasion

    def _add(self, pull: PullRecord, counts: PullCounts) -> None:
        self._attempts.add(pull)
        counts.add(pull)

    def facts(self, study: Study, discards: int) -> ComparedFacts:
        jobs = sorted(self._jobs, key=lambda job: job.order)
        return ComparedFacts(
            study=study,
            compared=_compared_study(study, jobs, self._apart, self._attempts, self._wanted),
            counts=self._of_jobs if self._of_jobs.pulled else self._of_others,
            failed_attempts=self._attempts.failed,
            failed_jobs=sum(job.failed for job in jobs),
            discards=discards,
            stages=self._stages,
        )


class _PullsApart:
    """Pulls that are in no job. Nothing tells their occasions apart: a cluster's pulls of an image are one value."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._seconds: dict[tuple[str, ImageKey, str], array[float]] = {}  # by cache, image and cluster

    def add(self, pull: PullRecord, cache: str) -> None:
        if pull.outcome is Outcome.PULLED and pull.pull_seconds is not None and pull.image is not None:
            key = (cache, image_key(pull.image), pull.cluster)
            self._seconds.setdefault(key, array("d")).append(pull.pull_seconds)

    def pulls(self, sizes: Mapping[str, int | None]) -> list[Pulls]:
        """By cache state and layers."""
        found = sorted(self._seconds.items(), key=lambda item: (cache_order(item[0][0]), item[0][1].layers or 0))
        return [
            Pulls(cluster, sizes.get(cluster) or 0, item_of(key.image, cache), seconds, Streamed.WHOLE)
            for (cache, key, cluster), seconds in found
            if self._wanted(key.image)
        ]


class _Attempts:
    """That asked a registry, and those of them that failed: by owner of the pods, a job or what people deployed.

    By image, where images are chosen.
    """

    def __init__(self, wanted: Wanted | None) -> None:
        self._wanted = wanted
        self._name_of = image_of if wanted else owner_of
        self._pulled: Counter[Name] = Counter()
        self._failed: Counter[Name] = Counter()
        self.failed = 0

    def add(self, pull: PullRecord) -> None:
        name = self._name_of(pull)
        if name is not None:
            self._pulled[name] += pull.outcome is Outcome.PULLED

    def add_failures(self, pulls: Iterable[PullRecord], counts: dict[Event, int]) -> None:
        """Of pulls that were added; ``counts`` is newly_counted()'s."""
        for pull in newly_counted(pulls, counts):
            if pull.outcome is Outcome.FAILED:
                self.failed += pull.count
                name = self._name_of(pull)
                if name is not None:
                    self._failed[name] += pull.count

    def counted(self) -> list[Counted]:
        """In order of when each name was first seen."""
        chosen = (name for name in self._pulled if self._wanted is None or self._wanted(name[0]))
        each = ((self._failed[name], self._pulled[name]) for name in chosen)
        return [Counted(failed, failed + pulled) for failed, pulled in each if failed or pulled]


def _compared_study(
    study: Study, jobs: Sequence[JobSummary], apart: _PullsApart, attempts: _Attempts, wanted: Wanted
) -> ComparedStudy:
    prices = {cost.cluster: cost.price for cost in cluster_costs(study, jobs) if cost.price}
    currencies = {price.currency for price in prices.values()}
    return ComparedStudy(
        pulls=[pulls for job in jobs for pulls in _pulls_of_job(job, wanted)] or apart.pulls(study.sizes),
        jobs=[
            _ended(job, prices[job.cluster].per_node_hour if job.cluster in prices else None)
            for job in jobs
            if not job.failed and job.start is not None and any(map(wanted, job.images))
        ],
        failures=attempts.counted(),
        currency=currencies.pop() if len(currencies) == 1 else None,
    )


def item_of(image: str, cache: str) -> Item:
    """Images of two studies are the same by layers and bytes, or by name and tag; their registries may differ."""
    known = image_key(image)
    name = wording.image_name(image) if known.layers else image.rpartition("/")[2]
    return Item(cache_order(cache), known.layers or 0, known.unpacked_bytes or 0, name, cache)


def _pulls_of_job(job: JobSummary, wanted: Wanted) -> Iterator[Pulls]:
    """An image is one value, whatever its containers, and whichever of its pulls were streamed."""
    by_item: dict[Item, list[ImagePulls]] = defaultdict(list)
    for pulls in job.pulls:
        if pulls.downloads and wanted(pulls.image):
            by_item[item_of(pulls.image, pulls.cache)].append(pulls)
    for item, found in by_item.items():
        seconds = found[0].downloads if len(found) == 1 else [value for each in found for value in each.downloads]
        streamed = most_streamed(each.streaming for each in found)
        yield Pulls(job.cluster, job.size or 0, item, seconds, streamed)


def _ended(job: JobSummary, price: float | None) -> Ended:
    items = [item_of(image, job.cache) for image in job.images]
    several = Item(cache_order(job.cache), 0, 0, " + ".join(sorted(item.name for item in items)), job.cache)
    item = items[0] if len(items) == 1 else several
    return Ended(job.cluster, job.size or 0, item, job.seconds_until, price)
