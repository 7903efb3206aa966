"""The archive: each record once as read, by us and by anyone, whatever is killed, replayed or merged at once."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kinds import KINDS
from pullstudy.pulls.record import PULL_COLUMNS, PullRecord
from pullstudy.store.archive.compaction import compact
from pullstudy.store.archive.directory_objects import DirectoryObjects
from pullstudy.store.archive.incoming import keep
from pullstudy.store.archive.objects import Listed, Objects, Version
from pullstudy.store.archive.partition import INCOMING, Partition, PartitionKey, escaped
from pullstudy.store.archive.read import ArchiveReader, opened_archive
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.archive.store import ArchiveStore
from pullstudy.store.archive.tables import schema_of
from pullstudy.store.protocol import StoreError, StoreSettingsError
from pullstudy.store.selection import ALL, Selection
from pullstudy.timing import Timing
from tests.notices import KeptNotices
from tests.store.records import AT, pull

DAY = timedelta(days=1)


class DyingError(BaseException):
    """Stands for a kill: nothing after it runs but what the system does."""


class Faulty:
    """A directory's objects: the call of this number, of those that change something, dies before or after its work."""

    def __init__(self, directory: Path, dies_at: int | None = None, *, after: bool = False) -> None:
        self._inner = DirectoryObjects(directory)
        self._dies_at = dies_at
        self._after = after
        self.calls = 0
        self.before_replace: Callable[[], None] = lambda: None

    def list(self, prefix: str) -> Iterator[Listed]:
        return self._inner.list(prefix)

    @contextmanager
    def fetched(self, key: str, directory: Path) -> Iterator[tuple[Path, Version]]:
        with self._inner.fetched(key, directory) as found:
            yield found

    def put(self, key: str, file: Path) -> None:
        self._step(lambda: self._inner.put(key, file))

    def replace(self, key: str, file: Path, version: Version | None) -> None:
        self.before_replace()
        self._step(lambda: self._inner.replace(key, file, version))

    def delete(self, key: str) -> None:
        self._step(lambda: self._inner.delete(key))

    def _step(self, work: Callable[[], None]) -> None:
        self.calls += 1
        if self.calls == self._dies_at and not self._after:
            raise DyingError
        work()
        if self.calls == self._dies_at:
            raise DyingError


@pytest.fixture
def settings(tmp_path: Path) -> ArchiveSettings:
    return ArchiveSettings(str(tmp_path / "archive"))


def objects(settings: ArchiveSettings) -> DirectoryObjects:
    return DirectoryObjects(Path(settings.url))


def some(numbers: range) -> Batch:
    """Of two clusters and three days."""
    return Batch(
        pulls=[pull(f"u{n:03}", cluster=f"c{n % 2}", finished_at=AT + DAY * (n % 3), pull_seconds=1.0) for n in numbers]
    )


def read(settings: ArchiveSettings) -> list[str]:
    return sorted(record.event_uid for record in ArchiveReader(settings).pulls())


def read_by_anyone(settings: ArchiveSettings) -> list[str]:
    """As docs/archive.md has it: the partitions alone."""
    pattern = f"{settings.url}/pulls/*/*/*.parquet"
    if not list(Path(settings.url).glob("pulls/*/*/*.parquet")):
        return []
    return sorted(uid for (uid,) in duckdb.sql(f"SELECT event_uid FROM '{pattern}'").fetchall())


def uids(numbers: range) -> list[str]:
    return [f"u{n:03}" for n in numbers]


STEPS = 8


def life(objects: Objects, settings: ArchiveSettings, acknowledged: list[str], cut: int) -> None:
    """Deliver, merge, deliver what comes late, merge."""
    for numbers in (range(cut), range(cut, 8)):
        of_two = [pull(f"u{n:03}", cluster=f"c{n % 2}", finished_at=AT) for n in numbers]
        keep(objects, Batch(pulls=of_two))
        acknowledged += uids(numbers)
        compact(objects, settings)


def test_a_life_has_so_many_steps(settings: ArchiveSettings) -> None:
    whole = Faulty(Path(settings.url))
    life(whole, settings, [], 5)
    assert whole.calls == STEPS


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_what_is_killed_at_any_step_is_read_once_and_again_when_it_is_done_again(
    settings: ArchiveSettings, step: int, after: bool
) -> None:
    """The second life cuts its batches anew, as a bus's replay does."""
    acknowledged: list[str] = []
    with pytest.raises(DyingError):
        life(Faulty(Path(settings.url), step, after=after), settings, acknowledged, 5)
    found, others = read(settings), read_by_anyone(settings)
    assert len(found) == len(set(found))
    assert set(found).issuperset(acknowledged)
    assert len(others) == len(set(others))
    life(objects(settings), settings, [], 3)
    assert read(settings) == read_by_anyone(settings) == uids(range(8))
    assert not list(objects(settings).list(INCOMING))


def test_the_same_again_changes_no_byte(settings: ArchiveSettings) -> None:
    def content() -> dict[str, bytes]:
        return {each.key: Path(settings.url, each.key).read_bytes() for each in objects(settings).list("")}

    keep(objects(settings), some(range(9)))
    delivered = content()
    keep(objects(settings), some(range(9)))
    assert content() == delivered
    compact(objects(settings), settings)
    merged = content()
    keep(objects(settings), some(range(9)))
    compact(objects(settings), settings)
    assert content() == merged


def test_an_event_that_comes_late_goes_to_the_file_of_its_day(settings: ArchiveSettings) -> None:
    keep(objects(settings), some(range(12)))
    compact(objects(settings), settings)
    before = [each.key for each in objects(settings).list("")]
    late = pull("late", cluster="c0", finished_at=AT)
    keep(objects(settings), Batch(pulls=[late]))
    assert late in list(ArchiveReader(settings).pulls())
    compact(objects(settings), settings)
    assert [each.key for each in objects(settings).list("")] == before
    file = Path(settings.url, Partition("pulls", "2024-11-11", "c0").key)
    assert "late" in parquet.read_table(file)["event_uid"].to_pylist()


def test_of_two_that_merge_at_the_same_time_neither_loses_what_the_other_wrote(settings: ArchiveSettings) -> None:
    keep(objects(settings), some(range(6)))
    slow = Faulty(Path(settings.url))

    def meanwhile() -> None:
        slow.before_replace = lambda: None
        keep(objects(settings), some(range(6, 12)))
        compact(objects(settings), settings)

    slow.before_replace = meanwhile
    compact(slow, settings)
    assert read(settings) == read_by_anyone(settings) == uids(range(12))


def test_what_is_merged_while_an_archive_is_opened_is_read_too(settings: ArchiveSettings) -> None:
    keep(objects(settings), some(range(12)))
    reading = ArchiveReader(settings).pulls()
    first = next(reading)
    compact(objects(settings), settings)
    assert sorted([first.event_uid, *(record.event_uid for record in reading)]) == uids(range(12))


def test_a_partition_that_is_replaced_while_it_is_read_stays_as_it_was(settings: ArchiveSettings) -> None:
    """Readers open a file more than once: of two versions they would take the end of one and the pages of another."""
    keep(objects(settings), some(range(6)))
    compact(objects(settings), settings)
    with opened_archive(settings, ALL) as archive:
        assert [run.pulls for run in archive.runs()] == [3, 3]
        keep(objects(settings), some(range(6, 600)))
        compact(objects(settings), settings)
        assert [run.pulls for run in archive.runs()] == [3, 3]
        assert sorted(record.event_uid for record in archive.pulls()) == uids(range(6))
    assert read(settings) == read_by_anyone(settings) == uids(range(600))


OPENS_MANY = """
import resource, sys
from pullstudy.store.archive.read import ArchiveReader, opened_archive
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.protocol import StoreError
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[3])))
try:
    print(len(list(ArchiveReader(ArchiveSettings(sys.argv[1])).pulls())))
except StoreError as error:
    print(error)
"""


def test_of_more_partitions_than_files_may_be_open_all_are_read_or_it_says_what_to_do(
    settings: ArchiveSettings,
) -> None:
    many = [pull(f"u{n:03}", cluster=f"c{n:03}", finished_at=AT) for n in range(150)]
    keep(objects(settings), Batch(pulls=many))
    compact(objects(settings), settings)

    def said(allowed: int, most: int) -> str:
        command = [sys.executable, "-c", OPENS_MANY, settings.url, str(allowed), str(most)]
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout

    assert said(100, 1000) == "150\n"
    assert "too many files are open for pulls/day=" in said(100, 100)
    assert "ulimit -n" in said(100, 100)


def test_each_field_says_what_its_column_is() -> None:
    for kind in KINDS:
        schema = schema_of(kind)
        assert [field.name for field in schema] == [column.name for column in kind.columns]
        for field, column in zip(schema, kind.columns, strict=True):
            assert field.metadata[b"description"].decode() == column.meaning
            assert field.nullable == column.optional


def test_a_partition_has_the_documents_in_it_and_is_sorted_zstd(settings: ArchiveSettings) -> None:
    keep(objects(settings), some(range(12)))
    compact(objects(settings), settings)
    file = parquet.ParquetFile(Path(settings.url, Partition("pulls", "2024-11-11", "c0").key))
    schema = file.schema_arrow
    assert tuple(schema.names) == PULL_COLUMNS
    assert schema.field("pull_seconds").metadata[b"description"] == b"the first duration of the kubelet's message"
    assert schema.metadata[b"pullstudy.kind"] == b"pull"
    assert {file.metadata.row_group(0).column(n).compression for n in range(len(schema))} == {"ZSTD"}
    table = file.read()
    assert table.sort_by([("finished_at", "ascending"), ("event_uid", "ascending")]) == table


def test_a_column_of_a_newer_version_is_kept_when_an_older_one_merges(
    settings: ArchiveSettings, tmp_path: Path
) -> None:
    keep(objects(settings), some(range(1)))
    compact(objects(settings), settings)
    key = Partition("pulls", "2024-11-11", "c0").key
    table = parquet.read_table(Path(settings.url, key))
    parquet.write_table(table.append_column("mirror", pa.array(["m"])), Path(settings.url, key))
    keep(objects(settings), some(range(6, 7)))
    compact(objects(settings), settings)
    assert parquet.read_table(Path(settings.url, key))["mirror"].to_pylist() == ["m", None]
    assert read(settings) == ["u000", "u006"]


def test_a_file_of_an_older_version_lacks_columns_and_is_read(settings: ArchiveSettings) -> None:
    keep(objects(settings), some(range(1)))
    compact(objects(settings), settings)
    path = Path(settings.url, Partition("pulls", "2024-11-11", "c0").key)
    parquet.write_table(parquet.read_table(path).drop_columns(["image_bytes", "error"]), path)
    (record,) = ArchiveReader(settings).pulls()
    assert (record.event_uid, record.image_bytes, record.error) == ("u000", None, None)


HOSTILE = [
    "", "..", ".", "/", "../../etc", "a/b", "a=b", "a%2Fb", "a b", "a\nb", "a\x00b", "\x1b[31m", "é", "Ünï/é", "日本",
    "~", "a~b", "__HIVE_DEFAULT_PARTITION__", "x" * 300, "x" * 301, "é/" * 100, "*?[a]", "'; DROP TABLE fresh; --",
    "C:\\x", "c\u2028d",
]  # fmt: skip


def test_no_clusters_name_leaves_the_archive_or_meets_another(tmp_path: Path) -> None:
    settings = ArchiveSettings(str(tmp_path / "archive"))
    keep(objects(settings), Batch(pulls=[pull("u", cluster=name, finished_at=AT) for name in HOSTILE]))
    compact(objects(settings), settings)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    files = list(Path(settings.url).rglob("*.parquet"))
    assert len(files) == len(HOSTILE)
    assert {len(path.relative_to(settings.url).parts) for path in files} == {4}
    assert [record.cluster for record in ArchiveReader(settings).pulls()] == sorted(HOSTILE)
    for name in HOSTILE:
        (found,) = ArchiveReader(settings).pulls(Selection(clusters=(name,)))
        assert found.cluster == name


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_two_names_never_have_the_same_directory_and_a_key_tells_its_name(one: str, other: str) -> None:
    assert (escaped(one) == escaped(other)) == (one == other)
    part = escaped(one)
    assert "/" not in part
    assert part.isprintable()
    assert 0 < len(part.encode()) <= 200
    key = PartitionKey.of(Partition("pulls", "2024-11-11", one).key)
    assert key is not None
    assert key.cluster in (one, None)


def test_duckdb_reads_a_clusters_name_from_its_directory_as_it_is(settings: ArchiveSettings) -> None:
    names = ["prod-1", "a/b", "a=b", "a b", "Ünï"]
    keep(objects(settings), Batch(pulls=[pull("u", cluster=name, finished_at=AT) for name in names]))
    compact(objects(settings), settings)
    sql = f"SELECT DISTINCT cluster FROM read_parquet('{settings.url}/pulls/*/*/*.parquet', hive_partitioning = true)"
    assert sorted(name for (name,) in duckdb.sql(sql).fetchall()) == sorted(names)


def test_what_parquet_cannot_hold_comes_back_with_the_reason_and_the_rest_is_kept(settings: ArchiveSettings) -> None:
    bad = [pull("surrogate", error="\ud800"), pull("long", image_bytes=2**63)]
    kept = keep(objects(settings), Batch(pulls=[pull("good"), *bad]))
    assert [each.record for each in kept.delivered.refused] == bad
    assert all(each.reason.startswith("Parquet cannot hold it: ") for each in kept.delivered.refused)
    assert read(settings) == ["good"]


async def test_a_place_that_takes_nothing_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("in the way")
    notices, slept = KeptNotices(), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            (tmp_path / "archive").unlink()

    store = ArchiveStore(ArchiveSettings(str(tmp_path / "archive")), notices, Random(1), Timing(sleep=sleep))
    assert (await store.deliver(some(range(3)))).written == 3
    assert (len(slept), store.counters.repeats, store.counters.trouble) == (3, 3, None)
    (warning,) = notices.said("warning")
    assert "archive" in warning
    assert "nothing is lost" in warning


def test_a_file_that_is_no_parquet_is_named(settings: ArchiveSettings) -> None:
    keep(objects(settings), some(range(1)))
    compact(objects(settings), settings)
    Path(settings.url, Partition("pulls", "2024-11-11", "c0").key).write_bytes(b"PAR1 no")
    with pytest.raises(StoreError, match=r"pulls\.parquet"):
        read(settings)


@pytest.mark.parametrize(
    ("place", "said"), [("", "no place"), ("s3://", "no bucket"), ("gs://b/p", "give a directory")]
)
def test_a_place_that_is_none_is_wrong_use(place: str, said: str) -> None:
    with pytest.raises(StoreSettingsError, match=said):
        ArchiveSettings.of(place)


def test_a_bucket_and_a_prefix_are_told_apart() -> None:
    settings = ArchiveSettings.of("s3://bucket/some/where/")
    assert (settings.bucket, settings.prefix) == ("bucket", "some/where/")
    assert ArchiveSettings.of("s3://bucket").prefix == ""


def test_merging_more_than_fits_into_memory_spills_and_is_whole(tmp_path: Path) -> None:
    settings = ArchiveSettings(str(tmp_path / "archive"), memory_bytes=48 << 20, round_bytes=1)
    records: list[PullRecord] = [pull(f"u{n:06}", finished_at=AT, pod_uid=f"{n:036}") for n in range(40_000)]
    for number in range(4):
        keep(objects(settings), Batch(pulls=records[number::4]))
    compact(objects(settings), settings)
    assert [record.event_uid for record in ArchiveReader(settings).pulls()] == [record.event_uid for record in records]


async def test_several_batches_may_be_delivered_at_once(settings: ArchiveSettings) -> None:
    store = ArchiveStore(settings, KeptNotices(), Random(1))
    await asyncio.gather(*(store.deliver(some(range(n, n + 3))) for n in range(0, 12, 3)))
    assert read(settings) == uids(range(12))
    assert store.counters.points == 12


def test_a_day_is_that_of_utc(settings: ArchiveSettings) -> None:
    at = [datetime(2024, 3, 31, 23, 59, 59, 999_999, tzinfo=UTC), datetime(1969, 12, 31, 23, 0, tzinfo=UTC), None]
    keep(objects(settings), Batch(pulls=[pull(f"{n}", finished_at=each) for n, each in enumerate(at)]))
    compact(objects(settings), settings)
    days = {path.parts[-3] for path in Path(settings.url).rglob("*.parquet")}
    assert days == {"day=2024-03-31", "day=1969-12-31", "day=__HIVE_DEFAULT_PARTITION__"}


def test_drafts_that_cannot_be_written_are_a_store_that_takes_nothing_for_now(
    settings: ArchiveSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch(pulls=(pull("a"),))
    keep(objects(settings), batch)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    for work in (lambda: keep(objects(settings), batch), lambda: compact(objects(settings), settings)):
        with pytest.raises(StoreError, match="drafts"):
            work()
