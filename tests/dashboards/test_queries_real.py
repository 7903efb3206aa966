"""Every query of every panel on a real InfluxDB, filled by a real sweep: what it answers is what analysis/ computes.

Prints each query with its row count and seconds (``-rP`` or ``-s`` shows it). PULLSTUDY_DASHBOARD_SIZES=4..256
makes it a sweep of those sizes and of all images, the default study, in place of a small one.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from dashboards.alerts import failing_pulls
from dashboards.build import dashboards
from dashboards.flux import Bucket
from pullstudy.analysis.findings.phase_points import phase_points
from pullstudy.pulls.batch import Batch, Gap, Reject
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.milestone import Milestone, Moment
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.record import WITNESS_PREFIX, Outcome, PullRecord
from pullstudy.pulls.stage import StageWitness
from pullstudy.store.embedded.ledger import NodeCache
from pullstudy.store.influx.point_layout import JobPhases, PodPhases
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.influx.store import InfluxStore
from pullstudy.store.protocol import AbandonedJob
from tests.dashboards.figures import PANELS, Figures
from tests.dashboards.variables import substituted
from tests.dashboards.whole_study import WholeStudy, read_whole
from tests.notices import KeptNotices
from tests.stack.influx import Influx
from tests.store.opened_influx import opened

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="session")]
BUCKET = "dashboards"
GIVEN_UP = "given.up"
COLD = {"cache": ["cold"]}
SIZES = os.environ.get("PULLSTUDY_DASHBOARD_SIZES", "")
FEW_IMAGES = """
[images]
tags = [
  "9-layers-size-1176249324-bytes", "9-layers-size-6836726027-bytes",
  "125-layers-size-1176249324-bytes", "125-layers-size-6836726027-bytes",
]
"""
STUDY = """
name = "dashboards"
[[sim.faults]]
fault = "pull-fails"
kind = "too_many_requests"
image = "*:9-layers-*"
probability = 0.3
times = 5
[[sim.faults]]
fault = "slow-nodes"
share = 0.13
factor = 2
"""


@dataclass
class Filled:
    """The server with a study in it, and the study."""

    influx: Influx
    bucket: str
    study: WholeStudy
    given_up: Milestone | None

    async def rows(self, query: str, chosen: Mapping[str, Sequence[str]] | None = None) -> list[dict[str, str]]:
        """Of a query as Grafana sends it."""
        return await self.influx.query(substituted(query, chosen).replace(f'"{BUCKET}"', f'"{self.bucket}"'))

    @cached_property
    def figures(self) -> Figures:
        cache, given_up = (CacheState.COLD, [self.given_up]) if self.given_up else ("unknown", [])
        return Figures(self.study, cache, given_up)


def sweep(directory: Path) -> WholeStudy:
    (directory / "study.toml").write_text(STUDY + ("" if SIZES else FEW_IMAGES))
    command = [str(Path(sys.executable).with_name("pulldriver")), "sweep", "--study", str(directory / "study.toml")]
    where = ["--sizes", SIZES or "4..16", "--out", str(directory / "out")]
    subprocess.run([*command, *where], check=True, capture_output=True, timeout=1800)
    return with_what_a_good_sweep_lacks(read_whole(directory / "out"))


def with_what_a_good_sweep_lacks(study: WholeStudy) -> WholeStudy:
    """A cached image, a pull that only pod status told of, a pod that pulls still, a reject, a gap, texts that would be
    markup; a job on nodes that held some of the layers, and one on nodes that nobody looked at."""
    first = study.pulls[0]
    text = '<script>alert(1)</script> [x](javascript:y) ${z} "'

    def like(uid: str, **changes: Any) -> PullRecord:
        plain = {"event_uid": uid, "pull_seconds": None, "waiting_seconds": None, "started_at": None}
        return msgspec.structs.replace(first, **{**plain, **changes})

    cached = like("a-cached-one", outcome=Outcome.CACHED)
    lost = like(WITNESS_PREFIX + "lost/pull", pod_uid="lost", pod="lost-0-bcdfg")
    failed = like("a-hostile-one", outcome=Outcome.FAILED, error=text)
    reject = Reject(cluster=first.cluster, source="watch", position="17", problem="no known form", raw=text)
    gap = Gap(cluster=first.cluster, from_version="1", to_version="9", found_at=first.finished_at, why="compacted")
    return replace(
        study,
        pulls=(*study.pulls, cached, lost, failed),
        milestones=(*study.milestones, begun(study, "begun")),
        rejects=(reject, msgspec.structs.replace(reject, position="18", at=first.finished_at)),
        gaps=(*study.gaps, gap),
        node_caches=tuple(other_caches(study)),
        stages=tuple(inside(study)),
        layers=tuple(layers_inside(study)),
    )


def inside(study: WholeStudy) -> Iterator[PullStages]:
    """Of each pull that an event timed, as if a runtime had told: one fails, and of one something is missing."""
    timed = [each for each in study.pulls if each.pull_seconds is not None and each.started_at is not None]
    for number, each in enumerate(timed):
        seconds = each.pull_seconds or 0.0
        yield PullStages(
            cluster=each.cluster,
            run=each.run,
            size=each.size,
            node=each.node,
            image=each.image,
            outcome=Outcome.FAILED if number == 1 else Outcome.PULLED,
            started_at=each.started_at or each.finished_at,  # type: ignore[arg-type]
            finished_at=each.finished_at,  # type: ignore[arg-type]
            wall_seconds=seconds,
            resolve_seconds=0.125 if number % 2 else None,
            first_byte_seconds=seconds / 8,
            transfer_seconds=seconds / 4,
            apply_seconds=seconds / 2,
            unattributed_seconds=seconds / 8,
            complete=number != 2,
            witness=StageWitness.SPANS,
            pull=each.event_uid,
        )


def layers_inside(study: WholeStudy) -> Iterator[PulledLayer]:
    """Two of each of those, one of which came from nowhere."""
    for each in inside(study):
        for position in range(2):
            yield PulledLayer(
                cluster=each.cluster,
                run=each.run,
                size=each.size,
                node=each.node,
                image=each.image,
                position=position,
                layer_digest=f"sha256:{position}{each.image}",
                layer_bytes=1_000_000 * (position + 1),
                held_seconds=each.wall_seconds / (position + 3),
                apply_seconds=each.wall_seconds / 4,
                transfer_seconds=None if position else each.transfer_seconds,
                present=bool(position),
                finished_at=each.finished_at,
                witness=StageWitness.SPANS,
                pull=each.pull,
            )


def begun(study: WholeStudy, job: str) -> Milestone:
    """A pod of another job that says Pulling and nothing more."""
    first = next(each for each in study.milestones if each.moment is Moment.PULLING)
    return msgspec.structs.replace(first, job=job, pod=f"{job}-0-bcdfg", pod_uid=job, event_uid=job)


async def write_an_abandoned_job(store: InfluxStore, study: WholeStudy) -> Milestone:
    """None of its records is in what is read, nor in a panel of pulls or of jobs. Returns its milestone."""
    pulled = next(each for each in study.pulls if each.outcome is Outcome.PULLED and each.pull_seconds is not None)
    gone = msgspec.structs.replace(pulled, job=GIVEN_UP, pull_seconds=9999.0, event_uid=GIVEN_UP)
    milestone = begun(study, GIVEN_UP)
    await store.write(Batch(pulls=(gone,), milestones=(milestone,)))
    await store.abandon([AbandonedJob(cluster=gone.cluster, job=GIVEN_UP, at=datetime(2026, 1, 2, tzinfo=UTC))])
    return milestone


def other_caches(study: WholeStudy) -> Iterator[NodeCache]:
    partial, unknown = ((job.cluster, job.job) for job in study.jobs[1:3])
    for row in study.node_caches:
        if (row.cluster, row.job) == partial:
            yield msgspec.structs.replace(row, cache=CacheState.PARTIAL)
        elif (row.cluster, row.job) != unknown:
            yield row


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> WholeStudy:
    return sweep(tmp_path_factory.mktemp("sweep"))


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=[1, 2], ids=["layout 1", "layout 2"])
async def filled(request: pytest.FixtureRequest, influx: Influx, swept: WholeStudy) -> Filled:
    """In a bucket of each layout: an old one is shown as a new one is."""
    study, bucket = swept, f"{BUCKET}-{request.param}"
    await influx.new_bucket(bucket)
    settings = InfluxSettings(
        url=influx.url, organisation=influx.organisation, token=influx.token, bucket=bucket, layout=request.param
    )
    async with opened(settings) as store:
        more = (*study.stages, *study.layers)
        await store.write(
            Batch(
                pulls=study.pulls,
                milestones=study.milestones,
                rejects=study.rejects,
                gaps=study.gaps,
                more=more,
            )
        )
        await store.tell(list(phase_points(study.groups())))
        given_up = await write_an_abandoned_job(store, study)
        # Read back, so that both sides know the same records, in the order of the store.
        pulls, milestones = await asyncio.to_thread(lambda: (tuple(store.pulls()), tuple(store.milestones())))
    assert set(pulls) == set(study.pulls), "what the driver told is in no record"
    return Filled(influx, bucket, replace(study, pulls=pulls, milestones=milestones), given_up)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def plain(influx: Influx, swept: WholeStudy) -> Filled:
    """The same study as a collector alone writes it: no job was abandoned, and nobody looked at a node's cache."""
    bucket = f"{BUCKET}-plain"
    await influx.new_bucket(bucket)
    settings = InfluxSettings(url=influx.url, organisation=influx.organisation, token=influx.token, bucket=bucket)
    async with opened(settings) as store:
        await store.write(Batch(pulls=swept.pulls, milestones=swept.milestones))
        pulls = await asyncio.to_thread(lambda: tuple(store.pulls()))
    return Filled(influx, bucket, replace(swept, pulls=pulls, node_caches=()), None)


BOARDS = dashboards(Bucket(BUCKET))
QUERIES = {
    (uid, panel["title"]): target["query"]
    for uid, board in BOARDS.items()
    for panel in board["panels"]
    for target in panel.get("targets", ())
    if "query" in target
}
VARIABLES = {
    (uid, variable["name"]): variable["query"]
    for uid, board in BOARDS.items()
    for variable in board["templating"]["list"]
}


async def test_every_query_has_a_figure_to_compare_with() -> None:
    assert set(QUERIES) == set(PANELS)


def cell(value: Any) -> str | float:
    """As it is compared: numbers as numbers, times to the second, unknown as the empty text."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        return float(value)
    except ValueError:
        return str(value).replace("\r\n", "\n")


def compared(rows: Iterable[dict[str, Any]], columns: set[str]) -> list[dict[str, str | float]]:
    """The rows in an order that does not hang on the last digit of a number."""
    read = [{name: cell(row.get(name)) for name in sorted(columns)} for row in rows]
    return sorted(
        read, key=lambda row: [f"{value:.8g}" if isinstance(value, float) else value for value in row.values()]
    )


@pytest.mark.parametrize(("uid", "title"), QUERIES, ids=[": ".join(key) for key in QUERIES])
async def test_a_panel_shows_what_analysis_computes(uid: str, title: str, filled: Filled) -> None:
    began = time.monotonic()
    rows = await filled.rows(QUERIES[uid, title], COLD)
    took = time.monotonic() - began
    sys.stdout.write(f"{len(rows):>5} rows {took:6.2f} s  {uid}: {title}\n")
    assert rows
    same(rows, filled.figures.of(uid, title))


OF_PULLS = [key for key, query in QUERIES.items() if "records = if all then" in query]


@pytest.mark.parametrize("layers", [[], ["9", "125", "other"]], ids=["nothing chosen", "all layers chosen"])
@pytest.mark.parametrize(("uid", "title"), OF_PULLS, ids=[": ".join(key) for key in OF_PULLS])
async def test_a_panel_of_pulls_shows_the_same_where_no_more_than_its_own_fields_is_read(
    uid: str, title: str, layers: list[str], plain: Filled
) -> None:
    choice = {"cache": ["unknown"], **({"layers": layers} if layers else {})}
    same(await plain.rows(QUERIES[uid, title], choice), plain.figures.of(uid, title))


def same(rows: list[dict[str, str]], expected: list[dict[str, Any]]) -> None:
    columns = {name for row in expected for name in row}
    found, right = compared(rows, columns), compared(expected, columns)
    assert len(found) == len(right)
    for shown, computed in zip(found, right, strict=True):
        for name, value in computed.items():
            near = pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
            assert shown[name] == near, f"{name} of {shown}"


@pytest.mark.parametrize(("uid", "name"), VARIABLES, ids=[": ".join(key) for key in VARIABLES])
async def test_a_variable_offers_what_is_there(uid: str, name: str, filled: Filled) -> None:
    rows = await filled.rows(VARIABLES[uid, name])
    assert [list(row)[-1] for row in rows[:1]] == ["_value"]
    assert len({row["table"] for row in rows}) == 1
    if name == "cache":
        expected = {"cold", "partial", "unknown"}
        assert {row["_value"] for row in rows} == expected
    elif name != "layers":
        assert {row["_value"] for row in rows} == {str(getattr(each, name)) for each in filled.study.pulls}


async def test_a_choice_shows_its_own_and_nothing_else(filled: Filled) -> None:
    chosen = next(each for each in filled.study.pulls if each.outcome is Outcome.PULLED)
    choice = {name: [str(getattr(chosen, name))] for name in ("cluster", "run", "size", "node", "image")}
    query = QUERIES["pullstudy-study", "Histogram of pull duration, linear"]
    rows = await filled.rows(query, choice)
    own = [
        each.pull_seconds
        for each in filled.study.pulls
        if all(str(getattr(each, name)) == values[0] for name, values in choice.items())
        and each.pull_seconds is not None
    ]
    assert sorted(float(row["pull_seconds"]) for row in rows) == sorted(own)
    assert not await filled.rows(query, {**choice, "image": [".*", 'a/b|c(${x})"']})


@pytest.mark.parametrize("uid", ["pullstudy-study", "pullstudy-phases"])
async def test_pulls_of_other_caches_are_found_only_where_they_are_chosen(uid: str, filled: Filled) -> None:
    title = {"pullstudy-study": "Pulls", "pullstudy-phases": "Slowest images"}[uid]
    for cache in ("cold", "partial", "unknown"):
        rows = await filled.rows(QUERIES[uid, title], {"cache": [cache]})
        assert compared(rows, {"pulls"}) == compared(Figures(filled.study, cache).of(uid, title), {"pulls"})


async def test_phases_leave_out_a_moment_that_nobody_told_of(influx: Influx) -> None:
    await influx.new_bucket("few-moments")
    settings = InfluxSettings(
        url=influx.url, organisation=influx.organisation, token=influx.token, bucket="few-moments"
    )
    store = InfluxStore(settings, KeptNotices(), Random(1))
    base = {"cluster": "c", "size": 3, "cache": "unknown", "job": "j", "at": datetime(2026, 1, 2, tzinfo=UTC)}
    points = [
        JobPhases(**base, makespan_seconds=5.0, until_scheduled_seconds=2.0, until_job_completed_seconds=3.0),
        PodPhases(**base, pod="p", until_started_seconds=4.0),
    ]
    await store.tell(points)
    await store.close()
    few = {
        title: query.replace(BUCKET, "few-moments")
        for (uid, title), query in QUERIES.items()
        if uid == "pullstudy-phases"
    }
    rows = await influx.query(substituted(few["Where a job's makespan goes, by cluster size"]))
    assert compared(rows, {"until scheduled", "until job completed"}) == [
        {"until job completed": 3.0, "until scheduled": 2.0}
    ]
    rows = await influx.query(substituted(few["The median pod's phases, by cluster size"]))
    assert compared(rows, {"until started"}) == [{"until started": 4.0}]
    assert await influx.query(substituted(few["Stragglers"])) == []


async def test_the_alert_counts_failed_pulls(filled: Filled) -> None:
    rows = await filled.rows(failing_pulls(Bucket(BUCKET)))
    failed = [each for each in filled.study.pulls if each.outcome is Outcome.FAILED]
    assert [int(row["_value"]) for row in rows] == [len(failed)]
