"""A store that an earlier version made is opened, complete, and then of the same layout as one that is made now.

The files were written by the code of those layouts: see tests/data/upgrade.
"""

import gzip
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kind import Record
from pullstudy.pulls.kinds import KINDS, PULL
from pullstudy.pulls.record import Outcome, PullRecord, witness_uid
from pullstudy.store.embedded import schema
from pullstudy.store.embedded.ledger import Ledger
from pullstudy.store.embedded.schema import FILE_NAME
from pullstudy.store.embedded.store import EmbeddedStore
from tests.store.records import pull

UPGRADE = Path(__file__).parent.parent / "data" / "upgrade"


@pytest.fixture(params=[2, 3])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory with a store of that layout."""
    data = gzip.decompress((UPGRADE / f"store-layout-{request.param}.sqlite3.gz").read_bytes())
    (tmp_path / FILE_NAME).write_bytes(data)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as direct:
        assert direct.execute("PRAGMA user_version").fetchone() == (request.param,)
    return tmp_path


@contextmanager
def store(directory: Path, **more: Any) -> Iterator[EmbeddedStore]:
    opened = EmbeddedStore(directory, create=True, **more)
    try:
        yield opened
    finally:
        opened.close_now()


def layout(directory: Path) -> dict[str, Any]:
    """All that makes a layout, but for the places of columns, which ALTER TABLE does not choose."""
    with closing(sqlite3.connect(directory / FILE_NAME)) as direct:
        names = [name for (name,) in direct.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
        columns = {name: sorted(row[1:] for row in direct.execute(f"PRAGMA table_info({name})")) for name in names}
        made = [
            direct.execute(
                "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = ? ORDER BY name", (what,)
            ).fetchall()
            for what in ("index", "view")
        ]
        version = direct.execute("PRAGMA user_version").fetchone()
    return {"columns": columns, "made": made, "version": version}


def test_an_older_store_is_complete(old: Path) -> None:
    with store(old) as opened:
        pulls = list(opened.pulls())
        told = {f"u{number}" for number in range(1, 7)} | {witness_uid("untold", "main")}
        assert {record.event_uid for record in pulls} == told
        assert len(pulls) == 8, "u1 twice, by its count; not the abandoned attempt's, nor what an event told too"
        first = next(record for record in pulls if record.event_uid == "u3")
        assert first == PullRecord(
            cluster="c4", run="r", size=4, node="n3", namespace="ns", job="j-a2", pod="j-a2-3", pod_uid="pu-j-a2-3",
            container="main", image="r/i:t", repository="r/i", tag="t", digest="sha256:1", outcome=Outcome.PULLED,
            started_at=datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC),
            finished_at=datetime(2026, 3, 1, 12, 0, 3, tzinfo=UTC),
            pull_seconds=3.5, waiting_seconds=0.25, image_bytes=1003, count=1, event_uid="u3",
        )  # fmt: skip
        assert (len(list(opened.milestones())), len(list(opened.rejects())), len(list(opened.gaps()))) == (6, 2, 1)
        assert opened.runs()[0].pulls == 10
    ledger = Ledger(old, create=False)
    assert [row.hold_seconds for row in ledger.jobs("r")] == [0.0, 0.0]
    assert [audit.recovered for audit in ledger.audits("r")] == [1]
    ledger.close()


def test_an_older_store_gets_the_layout_of_one_that_is_made_now(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    with store(new), store(old):
        pass
    assert layout(old) == layout(new)


def test_what_is_written_into_an_older_store_is_kept_once_and_read_back(old: Path) -> None:
    with store(old) as opened:
        before = list(opened.pulls())
        batch = Batch(pulls=(*before, pull("new", cluster="c4"), pull("u1", cluster="other")))
        assert opened.write_now(batch) == 2
        assert {(record.cluster, record.event_uid) for record in opened.pulls()} == {
            *((record.cluster, record.event_uid) for record in before), ("c4", "new"), ("other", "u1"),
        }  # fmt: skip


def test_an_upgrade_that_is_cut_short_is_none_and_made_at_the_next_opening(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = layout(old)
    with monkeypatch.context() as patched:
        patched.setitem(schema.UPGRADES, 3, (*schema.UPGRADES[3], "no SQL"))
        with pytest.raises(Exception, match="syntax error"):
            EmbeddedStore(old, create=True)
    assert layout(old) == before
    with store(old) as opened:
        assert len(list(opened.pulls())) == 8


_OPEN = """
import sys
from pathlib import Path
from pullstudy.store.embedded.store import EmbeddedStore
print(len(list(EmbeddedStore(Path(sys.argv[1]), create=True).pulls())))
"""


def test_two_processes_may_open_an_older_store_at_once(old: Path) -> None:
    command = [sys.executable, "-c", _OPEN, str(old)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate() for process in both] == [("8\n", "")] * 2


# -- a column more -------------------------------------------------------------------------------------------------

_FIELDS = msgspec.structs.fields(PullRecord)
_MIDDLE = len(_FIELDS) // 2
_GIVEN = [(each.name, each.type) if each.required else (each.name, each.type, None) for each in _FIELDS]
Widened = msgspec.defstruct(
    "Widened",
    [*_GIVEN[1:_MIDDLE], ("registry", str | None, None), *_GIVEN[_MIDDLE:]],
    bases=(Record,),
    frozen=True,
    kw_only=True,
)
WIDENED = (replace(PULL, struct=Widened), *KINDS[1:])


def test_a_column_in_the_middle_is_added_to_an_older_store_and_no_record_is_lost(old: Path) -> None:
    """With the places of columns in place of their names, new records would be lost and old ones misread."""
    assert Widened.__struct_fields__.index("registry") == _MIDDLE
    with store(old, kinds=WIDENED) as opened:
        new = Widened(cluster="c4", outcome=Outcome.CACHED, count=1, event_uid="new", registry="ghcr.io", error="e")
        assert opened.write_now(Batch(more=[new])) == 1
        assert opened.write_now(Batch(more=[new])) == 0
        found = {record.event_uid: record for record in opened.records(WIDENED[0])}
        assert len(list(opened.records(WIDENED[0]))) == 9
        assert found["new"] == new
        assert (found["u3"].registry, found["u3"].image_bytes, found["u3"].job) == (None, 1003, "j-a2")  # type: ignore[attr-defined]


def test_a_store_with_a_newer_column_is_read_and_written_by_a_version_without_it(old: Path) -> None:
    with store(old, kinds=WIDENED):
        pass
    with store(old) as opened:
        assert opened.write_now(Batch(pulls=(pull("new", cluster="c4"),))) == 1
        assert len(list(opened.pulls())) == 9


def test_what_users_added_to_an_older_store_is_there_after_the_upgrade(old: Path) -> None:
    with closing(sqlite3.connect(old / FILE_NAME)) as direct:
        direct.execute('CREATE VIEW "my-slow pulls" AS SELECT * FROM pulls WHERE pull_seconds > 1')
        direct.execute("CREATE INDEX mine ON pull_records (node)")
        direct.commit()
        before = direct.execute('SELECT count(*) FROM "my-slow pulls"').fetchone()
    with store(old):
        pass
    with closing(sqlite3.connect(old / FILE_NAME)) as direct:
        assert direct.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert direct.execute('SELECT count(*) FROM "my-slow pulls"').fetchone() == before
        assert direct.execute("SELECT tbl_name FROM sqlite_master WHERE name = 'mine'").fetchone() == ("pull_records",)


def test_a_column_that_a_table_of_the_driver_lacks_is_added(tmp_path: Path) -> None:
    with store(tmp_path / "new"), store(tmp_path / "older"):
        pass
    with closing(sqlite3.connect(tmp_path / "older" / FILE_NAME)) as direct:
        direct.execute("ALTER TABLE job_pods DROP COLUMN job_uid")
        direct.execute("ALTER TABLE jobs DROP COLUMN hold_seconds")
        direct.commit()
    with store(tmp_path / "older"):
        assert layout(tmp_path / "older") == layout(tmp_path / "new")
