"""Which job a pod is of: by uid whatever happens at the same time, else by index, image, completion and time."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullstudy.analysis.reading.job_records import JobRecords
from pullstudy.analysis.timelines.assembly import timelines_of
from pullstudy.analysis.timelines.timeline import JobTimeline
from pullstudy.pulls.decode import Origin, decode_event
from pullstudy.pulls.eventlog import LoggedEvent, read_log
from pullstudy.pulls.milestone import Milestone, Moment
from pullstudy.pulls.record import PullRecord
from tests.analysis.hand_made import ZERO, HandMade, image_of

ONE, TWO = image_of(9, 1_000_000_000), image_of(9, 2_000_000_000)
HOUR = 3600.0
Partition = frozenset[frozenset[str]]  # the pods of each job


@dataclass(frozen=True)
class TruePod:
    """A pod that a test makes: its job, when it was created, and how long it lived."""

    job: int
    index: int
    created: float
    lived: float

    @property
    def name(self) -> str:
        return f"same-{self.index}-{self.job:05d}"


def written(pods: Iterable[TruePod], ends: Sequence[float] = (), *, told: bool) -> HandMade:
    """The records of pods of jobs of one name; ``told``: with their jobs' uids."""
    made = HandMade()
    for pod in pods:
        uid = f"job-{pod.job}" if told else None
        made.mark("same", pod.name, Moment.POD_CREATED, pod.created, job_uid=uid, pod_uid=None)
        made.mark("same", pod.name, Moment.SCHEDULED, pod.created + 0.01, job_uid=uid)
        made.mark("same", pod.name, Moment.STARTED, pod.created + pod.lived, job_uid=uid)
        made.pull("same", pod.name, ONE, 1.0, finished=pod.created + pod.lived)
    for number, end in enumerate(ends):
        made.mark("same", None, Moment.JOB_COMPLETED, end, job_uid=f"job-{number}" if told else None)
    return made


def found_in(made: HandMade) -> list[JobTimeline]:
    pulls = sorted(made.pulls, key=lambda pull: str(pull.finished_at))
    return timelines_of(
        JobRecords("c-4", "same", tuple(pulls), tuple(sorted(made.milestones, key=lambda each: each.at)))
    )


def partition(jobs: Iterable[JobTimeline]) -> Partition:
    return frozenset(frozenset(container.pod for container in job.containers) for job in jobs)


def truth(pods: Iterable[TruePod]) -> Partition:
    by_job = defaultdict(set)
    for pod in pods:
        by_job[pod.job].add(pod.name)
    return frozenset(map(frozenset, by_job.values()))


seconds = st.floats(0, 5 * HOUR, allow_nan=False)
lives = st.floats(0.1, HOUR)


@given(st.lists(st.builds(TruePod, st.integers(0, 4), st.integers(0, 9), seconds, lives), unique_by=lambda p: p.name))
def test_jobs_told_by_uid_are_kept_apart_however_they_overlap_interleave_and_pause(pods: list[TruePod]) -> None:
    assert partition(found_in(written(pods, told=True))) == truth(pods)


@st.composite
def successive(draw: st.DrawFn) -> tuple[list[TruePod], list[float]]:
    """Jobs of one size, one after the other; pods of one may go on while the next runs; each may pause anywhere."""
    size = draw(st.integers(1, 5))
    pods, ends, clock = [], [], 0.0
    for job in range(draw(st.integers(1, 5))):
        for index in range(size):
            clock += draw(st.one_of(st.floats(0.001, 0.5), st.floats(1, 4 * HOUR)))
            pods.append(TruePod(job, index, clock, draw(lives)))
        clock += draw(st.floats(0.1, HOUR))
        ends.append(clock)
        clock += draw(st.floats(0.1, HOUR))
    return pods, ends


@given(successive())
def test_successive_jobs_of_one_size_are_told_apart_without_uids_and_completions(
    case: tuple[list[TruePod], list[float]],
) -> None:
    pods, _ = case
    assert partition(found_in(written(pods, told=False))) == truth(pods)


@given(successive())
def test_completions_tell_jobs_apart_whose_pods_have_no_index_in_common(
    case: tuple[list[TruePod], list[float]],
) -> None:
    pods, ends = case
    kept = [pod for pod in pods if pod.index == pod.job]
    jobs = found_in(written(kept, ends, told=False))
    assert partition(jobs) == truth(kept)


@given(successive(), st.booleans())
def test_each_job_has_its_own_completion(case: tuple[list[TruePod], list[float]], told: bool) -> None:
    pods, ends = case
    jobs = found_in(written(pods, ends, told=told))
    assert [(job.number, (job.times[Moment.JOB_COMPLETED].at - ZERO).total_seconds()) for job in jobs] == [
        (number, pytest.approx(end, abs=1e-5)) for number, end in enumerate(ends, 1)
    ]


@st.composite
def compact(draw: st.DrawFn) -> list[TruePod]:
    """Jobs of any sizes whose pods are created at once, in any order, with more time between the jobs."""
    pods, clock = [], 0.0
    for job in range(draw(st.integers(1, 5))):
        for index in draw(st.permutations(range(draw(st.integers(1, 6))))):
            clock += draw(st.floats(0.001, 0.5))
            pods.append(TruePod(job, index, clock, draw(lives)))
        clock += draw(st.floats(1, HOUR))
    return pods


@given(compact())
def test_jobs_of_different_sizes_are_told_apart_by_the_time_between_them(pods: list[TruePod]) -> None:
    assert partition(found_in(written(pods, told=False))) == truth(pods)


@given(compact(), st.data())
def test_a_pod_that_lost_its_uid_is_put_with_those_that_it_was_created_with(
    pods: list[TruePod], data: st.DataObject
) -> None:
    made = written(pods, told=True)
    lost = set(data.draw(st.lists(st.sampled_from([pod.name for pod in pods]))))
    made.milestones = [
        msgspec.structs.replace(each, job_uid=None) if each.pod in lost else each for each in made.milestones
    ]
    assert partition(found_in(made)) == truth(pods)


def test_a_retried_pod_is_of_the_job_whose_uid_it_has() -> None:
    pods = [TruePod(0, 0, 0, 1), TruePod(0, 1, 0.1, 1)]
    made = written(pods, told=True)
    retry = "same-0-retry"
    made.mark("same", retry, Moment.SCHEDULED, 60, job_uid="job-0")
    (job,) = found_in(made)
    assert {container.pod for container in job.containers} == {*(pod.name for pod in pods), retry}


def test_a_retried_pod_without_a_uid_counts_as_another_jobs_because_nothing_tells_them_apart() -> None:
    pods = [TruePod(0, 0, 0, 1), TruePod(0, 1, 0.1, 1), TruePod(1, 0, 60, 1)]
    assert [len(job.containers) for job in found_in(written(pods, told=False))] == [2, 1]


def test_jobs_of_one_name_in_two_namespaces_are_two_jobs() -> None:
    made = HandMade()
    for namespace in ("one", "two"):
        made.mark("same", f"same-0-{namespace:a<5}", Moment.SCHEDULED, 0, namespace=namespace)
    assert sorted(str(job.namespace) for job in found_in(made)) == ["one", "two"]


def test_pods_of_another_image_are_another_jobs_and_an_init_image_that_all_share_melts_nothing() -> None:
    made = HandMade()
    for pod, begin, image in (("a", 0, ONE), ("b", 100, TWO)):
        made.pull("same", pod, "registry/init:1", 1.0, finished=begin + 1, container="init")
        made.pull("same", pod, image, 1.0, finished=begin + 5)
    assert [job.images for job in found_in(made)] == [(ONE, "registry/init:1"), (TWO, "registry/init:1")]


def test_two_pods_of_one_name_and_different_uids_are_two_pods() -> None:
    made = HandMade()
    for uid, begin in (("u1", 0), ("u2", 50)):
        made.mark("same", "same-0-aaaaa", Moment.SCHEDULED, begin, pod_uid=uid)
        made.mark("same", "same-0-aaaaa", Moment.POD_CREATED, begin - 1, pod_uid=None)
    first, second = found_in(made)
    assert [(job.start[1].at - ZERO).total_seconds() for job in (first, second) if job.start] == [-1, 49]


def read(path: Path) -> tuple[list[PullRecord], list[Milestone]]:
    """Each record once, as a store has them."""
    with path.open("rb") as file:
        origin = Origin(cluster="c", run="r", size=4)
        decoded = [decode_event(item.event, origin) for item in read_log(file) if isinstance(item, LoggedEvent)]
    pulls = {pull.identity: pull for each in decoded for pull in each.pulls}
    moments = {(mark.event, mark.moment): mark for each in decoded for mark in each.milestones}
    return list(pulls.values()), list(moments.values())


def jobs_of(pulls: list[PullRecord], milestones: list[Milestone]) -> list[JobTimeline]:
    names = dict.fromkeys(mark.job for mark in milestones if mark.job is not None)
    return [
        job
        for name in names
        for job in timelines_of(
            JobRecords(
                "c",
                name,
                tuple(sorted((pull for pull in pulls if pull.job == name), key=lambda pull: str(pull.finished_at))),
                tuple(sorted((mark for mark in milestones if mark.job == name), key=lambda mark: mark.at)),
            )
        )
    ]


@pytest.mark.parametrize(
    ("log", "jobs"),
    [
        ("apps-aks-32/events-osu-1724528565.json", 2),
        ("apps-aks-32/events-stream-1724528616.json", 3),
        ("apps-eks-32/events-osu-1724209811.json", 3),
        ("apps-eks-32/events-single-node-1724209447.json", 1),
        ("eks-gp2-38-images/events-8.jsonl", 38),
        ("gke-streaming-on/events-8.jsonl", 4),
        ("gke-streaming-off/events-4.jsonl", 4),
        ("gke-pd-near-registry/events-8.jsonl", 6),
        ("pulling-aws/events-size-16.json", 6),
        ("pulling-test-run3/events-size-8.json", 38),
    ],
)
def test_real_logs_have_as_many_jobs_as_uids_with_and_without_these(study_data: Path, log: str, jobs: int) -> None:
    pulls, milestones = read(study_data / log)
    uids = {mark.job_uid for mark in milestones if mark.job is not None and mark.job_uid is not None}
    by_uid = partition(jobs_of(pulls, milestones))
    without = [msgspec.structs.replace(mark, job_uid=None) for mark in milestones]
    told_by_jobs = [msgspec.structs.replace(mark, job_uid=None) if mark.pod_uid else mark for mark in milestones]
    without_ends = [mark for mark in without if mark.moment is not Moment.JOB_COMPLETED]
    assert len(by_uid) == len(uids) == jobs
    assert partition(jobs_of(pulls, without)) == by_uid
    assert partition(jobs_of(pulls, without_ends)) == by_uid
    assert partition(jobs_of(pulls, told_by_jobs)) == by_uid  # kubectl's events: only the jobs' own have their uids
