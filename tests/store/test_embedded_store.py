"""The embedded store keeps each record once, and says in one line what is wrong with a directory."""

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pullstudy.pulls.batch import Batch, Gap, Reject
from pullstudy.pulls.kinds import KINDS
from pullstudy.pulls.milestone import Milestone, Moment, Witness
from pullstudy.pulls.record import Outcome, PullRecord, witness_uid
from pullstudy.store.embedded.schema import FILE_NAME, create_statements, stand_ins
from pullstudy.store.embedded.store import EmbeddedStore, NotAStudyError
from pullstudy.store.protocol import StoreBusyError, StoreError
from tests.store.records import reject

AT = datetime(2024, 11, 11, 0, 32, 10, 941901, tzinfo=UTC)


def record(uid: str = "u", count: int = 1, **more: object) -> PullRecord:
    return PullRecord(**{"cluster": "c", "outcome": Outcome.PULLED, "count": count, "event_uid": uid, **more})  # type: ignore[arg-type]


def milestone(uid: str = "u") -> Milestone:
    return Milestone(
        cluster="c",
        moment=Moment.PULLING,
        at=AT,
        resolution_seconds=1e-6,
        witness=Witness.EVENT_NAME,
        clock="node-1",
        count=1,
        event_uid=uid,
    )


def write(directory: Path, batch: Batch) -> int:
    store = EmbeddedStore(directory, create=True)
    try:
        return asyncio.run(store.write(batch))
    finally:
        store.close_now()


def read(directory: Path) -> list[PullRecord]:
    store = EmbeddedStore(directory, create=False)
    try:
        return list(store.pulls())
    finally:
        store.close_now()


def test_a_file_of_layout_1_is_made_one_of_this_and_keeps_what_it_has(tmp_path: Path) -> None:
    old = reject(position="1")
    write(tmp_path, Batch(pulls=(record(),), rejects=(old,)))
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as direct:
        direct.execute("ALTER TABLE rejects DROP COLUMN at")
        direct.execute("ALTER TABLE jobs DROP COLUMN hold_seconds")
        direct.execute("PRAGMA user_version = 1")
    new = reject(position="2", at=AT)
    write(tmp_path, Batch(rejects=(new,)))
    store = EmbeddedStore(tmp_path, create=False)
    assert list(store.rejects()) == [old, new]
    assert list(store.pulls()) == [record()]
    store.close_now()


def test_two_who_see_the_same_text_at_two_times_make_one_reject(tmp_path: Path) -> None:
    assert write(tmp_path, Batch(rejects=(reject(at=AT), reject(at=AT + timedelta(hours=1))))) == 1


def test_what_was_written_is_read_back_whole(tmp_path: Path) -> None:
    full = record(
        run="1", size=4, node="n", namespace="d", job="j", pod="p", pod_uid="pu", container="k", image="i:t",
        repository="i", tag="t", digest="sha256:1", started_at=AT - timedelta(seconds=2), finished_at=AT,
        pull_seconds=1.5, waiting_seconds=0.5, image_bytes=12, error="e",
    )  # fmt: skip
    kept = Reject(cluster="c", source="f", position="3", problem="p", raw="r")
    gap = Gap(cluster="c", from_version="1", to_version="9", found_at=AT, why="compacted")
    batch = Batch(pulls=(full,), milestones=(milestone(),), rejects=(kept,), gaps=(gap,))
    assert write(tmp_path, batch) == 4
    store = EmbeddedStore(tmp_path, create=False)
    assert list(store.pulls()) == [full]
    assert list(store.milestones()) == [milestone()]
    assert list(store.rejects()) == [kept]
    assert list(store.gaps()) == [gap]
    store.close_now()


def test_the_same_record_written_twice_is_kept_once(tmp_path: Path) -> None:
    batch = Batch(pulls=(record("a"), record("b"), record("a")), milestones=(milestone(),))
    assert write(tmp_path, batch) == 3
    assert write(tmp_path, batch) == 0
    assert len(read(tmp_path)) == 2


def test_another_count_of_the_same_event_is_another_record(tmp_path: Path) -> None:
    assert write(tmp_path, Batch(pulls=(record(count=1), record(count=2)))) == 2


def test_unknown_stays_unknown_and_is_no_zero(tmp_path: Path) -> None:
    write(tmp_path, Batch(pulls=(record(),)))
    (back,) = read(tmp_path)
    assert back.pull_seconds is None
    assert back.image_bytes is None


def test_pulls_of_an_abandoned_attempt_are_left_out_and_stay_in_the_file(tmp_path: Path) -> None:
    write(tmp_path, Batch(pulls=(record("a", job="j-a1"), record("b", job="j-a2"))))
    with sqlite3.connect(tmp_path / FILE_NAME) as direct:
        direct.execute(
            "INSERT INTO jobs (job, cluster, run, size, image, repeat, attempt, position, cache_mode, state)"
            " VALUES ('j-a1', 'c', '1', 4, 'i', 1, 1, 0, 'cold', 'abandoned')"
        )
    direct.close()
    assert [each.event_uid for each in read(tmp_path)] == ["b"]


def test_what_pod_status_witnessed_gives_way_to_the_event_that_comes_late(tmp_path: Path) -> None:
    witnessed = record(witness_uid("pu", "k"), pod_uid="pu", container="k")
    write(tmp_path, Batch(pulls=(witnessed,)))
    assert read(tmp_path) == [witnessed]
    write(tmp_path, Batch(pulls=(record("late", pod_uid="pu", container="k"),)))
    assert [each.event_uid for each in read(tmp_path)] == ["late"]


def test_two_processes_may_write_one_file(tmp_path: Path) -> None:
    first, second = EmbeddedStore(tmp_path, create=True), EmbeddedStore(tmp_path, create=True)
    for number in range(20):
        first.write_now(Batch(pulls=(record(f"a{number}"),)))
        second.write_now(Batch(pulls=(record(f"b{number}"),)))
    first.close_now()
    second.close_now()
    assert len(read(tmp_path)) == 40


def test_a_directory_without_a_study_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(NotAStudyError, match="is no study"):
        EmbeddedStore(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(NotAStudyError, match="no SQLite file"):
        EmbeddedStore(tmp_path, create=True)
    assert path.read_bytes() == b"not a database " * 100


def test_a_database_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    with pytest.raises(NotAStudyError, match="not of a study"):
        EmbeddedStore(tmp_path, create=True)


def test_another_layout_is_refused(tmp_path: Path) -> None:
    write(tmp_path, Batch())
    with sqlite3.connect(tmp_path / FILE_NAME) as direct:
        direct.execute("PRAGMA user_version = 99")
    direct.close()
    with pytest.raises(NotAStudyError, match="layout 99"):
        EmbeddedStore(tmp_path, create=False)


def test_a_full_disk_is_one_line_and_keeps_what_was_there(tmp_path: Path) -> None:
    write(tmp_path, Batch(pulls=(record("kept"),)))
    store = EmbeddedStore(tmp_path, create=True)
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    many = tuple(record(f"u{number}", error="x" * 500) for number in range(2000))
    with pytest.raises(StoreError, match=re.escape(f"disk full at {tmp_path / 'study.sqlite3'}")):
        store.write_now(Batch(pulls=many))
    store.close_now()
    assert [each.event_uid for each in read(tmp_path)] == ["kept"]


def test_a_file_that_another_process_holds_is_busy_and_takes_the_batch_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pullstudy.store.embedded.store.BUSY_SECONDS", 0.0)
    store = EmbeddedStore(tmp_path, create=True)
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError, match="held by another process"):
            store.write_now(Batch(pulls=(record(),)))
        other.execute("ROLLBACK")
    assert store.write_now(Batch(pulls=(record(),))) == 1
    store.close_now()


_COUNT = """
import sys
from pathlib import Path
from pullstudy.pulls.kinds import PULL, STREAMING
from pullstudy.store.embedded.store import EmbeddedStore
store = EmbeddedStore(Path(sys.argv[1]), create=False)
print(*(len(list(store.records(kind))) for kind in (PULL, STREAMING)))
"""


def counted_without_rights(directory: Path) -> tuple[int, str, str]:
    """Pulls and streamings, counted by a process that may write nothing there."""
    for path in (*sorted(directory.iterdir()), directory):
        path.chmod(path.stat().st_mode & ~0o222)
    # Root is refused nothing, but for this.
    bound = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    command = [*bound, sys.executable, "-c", _COUNT, str(directory)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    directory.chmod(0o755)
    return told.returncode, told.stderr, told.stdout


@pytest.mark.parametrize("at_work", [False, True])
def test_where_nothing_may_be_written_a_study_is_read_also_beside_a_writer_at_work(
    tmp_path: Path, at_work: bool
) -> None:
    write(tmp_path, Batch(pulls=(record(),)))
    writer = EmbeddedStore(tmp_path, create=True) if at_work else None
    if writer is not None:
        writer.write_now(Batch(pulls=(record("v"),)))
    told = counted_without_rights(tmp_path)
    if writer is not None:
        writer.close_now()
    assert told == (0, "", "2 0\n" if at_work else "1 0\n")


def test_where_nothing_may_be_written_a_study_from_before_a_kind_has_none_of_it(tmp_path: Path) -> None:
    write(tmp_path, Batch(pulls=(record(),)))
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as direct:
        direct.execute("DROP TABLE streamings")
        direct.commit()
    assert counted_without_rights(tmp_path) == (0, "", "1 0\n")


def test_where_nothing_may_be_written_a_column_from_later_is_read_as_unknown(tmp_path: Path) -> None:
    write(tmp_path, Batch(pulls=(record(),)))
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as direct:
        for view in ("pulls", "milestones"):
            direct.execute(f"DROP VIEW {view}")
        direct.execute("ALTER TABLE pull_records DROP COLUMN digest")
        direct.execute("ALTER TABLE job_pods DROP COLUMN owner")
        direct.execute("CREATE VIEW pulls AS SELECT * FROM pull_records")
        direct.commit()
        for statement in stand_ins(direct, KINDS):
            direct.execute(statement)
        assert direct.execute("SELECT event_uid, digest FROM pulls").fetchall() == [(record().event_uid, None)]
        assert direct.execute("SELECT pod, owner FROM job_pods").fetchall() == []
        assert direct.execute("SELECT pod, owner FROM milestones").fetchall() == []


def test_the_engines_own_shell_reads_the_file(tmp_path: Path) -> None:
    write(tmp_path, Batch(pulls=(record("a", finished_at=AT),)))
    with sqlite3.connect(f"file:{tmp_path / FILE_NAME}?mode=ro", uri=True) as shell:
        rows = shell.execute("SELECT outcome, finished_at, count FROM pulls").fetchall()
    shell.close()
    assert rows == [("pulled", "2024-11-11T00:32:10.941901Z", 1)]


def test_the_documented_layout_is_the_layout() -> None:
    document = (Path(__file__).parents[2] / "docs" / "store.md").read_text()
    connection = sqlite3.connect(":memory:")
    for statement in create_statements(KINDS):
        connection.execute(statement)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
    columns = [row[1] for name in names for row in connection.execute(f"PRAGMA table_info({name})")]
    connection.close()
    missing = [word for word in {*names, *columns} if f"`{word}`" not in document]
    assert missing == []
