"""Pods' own status as the second witness."""

from datetime import UTC, datetime

from driver.jobs.pod_status import nodes_shared, pod_witnesses, recovered_pulls, status_milestones
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.milestone import Moment, Witness
from pullstudy.pulls.record import Outcome, witness_uid
from tests.driver.kube_objects import COMPLETE, DEADLINE, DIGEST, IMAGE, ORIGIN, job, pod, waiting

COLD = {"node-0": CacheState.COLD, "node-1": CacheState.COLD}


def at(second: int) -> datetime:
    return datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)


def test_a_pull_that_no_event_told_of_is_recorded_with_what_status_knows_and_nothing_more() -> None:
    rows = pod_witnesses([pod(0), pod(1)], ORIGIN, "pull-0")
    (found,) = recovered_pulls(rows, {("uid-0", "pull")}, COLD, ORIGIN, "default")
    assert found.event_uid == witness_uid("uid-1", "pull")
    assert (found.node, found.pod, found.image, found.digest) == ("node-1", "pull-0-1-abcde", IMAGE, DIGEST)
    assert (found.outcome, found.finished_at, found.count) == (Outcome.PULLED, at(11), 1)
    assert (found.started_at, found.pull_seconds, found.waiting_seconds, found.image_bytes) == (None, None, None, None)


def test_on_a_warm_node_the_unseen_pull_was_none() -> None:
    rows = pod_witnesses([pod(0)], ORIGIN, "pull-0")
    (found,) = recovered_pulls(rows, set(), {"node-0": CacheState.WARM}, ORIGIN, "default")
    assert found.outcome is Outcome.CACHED


def test_of_two_pods_on_a_cold_node_only_the_first_pulled() -> None:
    rows = pod_witnesses([pod(1, node="node-0"), pod(0)], ORIGIN, "pull-0")
    found = recovered_pulls(rows, set(), COLD, ORIGIN, "default")
    assert [(record.pod_uid, record.outcome) for record in found] == [
        ("uid-0", Outcome.PULLED),
        ("uid-1", Outcome.CACHED),
    ]


def test_a_container_that_never_had_its_image_is_not_recovered() -> None:
    rows = pod_witnesses([pod(0, waiting=waiting("ErrImagePull", "not found"))], ORIGIN, "pull-0")
    assert recovered_pulls(rows, set(), COLD, ORIGIN, "default") == []
    assert (rows[0].waiting_reason, rows[0].waiting_message, rows[0].image_id) == ("ErrImagePull", "not found", None)


def test_milestones_come_from_the_servers_clocks_to_the_second() -> None:
    rows = pod_witnesses([pod(0)], ORIGIN, "pull-0")
    found = status_milestones(job(COMPLETE), rows, ORIGIN, "default")
    assert [(one.moment, one.at, one.witness, one.clock) for one in found] == [
        (Moment.JOB_CREATED, at(0), Witness.JOB, "control-plane"),
        (Moment.JOB_COMPLETED, at(30), Witness.JOB, "control-plane"),
        (Moment.POD_CREATED, at(1), Witness.POD, "control-plane"),
        (Moment.SCHEDULED, at(2), Witness.POD, "control-plane"),
        (Moment.STARTED, at(10), Witness.POD, "node-0"),
        (Moment.FINISHED, at(20), Witness.POD, "node-0"),
    ]
    assert {one.resolution_seconds for one in found} == {1.0}
    assert len({(one.event_uid, one.count, one.moment) for one in found}) == len(found)


def test_a_job_that_failed_ended_when_its_condition_says() -> None:
    found = status_milestones(job(DEADLINE), [], ORIGIN, "default")
    assert [one.at for one in found if one.moment is Moment.JOB_COMPLETED] == [at(40)]


def test_two_indexes_on_one_node_are_noticed() -> None:
    assert nodes_shared([pod(0, node="node-0"), pod(1, node="node-0")]) == ["node-0"]
    assert nodes_shared([pod(0), pod(1)]) == []


def test_a_retried_index_may_meet_another_indexs_node() -> None:
    retried = pod(0, node="node-1", uid="uid-later")
    later = {"creation_timestamp": at(9), "name": "pull-0-0-zzzzz"}
    from msgspec.structs import replace

    retried = replace(retried, metadata=replace(retried.metadata, **later))
    assert nodes_shared([retried, pod(0), pod(1)]) == []
