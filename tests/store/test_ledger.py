"""The driver's ledger: what was put is there after the process is gone."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from pullstudy.pulls.batch import Batch
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.witness import PodWitness
from pullstudy.store.embedded.ledger import (
    Audit,
    ClusterRow,
    ClusterState,
    JobRow,
    JobState,
    Ledger,
    NodeCache,
    NodeRow,
    NodeSource,
    Run,
)
from pullstudy.store.embedded.store import EmbeddedStore, NotAStudyError
from tests.store.records import pull

AT = datetime(2026, 1, 1, 12, 30, 0, 125000, tzinfo=UTC)
RUN = Run(run="run1", provider="sim", study="{}", seed=1, started_at=AT)
CLUSTERS = [ClusterRow(cluster=f"sim-x-{size}", run="run1", size=size) for size in (16, 4, 8)]
JOB = JobRow(
    job="pull-0-x-r1-a1",
    cluster="sim-x-4",
    run="run1",
    size=4,
    image="r:t",
    repeat=1,
    attempt=1,
    position=0,
    cache_mode="cold",
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path, create=True)
    opened.begin(RUN, CLUSTERS)
    yield opened
    opened.close()


def reopened(ledger: Ledger) -> Ledger:
    return Ledger(ledger.path.parent, create=True)


def test_a_run_and_its_clusters_come_back_in_the_order_planned(ledger: Ledger) -> None:
    other = reopened(ledger)
    assert other.swept_run() == RUN
    assert other.clusters("run1") == CLUSTERS
    other.close()


def test_a_changed_cluster_keeps_its_place(ledger: Ledger) -> None:
    up = msgspec.structs.replace(CLUSTERS[1], state=ClusterState.UP, up_at=AT, handle='{"pid": 7}')
    ledger.put_cluster(up)
    assert ledger.clusters("run1") == [CLUSTERS[0], up, CLUSTERS[2]]
    assert up.alive


def test_an_attempt_is_one_row_whatever_becomes_of_it(ledger: Ledger) -> None:
    ledger.put_job(JOB)
    done = msgspec.structs.replace(JOB, state=JobState.DONE, job_uid="u", created_at=AT, completed_at=AT)
    ledger.put_job(done)
    assert ledger.jobs("run1") == [done]


def test_an_import_is_no_sweep(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, create=True)
    ledger.begin(msgspec.structs.replace(RUN, run="old", provider="import"), [])
    assert ledger.swept_run() is None
    ledger.close()


def test_the_audits_of_abandoned_attempts_do_not_count(ledger: Ledger) -> None:
    again = msgspec.structs.replace(JOB, job="pull-0-x-r1-a2", attempt=2, state=JobState.DONE)
    ledger.put_job(msgspec.structs.replace(JOB, state=JobState.ABANDONED))
    ledger.put_job(again)
    for row in (JOB, again):
        ledger.put_audit(
            Audit(cluster=row.cluster, job=row.job, expected=4, events=4, pod_status=4, stored=4, recovered=0)
        )
    assert [audit.job for audit in ledger.audits("run1")] == [again.job]


def test_witnesses_are_replaced_by_what_is_known_later(ledger: Ledger) -> None:
    early = PodWitness(cluster="sim-x-4", job=JOB.job, pod="p", pod_uid="u", container="pull")
    ledger.put_pod_witnesses([early])
    ledger.put_pod_witnesses([msgspec.structs.replace(early, phase="Succeeded", exit_code=0)])
    ledger.put_node_caches([NodeCache(cluster="sim-x-4", job=JOB.job, node="n", cache=CacheState.COLD)])
    with closing(sqlite3.connect(ledger.path)) as shell:
        assert shell.execute("SELECT phase, exit_code FROM job_pods").fetchall() == [("Succeeded", 0)]
        assert shell.execute("SELECT node, cache FROM job_nodes").fetchall() == [("n", "cold")]


def test_a_finished_run_can_be_opened_again(ledger: Ledger) -> None:
    finished = msgspec.structs.replace(RUN, finished_at=AT)
    ledger.finish_run("run1", AT)
    assert ledger.swept_run() == finished
    ledger.begin(RUN, [])
    assert ledger.swept_run() == RUN


def test_a_directory_without_a_study_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(NotAStudyError, match="is no study"):
        Ledger(tmp_path, create=False)


def test_events_of_an_earlier_size_that_a_later_sizes_collector_meets_are_no_pulls_of_the_later(ledger: Ledger) -> None:
    ledger.put_job(JOB)
    of_its_own, met_again = (pull(cluster=cluster, job=JOB.job) for cluster in ("sim-x-4", "sim-x-8"))
    of_no_job = pull("v", cluster="sim-x-8")
    store = EmbeddedStore(ledger.path.parent, create=True)
    store.write_now(Batch(pulls=(of_its_own, met_again, of_no_job)))
    found = {(each.cluster, each.job) for each in store.pulls()}
    store.close_now()
    assert found == {("sim-x-4", JOB.job), ("sim-x-8", None)}


def node(name: str, source: NodeSource, **more: str) -> NodeRow:
    return NodeRow(cluster="c", node=name, source=source, **more)


def test_a_listed_node_is_known_better_than_one_that_events_told_of(ledger: Ledger) -> None:
    listed, told = node("a", NodeSource.LIST, kubelet="v1.30.5"), node("a", NodeSource.EVENTS, zone="z")
    other = node("b", NodeSource.EVENTS)
    ledger.put_nodes([told, other])
    ledger.put_nodes([node("a", NodeSource.EVENTS, zone="later")])
    assert list(ledger.nodes("c")) == [told, other]
    ledger.put_nodes([listed, told])
    ledger.put_nodes([told])
    assert list(ledger.nodes("c")) == [listed], "the list is whole: what it lacks is not there any more"
    assert list(ledger.nodes("other")) == []
