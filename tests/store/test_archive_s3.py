"""The archive on S3: moto's server, asked through boto3 as a user's own would be."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import boto3
import pytest

from pullstudy.pulls.batch import Batch
from pullstudy.store.archive.check import why_not_usable
from pullstudy.store.archive.compaction import compact
from pullstudy.store.archive.incoming import keep
from pullstudy.store.archive.objects import ConflictError, NoObjectError, Objects
from pullstudy.store.archive.places import objects_of
from pullstudy.store.archive.read import ArchiveReader, opened_archive
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.archive.store import ArchiveStore
from pullstudy.store.protocol import StoreError
from pullstudy.store.selection import ALL, Selection
from pullstudy.timing import Timing
from tests.driver.eks.moto_process import ENVIRONMENT, forget_all, moto_process
from tests.notices import KeptNotices
from tests.store.records import AT, gap, milestone, pull, reject

pytestmark = pytest.mark.timeout(200)  # moto is a process, which takes seconds to start
NAMES = ("prod-1", "a/b", "..", "é", "a b%", "x" * 300)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_process() as url:
        yield url


@pytest.fixture
def settings(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveSettings]:
    """An empty bucket, at the address where boto3 looks."""
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": moto}.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="pulls", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    yield ArchiveSettings("s3://pulls/some/where")
    forget_all(moto)


@pytest.fixture
def objects(settings: ArchiveSettings) -> Objects:
    return objects_of(settings)


def everything() -> Batch:
    pulls = [pull(f"u{n}", cluster=name, finished_at=AT) for n, name in enumerate(NAMES)]
    return Batch(pulls=pulls, milestones=[milestone()], rejects=[reject()], gaps=[gap()])


def uids(settings: ArchiveSettings) -> list[str]:
    return sorted(record.event_uid for record in ArchiveReader(settings).pulls())


def test_what_is_delivered_is_read_before_and_after_it_is_merged(settings: ArchiveSettings, objects: Objects) -> None:
    keep(objects, everything())
    for _ in range(2):
        reader = ArchiveReader(settings)
        assert [record.cluster for record in reader.pulls()] == sorted(NAMES)
        assert list(reader.milestones()) == [milestone()]
        assert list(reader.rejects()) == [reject()]
        assert list(reader.gaps()) == [gap()]
        for name in NAMES:
            assert [record.cluster for record in reader.pulls(Selection(clusters=(name,)))] == [name]
        compact(objects, settings)
    keys = [each.key for each in objects.list("")]
    assert not [key for key in keys if key.startswith("incoming/")]
    assert len([key for key in keys if key.startswith("pulls/")]) == len(NAMES)
    found = boto3.client("s3").list_objects_v2(Bucket="pulls")["Contents"]
    assert all(each["Key"].startswith("some/where/") for each in found)


def test_an_object_is_replaced_only_in_the_version_that_was_read(objects: Objects, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    objects.replace("pulls/a", file, None)
    with pytest.raises(ConflictError):
        objects.replace("pulls/a", file, None)
    with objects.fetched("pulls/a", tmp_path) as (path, version):
        assert path.read_bytes() == b"one"
        file.write_bytes(b"two")
        objects.replace("pulls/a", file, version)
        with pytest.raises(ConflictError):
            objects.replace("pulls/a", file, version)
    assert not path.exists()
    objects.delete("pulls/a")
    objects.delete("pulls/a")
    with pytest.raises(NoObjectError), objects.fetched("pulls/a", tmp_path):
        pass


def test_a_snapshot_leaves_nothing_in_the_temporary_directory(
    settings: ArchiveSettings, objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    keep(objects, everything())
    compact(objects, settings)
    with opened_archive(settings, ALL) as archive:
        assert len(list(archive.pulls())) == len(NAMES)
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


async def test_a_bucket_that_is_not_there_is_told_before_anything_is_begun(settings: ArchiveSettings) -> None:
    assert await why_not_usable(settings) is None
    assert not list(objects_of(settings).list(""))
    why = await why_not_usable(ArchiveSettings("s3://nowhere/x"))
    assert why is not None
    assert "NoSuchBucket" in why


async def test_a_server_that_fails_is_waited_for_and_one_without_the_bucket_is_an_alarm(
    settings: ArchiveSettings,
) -> None:
    notices = KeptNotices()
    store = ArchiveStore(ArchiveSettings("s3://later/x"), notices, Random(1), Timing(sleep=_make_bucket))
    assert (await store.deliver(everything())).written == len(NAMES) + 3
    (error,) = notices.said("error")
    assert "NoSuchBucket" in error
    assert uids(ArchiveSettings("s3://later/x")) == [f"u{n}" for n in range(len(NAMES))]


async def _make_bucket(seconds: float) -> None:
    boto3.client("s3").create_bucket(Bucket="later", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})


def test_no_server_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1") as told:
        uids(ArchiveSettings("s3://pulls"))
    assert "\n" not in str(told.value)
