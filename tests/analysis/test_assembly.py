"""From witnesses to timelines: the finest word counts, and jobs of one name are told apart."""

from pathlib import Path

import pytest

from pullstudy.analysis.timelines.timeline import JobTimeline
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.milestone import Moment, Witness
from pullstudy.pulls.record import Outcome
from pullstudy.pulls.witness import PodWitness
from pullstudy.store.embedded.ledger import JobState
from tests.analysis.hand_made import HandMade, at, image_of, timelines_in

ONE, TWO = image_of(9, 1_000_000_000), image_of(9, 2_000_000_000)


def timelines(made: HandMade, directory: Path) -> list[JobTimeline]:
    made.write(directory)
    return timelines_in(directory)


def test_of_several_witnesses_the_finest_is_believed(tmp_path: Path) -> None:
    made = HandMade()
    made.mark("j", "p", Moment.PULLING, 5, witness=Witness.EVENT, resolution_seconds=1.0)
    made.mark("j", "p", Moment.PULLING, 5.7)
    made.pull("j", "p", ONE, 2.0, finished=8)
    (job,) = timelines(made, tmp_path)
    time = job.containers[0].times[Moment.PULLING]
    assert (time.at, time.source) == (at(5.7), Witness.EVENT_NAME)


def test_of_equal_witnesses_the_earlier_counts_because_the_later_repeats(tmp_path: Path) -> None:
    made = HandMade()
    made.mark("j", "p", Moment.PULLING, 30)
    made.mark("j", "p", Moment.PULLING, 5)
    (job,) = timelines(made, tmp_path)
    assert job.containers[0].times[Moment.PULLING].at == at(5)


def test_pod_status_fills_what_no_event_told(tmp_path: Path) -> None:
    made = HandMade()
    made.job("j", ONE, 0, 20)
    made.mark("j", "p", Moment.STARTED, 9.25)
    made.pods.append(
        PodWitness(
            cluster="c-4",
            job="j",
            pod="p",
            pod_uid="uid-c-4-p",
            container="pull",
            node="node-0",
            image=ONE,
            created_at=at(1),
            scheduled_at=at(2),
            started_at=at(9),
            finished_at=at(12),
        )
    )
    (job,) = timelines(made, tmp_path)
    times = job.containers[0].times
    assert {moment: time.at for moment, time in times.items()} == {
        Moment.JOB_CREATED: at(0),
        Moment.POD_CREATED: at(1),
        Moment.SCHEDULED: at(2),
        Moment.STARTED: at(9.25),
        Moment.FINISHED: at(12),
        Moment.JOB_COMPLETED: at(20),
    }
    assert times[Moment.FINISHED].resolution_seconds == 1.0


def test_jobs_that_reused_one_name_are_told_apart_by_image_and_time(tmp_path: Path) -> None:
    made = HandMade()
    for begin, image, pod in ((0, ONE, "a"), (100, TWO, "b")):
        made.life("same", pod, image, {Moment.SCHEDULED: begin, Moment.PULLED: begin + 10, Moment.STARTED: begin + 11})
        made.mark("same", None, Moment.JOB_COMPLETED, begin + 20)
    first, second = timelines(made, tmp_path)
    assert (first.image, second.image) == (ONE, TWO)
    assert (first.times[Moment.JOB_COMPLETED].at, second.times[Moment.JOB_COMPLETED].at) == (at(20), at(120))


def test_a_pod_whose_pulled_event_is_lost_has_the_image_of_the_jobs_other_pods(tmp_path: Path) -> None:
    made = HandMade()
    made.life("same", "a", ONE, {Moment.SCHEDULED: 0, Moment.PULLED: 10})
    made.mark("same", "lost", Moment.SCHEDULED, 0.5)
    made.mark("same", "lost", Moment.STARTED, 11)
    made.mark("same", None, Moment.JOB_COMPLETED, 20)
    (job,) = timelines(made, tmp_path)
    assert [(c.pod, c.image, c.image_inferred) for c in job.containers] == [("a", ONE, False), ("lost", ONE, True)]


def test_a_pod_that_is_seen_after_a_completion_is_of_another_job(tmp_path: Path) -> None:
    made = HandMade()
    made.life("same", "a", ONE, {Moment.SCHEDULED: 0, Moment.PULLED: 10})
    made.mark("same", None, Moment.JOB_COMPLETED, 20)
    made.mark("same", "later", Moment.SCHEDULED, 50)
    first, second = timelines(made, tmp_path)
    assert (first.images, second.images) == ((ONE,), ())
    assert Moment.JOB_COMPLETED in first.times
    assert Moment.JOB_COMPLETED not in second.times


def test_an_abandoned_attempt_is_no_job(tmp_path: Path) -> None:
    made = HandMade()
    made.job("j-a1", ONE, 0, None, state=JobState.ABANDONED)
    made.job("j-a2", ONE, 50, 60, attempt=2)
    made.life("j-a1", "a", ONE, {Moment.SCHEDULED: 0, Moment.PULLED: 10})
    made.life("j-a2", "b", ONE, {Moment.SCHEDULED: 50, Moment.PULLED: 58})
    assert [job.job for job in timelines(made, tmp_path)] == ["j-a2"]


def test_a_job_that_nobody_saw_a_pod_of_is_still_a_job(tmp_path: Path) -> None:
    made = HandMade()
    made.job("j", ONE, 0, 60)
    (job,) = timelines(made, tmp_path)
    assert job.containers == ()
    assert job.makespan_seconds == 60


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((CacheState.COLD, CacheState.COLD), "cold"),
        ((CacheState.WARM, CacheState.COLD), "mixed"),
        ((), "unknown"),
    ],
)
def test_a_jobs_cache_state_is_that_of_all_its_nodes(
    tmp_path: Path, states: tuple[CacheState, ...], expected: str
) -> None:
    made = HandMade()
    made.job("j", ONE, 0, 60)
    for index in range(2):
        made.life("j", f"p{index}", ONE, {Moment.SCHEDULED: 0, Moment.PULLED: 10}, node=f"node-{index}")
    for index, state in enumerate(states):
        made.cache("j", f"node-{index}", state)
    (job,) = timelines(made, tmp_path)
    assert job.cache == expected


def test_the_pull_of_a_container_is_the_first_that_made_the_image_present(tmp_path: Path) -> None:
    made = HandMade()
    made.pull("j", "p", ONE, None, finished=1, outcome=Outcome.FAILED, error="x")
    made.pull("j", "p", ONE, 4.0, finished=8)
    made.pull("j", "p", ONE, None, finished=90, outcome=Outcome.CACHED)
    (job,) = timelines(made, tmp_path)
    pull = job.containers[0].pull
    assert pull is not None
    assert (pull.outcome, pull.pull_seconds) == (Outcome.PULLED, 4.0)


def test_a_pod_without_containers_known_stands_by_itself(tmp_path: Path) -> None:
    made = HandMade()
    made.mark("j", "p", Moment.POD_CREATED, 1)
    made.mark("j", "p", Moment.SCHEDULED, 2)
    (job,) = timelines(made, tmp_path)
    assert [(c.pod, c.container) for c in job.containers] == [("p", None)]
    assert set(job.containers[0].times) == {Moment.POD_CREATED, Moment.SCHEDULED}


def test_each_container_of_a_pod_has_the_pods_moments_and_its_own(tmp_path: Path) -> None:
    made = HandMade()
    made.mark("j", "p", Moment.SCHEDULED, 2)
    for name, seconds in (("one", 5), ("two", 9)):
        made.pull("j", "p", ONE, 1.0, finished=seconds, container=name)
        made.mark("j", "p", Moment.PULLED, seconds, container=name)
    (job,) = timelines(made, tmp_path)
    assert {c.container: c.times[Moment.PULLED].at for c in job.containers} == {"one": at(5), "two": at(9)}
    assert all(c.times[Moment.SCHEDULED].at == at(2) for c in job.containers)
