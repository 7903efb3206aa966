"""In which stage of pulls two studies differ: of records made by hand, and of trials whose truth is known."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from bench.known_truth import stage_comparisons
from bench.known_truth.comparisons import DESIGNS
from pullstudy.analysis.comparison.compare import Comparison, compare
from pullstudy.analysis.comparison.text import lines
from pullstudy.analysis.findings.comparison import Item
from pullstudy.analysis.findings.finding import Finding, FindingId, Verdict
from pullstudy.analysis.findings.stage_differences import JobStages, stage_differences
from pullstudy.analysis.statistics.speed_up import Answer
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.pulls.stage import Stage, StageWitness
from pullstudy.store.embedded.store import EmbeddedStore
from tests.analysis.hand_made import at, image_of

IMAGES = (image_of(9, 1_000_000_000), image_of(125, 1_000_000_000))
USUAL = {Stage.RESOLVE: 1.0, Stage.TRANSFER: 4.0, Stage.APPLY: 8.0, Stage.FINISH: 0.001}


def study(directory: Path, sizes: Iterable[int] = (4, 8), jobs: int = 3, **longer: float) -> Path:
    """Three jobs of each image at each size on clusters of their own; a stage takes so many times as long."""
    batches = []
    for size in sizes:
        for place, image in enumerate(IMAGES):
            for number in range(jobs):
                begin = 1000.0 * (number + jobs * place)
                batches += [_pull(size, image, f"j{place}-{number}", node, begin, longer) for node in range(size)]
    store = EmbeddedStore(directory, create=True)
    store.write_now(
        Batch(pulls=[pull for pull, _ in batches], more=[stages for _, stages in batches if stages is not None])
    )
    store.close_now()
    return directory


def _pull(
    size: int, image: str, job: str, node: int, begin: float, longer: dict[str, float]
) -> tuple[PullRecord, PullStages | None]:
    spread = 1 + 0.01 * ((node * 7 + len(job) + int(begin / 1000)) % 5)
    seconds = {stage: usual * spread * longer.get(stage, 1.0) for stage, usual in USUAL.items()}
    wall = sum(seconds.values())
    ended = at(begin) + timedelta(seconds=wall)
    pull = PullRecord(
        cluster=f"c-{size}",
        size=size,
        node=f"n{node}",
        namespace="default",
        job=job,
        pod=f"{job}-{node}",
        container="main",
        image=image,
        outcome=Outcome.PULLED,
        finished_at=ended,
        pull_seconds=wall,
        event_uid=f"{size} {job} {node}",
        count=1,
    )
    if "none" in longer:
        return pull, None
    stages = PullStages(
        cluster=f"c-{size}",
        size=size,
        node=f"n{node}",
        image=image,
        outcome=Outcome.PULLED,
        started_at=at(begin),
        finished_at=ended,
        wall_seconds=wall,
        complete=True,
        witness=StageWitness.SPANS,
        pull=f"{size} {job} {node}",
        **{f"{stage}_seconds": seconds.get(stage, 0.0) for stage in Stage},
    )
    return pull, stages


def found(comparison: Comparison) -> dict[str, Finding]:
    return {each.subject: each for each in comparison.findings if each.id is FindingId.STAGE_DIFFERENCE}


def test_the_stage_that_takes_longer_is_found_and_no_other(tmp_path: Path) -> None:
    comparison = compare(study(tmp_path / "a"), study(tmp_path / "b", apply=1.5))
    stages = found(comparison)
    assert [stages[name].verdict for name in ("resolve", "transfer")] == [Verdict.NO, Verdict.NO]  # the same values
    apply = stages["apply"]
    assert (apply.verdict, apply.counts, apply.n, apply.stage) == (Verdict.YES, "jobs", 24, "apply")
    assert apply.value == pytest.approx(1.5)
    assert apply.interval is not None
    assert apply.interval[0] is not None
    assert 1 < apply.interval[0] < 1.5
    assert "longer" in apply.evidence
    assert stages["apply, 8 nodes"].size == 8
    assert len([each for each in stages.values() if each.image is not None]) == 3 * 2 * 2
    assert "finish" not in stages  # next to nothing on both sides


def test_the_table_says_how_many_seconds_a_pull_they_differ_by(tmp_path: Path) -> None:
    comparison = compare(study(tmp_path / "a"), study(tmp_path / "b", transfer=2.0))
    said = list(lines(comparison))
    (row,) = [line for line in said if line.startswith("transfer")]
    assert row.split("  ")[0] == "transfer"
    assert "+4.08 s" in row
    assert "longer" in row
    assert sum("nodes, stage" in line for line in lines(comparison, whole=True)) == 2


def test_of_a_study_without_stages_nothing_is_said(tmp_path: Path) -> None:
    comparison = compare(study(tmp_path / "a"), study(tmp_path / "b", none=1.0))
    assert (comparison.stages, found(comparison)) == ((), {})
    assert not any("inside of pulls" in line for line in lines(comparison))
    assert comparison.compared.quantities  # of the pulls there is


def test_only_images_that_were_asked_for_are_compared(tmp_path: Path) -> None:
    comparison = compare(study(tmp_path / "a"), study(tmp_path / "b"), images=["*:125-*"])
    assert {each.image for each in found(comparison).values() if each.image} == {"1 GB, 125 layers"}
    assert comparison.stages[0].overall.first_jobs == 6


def test_the_same_study_is_alike_in_every_stage(tmp_path: Path) -> None:
    comparison = compare(study(tmp_path / "a"), study(tmp_path / "b"))
    assert {each.overall.answer for each in comparison.stages} == {Answer.ALIKE}


def job(cluster: str, **seconds: float | None) -> JobStages:
    made = JobStages(cluster, 4, Item(0, 0, 0, "image", "cold"))
    told = {stage: seconds.get(stage, 0.0) for stage in Stage}
    wall = sum(each for each in told.values() if each)
    made.add(
        msgspec.convert(
            {
                "cluster": cluster, "wall_seconds": wall, "started_at": at(0), "finished_at": at(wall),
                "pull": "p", "complete": True, "witness": "spans",
                **{f"{stage}_seconds": value for stage, value in told.items()},
            },
            PullStages,
        )
    )  # fmt: skip
    return made


def test_a_stage_that_one_side_cannot_tell_apart_is_compared_with_the_one_that_holds_it() -> None:
    debug = [job("c", first_byte=1.0, transfer=2.0, prepare=0.5, apply=3.0, commit=0.5)]
    quiet = [job("d", first_byte=None, transfer=3.0, prepare=None, apply=4.0, commit=None)]
    found = {each.name: each.overall.speed_up.value for each in stage_differences(debug, quiet)}
    assert found == pytest.approx({"transfer with first byte": 1.0, "apply with prepare and commit": 1.0})


def test_what_takes_next_to_no_time_on_both_sides_is_not_compared() -> None:
    first, second = [job("c", apply=10.0, queue=1e-6)], [job("d", apply=10.0, queue=1e-3)]
    assert [each.stage for each in stage_differences(first, second)] == [Stage.APPLY]


def test_what_appears_in_the_second_alone_is_compared_with_next_to_nothing() -> None:
    first, second = [job("c", apply=10.0)], [job("d", apply=10.0, wait=5.0)]
    (wait,) = [each for each in stage_differences(first, second) if each.stage is Stage.WAIT]
    assert (wait.overall.first, wait.overall.second) == (0.0, 5.0)
    assert wait.overall.speed_up.value > 50


def test_stages_of_equal_studies_are_rarely_told_apart_and_what_is_put_in_nearly_always() -> None:
    design = DESIGNS[4]
    nothing = [each for seed in range(40) for each in stage_comparisons.stage_trials(design, {}, seed)]
    assert Counter(each.right for each in nothing)[False] <= 5  # 5% is 2
    for longer in stage_comparisons.PUT_IN[1:]:
        trials = [each for seed in range(10) for each in stage_comparisons.stage_trials(design, longer, seed)]
        put_in = [each for each in trials if not each.truth.startswith("the others")]
        assert Counter(each.right for each in put_in)[True] >= 9
