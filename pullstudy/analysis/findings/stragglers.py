"""Stragglers: pods that took far longer than the others of their job, and what was slow: a node, an image, a registry.

A pod's time is its own, from its "Pulling" (or from Scheduled, where that is unknown) to its start: that it was created
late, in a later batch of the job controller, makes no node slow, and is told by itself. A pod straggles where its time
is beyond the scatter of its job's pods, by a limit with one false alarm in a hundred jobs whatever their size. A node
is slow where it is so over several jobs; an image or a registry, where it has more stragglers than its share of pulls.
"""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.statistics.holm import holds
from pullstudy.analysis.statistics.incomplete_beta import at_least
from pullstudy.analysis.statistics.outliers import high_outliers, sidak_quantile
from pullstudy.analysis.statistics.quantiles import median
from pullstudy.analysis.timelines.timeline import ContainerTimeline, JobTimeline
from pullstudy.pulls.image import parse_image, registry_of
from pullstudy.pulls.milestone import Moment

LEAST_PODS = 4
LEAST_DEVIATION = 0.08  # real pulls of one image differ by 7 to 8%: four that are alike by luck are no measure
LEVEL = 0.01  # of a false alarm: in a job, and among all nodes of a study
LEAST_JOBS = 2  # of one job nothing tells the slowness of a node, an image or a registry from the moment's
LEAST_SLOWNESS = 1.1  # times the others' time; less is no noticeable wait
LEAST_STRAGGLERS = 3  # of an image or a registry
LEAST_BATCH_SHARE = 0.05  # of the makespans, that jobs wait for their last pod's scheduling
MOST_SINGLE = 50  # findings of single pulls


@dataclass(frozen=True, slots=True)
class Straggler:
    """A pod that took long. Seconds are from its own "Pulling" to its start."""

    cluster: str
    size: int | None
    job: str
    image: str | None
    pod: str
    node: str | None
    started_seconds: float
    median_seconds: float

    @property
    def excess_seconds(self) -> float:
        return self.started_seconds - self.median_seconds


@dataclass(frozen=True, slots=True)
class JobSpread:
    """How much the times of a job's pods differ, each its own, what the slowest cost, and how far apart they began.

    ``batch_seconds`` lie between the scheduling of the first pod and of the last; None where that is unknown.
    """

    cluster: str
    size: int | None
    job: str
    image: str | None
    pods: int
    first_seconds: float
    median_seconds: float
    last_seconds: float
    makespan_seconds: float | None
    batch_seconds: float | None
    deviation: float  # of the logarithms of the pods' times, robust
    stragglers: tuple[Straggler, ...]

    @property
    def cost_seconds(self) -> float:
        """By how much the slowest pod was slower than the median one."""
        return self.last_seconds - self.median_seconds


@dataclass(frozen=True, slots=True)
class NodeSlowness:
    """One node over all its jobs: its pods' excess over each job's median; ``times`` is the median of its jobs' ratios.

    ``jobs`` were judged, of which ``slow_jobs`` took LEAST_SLOWNESS times the median or more.
    """

    cluster: str
    size: int | None
    node: str
    pods: int
    straggled: int
    median_excess_seconds: float
    worst_excess_seconds: float
    times: float
    jobs: int
    slow_jobs: int


def pod_starts(job: JobTimeline) -> dict[str, tuple[ContainerTimeline, float]]:
    """By pod: its last container to start, and the seconds from the pod's own first "Pulling" until then.

    Only of pods whose time is between the same two moments of the same two containers as that of most of the job's
    pods: where an init container's "Pulling" is lost, or its image was there, a pod's time is of another thing.
    """
    found = _own_times(job)
    usual = Counter(times.between for times in found.values()).most_common(1)
    return {pod: (times.last, times.seconds) for pod, times in found.items() if times.between == usual[0][0]}


class _OwnTime(NamedTuple):
    """Of one pod, and between which moments of which containers it is."""

    last: ContainerTimeline
    seconds: float
    between: tuple[str | None, Moment, str | None]


def _own_times(job: JobTimeline) -> dict[str, _OwnTime]:
    by_pod: dict[str, list[ContainerTimeline]] = defaultdict(list)
    for container in job.containers:
        by_pod[container.pod].append(container)
    times = ((pod, _own_time(containers)) for pod, containers in by_pod.items())
    return {pod: time for pod, time in times if time is not None}


def _own_time(containers: Sequence[ContainerTimeline]) -> _OwnTime | None:
    pulling, ended = _came_to(Moment.PULLING, containers), _came_to(Moment.STARTED, containers)
    begun, moment = (pulling, Moment.PULLING) if pulling else (_came_to(Moment.SCHEDULED, containers), Moment.SCHEDULED)
    if not begun or not ended:
        return None
    first = min(begun, key=lambda each: each.times[moment].at)
    last = max(ended, key=lambda each: each.times[Moment.STARTED].at)
    seconds = last.times[Moment.STARTED].seconds_since(first.times[moment])
    return _OwnTime(last, seconds, (first.container, moment, last.container))


def _came_to(moment: Moment, containers: Sequence[ContainerTimeline]) -> list[ContainerTimeline]:
    return [each for each in containers if moment in each.times]


PodStarts = Mapping[str, tuple[ContainerTimeline, float]]


def job_spread(job: JobTimeline, starts: PodStarts) -> JobSpread | None:
    """``starts`` are its pod_starts(). None where fewer than LEAST_PODS pods are known to have started."""
    started = [pair for pair in starts.values() if pair[1] > 0]
    if len(started) < LEAST_PODS:
        return None
    values = [elapsed for _, elapsed in started]
    found = high_outliers(values, least_deviation=LEAST_DEVIATION, level=LEVEL)
    late = [started[place] for place in found.places]
    middle = median(values)
    return JobSpread(
        cluster=job.cluster,
        size=job.size,
        job=job.job,
        image=job.image,
        pods=len(started),
        first_seconds=min(values),
        median_seconds=middle,
        last_seconds=max(values),
        makespan_seconds=job.makespan_seconds,
        batch_seconds=_batch_seconds(job),
        deviation=found.deviation,
        stragglers=tuple(
            Straggler(
                job.cluster, job.size, job.job, container.image or job.image, container.pod, container.node, elapsed,
                middle,
            )
            for container, elapsed in sorted(late, key=lambda pair: -pair[1])
        ),
    )  # fmt: skip


def _batch_seconds(job: JobTimeline) -> float | None:
    times = [each.times[Moment.SCHEDULED] for each in job.containers if Moment.SCHEDULED in each.times]
    if len(times) < LEAST_PODS:
        return None
    first, last = min(times, key=lambda time: time.at), max(times, key=lambda time: time.at)
    return last.seconds_since(first)


NodeKey = tuple[str, int | None, str]  # cluster, size and name


class Stragglers:
    """The spreads of jobs and the slowness of their nodes, job by job."""

    def __init__(self) -> None:
        self.spreads: list[JobSpread] = []  # of each job with LEAST_PODS pods or more whose start is known
        self._excesses: dict[NodeKey, array[float]] = defaultdict(lambda: array("d"))
        # A job has one of each for a node: logarithm of the ratio, and the same in deviations of the job's pods.
        self._ratios: dict[NodeKey, array[float]] = defaultdict(lambda: array("d"))
        self._scores: dict[NodeKey, array[float]] = defaultdict(lambda: array("d"))
        self._straggled: Counter[NodeKey] = Counter()
        self._pulls_of: Counter[str] = Counter()  # by image, of the jobs that were judged

    def add(self, job: JobTimeline) -> None:
        starts = pod_starts(job)
        spread = job_spread(job, starts)
        if spread is not None:
            self._add(spread, starts.values())

    def _add(self, spread: JobSpread, starts: Iterable[tuple[ContainerTimeline, float]]) -> None:
        self.spreads.append(spread)
        ratios: dict[NodeKey, list[float]] = defaultdict(list)
        for container, elapsed in starts:
            if elapsed > 0:
                key = (spread.cluster, spread.size, container.node or "unknown")
                self._excesses[key].append(elapsed - spread.median_seconds)
                ratios[key].append(math.log(elapsed / spread.median_seconds))
                self._pulls_of[container.image or spread.image or "unknown"] += 1
        for key, found in ratios.items():
            middle = median(found)
            self._ratios[key].append(middle)
            self._scores[key].append(middle / spread.deviation)
        for straggler in spread.stragglers:
            self._straggled[spread.cluster, spread.size, straggler.node or "unknown"] += 1

    def slowest_nodes(self) -> list[NodeSlowness]:
        """Every node that ran a pod, the slowest first, by the median of its excess."""
        nodes = [self._node(key) for key in self._excesses]
        return sorted(nodes, key=lambda node: (-node.straggled, -node.median_excess_seconds, node.cluster, node.node))

    def _node(self, key: NodeKey) -> NodeSlowness:
        values, ratios = self._excesses[key], self._ratios[key]
        slow = sum(ratio >= math.log(LEAST_SLOWNESS) for ratio in ratios)
        return NodeSlowness(
            *key,
            pods=len(values),
            straggled=self._straggled[key],
            median_excess_seconds=median(values),
            worst_excess_seconds=max(values),
            times=math.exp(median(ratios)),
            jobs=len(ratios),
            slow_jobs=slow,
        )

    def slow_nodes(self) -> list[NodeSlowness]:
        """Those that are slow over several jobs beyond chance, the slowest first."""
        usable = {key: found for key, found in self._scores.items() if len(found) >= LEAST_JOBS and key[2] != "unknown"}
        if not usable:
            return []
        limit = sidak_quantile(len(usable), LEVEL) * math.sqrt(math.pi / 2)  # a median's error is so much a mean's
        beyond = [self._node(key) for key, found in usable.items() if median(found) > limit / math.sqrt(len(found))]
        slow = [node for node in beyond if node.slow_jobs >= max(LEAST_JOBS, node.jobs / 2)]
        return sorted(slow, key=lambda node: -node.times)

    def findings(self) -> list[Finding]:
        """What was slow; where nothing was, that. None of no job that could be judged."""
        if not self.spreads:
            return []
        slow = self.slow_nodes()
        named = {(node.cluster, node.node) for node in slow}
        others = [
            each for spread in self.spreads for each in spread.stragglers if (each.cluster, each.node) not in named
        ]
        found = [_node_finding(node) for node in slow]
        kinds = list(self._kinds(others))
        found += [finding for finding, _ in kinds]
        told = {image for _, images in kinds for image in images}
        found += [_pull_finding(each) for each in others if (each.image or "unknown") not in told][:MOST_SINGLE]
        return [*(found or [self._none()]), *_controller(self.spreads)]

    def _kinds(self, stragglers: Sequence[Straggler]) -> Iterator[tuple[Finding, set[str]]]:
        """Registries and images with more stragglers than their share, and the images that these account for.

        One slow image makes no slow registry: a registry is slow that is so without its worst image too. A slow
        registry makes no slow image: images are beside the others of it, or of all registries that are not slow.
        """
        images: dict[str, set[str]] = defaultdict(set)
        for image in self._pulls_of:
            images[_registry(image)].add(image)
        counts = _Counts(stragglers, self._pulls_of)
        slow = counts.beyond_share(images)
        slow = {name: found for name, found in slow.items() if counts.without_worst(images, name)}
        for name, found in slow.items():
            yield counts.finding("registry", name, found, set(self._pulls_of)), found
        others = set(self._pulls_of).difference(*slow.values())
        for beside in (others, *slow.values()):
            for image, found in counts.beyond_share({each: {each} for each in beside}).items():
                yield counts.finding("image", image, found, beside), found

    def _none(self) -> Finding:
        pods = sum(spread.pods for spread in self.spreads)
        jobs = f"{len(self.spreads):,} jobs" if len(self.spreads) > 1 else "one job"
        said = f"No pull stands out of its job, and no node of the others: {pods:,} pods of {jobs}"
        return _finding("all", None, pods, "pods", Verdict.NO, f"{said}.")


class _Counts:
    """Stragglers and pulls by image."""

    def __init__(self, stragglers: Iterable[Straggler], pulls: Mapping[str, int]) -> None:
        self._pulls = pulls
        self._stragglers: Counter[str] = Counter()
        self._jobs: dict[str, set[tuple[str, str]]] = defaultdict(set)  # with a straggler
        for each in stragglers:
            self._stragglers[each.image or "unknown"] += 1
            self._jobs[each.image or "unknown"].add((each.cluster, each.job))

    def beyond_share(self, kinds: Mapping[str, set[str]]) -> dict[str, set[str]]:
        """Those of these sets of images, beside each other, with more stragglers than their share of pulls (Holm)."""
        if len(kinds) < 2:
            return {}
        whole = set().union(*kinds.values())
        held = holds([self._p(images, whole) for images in kinds.values()], LEVEL)
        told = zip(kinds.items(), held, strict=True)
        return {name: images for (name, images), each in told if each and self._enough(images)}

    def without_worst(self, kinds: Mapping[str, set[str]], name: str) -> bool:
        """Whether that is so also without the image that straggled most."""
        worst = max(kinds[name], key=lambda image: (self._stragglers[image] / self._pulls[image], image))
        rest = kinds[name] - {worst}
        p = self._p(rest, set().union(*kinds.values()) - {worst}) if rest else None
        return p is not None and p < LEVEL

    def finding(self, what: str, name: str, images: set[str], beside: set[str]) -> Finding:
        return _kind_finding(what, name, *self._sums(images), *self._sums(beside))

    def _p(self, images: set[str], whole: set[str]) -> float | None:
        (count, pulls), (total, of_all) = self._sums(images), self._sums(whole)
        return at_least(count, total, pulls / of_all) if total else None

    def _sums(self, images: Iterable[str]) -> tuple[int, int]:
        images = list(images)
        return sum(self._stragglers[image] for image in images), sum(self._pulls[image] for image in images)

    def _enough(self, images: Iterable[str]) -> bool:
        images = list(images)
        jobs = set[tuple[str, str]]().union(*(self._jobs[image] for image in images))
        return self._sums(images)[0] >= LEAST_STRAGGLERS and len(jobs) >= LEAST_JOBS


def _registry(image: str) -> str:
    return registry_of(parse_image(image).repository)


def _node_finding(node: NodeSlowness) -> Finding:
    words = (
        f"Node {node.node} of {node.cluster} was slow in {node.slow_jobs} of {node.jobs} jobs: it took "
        f"{node.times:.2f} times as long as the median pod of the same job, by {node.median_excess_seconds:.3g} s in "
        "the middle."
    )
    return _finding(node.node, node.times, node.jobs, "jobs", Verdict.YES, words, node=node.node, size=node.size)


def _kind_finding(what: str, name: str, count: int, pulls: int, total: int, whole: int) -> Finding:
    words = (
        f"Pulls from the {what} {name} straggled: {count} of {total} stragglers of no slow node, with {pulls:,} of "
        f"{whole:,} pulls."
    )
    image = name if what == "image" else None
    return _finding(f"{what} {name}", float(count), pulls, "pulls", Verdict.YES, words, unit="stragglers", image=image)


def _pull_finding(each: Straggler) -> Finding:
    times = each.started_seconds / each.median_seconds
    words = (
        f"One pull of {each.image or 'an image'} on {each.node or 'a node'} (job {each.job} on {each.cluster}) took "
        f"{each.started_seconds:.3g} s, {times:.2f} times the median of its job. Whether node, registry or image made "
        "it slow, one pull cannot tell."
    )
    return _finding(
        f"pull of pod {each.pod}",
        times,
        1,
        "pulls",
        Verdict.YES,
        words,
        node=each.node,
        size=each.size,
        image=each.image,
    )


def _controller(spreads: Iterable[JobSpread]) -> Iterator[Finding]:
    """Pods that are created in batches begin late, and no node is slow for it."""
    sizes: dict[int, list[JobSpread]] = defaultdict(list)
    for spread in spreads:
        if spread.size and spread.batch_seconds is not None and spread.makespan_seconds:
            sizes[spread.size].append(spread)
    for size, found in sorted(sizes.items()):
        waited = sum(spread.batch_seconds or 0.0 for spread in found)
        share = waited / sum(spread.makespan_seconds or 0.0 for spread in found)
        if share >= LEAST_BATCH_SHARE:
            words = (
                f"At {size} nodes the last pod of a job was scheduled {waited / len(found):.3g} s after its first, in "
                f"the mean, {share:.1%} of the makespans: job controller and scheduler make pods in batches."
            )
            seconds = waited / len(found)
            yield _finding("controller", seconds, len(found), "jobs", Verdict.YES, words, unit="s", size=size)


def _finding(
    subject: str,
    value: float | None,
    n: int,
    counts: str,
    verdict: Verdict,
    evidence: str,
    *,
    unit: str = "times the median of the job",
    size: int | None = None,
    image: str | None = None,
    node: str | None = None,
) -> Finding:
    return Finding(
        id=FindingId.STRAGGLER,
        subject=subject,
        value=value,
        unit=unit,
        n=n,
        counts=counts,
        verdict=verdict,
        evidence=evidence,
        assumptions=_ASSUMED,
        size=size,
        image=image,
        node=node,
    )


_ASSUMED = (
    f"pods of one job differ by at least {LEAST_DEVIATION:.0%} (standard deviation) for no reason of their own",
    "most pods of a job, and most nodes of a cluster, are ordinary ones",
)
