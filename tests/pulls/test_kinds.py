"""What a row of the table of kinds is enough for: a kind that only this test has goes all the way."""

import asyncio
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import msgspec
import pytest

from collector.spooling.stored_batch import BatchFormat
from pullstudy.bus.record_format import RecordFormat
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.columns import columns_of
from pullstudy.pulls.kind import Kind, Record
from pullstudy.pulls.kinds import KINDS
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.influx.line_protocol import PointFormat
from pullstudy.store.influx.point_layout import measurement_of
from pullstudy.store.influx.read import InfluxReader
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.influx.store import InfluxStore
from pullstudy.store.selection import Selection
from tests.notices import KeptNotices
from tests.store.influx_server import fake_influx
from tests.store.records import gap, milestone, pull, reject

HOUR = 3_600 * 10**9
AT = datetime(2026, 3, 1, 12, 0, 3, 250_000, tzinfo=UTC)


class Blob(Record, frozen=True, kw_only=True, gc=False):
    """One blob in one pull, in this test alone."""

    run: str | None = None
    node: str | None = None
    job: str | None = None
    event_uid: str
    count: int
    blob_digest: str
    blob_bytes: int | None = None
    finished_at: datetime | None = None
    transfer_seconds: float | None = None
    present: bool | None = None


BLOB = Kind(
    name="blob",
    plural="pulled_blobs",
    struct=Blob,
    meaning="one blob in one pull",
    identity=("cluster", "event_uid", "count", "blob_digest"),
    time="finished_at",
    tags=("cluster", "node", "run"),
    order=("finished_at", "event_uid", "count", "blob_digest"),
)
WITH_BLOBS = (*KINDS, BLOB)


def blob(digest: str, **more: object) -> Blob:
    known = {"cluster": "c", "run": "r", "node": "n", "event_uid": "u", "count": 1, "finished_at": AT, "present": True}
    return Blob(**{**known, "blob_digest": digest, **more})  # type: ignore[arg-type]


BLOBS = (
    blob("sha256:0", finished_at=None, present=False),
    blob("sha256:1", blob_bytes=7, transfer_seconds=1.5),
    blob("sha256:2", node=None, present=None),
)


def test_another_kind_is_a_message() -> None:
    form = RecordFormat(WITH_BLOBS)
    for record in BLOBS:
        assert form.decode(form.encode(record)) == record
    assert form.encode(BLOBS[1]).startswith(b'{"schema":2,"kind":"blob","cluster":"c"')


def test_another_kind_is_spooled() -> None:
    form = BatchFormat(WITH_BLOBS)
    batch = Batch(pulls=(pull(),), gaps=(gap(),), more=BLOBS)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(form.to_map(batch)), type=form.stored)
    assert form.to_batch(stored) == batch
    assert (len(batch), batch.of(Blob)) == (5, BLOBS)


def test_another_kind_is_kept_once_in_a_file_from_before_it_and_read_back(tmp_path: Path) -> None:
    EmbeddedStore(tmp_path, create=True).close_now()
    store = EmbeddedStore(tmp_path, create=True, kinds=WITH_BLOBS)
    batch = Batch(pulls=(pull(),), more=reversed(BLOBS))
    assert (store.write_now(batch), store.write_now(batch)) == (4, 0)
    assert tuple(store.records(BLOB)) == BLOBS
    assert tuple(store.records(BLOB, Selection(runs=("s",)))) == ()
    store.close_now()


def test_another_kind_is_a_point() -> None:
    form = PointFormat((measurement_of(BLOB),))
    for record in BLOBS:
        assert form.decode(form.encode(record)) == record
    assert form.encode(BLOBS[1]).startswith("blob,cluster=c,node=n,run=r ")


async def test_another_kind_is_written_to_influxdb_and_read_from_it() -> None:
    async with fake_influx() as server:
        settings = InfluxSettings(url=server.url, organisation="o", token="t", bucket="b")
        store = InfluxStore(settings, KeptNotices(), Random(1), kinds=WITH_BLOBS)
        assert await store.write(Batch(more=BLOBS)) == 3
        await store.close()

        def answers(flux: str) -> list[dict[str, object]]:
            if '"blob"' not in flux:
                return []  # nothing is abandoned
            start, stop = map(int, re.findall(r"time\(v: (-?\d+)\)", flux)[:2])
            lines = [line for line in server.points.values() if start <= line.time < stop]
            if "pivot" in flux:
                return [{"_time": line.time, **line.tags, **line.fields} for line in lines]
            hours = Counter(line.time // HOUR * HOUR for line in lines)
            return [{"cluster": "c", "at": hour, "_value": count} for hour, count in hours.items()]

        server.answers = answers
        reader = InfluxReader(settings)
        assert await asyncio.to_thread(lambda: tuple(reader.records(BLOB))) == BLOBS


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_row_of_the_table_names_columns_of_its_struct(kind: Kind[Record]) -> None:
    columns = {column.name: column for column in kind.columns}
    assert columns.keys() >= {*kind.identity, kind.time, *kind.tags, *kind.order, *kind.point_hash}
    assert kind.identity[0] == "cluster" == kind.tags[0]
    assert list(kind.tags) == sorted(kind.tags)
    assert not any(columns[name].optional for name in kind.identity)
    assert not any(columns[name].optional for name in kind.point_hash)


def test_every_column_of_every_kind_says_what_it_is() -> None:
    unsaid = [(kind.name, column.name) for kind in KINDS for column in columns_of(kind.struct) if not column.meaning]
    assert unsaid == []


def test_a_batch_has_its_records_by_kind_in_their_order() -> None:
    batch = Batch(more=[gap(), pull("b"), reject(), milestone(), pull("a")])
    assert [record.event_uid for record in batch.pulls] == ["b", "a"]
    assert (batch.gaps, batch.rejects, batch.milestones) == ((gap(),), (reject(),), (milestone(),))
    assert batch == Batch(pulls=(pull("b"), pull("a")), milestones=(milestone(),), rejects=(reject(),), gaps=(gap(),))
    assert Batch.joined([batch, Batch(), batch]).pulls == (pull("b"), pull("a"), pull("b"), pull("a"))
    assert (bool(Batch()), len(Batch()), Batch().pulls) == (False, 0, ())


def test_records_of_two_clusters_with_equal_uids_are_both_kept(tmp_path: Path) -> None:
    """Clusters that were restored from one backup have events with the same uids."""
    store = EmbeddedStore(tmp_path, create=True)
    same = {"pod_uid": "pu", "container": "k"}
    batch = Batch(
        pulls=(pull("u", cluster="a", **same), pull("u", cluster="b", **same)),
        milestones=(milestone("u", cluster="a"), milestone("u", cluster="b")),
    )
    assert (store.write_now(batch), store.write_now(batch)) == (4, 0)
    assert [record.cluster for record in store.pulls()] == ["a", "b"]
    assert [record.cluster for record in store.milestones()] == ["a", "b"]
    assert len({record.identity for record in store.pulls()}) == 2
    store.write_now(Batch(pulls=(pull("pod-status:pu/k", cluster="c", **same),)))
    assert len(list(store.pulls())) == 3, "the event of another cluster's pod tells nothing of this one"
    store.close_now()


def test_points_of_two_clusters_with_equal_uids_do_not_meet() -> None:
    form = PointFormat(map(measurement_of, KINDS))
    lines = [form.encode(pull("u", cluster=cluster, node="n", finished_at=AT)) for cluster in "ab"]
    assert len({line.split(" ")[0] for line in lines}) == 2
    assert msgspec.structs.replace(pull("u"), cluster="b").identity != pull("u").identity
