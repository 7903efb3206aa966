"""Sweeps on the simulator, in this process, with the collector beside it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from driver.planning.study import SimPlan, Stages
from pullstudy.pulls.record import WITNESS_PREFIX
from pullstudy.store.embedded.ledger import JobRow
from tests.driver.sweeps import (
    LARGE,
    REPOSITORY,
    SMALL,
    RecordedProgress,
    TruthfulSim,
    left_running,
    pulled,
    rows,
    run_sweep,
    small_study,
)


async def test_every_pull_that_happened_is_stored_once_and_the_cluster_is_gone(tmp_path: Path) -> None:
    """Also when Pulled events reach the API a minute after the job's end, and when the driver's own watches are cut
    every few lines, are answered 410, and bring what is no JSON."""
    faults = (
        {"fault": "delay-events", "reason": "Pulled", "seconds": 90.0},
        {"fault": "drop-watches", "resource": "pods", "every_events": 5, "times": 100},
        {"fault": "garbage-line", "resource": "pods", "times": 1},
        {"fault": "watch-gone", "resource": "jobs", "how": "line", "times": 1},
    )
    study = small_study(size=3, repeats=2, order="interleaved", faults=faults)
    provider = TruthfulSim()
    outcome, heard = await run_sweep(study, tmp_path, provider)
    assert (outcome.done, outcome.failed, outcome.accounted) == (4, [], "12/12 accounted for")
    stored = rows(tmp_path, "SELECT event_uid, count, node, image, job, outcome FROM pulls")
    truth = [
        (row["event_uid"], row["count"], row["node"], row["image"], row["job"], row["outcome"])
        for row in provider.truth
    ]
    assert sorted(stored) == sorted(truth)
    assert len(truth) == 12
    assert [summary.row.position for summary in heard.jobs] == [0, 1, 2, 3]
    assert [(summary.row.image.rpartition(":")[2], summary.row.repeat) for summary in heard.jobs] == [
        (SMALL, 1),
        (LARGE, 1),
        (SMALL, 2),
        (LARGE, 2),
    ]
    assert left_running(tmp_path) == []


async def test_what_goes_wrong_in_one_sweep_is_told_apart(tmp_path: Path) -> None:
    """A Pulled event lost by its sender, an image that does not exist, a pod that fails once, a registry that refuses
    for longer than the job may take, and peace."""
    faults = (
        {"fault": "lose-events", "reason": "Pulled", "times": 1},
        {"fault": "pull-fails", "kind": "not_found", "image": "*:no-such-tag"},
        {"fault": "pod-fails", "job": "pull-2-*", "index": 1, "times": 1},
        {"fault": "pull-fails", "kind": "too_many_requests", "image": "*:busy", "node": "*"},
    )
    provider = TruthfulSim()
    study = small_study(SMALL, "no-such-tag", LARGE, "busy", "9-layers-size-6836726027-bytes", faults=faults)
    limits = msgspec.structs.replace(study.limits, job_seconds=300.0)
    study = msgspec.structs.replace(study, limits=limits)
    outcome, heard = await run_sweep(study, tmp_path, provider)
    lossy, hopeless, retried, busy, peaceful = heard.jobs
    assert lossy.accounted == "2/2 accounted for, 1 recovered from pod status"
    assert hopeless.row.state == "failed"
    assert hopeless.row.error is not None
    assert hopeless.row.error.startswith("not-found: ")
    assert retried.accounted == "3/3 accounted for"
    assert peaceful.accounted == "2/2 accounted for"
    assert (busy.row.state, busy.accounted) == ("failed", "2/2 accounted for")
    deadline = "DeadlineExceeded: Job was active longer than specified deadline"
    assert busy.row.error is not None
    assert busy.row.error.startswith(f"{deadline}; 2 pods waiting with ImagePullBackOff: ")
    assert [row.job for row in outcome.failed] == [hopeless.row.job, busy.row.job]
    assert len(pulled(tmp_path)) == 6

    recovered = rows(
        tmp_path, "SELECT node, pull_seconds, digest FROM pulls WHERE event_uid LIKE ?", f"{WITNESS_PREFIX}%"
    )
    assert len(recovered) == 1
    assert recovered[0][1] is None
    told = {(row["pod_uid"], row["outcome"]) for row in provider.truth}
    assert set(rows(tmp_path, "SELECT pod_uid, outcome FROM pulls")) <= told
    outcomes = rows(tmp_path, "SELECT outcome, count(*) FROM pulls WHERE job = ? GROUP BY 1", retried.row.job)
    assert outcomes == [("cached", 1), ("pulled", 2)]
    audits = rows(tmp_path, "SELECT expected, events, pod_status, stored, recovered FROM audits ORDER BY rowid")
    assert audits[0] == (2, 1, 2, 1, 1)
    assert audits[2] == (3, 3, 3, 3, 0)


async def test_warm_caches_are_left_and_said_to_be_warm(tmp_path: Path) -> None:
    outcome, heard = await run_sweep(small_study(SMALL, repeats=2, cache="warm"), tmp_path)
    assert outcome.accounted == "4/4 accounted for"
    assert [summary.caches for summary in heard.jobs] == ["cold", "warm"]
    assert rows(tmp_path, "SELECT outcome, count(*) FROM pulls GROUP BY 1") == [("cached", 2), ("pulled", 2)]
    assert rows(tmp_path, "SELECT job, cache, count(*) FROM job_nodes GROUP BY 1, 2") == [
        (heard.jobs[0].row.job, "cold", 2),
        (heard.jobs[1].row.job, "warm", 2),
    ]


async def test_the_run_is_described_where_it_is_kept_and_no_time_is_the_drivers(tmp_path: Path) -> None:
    """The driver's clock stands in the year 2000, one node's is ten minutes ahead."""
    skew = {"fault": "clock-skew", "node": "*", "seconds": 600.0}
    await run_sweep(small_study(SMALL, faults=(skew,)), tmp_path, now=lambda: datetime(2000, 1, 1, tzinfo=UTC))
    assert rows(tmp_path, "SELECT started_at LIKE '2000-%' FROM runs") == [(1,)]
    for table, column in (
        ("pulls", "finished_at"),
        ("milestones", "at"),
        ("jobs", "completed_at"),
        ("jobs", "deleted_at"),
    ):
        assert rows(tmp_path, f"SELECT count(*) FROM {table} WHERE {column} < '2026'") == [(0,)]
    assert rows(tmp_path, "SELECT deleted_at >= completed_at FROM jobs") == [(1,)]
    ((state, environment),) = rows(tmp_path, "SELECT state, environment FROM clusters")
    described = json.loads(environment)
    assert state == "down"
    assert described["nodes"] == 2
    assert described["instance_types"] == ["c5a.4xlarge"]
    assert described["configz"]["kind"] == "KubeletConfiguration"
    assert rows(tmp_path, "SELECT source, instance_type, count(*) FROM nodes GROUP BY 1, 2") == [
        ("list", "c5a.4xlarge", 2)
    ]
    snapshot = json.loads((tmp_path / "nodes" / "nodes-sim-test-2.json").read_text())
    assert len(snapshot["items"]) == 2
    moments = rows(
        tmp_path, "SELECT moment, count(*) FROM milestones WHERE witness IN ('pod', 'job') GROUP BY 1 ORDER BY 1"
    )
    assert dict(moments) == {
        "finished": 2,
        "job_completed": 1,
        "job_created": 1,
        "pod_created": 2,
        "scheduled": 2,
        "started": 2,
    }
    assert rows(tmp_path, "SELECT DISTINCT image FROM job_pods") == [(f"{REPOSITORY}:{SMALL}",)]


async def test_a_study_may_stop_at_its_first_failure_and_go_on_later(tmp_path: Path) -> None:
    fault = {"fault": "pull-fails", "kind": "unauthorized", "image": "*:private"}
    study = small_study("private", SMALL, faults=(fault,), on_failure="stop")
    outcome, heard = await run_sweep(study, tmp_path)
    assert [len(heard.jobs), outcome.done, len(outcome.failed)] == [1, 0, 1]
    assert rows(tmp_path, "SELECT finished_at FROM runs") == [(None,)]
    assert rows(tmp_path, "SELECT state FROM clusters") == [("down",)]


class Unplugger(RecordedProgress):
    """Turns the machine of one node off when the first job begins."""

    def __init__(self, provider: TruthfulSim) -> None:
        super().__init__()
        self._provider = provider

    def job_started(self, row: JobRow, number: int, jobs: int) -> None:
        if number == 1:
            self._provider.inject({"fault": "lose-node", "node": "ip-192-168-0-1.*"})


async def test_a_node_that_is_lost_makes_the_next_job_share_one_and_that_is_noticed(tmp_path: Path) -> None:
    provider = TruthfulSim()
    outcome, heard = await run_sweep(small_study(size=3), tmp_path, provider, Unplugger(provider))
    assert [summary.accounted for summary in heard.jobs] == ["3/3 accounted for", "3/3 accounted for"]
    (failed,) = outcome.failed
    assert failed.error is not None
    assert failed.error.startswith("not one pod a node: ip-192-168-0-")


async def test_the_model_of_the_study_is_the_simulators_and_is_kept_with_the_run(tmp_path: Path) -> None:
    slow: dict[str, dict[str, float | int | bool | None]] = {"registry": {"resolve_seconds": 30.0}}
    study = msgspec.structs.replace(small_study(SMALL), sim=SimPlan(model=slow))
    await run_sweep(study, tmp_path)
    assert all(seconds > 25 for (seconds,) in rows(tmp_path, "SELECT pull_seconds FROM pulls"))
    ((kept,),) = rows(tmp_path, "SELECT study FROM runs")
    assert json.loads(kept)["sim"]["model"] == slow


HELD = ("resolve", "queue", "first_byte", "transfer", "apply", "commit")


async def test_the_inside_of_each_pull_is_recorded_as_the_simulator_did_it(tmp_path: Path) -> None:
    provider = TruthfulSim()
    await run_sweep(small_study(size=3), tmp_path, provider)
    columns = ", ".join(f"{stage}_seconds" for stage in HELD)
    stored = rows(tmp_path, f"SELECT node, image, complete, {columns} FROM pull_stages ORDER BY node, image")
    truth = sorted((row["node"], row["image"], row["stages"]) for row in provider.truth)
    assert [(*row[:2], row[2]) for row in stored] == [(node, image, 1) for node, image, _ in truth]
    for row, (_, _, stages) in zip(stored, truth, strict=True):
        assert dict(zip(HELD, row[3:], strict=True)) == pytest.approx(stages, abs=2e-6)
    assert rows(tmp_path, "SELECT count(*) FROM pulled_layers") == [(3 * (9 + 125),)]
    assert rows(tmp_path, "SELECT DISTINCT cluster, run, size FROM pull_stages") == [("sim-test-3", "run1", 3)]


async def test_a_sweep_that_is_to_tell_no_stages_has_none(tmp_path: Path) -> None:
    study = msgspec.structs.replace(small_study(SMALL), sim=SimPlan(stages=Stages.NONE))
    await run_sweep(study, tmp_path)
    assert rows(tmp_path, "SELECT count(*) FROM pull_stages") == [(0,)]
    assert len(pulled(tmp_path)) == 2


async def test_spans_that_come_late_or_twice_give_each_pull_its_record_once(tmp_path: Path) -> None:
    faults = (
        {"fault": "double-spans", "probability": 0.3},
        {"fault": "delay-spans", "name": "*.unpackLayer", "seconds": 5.0, "probability": 0.2},
    )
    provider = TruthfulSim()
    await run_sweep(small_study(size=3, faults=faults), tmp_path, provider)
    assert rows(tmp_path, "SELECT count(*), count(DISTINCT pull), sum(complete) FROM pull_stages") == [(6, 6, 6)]
