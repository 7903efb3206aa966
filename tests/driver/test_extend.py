"""A study gets more sizes and images after it was swept: what was measured stays, and only what is new is run."""

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from driver import cli
from driver.errors import UsageError
from driver.planning.extension import extended
from driver.planning.plan import planned_jobs
from driver.planning.resume import remaining_jobs
from driver.planning.study import ClusterPlan, Images, Overrides, Study, change_study, encode_study, load_study
from driver.sweep import wall_clock
from pullstudy.analysis.report.facts import gather_facts
from pullstudy.pulls.image_size import ImageSize
from pullstudy.store.embedded.ledger import ClusterRow, Ledger, Run
from tests.driver.sweeps import LARGE, REPOSITORY, SMALL, pulled, rows, run_sweep, small_study
from tests.driver.test_resume import row

Capture = pytest.CaptureFixture[str]
THIRD = "9-layers-size-2770722493-bytes"
TABLES = ("pull_records", "milestone_records", "jobs", "job_pods", "job_nodes", "audits")


def of_sizes(study: Study, *sizes: int) -> Study:
    return msgspec.structs.replace(study, cluster=ClusterPlan(sizes=sizes))


def of_old_jobs(directory: Path, jobs: list[str]) -> list[list[tuple[object, ...]]]:
    marks = ", ".join("?" * len(jobs))
    queries = (f"SELECT * FROM {table} WHERE job IN ({marks}) ORDER BY 1, 2, 3" for table in TABLES)
    return [rows(directory, query, *jobs) for query in queries]


@pytest.mark.timeout(300)
async def test_a_swept_study_is_extended_by_a_size_and_an_image_and_nothing_old_changes(tmp_path: Path) -> None:
    first = of_sizes(small_study(SMALL, LARGE), 4, 8)
    await run_sweep(first, tmp_path)
    jobs = [job for (job,) in rows(tmp_path, "SELECT job FROM jobs")]
    before = of_old_jobs(tmp_path, jobs)
    assert len(jobs) == 4
    more = extended(first, of_sizes(small_study(SMALL, LARGE, THIRD), 16))
    outcome, heard = await run_sweep(more, tmp_path)
    assert of_old_jobs(tmp_path, jobs) == before
    assert outcome.accounted == "84/84 accounted for"
    assert [(each.row.size, each.row.image.rpartition(":")[2], each.row.position) for each in heard.jobs] == [
        (4, THIRD, 4),
        (8, THIRD, 5),
        (16, SMALL, 6),
        (16, LARGE, 7),
        (16, THIRD, 8),
    ]
    images = sorted(f"{REPOSITORY}:{tag}" for tag in (SMALL, LARGE, THIRD))
    expected = [(size, image) for size in (4, 8, 16) for image in images for _ in range(size)]
    assert [(size, image) for size, image, _ in pulled(tmp_path)] == expected
    facts = gather_facts(tmp_path)
    assert sorted({(job.size, job.image) for job in facts.jobs}) == sorted(set(expected))
    assert rows(tmp_path, "SELECT count(*), count(finished_at) FROM runs") == [(1, 1)]


async def test_what_was_added_and_is_not_done_is_left_by_the_ledgers_own_study(tmp_path: Path) -> None:
    first = small_study(SMALL)
    await run_sweep(first, tmp_path)
    more = extended(first, small_study(SMALL, LARGE))
    with closing(Ledger(tmp_path, create=True)) as ledger:
        run = ledger.swept_run()
        assert run is not None
        left = remaining_jobs(more, run.run, "sim-", planned_jobs(more), ledger.jobs(run.run))
    assert [(job.image.rpartition(":")[2], job.position, job.attempt) for job in left.jobs] == [(LARGE, 1, 1)]
    assert left.done == 1


def test_images_of_another_repository_come_after_those_that_there_are() -> None:
    kept = load_study("quick", Overrides(sizes="4"))
    asked = msgspec.structs.replace(kept, images=Images(repository="r.example/app", tags=("1", "2")))
    assert extended(kept, asked).images.references == (*kept.images.references, "r.example/app:1", "r.example/app:2")


def test_what_is_given_again_is_not_added_again() -> None:
    kept = load_study("quick", Overrides(sizes="4,8"))
    assert extended(kept, change_study(kept, Overrides(sizes="4..32"))).sizes == (4, 8, 16, 32)
    assert extended(kept, change_study(kept, Overrides(sizes="8"))) == kept


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (Overrides(sizes="16", repeats=2), r"--extend: this run has run\.repeats = 1, not 2; only sizes and images"),
        (Overrides(seed=9), r"run\.seed = 1, not 9"),
    ],
)
def test_what_would_not_be_comparable_is_refused(overrides: Overrides, said: str) -> None:
    kept = load_study("quick", Overrides(sizes="4"))
    with pytest.raises(UsageError, match=said):
        extended(kept, change_study(kept, overrides))


def test_other_nodes_are_refused() -> None:
    kept = load_study("quick", Overrides(sizes="4"))
    asked = msgspec.structs.replace(kept, cluster=ClusterPlan(sizes=(4, 8), node_type="m5.large"))
    with pytest.raises(UsageError, match=r'cluster\.node_type = "c5a\.4xlarge", not "m5\.large"; only sizes'):
        extended(kept, asked)


def begun(directory: Path, study: Study) -> None:
    with closing(Ledger(directory, create=True)) as ledger:
        run = Run(run="run1", provider="sim", study=encode_study(study), started_at=wall_clock())
        ledger.begin(run, [ClusterRow(cluster=f"sim-quick-{size}", run="run1", size=size) for size in study.sizes])


def test_plan_shows_what_an_extension_would_do_and_changes_nothing(tmp_path: Path, capsys: Capture) -> None:
    begun(tmp_path, load_study("quick", Overrides(sizes="4")))
    before = rows(tmp_path, "SELECT * FROM runs")
    assert cli.run(["plan", "--out", str(tmp_path), "--extend", "--sizes", "16"]) == 0
    said = capsys.readouterr().out
    assert "study quick on sim: 12 jobs, 120 pulls" in said
    assert "sim-quick-16" in said
    assert cli.run(["plan", "--out", str(tmp_path)]) == 0
    assert "study quick on sim: 6 jobs, 24 pulls" in capsys.readouterr().out
    assert rows(tmp_path, "SELECT * FROM runs") == before


def test_another_provider_is_refused(tmp_path: Path, capsys: Capture) -> None:
    begun(tmp_path, load_study("quick", Overrides(sizes="4")))
    assert cli.run(["plan", "--out", str(tmp_path), "--extend", "--sizes", "8", "--provider", "kwok"]) == 2
    assert "--extend: this run is on sim; give --provider sim" in capsys.readouterr().err


def test_an_extension_of_no_sweep_is_refused_by_plan(tmp_path: Path, capsys: Capture) -> None:
    assert cli.run(["plan", "--extend"]) == 2
    assert "--extend: of which sweep? give its --out DIR" in capsys.readouterr().err


def test_resume_says_how_sizes_are_added(tmp_path: Path, capsys: Capture) -> None:
    begun(tmp_path, load_study("quick", Overrides(sizes="4")))
    assert cli.run(["sweep", "--out", str(tmp_path), "--resume", "--sizes", "4,8"]) == 2
    assert "cluster.sizes = [4], not [4,8]; resume without study options, with --extend" in capsys.readouterr().err


def test_jobs_that_were_begun_keep_their_positions_whatever_comes_between() -> None:
    from pullstudy.store.embedded.ledger import JobState

    study = load_study(None, Overrides(sizes="2"))
    more = msgspec.structs.replace(study, images=Images(tags=(THIRD + "-new", *study.images.tags)))
    left = remaining_jobs(more, "run1", "sim-", planned_jobs(more), [row(0, JobState.DONE), row(1, JobState.FAILED)])
    assert [job.position for job in left.jobs[:3]] == [2, 1, 3]
    assert len({job.position for job in left.jobs}) == len(left.jobs) == 32


def own(*images: str, **sizes: int) -> Study:
    told = {name: ImageSize(compressed_bytes=size) for name, size in sizes.items()}
    return msgspec.structs.replace(small_study(), images=Images(tags=(), more=images, sizes=told))


def test_an_image_that_is_added_comes_with_its_size_and_the_others_keep_theirs() -> None:
    assert extended(own("a", a=1), own("b", b=2)).images == own("a", "b", a=1, b=2).images
    assert extended(own("a", a=1), own("a", "b", b=2)).images == own("a", "b", a=1, b=2).images
    with pytest.raises(UsageError, match=r"images\.sizes\.a\.compressed_bytes = 1, not 3"):
        extended(own("a", a=1), own("a", "b", a=3))
