"""``collector archive`` as a user types it, and the archiver of a bus when it is killed."""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import duckdb
import pytest

from collector.cli import run_command
from collector.delivering.sink import Sink, SinkSettings
from driver.cli import run as pulldriver
from pullstudy.bus.embedded import EmbeddedBus
from pullstudy.pulls.batch import Batch
from pullstudy.store.archive.compaction import compact
from pullstudy.store.archive.places import objects_of
from pullstudy.store.archive.read import ArchiveReader
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.archive.store import ArchiveStore
from pullstudy.store.embedded.store import EmbeddedStore
from tests.collector.polling import until
from tests.notices import KeptNotices
from tests.store.records import AT, pull

pytestmark = pytest.mark.timeout(300)  # commands are processes
DOCS = Path(__file__).parents[2] / "docs" / "archive.md"
QUICK = SinkSettings(batch_messages=7, linger_seconds=0.0, idle_seconds=0.01, drain_seconds=20.0)


def some(number: int) -> Batch:
    return Batch(
        pulls=[
            pull(f"u{n:03}", cluster=f"prod-{n % 2}", finished_at=AT, pull_seconds=float(n), image="registry/a:1")
            for n in range(number)
        ]
    )


@pytest.fixture
def study(tmp_path: Path) -> Path:
    store = EmbeddedStore(tmp_path / "study", create=True)
    store.write_now(some(30))
    store.close_now()
    return tmp_path / "study"


def test_a_study_is_copied_as_often_as_one_likes_and_exported_the_same(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(tmp_path / "archive")
    for _ in range(2):
        assert run_command(["archive", "--copy", str(study), "--to", place, "--log-format", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {key: value for key, value in lines[0].items() if key == "records"} == {"records": 30}
    assert [line["partitions"] for line in lines if line["message"] == "compacted"] == [2, 2]
    texts = []
    for where in (["--archive", place], ["--out", str(study)]):
        assert pulldriver(["export", "pulls", "--to", str(tmp_path / "pulls.csv"), *where]) == 0
        texts.append((tmp_path / "pulls.csv").read_bytes())
    assert texts[0] == texts[1]
    assert texts[0].count(b"\n") == 31


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--to", "s3://"], 2, "no bucket"),
        (["--to", "gs://b"], 2, "give a directory or s3://BUCKET/PREFIX"),
        (["--kafka", "k:9092", "--copy", "d", "--to", "a"], 2, "--kafka and --copy: give one of them"),
        (["--kafka", "k:9092"], 2, "Missing option '--to'"),
        (["--copy", "absent", "--to", "a"], 1, "absent is no study"),
        (["--to", "file/below"], 1, "archive file/below"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    assert run_command(["archive", *arguments]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_the_queries_of_the_page_run_in_duckdb(tmp_path: Path) -> None:
    settings = ArchiveSettings(str(tmp_path / "archive"))
    records = [
        pull(f"u{n}", cluster="prod-1", image=f"i{n % 2}", pull_seconds=float(n), finished_at=AT.replace(year=2026))
        for n in range(40)
    ]
    asyncio.run(ArchiveStore(settings, KeptNotices(), Random(1)).write(Batch(pulls=records)))
    compact(objects_of(settings), settings)
    queries = re.findall(r"^```sql duckdb\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    by_image, by_hour, meaning = (duckdb.sql(query.replace("ARCHIVE", settings.url)).fetchall() for query in queries)
    assert by_image == [("i1", 20, 37.1), ("i0", 20, 36.1)]
    assert [row[1:] for row in by_hour] == [(40, 19.5, 0)]
    assert meaning[0][0] == "the first duration of the kubelet's message"


async def test_what_is_on_a_bus_is_archived_once_whatever_is_not_committed(tmp_path: Path) -> None:
    """A second archiver takes again what the first has written and could not commit."""
    settings, bus, notices = ArchiveSettings(str(tmp_path / "archive")), EmbeddedBus(), KeptNotices()
    await bus.publish(some(50))
    for commits in (False, True):
        consumer = await bus.consume("archive")
        if not commits:
            consumer.commit = _commits_nothing  # type: ignore[method-assign]
        sink = Sink(bus, consumer, ArchiveStore(settings, notices, Random(1)), QUICK, notices)
        stop = asyncio.Event()
        running = asyncio.create_task(sink.run(stop))
        await until(lambda sink=sink: sink.counters.stored >= 50)
        stop.set()
        await running
        await consumer.close()
        compact(objects_of(settings), settings)
        assert Counter(record.event_uid for record in ArchiveReader(settings).pulls()) == Counter(
            record.event_uid for record in some(50).pulls
        )


async def _commits_nothing(parcel: object) -> bool:
    return False


ARCHIVER = """
import sys
from pullstudy.pulls.batch import Batch
from pullstudy.store.archive.compaction import compact
from pullstudy.store.archive.incoming import keep
from pullstudy.store.archive.places import objects_of
from pullstudy.store.archive.settings import ArchiveSettings
from tests.collector.test_archive_command import some
settings, cut = ArchiveSettings(sys.argv[1]), int(sys.argv[2])
objects, pulls = objects_of(settings), some(60).pulls
for first in range(0, 60, cut):
    keep(objects, Batch(pulls=pulls[first : first + cut]))
    print(first + cut, flush=True)
    compact(objects, settings)
"""


def test_processes_that_archive_the_same_and_are_killed_lose_nothing(tmp_path: Path) -> None:
    """Two at a time, each its own cut of the batches; killed at moments by chance, then one runs to its end."""
    chance, settings = random.Random(20261128), ArchiveSettings(str(tmp_path / "archive"))

    def start(cut: int) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", ARCHIVER, settings.url, str(cut)]
        root = Path(__file__).parents[2]
        return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)

    kept = 0
    with start(7) as one, start(11) as other:
        for process in (one, other):
            assert process.stdout is not None
            for _ in range(chance.randint(1, 3)):
                kept = max(kept, min(60, int(process.stdout.readline())))
            os.kill(process.pid, signal.SIGKILL)
    found = [record.event_uid for record in ArchiveReader(settings).pulls()]
    assert len(found) == len(set(found)) >= kept
    with start(13) as last:
        last.communicate()
    assert last.returncode == 0
    found = [uid for (uid,) in duckdb.sql(f"SELECT event_uid FROM '{settings.url}/pulls/*/*/*.parquet'").fetchall()]
    assert sorted(found) == [record.event_uid for record in some(60).pulls]
