"""A study that is read from an archive has the bytes of its own file's, as it was delivered and as it was merged."""

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest

from collector.delivering.archiving import copy_all
from pullstudy.analysis.comparison.compare import compare
from pullstudy.analysis.export import export
from pullstudy.analysis.findings.comparison import Quantity
from pullstudy.analysis.reading.source import of_store
from pullstudy.analysis.report.report import write_report
from pullstudy.pulls.batch import Batch, Gap, Reject
from pullstudy.pulls.kinds import MILESTONE, PULL
from pullstudy.pulls.record import PullRecord, witness_uid
from pullstudy.store.archive.compaction import compact
from pullstudy.store.archive.places import objects_of
from pullstudy.store.archive.read import opened_archive
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.archive.store import ArchiveStore
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.protocol import RecordsByJob
from pullstudy.store.selection import ALL, Selection
from tests.analysis.hand_made import ZERO, ledger_alone, synthetic_sweep
from tests.notices import KeptNotices
from tests.store.records import AT, milestone, pull


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep by hand, with what is not understood and not watched."""
    directory = tmp_path / "sweep"
    synthetic_sweep(directory, image_bytes=(1_000_000_000, 2_000_000_000))
    reject = Reject(cluster="sim-hand-2", source="watch", position="7", problem="odd", raw="{}")
    gap = Gap(cluster="sim-hand-4", from_version="1", to_version="9", found_at=ZERO, why="compacted")
    store = EmbeddedStore(directory, create=True)
    store.write_now(Batch(rejects=(reject,), gaps=(gap,)))
    store.close_now()
    return directory


@pytest.fixture(params=["delivered", "merged"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> ArchiveSettings:
    merged = request.param == "merged"
    return ArchiveSettings(str(tmp_path / ("merged" if merged else "delivered")))


def archive(directory: Path, settings: ArchiveSettings) -> None:
    """As ``collector archive --copy`` does."""
    store = EmbeddedStore(directory, create=False)
    notices = KeptNotices()
    asyncio.run(copy_all(store, ArchiveStore(settings, notices, Random(1)), notices))
    store.close_now()
    if settings.url.endswith("merged"):
        compact(objects_of(settings), settings)


@pytest.mark.parametrize("what", ["pulls", "phases", "moments", "runs"])
def test_every_export_has_the_bytes_of_the_files_own(
    settings: ArchiveSettings, sweep: Path, tmp_path: Path, what: str
) -> None:
    archive(sweep, settings)
    source = of_store(settings, directory=ledger_alone(sweep, tmp_path / "ledger"))
    for format in ("csv", "parquet"):
        from_file, from_archive = tmp_path / f"file.{format}", tmp_path / f"archive.{format}"
        assert export(source, what, format, from_archive) == export(sweep, what, format, from_file) > 0
        assert from_archive.read_bytes() == from_file.read_bytes()


def test_the_real_logs_are_exported_with_the_bytes_of_the_files_own(
    settings: ArchiveSettings, aws_directory: Path, tmp_path: Path
) -> None:
    archive(aws_directory, settings)
    source = of_store(settings)
    for what in ("pulls", "phases"):
        from_file, from_archive = tmp_path / "file.csv", tmp_path / "archive.csv"
        assert export(source, what, "csv", from_archive) == export(aws_directory, what, "csv", from_file) > 0
        assert from_archive.read_bytes() == from_file.read_bytes()


def test_a_report_with_its_ledger_is_the_same_to_the_byte(
    settings: ArchiveSettings, sweep: Path, tmp_path: Path
) -> None:
    archive(sweep, settings)
    source = of_store(settings, directory=ledger_alone(sweep, tmp_path / "elsewhere" / "sweep"))
    from_archive, from_file = write_report(source), write_report(sweep)
    assert [path.read_bytes() for path in from_archive] == [path.read_bytes() for path in from_file]
    pulls = compare(sweep, source).compared.quantities[Quantity.PULLS]
    assert pulls.same
    assert len(pulls.images) > 1


def by_job(store: RecordsByJob, selection: Selection) -> list[Any]:
    """All that a study is made from, as it is asked for; the jobs a second time, as those that no record proves are."""
    jobs = list(store.jobs(selection))
    taken = [
        (job, store.proves_job(job), [list(store.of_job(kind, job, selection)) for kind in (PULL, MILESTONE)])
        for job in (*jobs, *jobs[::2])
    ]
    return [*taken, list(store.of_no_job(PULL, selection)), list(store.of_no_job(MILESTONE, selection))]


def test_records_are_found_by_job_as_in_a_file(settings: ArchiveSettings, tmp_path: Path) -> None:
    def of_pod(uid: str, job: str | None, name: str | None, **more: Any) -> PullRecord:
        return pull(uid, job=job, pod=name, finished_at=AT, **more)

    place = {"pod_uid": "pu", "container": "k"}
    directory = tmp_path / "study"
    store = EmbeddedStore(directory, create=True)
    store.write_now(
        Batch(
            pulls=[
                of_pod("a", "agent", "agent-7-abcde"),
                of_pod("b", "agent", "agent-12-abcde", cluster="d", run="r"),
                of_pod("c", "job", "job-0-abcde", run="r"),
                of_pod("d", "odd", None),
                of_pod("e", None, "web-1"),
                of_pod("f", "", "web-2", cluster="d"),
                of_pod(witness_uid("pu", "k"), "job", "job-0-abcde", **place),
                of_pod("g", "job", "job-0-abcde", **place),
            ],
            milestones=[
                milestone("m", job="owned", pod="owned-3-abcde", job_uid="u"),
                milestone("n", job="like-1", pod="like-1-12-abcde"),
                milestone("o"),
            ],
        )
    )
    archive(directory, settings)
    for selection in (ALL, Selection(runs=("r",)), Selection(runs=("r", None)), Selection(clusters=("d",))):
        with opened_archive(settings, selection) as archived:
            assert by_job(archived, selection) == by_job(store, selection)
    store.close_now()
