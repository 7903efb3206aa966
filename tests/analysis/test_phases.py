"""Phases, critical paths and what the whole job shows of a container, on timelines made by hand."""

from pathlib import Path
from typing import Any

import pytest

from pullstudy.analysis.timelines.critical_path import critical_path
from pullstudy.analysis.timelines.phases import BRIDGES, PHASES, phase_rows
from pullstudy.analysis.timelines.timeline import JobTimeline
from pullstudy.pulls.milestone import Moment, Witness
from pullstudy.pulls.witness import PodWitness
from tests.analysis.hand_made import HandMade, at, image_of, timelines_in

IMAGE = image_of()
M = Moment
ALL = {M.POD_CREATED: 1, M.SCHEDULED: 1.5, M.PULLING: 2.5, M.PULLED: 12.5, M.CREATED: 13, M.STARTED: 13.25}


def jobs_of(made: HandMade, directory: Path) -> list[JobTimeline]:
    made.write(directory)
    return timelines_in(directory)


def rows_of(made: HandMade, directory: Path) -> list[Any]:
    return list(phase_rows(jobs_of(made, directory)))


def whole_job(made: HandMade, *, times: dict[Moment, float] | None = None) -> None:
    made.job("j", IMAGE, 0, 20)
    made.life("j", "p", IMAGE, times or ALL)


def test_a_whole_life_splits_into_all_phases_and_they_add_up(tmp_path: Path) -> None:
    made = HandMade()
    whole_job(made, times={**ALL, M.FINISHED: 18})
    job, pod = rows_of(made, tmp_path)
    seconds = [getattr(job, f"{phase.name}_seconds") for phase in PHASES]
    assert seconds == pytest.approx([1, 0.5, 1, 10, 0.5, 0.25, 4.75, 2])
    assert sum(seconds) == pytest.approx(job.makespan_seconds) == 20
    assert (job.makespan_from, job.makespan_to) == ("job_created", "job_completed")
    assert (job.level, pod.level, pod.critical, job.pod) == ("job", "pod", True, "p")
    assert (pod.makespan_seconds, pod.makespan_from, pod.makespan_to) == (17, "pod_created", "finished")


def test_a_missing_moment_leaves_its_phases_empty_and_is_named(tmp_path: Path) -> None:
    made = HandMade()
    whole_job(made, times={moment: seconds for moment, seconds in ALL.items() if moment is not M.PULLING})
    _, pod = rows_of(made, tmp_path)
    assert pod.scheduled_to_pulling_seconds is None
    assert pod.pulling_to_pulled_seconds is None
    assert pod.scheduled_to_pulled_seconds == pytest.approx(11)
    assert pod.started_to_job_completed_seconds == pytest.approx(6.75)
    assert set(pod.flags.split()) == {"missing:pulling", "missing:finished"}


def test_a_negative_phase_stays_negative_and_is_flagged(tmp_path: Path) -> None:
    """A node's clock 3 s behind: its Pulling seems to come before Scheduled."""
    made = HandMade()
    whole_job(made, times={**ALL, M.PULLING: -1.5, M.PULLED: 9.5, M.CREATED: 10, M.STARTED: 10.25})
    rows = rows_of(made, tmp_path)
    assert rows[1].scheduled_to_pulling_seconds == pytest.approx(-3)
    assert "negative:scheduled_to_pulling" in rows[1].flags.split()


def test_a_negative_phase_within_the_resolution_is_only_unresolved(tmp_path: Path) -> None:
    made = HandMade()
    whole_job(made)
    made.pods.append(
        PodWitness(
            cluster="c-4",
            job="j",
            pod="p",
            pod_uid="uid-c-4-p",
            container="pull",
            node="node-0",
            image=IMAGE,
            finished_at=at(13),
        )
    )
    rows = rows_of(made, tmp_path)
    assert rows[1].started_to_finished_seconds == pytest.approx(-0.25)
    assert "unresolved:started_to_finished" in rows[1].flags.split()
    assert rows[1].resolution_seconds == 1.0


def test_bridges_span_what_often_has_no_witness() -> None:
    assert [phase.name for phase in BRIDGES] == ["scheduled_to_pulled", "started_to_job_completed"]


def test_the_critical_pod_is_the_one_that_finished_last(tmp_path: Path) -> None:
    made = HandMade()
    made.job("j", IMAGE, 0, 40)
    for pod, finished in (("early", 30.0), ("late", 38.0)):
        made.life("j", pod, IMAGE, {**ALL, M.FINISHED: finished})
    (job,) = jobs_of(made, tmp_path)
    critical = job.critical_container
    assert critical is not None
    assert critical.pod == "late"
    assert critical_path(job)[-1].seconds == pytest.approx(2)


def test_ends_in_the_same_second_are_told_apart_by_the_start(tmp_path: Path) -> None:
    made = HandMade()
    made.job("j", IMAGE, 0, 40)
    for pod, started in (("b-later", 13.9), ("z-sooner", 13.25)):
        times = {**ALL, M.STARTED: started}
        made.life("j", pod, IMAGE, times)
        made.mark("j", pod, M.FINISHED, 30, witness=Witness.POD, resolution_seconds=1.0)
    (job,) = jobs_of(made, tmp_path)
    critical = job.critical_container
    assert critical is not None
    assert critical.pod == "b-later"


def test_a_moment_that_few_pods_have_does_not_choose_the_critical_one(tmp_path: Path) -> None:
    made = HandMade()
    made.job("j", IMAGE, 0, 40)
    made.life("j", "a", IMAGE, {**ALL, M.FINISHED: 14})
    for pod in ("b", "c"):
        made.life("j", pod, IMAGE, {**ALL, M.STARTED: 20})
    (job,) = jobs_of(made, tmp_path)
    critical = job.critical_container
    assert critical is not None
    assert critical.pod in ("b", "c")


def test_without_the_jobs_creation_its_first_pod_begins_the_path(tmp_path: Path) -> None:
    made = HandMade()
    made.life("j", "first", IMAGE, ALL)
    made.life("j", "last", IMAGE, {moment: seconds + 2 for moment, seconds in ALL.items()})
    made.mark("j", None, M.JOB_COMPLETED, 20)
    (job,) = jobs_of(made, tmp_path)
    path = critical_path(job)
    assert path[0].name == "pod_created_to_scheduled"
    assert path[0].seconds == pytest.approx(2.5)
    assert sum(segment.seconds for segment in path) == pytest.approx(19) == job.makespan_seconds


def test_pods_that_share_a_node_are_counted_and_shared_pulls_are_flagged(tmp_path: Path) -> None:
    made = HandMade()
    made.life("j", "leader", IMAGE, ALL, node="shared")
    made.life("j", "second", IMAGE, {**ALL, M.PULLING: 3.5}, node="shared")
    made.life("j", "after", IMAGE, {**ALL, M.PULLING: 12.75, M.PULLED: 13}, node="shared")
    made.life("j", "alone", IMAGE, ALL, node="other")
    rows = {row.pod: row for row in rows_of(made, tmp_path) if row.level == "pod"}
    assert {pod: row.pods_on_node for pod, row in rows.items()} == {"leader": 3, "second": 3, "after": 3, "alone": 1}
    sharing = {pod for pod, row in rows.items() if "shared-pull" in row.flags.split()}
    assert sharing == {"second"}
    assert all("shares-node" in rows[pod].flags.split() for pod in ("leader", "second", "after"))
    assert sorted(row.start_rank for row in rows.values()) == [1, 2, 3, 4]


def test_a_job_nobody_saw_a_pod_of_says_so(tmp_path: Path) -> None:
    made = HandMade()
    made.job("j", IMAGE, 0, 20)
    (row,) = rows_of(made, tmp_path)
    assert "no-pod-seen" in row.flags.split()
    assert (row.makespan_seconds, row.pods_in_job) == (20, 0)
