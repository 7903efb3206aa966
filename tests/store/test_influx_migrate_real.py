"""``collector migrate``: all that an old bucket has is in the new one, once, whenever it was stopped on the way."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from collector.cli import run_command
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kinds import KINDS
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.record import Outcome, PullRecord, witness_uid
from pullstudy.pulls.streaming import Streaming
from pullstudy.store.influx.bucket_layout import found_layouts
from pullstudy.store.influx.migrate import Migration, Moved
from pullstudy.store.influx.point_layout import JobPhases, PodPhases, PullCache
from pullstudy.store.influx.read import InfluxReader
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.protocol import AbandonedJob, Delivered
from pullstudy.timing import Timing
from tests.notices import KeptNotices
from tests.stack.influx import Influx
from tests.store.opened_influx import opened
from tests.store.records import AT, gap, milestone, pull, reject

pytestmark = pytest.mark.real
PULLS = 400


class KilledError(Exception):
    """Stands for the end of the process."""


def pulls() -> list[PullRecord]:
    """Of two clusters over some days, one of an abandoned job, one of unknown time, one of pod status alone."""
    made = [
        pull(
            f"u{n:04}", cluster=f"c{n % 2}", run="r", size=4, node=f"node-{n % 9}", repository=f"repo-{n % 5}",
            job=f"j{n % 3}", image="i:1", outcome=list(Outcome)[n % 4], pull_seconds=n / 7,
            finished_at=AT + timedelta(hours=n // 5),
        )
        for n in range(PULLS)
    ]  # fmt: skip
    return [*made, pull("no-time", error="ends\\"), pull(witness_uid("pod", "k"), node="n", finished_at=AT)]


async def fill(settings: InfluxSettings) -> None:
    async with opened(settings) as store:
        others = [milestone(f"m{n}", moment=moment, at=AT) for n, moment in enumerate(Moment)]
        others.append(milestone("m99", node="n", moment=Moment.PULLING, at=AT))
        streaming = Streaming(
            cluster="c0", node="n", image="i", repository="i", combined=True, at=AT, count=1, event_uid="s"
        )
        await store.write(
            Batch(
                pulls=pulls(),
                milestones=others,
                rejects=(reject(at=AT), reject(raw="x")),
                gaps=(gap(),),
                more=[streaming],
            )
        )
        await store.abandon([AbandonedJob(cluster="c0", job="j0", at=AT)])
        first = pulls()[0]
        shared = {name: getattr(first, name) for name in PullCache.__struct_fields__ if name != "cache"}
        of_job = {"cluster": "c0", "cache": "cold", "job": "j1", "at": AT}
        await store.tell(
            [PullCache(**shared, cache="cold"), JobPhases(**of_job), PodPhases(**of_job, node="n", pod="p")]
        )


def all_records(settings: InfluxSettings) -> list[list[msgspec.Struct]]:
    reader = InfluxReader(settings)
    return [*(list(reader.records(kind)) for kind in KINDS), list(reader.pulls()), [*reader.runs()]]  # type: ignore[list-item]


async def in_cells(influx: Influx, bucket: str) -> list[tuple[str, ...]]:
    """Every column of every point, whether a tag or a field, but those of a layout alone."""
    rows = await influx.query(
        f'from(bucket: "{bucket}") |> range(start: time(v: 0))'
        ' |> filter(fn: (r) => r._measurement != "pullstudy_check")'
        " |> map(fn: (r) => ({r with _value: string(v: r._value)}))"
        ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") |> group()'
    )
    left_out = {"", "result", "table", "_start", "_stop", "lane", "layout"}
    return sorted(
        tuple(f"{name}={row[name]}" for name in sorted(row) if name not in left_out and row[name]) for row in rows
    )


@pytest.fixture
def buckets(bucket_settings: Callable[..., InfluxSettings]) -> tuple[InfluxSettings, InfluxSettings]:
    """An old one that is filled, and one for the new layout."""
    old, new = bucket_settings(layout=1, read_points=50), bucket_settings(read_points=50)
    asyncio.run(fill(old))
    return replace(old, layout=None), new


def migrated(old: InfluxSettings, new: InfluxSettings, *, dry: bool = False, batches: int | None = None) -> list[Moved]:
    """``batches``: it is killed after so many."""

    async def run() -> list[Moved]:
        async with opened(new) as store:
            left = [batches]

            async def copy(records: Sequence[msgspec.Struct]) -> Delivered:
                if left[0] is not None:
                    if left[0] == 0:
                        raise KilledError
                    left[0] -= 1
                return await store.copy(records)

            return await Migration(InfluxReader(old), InfluxReader(new), copy, KeptNotices(), Timing()).run(dry=dry)

    return asyncio.run(run())


def totals(found: list[Moved]) -> tuple[int, int, int, int]:
    points, there, copied, missing = (
        sum(getattr(each, name) for each in found) for name in ("points", "there", "copied", "missing")
    )
    return points, there, copied, missing


def test_all_that_was_in_the_old_bucket_is_in_the_new_one_and_reads_the_same(
    buckets: tuple[InfluxSettings, InfluxSettings], influx: Influx
) -> None:
    old, new = buckets
    assert asyncio.run(found_layouts(old)) == {1}
    points = PULLS + 2 + 10 + 2 + 1 + 1 + 1 + 3
    assert totals(migrated(old, new, dry=True)) == (points, 0, 0, points)
    assert all_records(new) == [[] for _ in all_records(new)]
    assert totals(migrated(old, new)) == (points, 0, points, 0)
    assert asyncio.run(found_layouts(new)) == {2}
    assert all_records(new) == all_records(old)
    assert asyncio.run(in_cells(influx, new.bucket)) == asyncio.run(in_cells(influx, old.bucket))
    assert totals(migrated(old, new)) == (points, points, 0, 0)
    assert totals(migrated(old, new, dry=True)) == (points, points, 0, 0)


@pytest.mark.parametrize("batches", [0, 1, 3, 8, 11])
def test_killed_and_run_again_it_copies_what_is_left(
    batches: int, buckets: tuple[InfluxSettings, InfluxSettings]
) -> None:
    old, new = buckets
    with pytest.raises(KilledError):
        migrated(old, new, batches=batches)
    points, there, copied, missing = totals(migrated(old, new))
    assert (there + copied, missing) == (points, 0)
    assert (there > 0) == (batches > 0)
    assert all_records(new) == all_records(old)


def test_what_the_new_bucket_does_not_take_is_missing_and_said(
    bucket_settings: Callable[..., InfluxSettings],
) -> None:
    old, new = bucket_settings(layout=1), bucket_settings(retention_seconds=86_400)
    asyncio.run(fill(old))
    found = migrated(replace(old, layout=None), new)
    (of_pulls,) = (each for each in found if each.name == "pull")
    assert (of_pulls.copied, of_pulls.missing) == (0, PULLS + 2)
    assert "retention" in of_pulls.why


def test_the_command_says_how_far_it_is_and_whether_all_is_there(
    buckets: tuple[InfluxSettings, InfluxSettings],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = buckets
    monkeypatch.setenv("INFLUXDB_V2_ORG", old.organisation)
    monkeypatch.setenv("INFLUXDB_V2_TOKEN", old.token or "")
    monkeypatch.setenv("INFLUXDB_V2_BUCKET", old.bucket)
    command = ["migrate", "--influx", old.url, "--to-bucket", new.bucket]
    assert run_command([*command, "--dry-run"]) == 0
    said = capsys.readouterr().err
    assert f"pull: {PULLS + 2} points, 0 were there, 0 copied, {PULLS + 2} missing" in said
    assert f"420 of 420 points are not in bucket {new.bucket}" in said
    assert run_command(command) == 0
    assert f"all 420 points are in bucket {new.bucket}" in capsys.readouterr().err
    assert run_command(["migrate", "--influx", old.url, "--from-bucket", new.bucket, "--to-bucket", old.bucket]) == 1
    assert "has points of layout 1: give an empty bucket" in capsys.readouterr().err
