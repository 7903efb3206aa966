"""Phases as points: the report's own figures, of jobs that are over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from pullstudy.analysis.findings.phase_points import phase_points
from pullstudy.analysis.reading.job_records import JobRecords
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.milestone import CONTROL_PLANE, Milestone, Moment, Witness
from pullstudy.pulls.record import Outcome, PullRecord
from pullstudy.store.embedded.ledger import NodeCache
from pullstudy.store.influx.line_protocol import encode_point, parse_line
from pullstudy.store.influx.point_layout import JobPhases, PodPhases, PullCache, Stretches

BEGAN = datetime(2026, 1, 2, 3, tzinfo=UTC)
SECONDS = {
    Moment.JOB_CREATED: 0.0,
    Moment.SCHEDULED: 1.0,
    Moment.PULLING: 1.5,
    Moment.PULLED: 11.5,
    Moment.STARTED: 12.0,
    Moment.JOB_COMPLETED: 40.0,
}


def group(*, completed: bool = True) -> JobRecords:
    milestones = tuple(
        Milestone(
            cluster="c",
            run="r",
            size=1,
            node=None if moment.startswith("job") else "n",
            job="j",
            pod=None if moment.startswith("job") else "j-0-abcde",
            container=None,
            moment=moment,
            at=BEGAN + timedelta(seconds=seconds),
            resolution_seconds=1e-6,
            witness=Witness.EVENT_NAME,
            clock=CONTROL_PLANE,
            count=1,
            event_uid=moment,
        )
        for moment, seconds in SECONDS.items()
        if completed or moment is not Moment.JOB_COMPLETED
    )
    pull = PullRecord(
        cluster="c",
        run="r",
        size=1,
        node="n",
        job="j",
        pod="j-0-abcde",
        container="pull",
        image="i:1",
        repository="i",
        outcome=Outcome.PULLED,
        finished_at=BEGAN,
        pull_seconds=10.0,
        count=1,
        event_uid="e",
    )
    caches = (NodeCache(cluster="c", job="j", node="n", cache=CacheState.PARTIAL),)
    return JobRecords("c", "j", pulls=(pull,), milestones=milestones, node_caches=caches)


def test_a_jobs_stretches_add_up_to_its_makespan() -> None:
    (job,) = (point for point in phase_points([group()]) if isinstance(point, JobPhases))
    segments = [getattr(job, name) for name in Stretches.__struct_fields__]
    assert sum(each for each in segments if each is not None) == job.makespan_seconds == 40.0
    assert (job.until_pulled_seconds, job.until_finished_seconds) == (10.0, None)
    assert (job.at, job.pod, job.cache, job.image) == (BEGAN, "j-0-abcde", CacheState.PARTIAL, "i:1")


def test_a_pods_stretches_are_its_own() -> None:
    (pod,) = (point for point in phase_points([group()]) if isinstance(point, PodPhases))
    assert (pod.until_scheduled_seconds, pod.until_pulling_seconds, pod.until_job_completed_seconds) == (
        None,
        0.5,
        None,
    )
    assert pod.started_seconds == 10.5
    assert pod.straggled is None, "one pod has no others to be later than"


def test_a_job_that_is_not_over_has_no_phases() -> None:
    assert {type(point) for point in phase_points([group(completed=False)])} == {PullCache}


def test_a_pulls_cache_is_a_field_of_the_pulls_own_point() -> None:
    whole = group()
    (told,) = (point for point in phase_points([whole]) if isinstance(point, PullCache))
    pull, cache = (parse_line(encode_point(record)) for record in (whole.pulls[0], told))
    assert (cache.measurement, cache.tags, cache.time) == (pull.measurement, pull.tags, pull.time)
    assert set(cache.fields) - set(pull.fields) == {"cache"}
    assert {name: pull.fields[name] for name in cache.fields if name != "cache"} == {
        name: text for name, text in cache.fields.items() if name != "cache"
    }


def test_a_node_that_nobody_looked_at_has_no_cache() -> None:
    blind = replace(group(), node_caches=())
    assert not [point for point in phase_points([blind]) if isinstance(point, PullCache)]


@pytest.mark.parametrize("struct", [JobPhases, PodPhases])
def test_every_moment_that_ends_a_stretch_has_a_field(struct: type[msgspec.Struct]) -> None:
    wanted = {f"until_{moment}_seconds" for moment in Moment if moment is not Moment.JOB_CREATED}
    assert wanted <= set(struct.__struct_fields__)
