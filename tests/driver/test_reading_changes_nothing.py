"""Commands that read a study leave every file of it as it is, whatever version of pullstudy made it."""

import gzip
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from driver.cli import run
from pullstudy.store.embedded.schema import FILE_NAME, VERSION

UPGRADE = Path(__file__).parent.parent / "data" / "upgrade"
READING = (
    "report --json --out {study}",
    *(
        f"export {table} --format csv --out {{study}} --to {{beside}}"
        for table in ("pulls", "phases", "moments", "runs")
    ),
    "status --json --out {study}",
    "status --out {study}",
    "compare {study} {study} --json",
)

_KILL = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
connection.execute("UPDATE pull_records SET pull_seconds = 77.5 WHERE event_uid = 'u3'")
os.kill(os.getpid(), 9)
"""


def seen(directory: Path) -> dict[str, tuple[str, int]]:
    """Every file's digest and time of change."""
    return {
        str(path.relative_to(directory)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.fixture(params=[2, 3])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A study of that layout."""
    directory = tmp_path / "study"
    directory.mkdir()
    data = gzip.decompress((UPGRADE / f"store-layout-{request.param}.sqlite3.gz").read_bytes())
    (directory / FILE_NAME).write_bytes(data)
    return directory


@pytest.fixture
def killed(study: Path) -> Path:
    """Its last writer was killed: what it wrote last is in a file beside the study's."""
    subprocess.run([sys.executable, "-c", _KILL, str(study / FILE_NAME)], check=False)
    assert (study / f"{FILE_NAME}-wal").stat().st_size > 0
    return study


def read_by_every_command(study: Path) -> None:
    for words in READING:
        arguments = words.format(study=study, beside=study.parent / "table").split()
        assert run(arguments) in (0, 3), arguments


def exported(study: Path) -> str:
    table = study.parent / "pulls.csv"
    assert run(["export", "pulls", "--out", str(study), "--to", str(table)]) == 0
    return table.read_text()


def test_reading_an_older_study_changes_no_file_of_it(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = seen(study)
    read_by_every_command(study)
    assert seen(study) == before
    assert exported(study).count("\n") == 9


def test_what_a_killed_writer_left_is_read_and_stays_as_it_is(killed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = seen(killed)
    read_by_every_command(killed)
    assert seen(killed) == before
    assert ",77.5," in exported(killed)


def test_what_a_killed_writer_left_is_read_also_where_its_index_was_not_copied_along(killed: Path) -> None:
    (killed / f"{FILE_NAME}-shm").unlink()
    before = seen(killed)
    assert ",77.5," in exported(killed)
    assert seen(killed) == before


@pytest.mark.parametrize("with_index", [True, False])
def test_it_is_read_where_nothing_may_be_written(killed: Path, with_index: bool) -> None:
    if not with_index:
        (killed / f"{FILE_NAME}-shm").unlink()
    for path in (*killed.iterdir(), killed):
        path.chmod(path.stat().st_mode & ~0o222)
    # Root is refused nothing, but for this.
    bound = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    program = [sys.executable, "-c", "from driver.cli import main; main()"]
    command = [*bound, *program, "export", "pulls", "--out", str(killed)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    killed.chmod(0o755)
    assert (told.returncode, told.stderr) == (0, "")
    assert ",77.5," in told.stdout


def test_a_study_that_a_copy_of_is_read_gives_the_same_table_after_its_upgrade(study: Path, tmp_path: Path) -> None:
    before = exported(study)
    empty = tmp_path / "empty.json"
    empty.write_text('{"kind": "EventList", "items": []}')
    run(["import", str(empty), "--size", "4", "--out", str(study)])
    with closing(sqlite3.connect(study / FILE_NAME)) as direct:
        assert direct.execute("PRAGMA user_version").fetchone() == (VERSION,)
    assert exported(study) == before


def test_who_writes_into_an_older_study_is_told_what_becomes_of_it(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(study, tmp_path / "kept")
    log = tmp_path / "empty.json"
    log.write_text('{"kind": "EventList", "items": []}')
    run(["import", str(log), "--size", "4", "--out", str(study)])
    assert f"and becomes one of layout {VERSION}" in capsys.readouterr().err
    run(["import", str(log), "--size", "4", "--out", str(study)])
    assert "becomes" not in capsys.readouterr().err
    shutil.copytree(tmp_path / "kept", tmp_path / "swept")
    run(["sweep", "--resume", "--sizes", "5", "--out", str(tmp_path / "swept")])  # which the old study has not
    assert f"and becomes one of layout {VERSION}" in capsys.readouterr().out
    assert run(["down", "--out", str(tmp_path / "kept")]) == 0
    assert f"and becomes one of layout {VERSION}" in capsys.readouterr().out
