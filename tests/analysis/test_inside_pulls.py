"""Inside of pulls: the report adds up what the records say, of stages made by hand and of real containerd's spans."""

from datetime import timedelta
from pathlib import Path
from statistics import fmean

import msgspec
import pytest

from pullstudy.analysis.findings.stage_seconds import stage_seconds
from pullstudy.analysis.reading.study import opened_study
from pullstudy.analysis.report.all_findings import findings_of
from pullstudy.analysis.report.facts import facts_of
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.report import sections_of
from pullstudy.analysis.report.sections import inside_pulls
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.pulls.stage import Stage, StageWitness
from pullstudy.store.embedded.store import EmbeddedStore
from tests.analysis.hand_made import at
from tests.pulls.spans.samples import SAMPLES, client_seconds, inside, pull_spans


def pull(name: str, image: str = "reg/a:1", size: int | None = 4, **stages: float) -> PullStages:
    """Complete, of these stages."""
    wall = sum(stages.values())
    return PullStages(
        cluster="c",
        size=size,
        image=image,
        outcome=Outcome.PULLED,
        started_at=at(0),
        finished_at=at(0) + timedelta(seconds=wall),
        wall_seconds=wall,
        unattributed_seconds=stages.pop("unattributed", 0.0),
        complete=True,
        witness=StageWitness.SPANS,
        pull=name,
        **{f"{stage}_seconds": seconds for stage, seconds in stages.items()},
    )


def layer(name: str, digest: str, **columns: object) -> PulledLayer:
    whole = {"cluster": "c", "image": "reg/a:1", "layer_digest": digest, "witness": "spans", "pull": name, **columns}
    return msgspec.convert(whole, PulledLayer)


PULLS = (
    pull("p1", resolve=1.0, transfer=2.0, apply=7.0),
    pull("p2", resolve=1.0, transfer=4.0, apply=9.0, unattributed=2.0),
    pull("p3", image="reg/b:1", apply=1.0),
    msgspec.structs.replace(pull("p4", apply=100.0), outcome=Outcome.FAILED),
    msgspec.structs.replace(pull("p5", apply=100.0), complete=False),
)
LAYERS = (
    layer("p1", "sha256:slow", position=1, layer_bytes=2_000_000, held_seconds=6.0, transfer_seconds=2.0),
    layer("p2", "sha256:slow", position=1, layer_bytes=2_000_000, held_seconds=8.0, transfer_seconds=2.0),
    layer("p1", "sha256:fast", position=0, layer_bytes=1_000, held_seconds=1.0, present=True),
)


def test_means_of_stages_add_up_to_the_mean_pull() -> None:
    (a, b) = stage_seconds(PULLS, LAYERS).images
    assert (a.image, a.pulls, fmean(a.walls), a.median_seconds) == ("reg/a:1", 2, 13.0, 13.0)
    means = {stage: mean for stage in Stage if (mean := a.mean(stage)) is not None}
    assert means == {Stage.RESOLVE: 1.0, Stage.TRANSFER: 3.0, Stage.APPLY: 8.0, Stage.UNATTRIBUTED: 1.0}
    assert sum(means.values()) == fmean(a.walls)
    assert a.share(Stage.APPLY) == 16 / 26
    assert sorted(means, key=a.share, reverse=True) == [Stage.APPLY, Stage.TRANSFER, Stage.RESOLVE, Stage.UNATTRIBUTED]
    assert (b.image, b.pulls, b.mean(Stage.TRANSFER)) == ("reg/b:1", 1, None)


def test_failed_and_incomplete_pulls_are_left_out_and_counted() -> None:
    stages = stage_seconds(PULLS, ())
    assert (stages.failed, stages.incomplete, stages.pulls) == (1, 1, 5)


def test_layers_are_in_the_order_in_which_they_held_pulls_up() -> None:
    (slow, fast) = stage_seconds((), LAYERS).layers
    assert (slow.digest, slow.held_seconds, slow.pulls) == ("sha256:slow", 14.0, 2)
    assert slow.transferred_bytes / slow.transfer_seconds == 1e6
    assert (fast.digest, fast.there) == ("sha256:fast", 1)


def test_sizes_of_a_cluster_stand_apart() -> None:
    stages = stage_seconds([pull("p1", size=4, apply=1.0), pull("p2", size=8, apply=2.0)], ())
    assert [(image.size, fmean(image.walls)) for image in stages.images] == [(8, 2.0), (4, 1.0)]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    store = EmbeddedStore(tmp_path, create=True)
    store.write_now(Batch(more=(*PULLS, *LAYERS)))
    store.close_now()
    return tmp_path


def test_the_page_says_what_held_pulls_up(study: Path) -> None:
    with opened_study(study) as records:
        facts = facts_of(records)
    (section,) = (each for each in sections_of(facts) if each.identity == "inside-pulls")
    text = " ".join(str(block) for block in section.blocks if not isinstance(block, Figure))
    assert "3 pulls took 27.0 s in all" in text
    assert "What held them up most is apply (63.0%), transfer (22.2%) and resolve (7.4%)." in text
    assert "Left out: 1 pull that failed and 1 pull of which records are missing." in text
    assert text.index("sha256:slow") < text.index("sha256:fast")
    (figure,) = section.figures
    assert isinstance(figure, Figure)
    drawn = {(row["category"], row["stage"]): row["seconds"] for row in figure.spec["data"]["values"]}
    assert drawn["…/a:1", "apply"] == 8.0
    assert sum(seconds for (name, _), seconds in drawn.items() if name == "…/a:1") == 13.0


def test_each_stage_is_a_finding_with_what_it_counts(study: Path) -> None:
    with opened_study(study) as records:
        found = [each for each in findings_of(facts_of(records)) if each.id == "stage"]
    (apply,) = (each for each in found if each.subject == "apply, reg/a:1, 4 nodes")
    assert (apply.value, apply.n, apply.counts, apply.stage, apply.interval) == (8.0, 2, "pulls", "apply", None)
    assert apply.evidence == "apply held a pull up for 8 s on average, 61.5% of its time"


def test_a_study_without_such_records_has_no_such_section(tmp_path: Path) -> None:
    EmbeddedStore(tmp_path, create=True).close_now()
    with opened_study(tmp_path) as records:
        facts = facts_of(records)
    assert "inside-pulls" not in {section.identity for section in sections_of(facts)}


@pytest.mark.parametrize("sample", SAMPLES)
def test_of_a_real_pull_unpacking_is_what_held_it_up_unless_it_has_many_layers(sample: str) -> None:
    """On a machine near its registry; each of 125 layers is written with its own flush to the disk."""
    record, layers = inside(pull_spans(sample))
    stages = stage_seconds([record], layers)
    (image,) = stages.images
    assert max(Stage, key=image.share) is (Stage.INGEST if sample == "g125" else Stage.APPLY)
    assert sum(image.mean(stage) or 0.0 for stage in Stage) == pytest.approx(fmean(image.walls), abs=1e-6)
    assert fmean(image.walls) == pytest.approx(client_seconds(sample), rel=0.02)
    assert inside_pulls.answer(stages).startswith("1 pull took ")


def test_images_stand_by_their_time_and_of_too_many_sizes_the_smallest_and_the_largest_do() -> None:
    def shown(sizes: tuple[int, ...]) -> list[tuple[str, int | None]]:
        pulls = [
            pull(f"{image} {size} {number}", image=image, size=size, apply=seconds)
            for image, seconds, told in (("reg/a:1", 1.0, 9), ("reg/b:1", 100.0, 1))
            for size in sizes
            for number in range(told)
        ]
        images = inside_pulls.shown_images(stage_seconds(reversed(pulls), ()).images)
        return [(image.image, image.size) for image in images]

    assert shown((4, 8)) == [("reg/b:1", 4), ("reg/b:1", 8), ("reg/a:1", 4), ("reg/a:1", 8)]
    assert shown(tuple(range(2, 14))) == [("reg/b:1", 2), ("reg/b:1", 13), ("reg/a:1", 2), ("reg/a:1", 13)]


def test_where_runtimes_told_of_some_pulls_the_page_says_of_how_many(study: Path) -> None:
    pulled = PullRecord(cluster="c", size=4, image="reg/a:1", outcome=Outcome.PULLED, event_uid="u", count=1)
    store = EmbeddedStore(study, create=True)
    store.write_now(Batch(pulls=[msgspec.structs.replace(pulled, event_uid=f"u{number}") for number in range(7)]))
    store.close_now()
    with opened_study(study) as records:
        (section,) = (each for each in sections_of(facts_of(records)) if each.identity == "inside-pulls")
    assert "Of 7 pulls the runtime told of 5." in " ".join(map(str, section.blocks))
