"""What every store does, the same: on the embedded one, on an archive, and on a real InfluxDB (marked ``real``)."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Protocol, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kinds import LAYER, PULL_STAGES
from pullstudy.pulls.milestone import Milestone, Moment
from pullstudy.pulls.record import Outcome, PullRecord, witness_uid
from pullstudy.store.archive.compaction import compact
from pullstudy.store.archive.places import objects_of
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.archive.store import ArchiveStore
from pullstudy.store.embedded.schema import FILE_NAME
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.influx.store import InfluxStore
from pullstudy.store.protocol import AbandonedJob, Store, StoredRun
from pullstudy.store.selection import Selection
from tests.notices import KeptNotices
from tests.pulls.spans.samples import inside, pull_spans
from tests.store.records import AT, any_milestone, any_pull, gap, milestone, pull, reject

T = TypeVar("T")
FULL = pull(
    run="1", size=4, node="n", namespace="d", job="j", pod="p", pod_uid="pu", container="k", image="i:t",
    repository="i", tag="t", digest="sha256:1", started_at=AT - timedelta(seconds=2), finished_at=AT,
    pull_seconds=1.5, waiting_seconds=0.5, image_bytes=12, error="e",
)  # fmt: skip


class Case(Protocol):
    """One kind of store, empty, for one test."""

    def open(self) -> Store: ...

    def abandon(self, cluster: str, job: str) -> None: ...


class EmbeddedCase:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def open(self) -> Store:
        return EmbeddedStore(self._directory, create=True)

    def abandon(self, cluster: str, job: str) -> None:
        with sqlite3.connect(self._directory / FILE_NAME) as direct:
            direct.execute(
                "INSERT INTO jobs (job, cluster, run, size, image, repeat, attempt, position, cache_mode, state)"
                " VALUES (?, ?, '1', 4, 'i', 1, 1, 0, 'cold', 'abandoned')",
                (job, cluster),
            )
        direct.close()


class InfluxCase:
    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings

    def open(self) -> InfluxStore:
        return InfluxStore(self._settings, KeptNotices(), Random(1))

    def abandon(self, cluster: str, job: str) -> None:
        async def say() -> None:
            store = self.open()
            await store.abandon([AbandonedJob(cluster=cluster, job=job, at=AT)])
            await store.close()

        asyncio.run(say())


class ArchiveCase:
    """An archive in a directory, as it is delivered or merged after each write."""

    def __init__(self, directory: Path, *, compacted: bool) -> None:
        self._settings = ArchiveSettings(str(directory / "archive"))
        self._compacted = compacted

    def open(self) -> Store:
        return CompactedStore(self._settings) if self._compacted else ArchiveStore(self._settings, *QUIET)

    def abandon(self, cluster: str, job: str) -> None:
        asyncio.run(self.open().abandon([AbandonedJob(cluster=cluster, job=job, at=AT)]))


class CompactedStore(ArchiveStore):
    def __init__(self, settings: ArchiveSettings) -> None:
        super().__init__(settings, *QUIET)
        self._archive = settings

    async def write(self, batch: Batch) -> int:
        written = await super().write(batch)
        compact(objects_of(self._archive), self._archive)
        return written


QUIET = (KeptNotices(), Random(1))
REAL = [pytest.param(name, marks=pytest.mark.real) for name in ("influx", "influx-layout-1")]
KINDS = ["embedded", "archive", "archive-compacted", *REAL]


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    if request.param == "embedded":
        return EmbeddedCase(tmp_path)
    if request.param.startswith("archive"):
        return ArchiveCase(tmp_path, compacted=request.param.endswith("compacted"))
    bucket_settings: Callable[..., InfluxSettings] = request.getfixturevalue("bucket_settings")
    layout = 1 if request.param == "influx-layout-1" else None
    # Many pieces, so that their seams are tested.
    return InfluxCase(bucket_settings(read_points=50, layout=layout))


def write(case: Case, *batches: Batch) -> None:
    async def run() -> None:
        store = case.open()
        for batch in batches:
            await store.write(batch)
        await store.close()

    asyncio.run(run())


class Contents:
    """All that is read of a store."""

    def __init__(self, case: Case) -> None:
        store = case.open()
        self.pulls = list(store.pulls())
        self.milestones = list(store.milestones())
        self.rejects = list(store.rejects())
        self.gaps = list(store.gaps())
        asyncio.run(store.close())


def pulls_of(case: Case, outcome: Outcome | None = None, job: str | None = None) -> list[PullRecord]:
    store = case.open()
    found = list(store.pulls(outcome=outcome, job=job))
    asyncio.run(store.close())
    return found


def uids(records: list[PullRecord]) -> list[str]:
    return [record.event_uid for record in records]


def test_an_empty_store_reads_as_empty(case: Case) -> None:
    write(case, Batch())
    contents = Contents(case)
    assert (contents.pulls, contents.milestones, contents.rejects, contents.gaps) == ([], [], [], [])


def test_what_was_written_is_read_back_whole(case: Case) -> None:
    write(case, Batch(pulls=(FULL, pull("bare")), milestones=(milestone(),), rejects=(reject(),), gaps=(gap(),)))
    contents = Contents(case)
    assert contents.pulls == [pull("bare"), FULL]
    assert contents.milestones == [milestone()]
    assert contents.rejects == [reject()]
    assert contents.gaps == [gap()]


def test_stages_of_pulls_and_of_their_layers_are_kept_once_and_read_back_whole(case: Case) -> None:
    stages, layers = inside(pull_spans("g9"))
    write(case, Batch(more=[stages, *layers]), Batch(more=[*reversed(layers), stages]))
    store = case.open()
    assert list(store.records(PULL_STAGES)) == [stages]
    assert list(store.records(LAYER)) == sorted(layers, key=LAYER.reading_order())
    asyncio.run(store.close())


def test_the_same_record_written_often_is_kept_once(case: Case) -> None:
    batch = Batch(
        pulls=(pull("a"), pull("b"), pull("a")), milestones=(milestone(),), rejects=(reject(),), gaps=(gap(),)
    )
    write(case, batch, batch, Batch(pulls=(pull("b"),)))
    contents = Contents(case)
    assert uids(contents.pulls) == ["a", "b"]
    assert (len(contents.milestones), len(contents.rejects), len(contents.gaps)) == (1, 1, 1)


def test_another_count_of_the_same_event_is_another_record(case: Case) -> None:
    write(case, Batch(pulls=tuple(pull(count=count, finished_at=AT) for count in range(1, 6))))
    assert [record.count for record in Contents(case).pulls] == [1, 2, 3, 4, 5]


def test_two_pulls_of_one_microsecond_with_equal_tags_are_two(case: Case) -> None:
    write(case, Batch(pulls=tuple(pull(f"u{number:03}", node="n", finished_at=AT) for number in range(200))))
    assert len(Contents(case).pulls) == 200


def test_unknown_stays_unknown_and_is_no_zero(case: Case) -> None:
    write(case, Batch(pulls=(pull(),)))
    (back,) = Contents(case).pulls
    assert back.pull_seconds is None
    assert back.image_bytes is None
    assert back.finished_at is None


def test_odd_values_stay_as_they_are(case: Case) -> None:
    odd = pull(pull_seconds=-3.0, waiting_seconds=1e300, image_bytes=0, error="", finished_at=AT, count=0)
    write(case, Batch(pulls=(odd,)))
    assert Contents(case).pulls == [odd]


def test_pulls_come_in_order_of_cluster_time_uid_and_count(case: Case) -> None:
    records = [
        pull(f"u{number % 7}", number, cluster=f"c{number % 3}", node=f"n{number % 5}", finished_at=at)
        for number, at in enumerate(_times(), start=1)
    ]
    Random(4).shuffle(records)
    write(case, Batch(pulls=tuple(records)))
    ordered = sorted(records, key=lambda r: (r.cluster, r.finished_at is not None, r.finished_at, r.event_uid, r.count))
    assert Contents(case).pulls == ordered


def _times() -> Iterator[datetime | None]:
    for number in range(150):
        yield AT + timedelta(microseconds=number % 40 * 50_000, hours=number % 4)
    yield from (AT - timedelta(days=9_000), None, None, AT + timedelta(days=9_000), None)


def test_a_second_that_holds_more_than_one_query_reads_is_read_whole(case: Case) -> None:
    crowd = [pull(f"u{number:03}", node=f"n{number % 3}", finished_at=AT) for number in range(180)]
    around = [
        pull(f"{seconds:+}", node="n0", finished_at=AT + timedelta(seconds=seconds))
        for seconds in (-3_601, -61, -60, -2, -1, 1, 2, 59, 61, 3_600)
    ]
    write(case, Batch(pulls=(*crowd, *around)))
    assert Contents(case).pulls == sorted([*crowd, *around], key=lambda record: (record.finished_at, record.event_uid))


def test_milestones_come_in_order_of_cluster_and_time(case: Case) -> None:
    made = [
        milestone(
            f"u{number:02}", cluster=f"c{number % 2}", at=AT + timedelta(milliseconds=number * 137), moment=moment
        )
        for number, moment in enumerate(list(Moment) * 5)
    ]
    write(case, Batch(milestones=tuple(reversed(made))))
    assert Contents(case).milestones == sorted(made, key=lambda m: (m.cluster, m.at, m.event_uid, m.count, m.moment))


def test_rejects_and_gaps_come_in_order(case: Case) -> None:
    rejects = [reject(source=source, position=position) for source in "ab" for position in ("1", "2", "3")]
    gaps = [gap(found_at=AT + timedelta(hours=number), why=f"w{number}") for number in range(5)]
    write(case, Batch(rejects=tuple(reversed(rejects)), gaps=tuple(reversed(gaps))))
    contents = Contents(case)
    assert contents.rejects == rejects
    assert contents.gaps == gaps


def test_pulls_can_be_asked_for_by_outcome_and_by_job(case: Case) -> None:
    write(
        case,
        Batch(
            pulls=(
                pull("a", job="j1"),
                pull("b", job="j1", outcome=Outcome.FAILED),
                pull("c", job="j2"),
                pull("d"),
            )
        ),
    )
    assert uids(pulls_of(case, outcome=Outcome.FAILED)) == ["b"]
    assert uids(pulls_of(case, job="j1")) == ["a", "b"]
    assert uids(pulls_of(case, job="j1", outcome=Outcome.PULLED)) == ["a"]
    assert uids(pulls_of(case, job='j1" or true or "')) == []
    assert uids(pulls_of(case, job="${j1}")) == []


def test_an_abandoned_attempt_is_left_out(case: Case) -> None:
    places = [("c", "j-a1"), ("c", "j-a2"), ("other", "j-a1")]
    write(
        case,
        Batch(
            pulls=tuple(pull(f"p{number}", cluster=cluster, job=job) for number, (cluster, job) in enumerate(places)),
            milestones=tuple(milestone(f"m{n}", cluster=cluster, job=job) for n, (cluster, job) in enumerate(places)),
        ),
    )
    case.abandon("c", "j-a1")
    contents = Contents(case)
    assert uids(contents.pulls) == ["p1", "p2"]
    assert [each.event_uid for each in contents.milestones] == ["m1", "m2"]


def test_what_pod_status_witnessed_gives_way_to_the_event_that_comes_late(case: Case) -> None:
    place: dict[str, Any] = {"pod_uid": "pu", "container": "k"}
    witnessed = pull(witness_uid("pu", "k"), **place)
    others = (pull(witness_uid("pu", "l"), pod_uid="pu", container="l"), pull("x", pod_uid="pu2", container="k"))
    write(case, Batch(pulls=(witnessed, *others)))
    assert witnessed in Contents(case).pulls
    write(case, Batch(pulls=(pull("failed", outcome=Outcome.FAILED, **place),)))
    assert witnessed in Contents(case).pulls
    write(case, Batch(pulls=(pull("late", **place),)))
    assert set(uids(Contents(case).pulls)) == {"late", "failed", witness_uid("pu", "l"), "x"}


def test_of_what_pod_status_witnessed_an_event_tells_better_whether_it_was_pulled(case: Case) -> None:
    place: dict[str, Any] = {"pod_uid": "pu", "container": "k"}
    failure = pull(witness_uid("pu", "k", failed=True), outcome=Outcome.FAILED, **place)
    write(case, Batch(pulls=(pull(witness_uid("pu", "k"), **place), failure)))
    write(case, Batch(pulls=(pull("late", outcome=Outcome.CACHED, **place),)))
    assert set(uids(Contents(case).pulls)) == {"late", failure.event_uid}
    write(case, Batch(pulls=(pull("refused", outcome=Outcome.FAILED, **place),)))
    assert set(uids(Contents(case).pulls)) == {"late", "refused"}


def test_one_jobs_pulls_are_read_whole_with_what_the_study_leaves_out(case: Case) -> None:
    place: dict[str, Any] = {"run": "r", "job": "j-a1"}
    wanted = (
        pull("event", node="n", pod_uid="pu", container="k", finished_at=AT, **place),
        pull(witness_uid("pu", "k"), pod_uid="pu", container="k", finished_at=AT + timedelta(hours=3), **place),
        pull("failed", outcome=Outcome.FAILED, node="m", finished_at=AT - timedelta(minutes=10), **place),
        pull("untimed", **place),
    )
    others = (
        pull("other-job", run="r", job="j-a2", node="n", finished_at=AT),
        pull("other-run", run="s", job="j-a1", node="n", finished_at=AT),
        pull("no-run", job="j-a1", node="n", finished_at=AT),
        pull("other-cluster", run="r", job="j-a1", node="n", finished_at=AT, cluster="d"),
        pull("no-job", run="r", node="n", finished_at=AT),
    )
    write(case, Batch(pulls=(*wanted, *others)))
    case.abandon("c", "j-a1")
    assert sorted(job_pulls(case, "r", "j-a1"), key=by_uid) == sorted(wanted, key=by_uid)
    assert uids(job_pulls(case, None, "j-a1")) == ["no-run"]
    assert job_pulls(case, "r", "j") == []
    assert job_pulls(case, "r", 'j-a1" or true or "') == []


def job_pulls(case: Case, run: str | None, job: str) -> list[PullRecord]:
    return asked(case, lambda store: store.job_pulls("c", run, job))


def asked(case: Case, question: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        store = case.open()
        try:
            return await question(store)
        finally:
            await store.close()

    return asyncio.run(run())


def by_uid(record: PullRecord) -> str:
    return record.event_uid


def test_all_identities_of_a_cluster_in_a_run_can_be_asked_for(case: Case) -> None:
    write(
        case,
        Batch(
            pulls=(pull("a", run="r", job="j"), pull("b", count=7, run="r"), pull("c", run="s"), pull("d")),
            milestones=(
                milestone("a", run="r", moment=Moment.PULLED),
                milestone("e", run="r"),
                milestone("f", run="r", cluster="other"),
            ),
        ),
    )
    case.abandon("c", "j")
    assert asked(case, lambda store: store.identities("c", "r")) == {("c", "a", 1), ("c", "b", 7), ("c", "e", 1)}
    assert asked(case, lambda store: store.identities("c", None)) == {("c", "d", 1)}
    assert asked(case, lambda store: store.identities("nowhere", "r")) == set()


def test_a_store_tells_which_runs_it_has(case: Case) -> None:
    early, late = AT - timedelta(days=2), AT + timedelta(seconds=90)
    write(
        case,
        Batch(
            pulls=(
                pull("a", run="r", size=4, finished_at=AT, node="n", job="j"),
                pull("b", run="r", size=4, finished_at=late, outcome=Outcome.FAILED),
                pull("c", run="r", size=4),
                pull("d", run="r", size=16, cluster="d", finished_at=AT),
                pull("e", run="r", size=8, cluster="e", finished_at=AT),
                pull("f", run="q", finished_at=early),
                pull("g"),
            ),
            milestones=(milestone("m", run="of no pull"),),
        ),
    )
    case.abandon("c", "j")

    def run(run: str | None, cluster: str, size: int | None, pulls: int, *times: datetime) -> StoredRun:
        first, last = (at.replace(microsecond=0) for at in times) if times else (None, None)
        return StoredRun(run=run, cluster=cluster, size=size, pulls=pulls, first_at=first, last_at=last)

    store = case.open()
    assert store.runs() == [
        run(None, "c", None, 1),
        run("q", "c", None, 1, early, early),
        run("r", "c", 4, 3, AT, late),
        run("r", "e", 8, 1, AT, AT),
        run("r", "d", 16, 1, AT, AT),
    ]
    asyncio.run(store.close())


def test_runs_and_clusters_of_one_store_can_be_read_apart(case: Case) -> None:
    places = [("c", "r"), ("c", "s"), ("d", "r"), ("d", None)]
    made = [{"cluster": cluster, "run": run, "job": "j"} for cluster, run in places]
    write(
        case,
        Batch(
            pulls=tuple(pull(f"p{number}", **place) for number, place in enumerate(made)),
            milestones=tuple(milestone(f"m{number}", **place) for number, place in enumerate(made)),
            rejects=tuple(reject(cluster=cluster) for cluster in "cd"),
            gaps=tuple(gap(cluster=cluster) for cluster in "cd"),
        ),
    )
    store = case.open()
    for selection, found in (
        (Selection(runs=("r",)), "02"),
        (Selection(clusters=("d",)), "23"),
        (Selection(runs=("r",), clusters=("d",)), "2"),
        (Selection(runs=("r", None)), "023"),
        (Selection(clusters=("d", "c", "e")), "0123"),
        (Selection(runs=("t",)), ""),
        (Selection(runs=('r" or true or "',)), ""),
    ):
        assert [each.event_uid for each in store.pulls(selection)] == [f"p{number}" for number in found]
        assert [each.event_uid for each in store.milestones(selection)] == [f"m{number}" for number in found]
    of_cluster = Selection(runs=("r",), clusters=("d",))
    assert [each.cluster for each in store.rejects(of_cluster)] == ["d"]
    assert [each.cluster for each in store.gaps(of_cluster)] == ["d"]
    asyncio.run(store.close())


HOSTILE = [
    "plain", " spaces ", "a,b=c d", 'quo"ted', "back\\slash", "ends\\", "\\", "two\nlines", "\n", "cr\rlf\r\n", "\t",
    "", "�", "�0041", "${x}", "é🙂", "\x7f", "%00", "'", "null", "#datatype", ",", "=", "x" * 500,
]  # fmt: skip


@pytest.mark.parametrize(
    "column", ["cluster", "run", "node", "repository", "namespace", "job", "tag", "error", "event_uid"]
)
def test_hostile_text_in_any_column_is_read_back_exactly(case: Case, column: str) -> None:
    records = [_pull({"event_uid": f"u{number:02}", column: text}) for number, text in enumerate(HOSTILE)]
    write(case, Batch(pulls=tuple(records)))
    found = sorted(Contents(case).pulls, key=lambda record: (record.event_uid, getattr(record, column) or ""))
    assert found == sorted(records, key=lambda record: (record.event_uid, getattr(record, column) or ""))


def _pull(columns: dict[str, Any]) -> PullRecord:
    return pull(**columns)


def _storable(record: msgspec.Struct) -> bool:
    # SQLite refuses a lone surrogate, and ends a text at a NUL where it compares.
    texts = [value for name in record.__struct_fields__ if isinstance(value := getattr(record, name), str)]
    return not any("\x00" in text or any("\ud800" <= character <= "\udfff" for character in text) for text in texts)


_runs = count()


@pytest.mark.timeout(300)  # the archive reads what grows with each example
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(any_pull.filter(_storable), max_size=6, unique_by=lambda record: record.event_uid),
    st.lists(any_milestone.filter(_storable), max_size=6, unique_by=lambda record: record.event_uid),
)
def test_any_records_at_all_are_read_back(case: Case, pulls: list[PullRecord], milestones: list[Milestone]) -> None:
    # The examples share one store: a run's name tells them apart.
    run = f"run-{next(_runs)}"
    written = [_of_run(record, run) for record in (*pulls, *milestones)]
    write(case, Batch(pulls=tuple(written[: len(pulls)]), milestones=tuple(written[len(pulls) :])))
    contents = Contents(case)
    every: list[Any] = [*contents.pulls, *contents.milestones]
    found = [each for each in every if each.run == run]
    assert sorted(found, key=_by_kind_and_uid) == sorted(written, key=_by_kind_and_uid)


def _of_run(record: Any, run: str) -> Any:
    return msgspec.structs.replace(record, run=run, event_uid=f"{run}-{record.event_uid}")


def _by_kind_and_uid(record: Any) -> tuple[str, str]:
    return (type(record).__name__, record.event_uid)


def test_nothing_is_older_than_utc_can_say(case: Case) -> None:
    old = pull("old", finished_at=datetime(1969, 7, 20, 20, 17, 40, 5, tzinfo=UTC))
    write(case, Batch(pulls=(old,)))
    assert Contents(case).pulls == [old]
