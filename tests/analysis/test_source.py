"""Where a study is read: which runs and clusters of a directory, and what is said where that cannot be told."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from driver import cli
from pullstudy.analysis.errors import NoSuchRunError, SeveralRunsError
from pullstudy.analysis.export import export
from pullstudy.analysis.frames import frame
from pullstudy.analysis.reading.job_records import JobRecords
from pullstudy.analysis.reading.joined_records import JoinedRecords
from pullstudy.analysis.reading.source import StudySource, of_directory
from pullstudy.analysis.reading.study import Study, copied, opened_study, study_of
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.milestone import Moment
from pullstudy.store.destination import Destination
from pullstudy.store.embedded.ledger import JobState, Ledger, Run
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.protocol import StoredRun
from pullstudy.store.selection import ALL, Selection
from tests.analysis.hand_made import RUN, ZERO, HandMade, image_of, synthetic_sweep
from tests.store.records import gap, milestone, pull, reject

PLACE = "bucket pulls of InfluxDB http://influx:8086"


def read_whole(where: Path | StudySource) -> tuple[Study, list[JobRecords]]:
    with opened_study(where) as records:
        return records.study, list(records.jobs())


def test_one_cluster_of_a_directory_is_read_with_its_own_ledger(sweep_directory: Path) -> None:
    whole, groups = read_whole(sweep_directory)
    part, groups_of_part = read_whole(of_directory(sweep_directory, clusters=("sim-hand-2",)))
    assert groups_of_part == [group for group in groups if group.cluster == "sim-hand-2"] != []
    assert all(group.pulls and group.milestones and group.node_caches and group.pods for group in groups)
    assert part.clusters == ("sim-hand-2",)
    for name in ("jobs", "audits"):
        rows, every = getattr(part.ledger, name), getattr(whole.ledger, name)
        assert rows == tuple(row for row in every if row.cluster == "sim-hand-2") != ()
    assert read_whole(of_directory(sweep_directory, runs=(RUN,))) == (whole, groups)
    other, groups_of_other = read_whole(of_directory(sweep_directory, runs=("another",)))
    assert (groups_of_other, other.ledger.runs, other.ledger.jobs) == ([], (), ())


def test_a_study_streams_job_by_job_what_the_store_has_in_its_own_order(tmp_path: Path) -> None:
    made = HandMade()
    for name, state in (("b", JobState.DONE), ("a", JobState.DONE), ("given-up", JobState.ABANDONED)):
        made.job(name, image_of(), 0, 20, state=state)
        for number in range(3):
            made.life(name, f"{name}-{number}", image_of(), {Moment.SCHEDULED: 9 - number, Moment.PULLED: 12 - number})
    made.job("never-seen", image_of(), 0, None)
    made.pull(None, "web-6bf9c87d4d-2x4zb", "web:v1", 1.0)
    made.write(tmp_path)
    with closing_now(EmbeddedStore(tmp_path, create=False)) as store:
        pulls, milestones = list(store.pulls()), list(store.milestones())
    with opened_study(tmp_path) as records:
        groups = {group.job: group for group in records.jobs()}
        others = list(records.other_pulls())
    assert list(groups) == ["a", "b", "never-seen"]
    for name, group in groups.items():
        assert list(group.pulls) == [each for each in pulls if each.job == name]
        assert list(group.milestones) == [each for each in milestones if each.job == name]
    assert others == [each for each in pulls if each.job is None] != []
    assert len(pulls) == 3 + 3 + 1


def test_what_is_read_from_a_server_is_a_file_while_it_is_read_and_gone_afterwards(tmp_path: Path) -> None:
    made = HandMade()
    made.life("j", "p", image_of(), {Moment.SCHEDULED: 1, Moment.PULLED: 5})
    made.pull(None, "web-6bf9c87d4d-2x4zb", "web:v1", 1.0)
    made.write(tmp_path)
    with closing_now(EmbeddedStore(tmp_path, create=False)) as server:
        chosen = Selection(clusters=("c-4",))
        with (
            copied([(server, chosen)]) as file,
            study_of("s", [(file, ALL)], None, ALL) as copy,
            opened_study(tmp_path) as own,
        ):
            there = file.path
            assert there.is_file()
            assert list(copy.jobs()) == list(own.jobs()) != []
            assert list(copy.other_pulls()) == list(own.other_pulls()) != []
            assert copy.study.stored == own.study.stored
        assert not there.exists()


@contextmanager
def closing_now(store: EmbeddedStore) -> Iterator[EmbeddedStore]:
    try:
        yield store
    finally:
        store.close_now()


def test_the_command_chooses_runs_and_clusters_of_a_directory_too(
    sweep_directory: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["export", "pulls", "--out", str(sweep_directory), "--cluster", "sim-hand-4", "--run", RUN]) == 0
    found = capfd.readouterr().out
    assert found.count("\n") == 1 + 4 * 3
    assert found.count(f"sim-hand-4,{RUN},") == 4 * 3


def test_a_run_or_cluster_that_a_directory_has_not_is_told_in_a_line_and_nothing_is_written(
    sweep_directory: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(sweep_directory.rglob("*.html"))
    for command in ("export pulls", "export phases", "report"):
        for wrong, complaint in (
            ("--run none", "run none"),
            (f"--run {RUN} --cluster sim-hand-3", "cluster sim-hand-3"),
        ):
            assert cli.run([*command.split(), "--out", str(sweep_directory), *wrong.split()]) == 2
            told = capfd.readouterr()
            assert (told.out, told.err.count("\n")) == ("", 1)
            assert complaint in told.err
            assert f"it has {RUN} (" in told.err
        assert "sim-hand-2, sim-hand-4" in told.err
    assert sorted(sweep_directory.rglob("*.html")) == before


def test_records_of_several_stores_come_in_the_order_of_one(tmp_path: Path) -> None:
    records = [
        pull(f"u{number % 7}", number, cluster=f"c{number % 2}", finished_at=ZERO + timedelta(seconds=number % 5))
        for number in range(1, 40)
    ] + [pull("untimed", cluster="c0"), pull("a", cluster="c1")]
    marks = [
        milestone(f"m{number}", cluster=f"c{number % 3}", at=ZERO - timedelta(seconds=number)) for number in range(9)
    ]
    batches = [
        Batch(
            pulls=tuple(records[part::2]),
            milestones=tuple(marks[part::2]),
            rejects=(reject(position=str(part)),),
            gaps=(gap(found_at=ZERO - timedelta(hours=part)),),
        )
        for part in (0, 1)
    ]
    parts = [EmbeddedStore(tmp_path / str(number), create=True) for number in (0, 1)]
    whole = EmbeddedStore(tmp_path / "whole", create=True)
    for store, batch in zip(parts, batches, strict=True):
        store.write_now(batch)
        whole.write_now(batch)
    joined = JoinedRecords(tuple((store, ALL) for store in parts))
    for name in ("pulls", "milestones", "rejects", "gaps"):
        assert list(getattr(joined, name)()) == list(getattr(whole, name)()) != []
    chosen = JoinedRecords(tuple((store, Selection(clusters=("c1",))) for store in parts))
    assert {each.cluster for each in chosen.runs()} == {"c1"}
    assert sum(each.pulls for each in chosen.runs()) == sum(each.cluster == "c1" for each in records)
    for store in (*parts, whole):
        asyncio.run(store.close())


def swept_into_influxdb(directory: Path) -> None:
    collect = {"influx": "http://127.0.0.1:1", "organisation": "lab", "bucket": "pulls", "kafka": "", "topic": ""}
    with closing(Ledger(directory, create=True)) as ledger:
        study = json.dumps({"name": "x", "collect": collect})
        ledger.begin(Run(run="run-x", provider="sim", study=study, started_at=ZERO), [])


def test_a_directory_tells_where_its_runs_are(tmp_path: Path) -> None:
    made = HandMade(cluster="lab", size=1)
    made.pull("job", "pod", image_of(9, 1_000_000_000), 1.0)
    made.write(tmp_path)
    swept_into_influxdb(tmp_path)
    source = of_directory(tmp_path, environment={"INFLUXDB_V2_TOKEN": "t"})
    ((settings, selection),) = source.buckets
    assert (settings.url, settings.organisation, settings.bucket) == ("http://127.0.0.1:1", "lab", "pulls")
    assert (selection, source.file) == (Selection(runs=("run-x",)), ALL)
    assert of_directory(tmp_path, runs=(RUN,), environment={}).buckets == ()
    assert len(frame(of_directory(tmp_path, runs=(RUN,), environment={}))) == 1


def test_without_a_token_only_what_needs_none_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("INFLUXDB_V2_TOKEN", raising=False)
    swept_into_influxdb(tmp_path)
    assert cli.run(["export", "layers", "--out", str(tmp_path)]) == 0
    assert "INFLUXDB_V2_TOKEN" not in capfd.readouterr().err
    assert cli.run(["export", "pulls", "--out", str(tmp_path)]) == 2
    complained = capfd.readouterr().err
    assert "no token; set INFLUXDB_V2_TOKEN" in complained
    assert complained.count("\n") == 1
    monkeypatch.setenv("INFLUXDB_V2_TOKEN", "s3cret")
    assert cli.run(["report", "--out", str(tmp_path)]) == 1
    complained = capfd.readouterr().err
    assert (
        "InfluxDB http://127.0.0.1:1 cannot be read: Cannot connect to host 127.0.0.1:1: connection refused"
        in complained
    )
    assert "s3cret" not in complained
    assert complained.count("\n") == 1


def test_layers_lie_in_directories_alone(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="they are in no InfluxDB; give --out DIR"):
        export(StudySource(name="run-x", file=None), "layers", "csv", tmp_path / "layers.csv")
    assert list(tmp_path.iterdir()) == []


def stored(run: str | None, hours: int) -> StoredRun:
    at = ZERO + timedelta(hours=hours)
    return StoredRun(run=run, cluster="c", size=4, pulls=1_000 + hours, first_at=at, last_at=at)


def test_runs_to_choose_from_are_named_latest_first_in_a_line_that_does_not_grow() -> None:
    many = [stored(f"run-{number}", number) for number in range(9)]
    assert str(SeveralRunsError(PLACE, many)) == (
        f"{PLACE} has several runs; choose by --run: run-8 (1,008 pulls), run-7 (1,007 pulls), run-6 (1,006 pulls),"
        " run-5 (1,005 pulls), run-4 (1,004 pulls) and 4 more: pulldriver export runs lists them"
    )
    assert str(NoSuchRunError(PLACE, ("a",), ("b",), [stored(None, 1), stored(None, 2)])) == (
        f"{PLACE} has no pull of run a, cluster b; it has '' (none) (2,003 pulls) of cluster c"
    )
    assert str(NoSuchRunError(PLACE, (), (), [])) == f"{PLACE} has no pull"


def test_a_sweep_of_one_size_is_compared_with_another_source(tmp_path: Path) -> None:
    from pullstudy.analysis.comparison.compare import compare
    from pullstudy.analysis.findings.comparison import Quantity

    synthetic_sweep(tmp_path, image_bytes=(1_000_000_000,))
    found = compare(tmp_path, of_directory(tmp_path, clusters=("sim-hand-4",)))
    assert list(found.compared.quantities[Quantity.PULLS].sizes) == [4]


def test_what_a_run_does_not_say_is_its_own_file() -> None:
    assert Destination().shared is False
    assert str(Destination()) == "the study's own file"
