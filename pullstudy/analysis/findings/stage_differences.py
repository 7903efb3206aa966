"""In which stage of a pull two studies differ: of each stage how many times as long it takes in the second.

A job is one value: the mean seconds that a stage held its pulls of an image up. Images are paired, and intervals are a
comparison's (``statistics.speed_up``); of all stages together Holm. A stage of less than LEAST_SHARE of an image's
pulls counts as that share: times of what takes next to no time differ by any factor and mean nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from pullstudy.analysis.findings.comparison import Compared, Item
from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.statistics.speed_up import ASSUMED_CLUSTER_SPREAD, Answer, Jobs, SpeedUp, answers, speed_ups
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.stage import Stage

LEAST_SHARE = 0.005
_COLUMNS = {stage: f"{stage}_seconds" for stage in Stage}
_NEIGHBOURS = {  # what holds a stage's time where nobody can tell it apart (docs/stages.md)
    Stage.FIRST_BYTE: Stage.TRANSFER,
    Stage.PREPARE: Stage.APPLY,
    Stage.COMMIT: Stage.APPLY,
    Stage.INGEST: Stage.UNATTRIBUTED,
}
_VERDICTS = {
    Answer.FASTER: Verdict.YES,
    Answer.SLOWER: Verdict.YES,
    Answer.ALIKE: Verdict.NO,
    Answer.UNKNOWN: Verdict.UNKNOWN,
}
WORDS = {Answer.FASTER: "shorter", Answer.SLOWER: "longer", Answer.ALIKE: "alike", Answer.UNKNOWN: "cannot tell"}


@dataclass(slots=True)
class JobStages:
    """What held one job's pulls of an image up. Sums of seconds; a stage that not all of them tell is not in them."""

    cluster: str
    size: int
    item: Item
    pulls: int = 0
    sums: dict[Stage, float] = field(default_factory=lambda: dict.fromkeys(Stage, 0.0))
    wall_seconds: float = 0.0

    def add(self, pull: PullStages) -> None:
        self.pulls += 1
        self.wall_seconds += pull.wall_seconds
        for stage, column in _COLUMNS.items():
            seconds = getattr(pull, column)
            if seconds is None:
                self.sums.pop(stage, None)
            elif stage in self.sums:
                self.sums[stage] += seconds

    def mean(self, stages: Iterable[Stage]) -> float:
        """Seconds a pull, of these stages together."""
        return sum(self.sums.get(stage, 0.0) for stage in stages) / self.pulls


@dataclass(frozen=True, slots=True)
class StageCompared:
    """One stage, with those whose time it holds on one of the two sides. Each of the three is corrected for itself."""

    stage: Stage
    holds: tuple[Stage, ...]
    overall: Compared
    sizes: Mapping[int, Compared]
    images: Mapping[tuple[int, Item], Compared]

    @property
    def name(self) -> str:
        held = [stage.replace("_", " ") for stage in self.holds]
        return f"{self.stage.replace('_', ' ')}{' with ' + ' and '.join(held) if held else ''}"


def stage_differences(
    first: Sequence[JobStages], second: Sequence[JobStages], cluster_spread: float = ASSUMED_CLUSTER_SPREAD
) -> list[StageCompared]:
    """Those that matter anywhere, in the order of a pull; none where one side has none of an image at a size."""
    sides = (first, second)
    walls = _walls(sides)
    parts = _parts(sides)
    tested = {}
    for stage, held in parts.items():
        values = _values(sides, (stage, *held), walls, LEAST_SHARE)
        found = speed_ups(values, cluster_spread) if values and _matters(values, walls) else None
        if found is not None:
            tested[stage] = (_values(sides, (stage, *held), walls, 0.0), found)
    overall = answers([found.overall for _, found in tested.values()])
    of_sizes = iter(answers([each for _, found in tested.values() for each in found.sizes.values()]))
    of_images = iter(answers([each for _, found in tested.values() for each in found.images.values()]))
    return [
        StageCompared(
            stage=stage,
            holds=parts[stage],
            overall=_compared(found.overall, answer, values, list(found.images)),
            sizes={
                size: _compared(each, next(of_sizes), values, [key for key in found.images if key[0] == size])
                for size, each in found.sizes.items()
            },
            images={key: _compared(each, next(of_images), values, [key]) for key, each in found.images.items()},
        )
        for (stage, (values, found)), answer in zip(tested.items(), overall, strict=True)
    ]


_Key = tuple[int, Item]
_Sizes = Mapping[int, tuple[Mapping[Item, Jobs], Mapping[Item, Jobs]]]


def _walls(sides: tuple[Sequence[JobStages], Sequence[JobStages]]) -> dict[_Key, float]:
    """Mean seconds of a pull on both sides together, of what both have."""
    found: dict[_Key, list[list[float]]] = {}
    for place, side in enumerate(sides):
        for job in side:
            found.setdefault((job.size, job.item), [[], []])[place].append(job.wall_seconds / job.pulls)
    return {key: fmean(map(fmean, both)) for key, both in found.items() if all(both)}


def _parts(sides: tuple[Sequence[JobStages], Sequence[JobStages]]) -> dict[Stage, tuple[Stage, ...]]:
    """The stages that are compared, each with those that not all jobs can tell apart from it."""
    unknown = [stage for stage in Stage if any(stage not in job.sums for side in sides for job in side)]
    return {
        stage: tuple(part for part in unknown if _NEIGHBOURS.get(part) is stage)
        for stage in Stage
        if stage not in unknown
    }


def _values(
    sides: tuple[Sequence[JobStages], Sequence[JobStages]],
    stages: tuple[Stage, ...],
    walls: Mapping[_Key, float],
    least_share: float,
) -> _Sizes:
    found: dict[int, tuple[dict[Item, dict[str, list[float]]], dict[Item, dict[str, list[float]]]]] = {}
    for place, side in enumerate(sides):
        for job in side:
            key = (job.size, job.item)
            if key in walls:
                values = found.setdefault(job.size, ({}, {}))[place].setdefault(job.item, {})
                values.setdefault(job.cluster, []).append(max(job.mean(stages), least_share * walls[key]))
    return found


def _matters(values: _Sizes, walls: Mapping[_Key, float]) -> bool:
    return any(
        value > LEAST_SHARE * walls[size, item]
        for size, both in values.items()
        for side in both
        for item, jobs in side.items()
        for of_cluster in jobs.values()
        for value in of_cluster
    )


def _compared(found: SpeedUp, answer: Answer, values: _Sizes, keys: Sequence[_Key]) -> Compared:
    """The ratio is of the second to the first."""
    jobs = [
        [[value for of in values[size][side][item].values() for value in of] for size, item in keys] for side in (0, 1)
    ]
    levels = [fmean(map(fmean, side)) for side in jobs]
    return Compared(found.inverse, answer, levels[0], levels[1], *(sum(map(len, side)) for side in jobs))


def stage_difference_findings(found: Sequence[StageCompared], cluster_spread: float) -> Iterator[Finding]:
    """Over all sizes first, then each size, then each image at a size."""
    said = (
        f"clusters of one kind differ by {cluster_spread:.0%} (standard deviation) where few clusters tell it",
        f"what takes less than {LEAST_SHARE:.1%} of a pull counts as so much",
    )
    for each in found:
        yield _finding(each, each.overall, each.name, said)
    for each in found:
        for size, compared in each.sizes.items():
            yield _finding(each, compared, f"{each.name}, {size} nodes", said, size=size)
    for each in found:
        for (size, item), compared in each.images.items():
            yield _finding(each, compared, f"{each.name}, {size} nodes, {item.name}", said, size=size, item=item)


def _finding(
    each: StageCompared,
    compared: Compared,
    subject: str,
    said: tuple[str, ...],
    *,
    size: int | None = None,
    item: Item | None = None,
) -> Finding:
    ratio = compared.speed_up
    low, high = ("?" if bound is None else f"{bound:.3g}" for bound in (ratio.low, ratio.high))
    return Finding(
        id=FindingId.STAGE_DIFFERENCE,
        subject=subject,
        value=ratio.value,
        interval=(ratio.low, ratio.high),
        unit="times as long",
        n=compared.first_jobs + compared.second_jobs,
        counts="jobs",
        verdict=_VERDICTS[compared.answer],
        evidence=(
            f"{subject}: {compared.first:.3g} s a pull in the first, {compared.second:.3g} s in the second, "
            f"{ratio.value:.3g} times as long (95%: {low} to {high}): {WORDS[compared.answer]}"
        ),
        assumptions=said,
        size=size,
        image=item.name if item else None,
        cache=item.cache if item else None,
        stage=each.stage,
    )
