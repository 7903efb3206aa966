"""The same records in a file and in a real InfluxDB: equal bytes of every export, equal reports and comparisons."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from driver import cli
from pullstudy.analysis.comparison.compare import compare
from pullstudy.analysis.errors import NoSuchRunError, SeveralRunsError
from pullstudy.analysis.export import TABLES, export
from pullstudy.analysis.findings.comparison import Quantity
from pullstudy.analysis.frames import frame
from pullstudy.analysis.reading.source import StudySource, of_directory, of_store, whole_bucket
from pullstudy.analysis.report.report import write_report
from pullstudy.analysis.tables import WRITERS
from pullstudy.pulls.batch import Batch, Gap, Reject
from pullstudy.pulls.record import PullRecord
from pullstudy.store.destination import Destination
from pullstudy.store.embedded.ledger import Ledger
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.influx.store import InfluxStore
from pullstudy.store.protocol import AbandonedJob
from tests.analysis.hand_made import RUN, ZERO, ledger_alone, synthetic_sweep
from tests.notices import KeptNotices
from tests.stack.influx import Influx

pytestmark = pytest.mark.real
IMAGE_BYTES = (1_000_000_000, 2_000_000_000)


def everything(directory: Path) -> Batch:
    store = EmbeddedStore(directory, create=False)
    try:
        pulls, milestones = tuple(store.pulls()), tuple(store.milestones())
        return Batch(pulls=pulls, milestones=milestones, rejects=tuple(store.rejects()), gaps=tuple(store.gaps()))
    finally:
        store.close_now()


class Bucket:
    """A bucket to be filled."""

    def __init__(self, influx: Influx, name: str) -> None:
        self.settings = InfluxSettings(influx.url, influx.organisation, token=influx.token, bucket=name)
        self.environment = {**influx.environment(), "INFLUXDB_V2_BUCKET": name}

    async def fill(self, batch: Batch) -> None:
        store = InfluxStore(self.settings, KeptNotices(), Random(1))
        await store.write(batch)
        await store.close()


@pytest.fixture
def filled(influx: Influx, bucket: str) -> Bucket:
    return Bucket(influx, bucket)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep by hand, with what is not understood and not watched."""
    directory = tmp_path / "sweep"
    synthetic_sweep(directory, image_bytes=IMAGE_BYTES)
    reject = Reject(cluster="sim-hand-2", source="watch", position="7", problem="odd", raw="{}")
    gap = Gap(cluster="sim-hand-4", from_version="1", to_version="9", found_at=ZERO, why="compacted")
    store = EmbeddedStore(directory, create=True)
    store.write_now(Batch(rejects=(reject,), gaps=(gap,)))
    store.close_now()
    return directory


async def in_thread(work: Callable[[], Any]) -> Any:
    """Reading blocks, as all reading of stores does."""
    return await asyncio.to_thread(work)


@pytest.mark.parametrize("what", ["pulls", "phases", "runs"])
async def test_every_export_has_the_bytes_of_the_files_own(
    filled: Bucket, sweep: Path, tmp_path: Path, what: str
) -> None:
    await filled.fill(everything(sweep))
    directory = ledger_alone(sweep, tmp_path / "ledger")
    for format in WRITERS:
        source = await in_thread(lambda: of_store(filled.settings, directory=directory))
        from_file, from_influx = tmp_path / f"file.{format}", tmp_path / f"influx.{format}"
        rows = await in_thread(lambda source=source, to=from_influx, format=format: export(source, what, format, to))
        assert rows == export(sweep, what, format, from_file) > 0
        assert from_influx.read_bytes() == from_file.read_bytes()
    assert what in TABLES


async def test_the_real_logs_are_exported_with_the_bytes_of_the_files_own(
    filled: Bucket, aws_directory: Path, tmp_path: Path
) -> None:
    await filled.fill(everything(aws_directory))
    source = await in_thread(lambda: of_store(filled.settings))
    for what in ("pulls", "phases"):
        from_file, from_influx = tmp_path / "file.csv", tmp_path / "influx.csv"
        await in_thread(lambda what=what, to=from_influx: export(source, what, "csv", to))
        export(aws_directory, what, "csv", from_file)
        assert from_influx.read_bytes() == from_file.read_bytes()


async def test_a_report_with_its_ledger_is_the_same_to_the_byte(filled: Bucket, sweep: Path, tmp_path: Path) -> None:
    await filled.fill(everything(sweep))
    directory = ledger_alone(sweep, tmp_path / "elsewhere" / "sweep")
    source = await in_thread(lambda: of_store(filled.settings, directory=directory))
    from_influx = await in_thread(lambda: write_report(source))
    from_file = write_report(sweep)
    assert [path.name for path in from_influx] == [path.name for path in from_file]
    assert [path.read_bytes() for path in from_influx] == [path.read_bytes() for path in from_file]
    both = await in_thread(lambda: compare(sweep, source))
    pulls = both.compared.quantities[Quantity.PULLS]
    assert pulls.same
    assert len(pulls.images) > 1


async def test_a_report_without_a_ledger_leaves_out_what_only_that_knows(
    filled: Bucket, sweep: Path, tmp_path: Path
) -> None:
    await filled.fill(everything(sweep))
    source = await in_thread(lambda: of_store(filled.settings, directory=tmp_path / "absent"))
    page, *figures = await in_thread(lambda: write_report(source, tmp_path / "reported"))
    assert page == tmp_path / "reported" / "report.html"
    assert figures
    assert "SIMULATED" in page.read_text()


async def test_a_swept_directory_says_itself_where_its_records_are(filled: Bucket, sweep: Path, tmp_path: Path) -> None:
    await filled.fill(everything(sweep))
    directory = ledger_alone(sweep, tmp_path / "ledger")
    settings = filled.settings
    collect = Destination(influx=settings.url, organisation=settings.organisation, bucket=settings.bucket)
    ledger = Ledger(directory, create=True)
    run = ledger.swept_run()
    assert run is not None
    study = {**json.loads(run.study), "collect": msgspec.to_builtins(collect)}
    ledger.begin(msgspec.structs.replace(run, study=json.dumps(study)), [])
    ledger.close()
    environment = {"INFLUXDB_V2_TOKEN": settings.token or ""}
    source = of_directory(directory, environment=environment)
    both = await in_thread(lambda: (list(frame(source).event_uid), list(frame(sweep).event_uid)))
    assert both[0] == both[1] != []


async def test_abandoned_attempts_are_in_no_export(filled: Bucket, sweep: Path) -> None:
    batch = everything(sweep)
    await filled.fill(batch)
    given_up = batch.pulls[0]
    assert given_up.job is not None
    store = InfluxStore(filled.settings, KeptNotices(), Random(1))
    await store.abandon([AbandonedJob(cluster=given_up.cluster, job=given_up.job, at=ZERO)])
    await store.close()
    left = await in_thread(lambda: frame(of_store(filled.settings)))
    assert len(left) == sum((pull.cluster, pull.job) != (given_up.cluster, given_up.job) for pull in batch.pulls)


async def test_runs_are_not_mixed_unasked_and_can_be_chosen(filled: Bucket, sweep: Path, tmp_path: Path) -> None:
    first = everything(sweep)
    second = [msgspec.structs.replace(pull, run="second", event_uid=f"2-{pull.event_uid}") for pull in first.pulls[:5]]
    third: list[PullRecord] = [msgspec.structs.replace(pull, run=None, event_uid="none") for pull in first.pulls[:1]]
    await filled.fill(Batch(pulls=(*first.pulls, *second, *third)))

    def read(**choice: Any) -> StudySource:
        return of_store(filled.settings, **choice)

    with pytest.raises(SeveralRunsError, match=r"has several runs; choose by --run: .*second \(5 pulls\)"):
        await in_thread(read)
    with pytest.raises(NoSuchRunError, match=rf"no pull of run third; it has .*{RUN} \({len(first.pulls)} pulls\)"):
        await in_thread(lambda: read(runs=("third",)))
    with pytest.raises(NoSuchRunError, match="no pull of cluster nowhere"):
        await in_thread(lambda: read(clusters=("nowhere",)))
    for runs, wanted in ((("second",), 5), ((None,), 1), (("second", RUN), 5 + len(first.pulls))):
        found = await in_thread(lambda runs=runs: frame(read(runs=runs)))
        assert len(found) == wanted
    own = await in_thread(lambda: frame(read(directory=sweep)))
    assert len(own) == len(first.pulls)
    listed = await in_thread(lambda: frame(whole_bucket(filled.settings), "runs"))
    assert sorted(listed.run.dropna().unique()) == sorted(["second", RUN])


async def test_the_commands_read_by_address_and_token_alone(
    filled: Bucket, sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    await filled.fill(everything(sweep))
    monkeypatch.chdir(tmp_path)
    for name, value in filled.environment.items():
        monkeypatch.setenv(name, value)
    url = filled.settings.url
    words = (
        f"export pulls --influx {url} --cluster sim-hand-2 --to pulls.csv",
        f"export runs --influx {url}/",
        f"report --influx {url} --run {RUN} --out reported",
        f"compare {sweep} {RUN} --influx {url}",
    )
    for line in words:
        assert await in_thread(lambda line=line: cli.run(line.split())) == 0, capfd.readouterr().err
    said = capfd.readouterr().out
    assert (tmp_path / "pulls.csv").read_text().count("\n") == 1 + 2 * len(IMAGE_BYTES)
    assert f"{RUN},sim-hand-2,2,4," in said
    assert f"first: {sweep}   second: {RUN}" in said
    assert (tmp_path / "reported" / "report.html").exists()

    for line, complaint in (
        (f"report --influx {url} --out {sweep.parent / 'other'}", "holds another study than"),
        (f"export pulls --influx {url} --run nothing", "no pull of run nothing"),
        (f"export layers --influx {url}", "they are in no InfluxDB; give --out DIR"),
        (f"export pulls --influx {url}x", "is no address; write it as http://HOST:8086"),
        (
            "export pulls --influx http://127.0.0.1:1",
            "InfluxDB http://127.0.0.1:1 cannot be read: Cannot connect to host 127.0.0.1:1: connection refused",
        ),
    ):
        if "other" in line:
            EmbeddedStore(sweep.parent / "other", create=True).close_now()
        assert await in_thread(lambda line=line: cli.run(line.split())) in (1, 2)
        error = capfd.readouterr().err
        assert complaint in error
        assert error.count("\n") == 1
    for name, value, complaint in (
        ("INFLUXDB_V2_BUCKET", "no-such", '404 failed to initialize execute state: could not find bucket "no-such"'),
        ("INFLUXDB_V2_TOKEN", "wrong", "401 unauthorized access: the token is not accepted"),
    ):
        monkeypatch.setenv(name, value)
        assert await in_thread(lambda: cli.run(f"export pulls --influx {url}".split())) == 1
        error = capfd.readouterr().err
        assert complaint in error
        assert error.count("\n") == 1
