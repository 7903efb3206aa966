"""Every query of every panel on a real InfluxDB, filled by a real sweep: what it answers is what analysis/ computes.

Prints each query with its row count (``-rP`` or ``-s`` shows it).
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from analysis.study import Study
from dashboards.alerts import failing_pulls
from dashboards.build import dashboards
from dashboards.flux import Source
from pulls.batch import Batch, Gap, Reject
from pulls.record import WITNESS_PREFIX, Outcome, PullRecord
from store.influx import InfluxStore
from store.influx_settings import InfluxSettings
from store.sqlite import EmbeddedStore
from tests.dashboards.figures import PANELS, Figures
from tests.dashboards.variables import substituted
from tests.notices import KeptNotices
from tests.stack.influx import Influx

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="session")]
BUCKET = "dashboards"
STUDY = """
name = "dashboards"
[cluster]
sizes = [4, 8]
[images]
tags = [
  "9-layers-size-1176249324-bytes", "9-layers-size-6836726027-bytes",
  "125-layers-size-1176249324-bytes", "125-layers-size-6836726027-bytes",
]
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


@dataclass(frozen=True)
class Filled:
    """The server with a study in it, and the study."""

    influx: Influx
    study: Study


def sweep(directory: Path) -> Batch:
    (directory / "study.toml").write_text(STUDY)
    command = [str(Path(sys.executable).with_name("pulldriver")), "sweep", "--study", str(directory / "study.toml")]
    subprocess.run([*command, "--out", str(directory / "out")], check=True, capture_output=True, timeout=120)
    store = EmbeddedStore(directory / "out", create=False)
    try:
        return Batch(pulls=tuple(store.pulls()), milestones=tuple(store.milestones()), gaps=tuple(store.gaps()))
    finally:
        store.close_now()


def with_what_a_good_sweep_lacks(batch: Batch) -> Batch:
    """A cached image, a pull that only pod status told of, a reject and a gap, with a text that would be markup."""
    first = batch.pulls[0]
    text = '<script>alert(1)</script> [x](javascript:y) ${z} "'

    def like(uid: str, **changes: Any) -> PullRecord:
        plain = {"event_uid": uid, "pull_seconds": None, "waiting_seconds": None, "started_at": None}
        return msgspec.structs.replace(first, **{**plain, **changes})

    cached = like("a-cached-one", outcome=Outcome.CACHED)
    lost = like(WITNESS_PREFIX + "lost/pull", pod_uid="lost", pod="lost-0-bcdfg")
    failed = like("a-hostile-one", outcome=Outcome.FAILED, error=text)
    reject = Reject(cluster=first.cluster, source="watch", position="17", problem="no known form", raw=text)
    gap = Gap(cluster=first.cluster, from_version="1", to_version="9", found_at=first.finished_at, why="compacted")
    return msgspec.structs.replace(
        batch, pulls=(*batch.pulls, cached, lost, failed), rejects=(reject,), gaps=(*batch.gaps, gap)
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def filled(influx: Influx, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    batch = await asyncio.to_thread(sweep, tmp_path_factory.mktemp("sweep"))
    batch = with_what_a_good_sweep_lacks(batch)
    await influx.new_bucket(BUCKET)
    settings = InfluxSettings(url=influx.url, organisation=influx.organisation, token=influx.token, bucket=BUCKET)
    store = InfluxStore(settings, KeptNotices(), Random(1))
    try:
        await store.write(batch)
        # Read back, so that both sides know the same records, in the order of the store.
        pulls, milestones = await asyncio.to_thread(lambda: (tuple(store.pulls()), tuple(store.milestones())))
    finally:
        await store.close()
    study = Study(name="sweep", pulls=pulls, milestones=milestones, rejects=batch.rejects, gaps=batch.gaps)
    return Filled(influx, study)


BOARDS = dashboards(Source(BUCKET))
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
    rows = await filled.influx.query(substituted(QUERIES[uid, title]))
    expected = Figures(filled.study).of(uid, title)
    sys.stdout.write(f"{len(rows):>5} rows  {uid}: {title}\n")
    assert rows
    columns = {name for row in expected for name in row}
    found, right = compared(rows, columns), compared(expected, columns)
    assert len(found) == len(right)
    for shown, computed in zip(found, right, strict=True):
        for name, value in computed.items():
            near = pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
            assert shown[name] == near, f"{name} of {shown}"


@pytest.mark.parametrize(("uid", "name"), VARIABLES, ids=[": ".join(key) for key in VARIABLES])
async def test_a_variable_offers_what_is_there(uid: str, name: str, filled: Filled) -> None:
    rows = await filled.influx.query(substituted(VARIABLES[uid, name]))
    assert [list(row)[-1] for row in rows[:1]] == ["_value"]
    assert len({row["table"] for row in rows}) == 1
    if name != "layers":
        assert {row["_value"] for row in rows} == {str(getattr(each, name)) for each in filled.study.pulls}


async def test_a_choice_shows_its_own_and_nothing_else(filled: Filled) -> None:
    chosen = next(each for each in filled.study.pulls if each.outcome is Outcome.PULLED)
    choice = {name: [str(getattr(chosen, name))] for name in ("cluster", "run", "size", "node", "image")}
    query = QUERIES["pullstudy-study", "Histogram of pull duration, linear"]
    rows = await filled.influx.query(substituted(query, choice))
    own = [
        each.pull_seconds
        for each in filled.study.pulls
        if all(str(getattr(each, name)) == values[0] for name, values in choice.items())
        and each.pull_seconds is not None
    ]
    assert sorted(float(row["pull_seconds"]) for row in rows) == sorted(own)
    assert not await filled.influx.query(substituted(query, {**choice, "image": [".*", 'a/b|c(${x})"']}))


async def test_the_alert_counts_failed_pulls(filled: Filled) -> None:
    rows = await filled.influx.query(substituted(failing_pulls(Source(BUCKET))))
    failed = [each for each in filled.study.pulls if each.outcome is Outcome.FAILED]
    assert [int(row["_value"]) for row in rows] == [len(failed)]
