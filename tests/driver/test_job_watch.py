"""A job watched to its end, through the ways in which an API server lets one down."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from driver.clusters.cluster_api import PATIENCE_SECONDS, ClusterApi
from driver.errors import LimitError
from driver.jobs.job_watch import STUCK_LOOKS, Ending, JobEnd, JobWatch
from driver.planning.study import RunPlan, Study
from driver.progress import JobTally
from pullstudy.kube.errors import ApiError
from tests.driver.kube_objects import COMPLETE, DEADLINE, job, job_json, pod_json, waiting
from tests.driver.scripted_api import ScriptedApi, scripted

JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"
EVENTS = "/api/v1/namespaces/default/events"
NODES = "/api/v1/nodes"
EMPTY = {"metadata": {"resourceVersion": "1"}, "items": None}

Api = tuple[ScriptedApi, ClusterApi]


async def at_once(seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with scripted(tmp_path, at_once) as pair:
        yield pair


def modified(thing: dict[str, Any], kind: str = "MODIFIED") -> dict[str, Any]:
    return {"type": kind, "object": thing}


async def follow(api: ClusterApi, study: Study | None = None, **more: Any) -> JobEnd:
    more = {"stall_seconds": 20.0, "sleep": at_once, **more}
    return await JobWatch(api, study or Study(), job(), 2, **more).run()


async def test_a_complete_job_comes_with_its_pods_and_how_it_got_there(api: Api) -> None:
    script, client = api
    script.say(JOBS, {"metadata": {"resourceVersion": "1"}, "items": [job_json()]})
    script.say(PODS, EMPTY)
    script.watch(PODS, modified(pod_json(0), "ADDED"), modified(pod_json(1), "ADDED"), stay=True)
    script.watch(JOBS)
    script.watch(JOBS, modified(job_json(COMPLETE)), stay=True)
    tallies: list[JobTally] = []
    end = await follow(client, tell=tallies.append)
    assert (end.ending, end.error, end.job.status.succeeded) == (Ending.COMPLETE, None, 2)
    assert sorted(end.pods) == ["uid-0", "uid-1"]
    assert tallies[-1].started == 2


async def test_a_job_past_its_deadline_failed_and_its_deleted_pods_are_remembered(api: Api) -> None:
    script, client = api
    script.say(JOBS, EMPTY)
    script.say(PODS, {"metadata": {"resourceVersion": "1"}, "items": [pod_json(0)]})
    script.watch(PODS, modified(pod_json(0), "DELETED"), stay=True)
    script.watch(JOBS)
    script.watch(JOBS, modified(job_json(DEADLINE)), stay=True)
    script.say(EVENTS, {"items": []})
    end = await follow(client)
    assert end.ending is Ending.FAILED
    assert end.error == "DeadlineExceeded: Job was active longer than specified deadline"
    assert list(end.pods) == ["uid-0"]


REFUSED = (
    'Error creating: pods "pull-0-0-x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
)


def refused(script: ScriptedApi) -> None:
    about = [
        {"involvedObject": {"name": name}, "message": said} for name, said in (("pull-0", REFUSED), ("pull-1", "x"))
    ]
    script.say(EVENTS, {"items": about})


async def test_pods_that_a_namespace_lets_nobody_make_end_the_job_in_its_words(api: Api) -> None:
    script, client = api
    for path in (JOBS, PODS):
        script.say(path, EMPTY)
        script.watch(path, stay=True)
    script.say(NODES, {"items": []})
    refused(script)
    end = await follow(client, stall_seconds=None)
    assert (end.ending, end.error) == (Ending.STUCK, f"stuck for 300 s: pods cannot be made: {REFUSED}")


async def test_a_deadline_that_came_first_does_not_hide_why_there_were_no_pods(api: Api) -> None:
    script, client = api
    script.say(PODS, EMPTY)
    script.watch(PODS, stay=True)
    script.say(JOBS, {"metadata": {"resourceVersion": "1"}, "items": [job_json(DEADLINE)]})
    script.watch(JOBS, stay=True)
    refused(script)
    assert (await follow(client)).error == f"DeadlineExceeded: {DEADLINE['message']}; pods cannot be made: {REFUSED}"


async def test_a_pod_that_was_deleted_while_nobody_watched_holds_nothing_up(api: Api) -> None:
    script, client = api
    homeless = pod_json(0)
    del homeless["spec"]["nodeName"]
    homeless["status"] = {"phase": "Pending"}
    homeless["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]
    pulling = [pod_json(index, uid=f"new-{index}", waiting=waiting("ContainerCreating", "")) for index in range(2)]
    script.say(PODS, {"metadata": {"resourceVersion": "1"}, "items": [homeless]})
    script.say(PODS, {"metadata": {"resourceVersion": "9"}, "items": pulling})
    script.refuse_watch(PODS, 410)
    script.watch(PODS, stay=True)
    script.say(JOBS, EMPTY)
    script.watch(JOBS, stay=True)
    script.say(NODES, {"items": []})
    looks = 0
    tallies: list[JobTally] = []
    relisted, looked_often = asyncio.Event(), asyncio.Event()

    def tell(tally: JobTally) -> None:
        tallies.append(tally)
        if len(tallies) == 4:  # there, gone, and two new ones
            relisted.set()

    async def sleep(seconds: float) -> None:
        nonlocal looks
        if seconds == Study().limits.stuck_seconds / STUCK_LOOKS:
            await relisted.wait()
            looks += 1
        if looks > 3 * STUCK_LOOKS:
            looked_often.set()
        await asyncio.sleep(0)

    following = asyncio.ensure_future(follow(client, stall_seconds=None, tell=tell, sleep=sleep))
    looking = asyncio.ensure_future(looked_often.wait())
    await asyncio.wait([following, looking], return_when=asyncio.FIRST_COMPLETED)
    assert not following.done(), "it is looked at again and again, and found to be pulling"
    following.cancel()
    await asyncio.wait([following])


async def test_a_job_that_was_deleted_while_nobody_watched_has_failed(api: Api) -> None:
    script, client = api
    script.say(PODS, EMPTY)
    script.watch(PODS, stay=True)
    script.say(JOBS, {"metadata": {"resourceVersion": "1"}, "items": [job_json()]})
    script.say(JOBS, {"metadata": {"resourceVersion": "20"}, "items": []})
    script.refuse_watch(JOBS, 410)
    script.watch(JOBS, stay=True)
    script.say(EVENTS, {"items": []})
    assert (await follow(client)).error == "somebody deleted the job"


async def test_a_pull_that_can_never_work_ends_the_job_early(api: Api) -> None:
    script, client = api
    message = 'rpc error: code = NotFound desc = failed to pull and unpack image "x": not found'
    script.say(JOBS, EMPTY)
    script.watch(JOBS, stay=True)
    script.say(PODS, EMPTY)
    script.watch(PODS, modified(pod_json(0, waiting=waiting("ErrImagePull", message)), "ADDED"), stay=True)
    end = await follow(client)
    assert end.ending is Ending.HOPELESS
    assert end.error is not None
    assert end.error.startswith("not-found: ghcr.io/study/images:")
    assert "node-0" in end.error


async def test_a_hopeless_pod_may_try_as_often_as_the_study_says(api: Api) -> None:
    script, client = api
    failed = waiting("ErrImagePull", "401 Unauthorized")
    backed_off = waiting("ImagePullBackOff", "Back-off pulling image")
    changes = [
        pod_json(0, waiting=failed),
        pod_json(0, waiting=failed),
        pod_json(0, waiting=backed_off),
        pod_json(0, waiting=failed),
    ]
    script.say(JOBS, EMPTY)
    script.watch(JOBS, stay=True)
    script.say(PODS, EMPTY)
    script.watch(PODS, *map(modified, changes), stay=True)
    tallies: list[JobTally] = []
    end = await follow(client, Study(run=RunPlan(hopeless_attempts=2)), tell=tallies.append)
    assert end.ending is Ending.HOPELESS
    assert [tally.failing for tally in tallies] == [1, 1, 1, 1]


async def test_a_pull_that_may_yet_work_ends_nothing(api: Api) -> None:
    script, client = api
    busy = waiting("ErrImagePull", "429 Too Many Requests")
    script.say(PODS, EMPTY)
    script.watch(PODS, modified(pod_json(0, waiting=busy), "ADDED"), modified(pod_json(0)), stay=True)
    script.say(JOBS, EMPTY)
    script.watch(JOBS)
    script.watch(JOBS, modified(job_json(COMPLETE)), stay=True)
    assert (await follow(client)).ending is Ending.COMPLETE


async def test_410_as_a_status_and_410_as_a_line_both_list_again(api: Api) -> None:
    script, client = api
    script.say(PODS, EMPTY)
    script.watch(PODS, stay=True)
    script.say(JOBS, {"metadata": {"resourceVersion": "1"}, "items": []})
    script.say(JOBS, {"metadata": {"resourceVersion": "20"}, "items": []})
    script.say(JOBS, {"metadata": {"resourceVersion": "30"}, "items": [job_json(COMPLETE)]})
    script.refuse_watch(JOBS, 410)
    script.watch(JOBS, modified({"kind": "Status", "code": 410, "message": "too old"}, "ERROR"))
    assert (await follow(client)).ending is Ending.COMPLETE
    about_the_job = [line for line in script.asked if JOBS in line]
    assert about_the_job[:5] == [f"GET {JOBS}", f"GET {JOBS}@1", f"GET {JOBS}", f"GET {JOBS}@20", f"GET {JOBS}"]


async def test_a_cut_watch_goes_on_at_the_version_it_had_reached(api: Api) -> None:
    script, client = api
    script.say(PODS, EMPTY)
    script.watch(PODS, stay=True)
    script.say(JOBS, EMPTY)
    script.watch(JOBS, modified(job_json(version="42")), cut=7)
    script.watch(JOBS, modified(job_json(COMPLETE, version="43")), cut=11)
    assert (await follow(client)).ending is Ending.COMPLETE
    assert [line for line in script.asked if JOBS in line] == [f"GET {JOBS}", f"GET {JOBS}@1", f"GET {JOBS}@42"]


async def test_lines_that_are_no_json_and_lines_cut_short_are_asked_for_again(api: Api) -> None:
    script, client = api
    script.say(PODS, EMPTY)
    script.watch(PODS, "<html>502 Bad Gateway</html>")
    script.watch(PODS, stay=True)
    script.say(JOBS, "<html>")
    script.say(JOBS, EMPTY)
    script.watch(JOBS, {"type": "MODIFIED"})
    script.watch(JOBS, modified(job_json(COMPLETE)), stay=True)
    assert (await follow(client)).ending is Ending.COMPLETE


async def test_an_answer_of_429_is_waited_out_as_long_as_the_server_says(tmp_path: Path) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with scripted(tmp_path, sleep) as (script, client):
        for _ in range(20):
            script.say("/api/v1/nodes", {"message": "slow down", "code": 429}, status=429, **{"Retry-After": "3"})
        script.say("/api/v1/nodes", {"items": []})
        assert await client.nodes() == ()
    assert slept == [3.0] * 20


async def test_nodes_come_page_by_page_and_each_once_where_the_list_began_anew_meanwhile(tmp_path: Path) -> None:
    def page(*names: str, more: str | None = None) -> dict[str, Any]:
        return {"metadata": {"continue": more}, "items": [{"metadata": {"name": name}} for name in names]}

    async with scripted(tmp_path) as (script, client):
        script.say("/api/v1/nodes", page("a", "b", more="token"))
        script.say("/api/v1/nodes", {"kind": "Status", "message": "expired", "code": 410}, status=410)
        script.say("/api/v1/nodes", page("a", "b", "c"))
        assert [node.metadata.name for node in await client.nodes()] == ["a", "b", "c"]
    (tmp_path / "other").mkdir()
    async with scripted(tmp_path / "other") as (script, client):
        script.say("/api/v1/nodes", page("a", more="token"))
        script.say("/api/v1/nodes", page("b"))
        listed = json.loads(await client.nodes_json())
    assert listed["items"] == [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]


async def test_a_proxy_that_asks_for_an_hour_is_waited_for_no_longer_than_any_other_failure(tmp_path: Path) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with scripted(tmp_path, sleep) as (script, client):
        script.say("/api/v1/nodes", {"message": "later", "code": 503}, status=503, **{"Retry-After": "3600"})
        with pytest.raises(ApiError, match="503"):
            await client.nodes()
    assert slept == [PATIENCE_SECONDS]


async def test_a_cluster_that_says_nothing_is_stuck_and_not_waited_for(api: Api) -> None:
    script, client = api
    for path in (JOBS, PODS):
        script.say(path, EMPTY)
        script.watch(path, stay=True)
    with pytest.raises(LimitError, match="no change for 0 s"):
        await follow(client, stall_seconds=0.05)


async def test_a_refusal_is_an_error_at_once(api: Api) -> None:
    script, client = api
    script.say(PODS, EMPTY)
    script.watch(PODS, stay=True)
    script.say(JOBS, {"message": "jobs is forbidden", "code": 403}, status=403)
    with pytest.raises(ApiError, match=r"403 \(jobs is forbidden\)"):
        await follow(client)


async def test_a_lost_answer_to_create_is_found_again(api: Api) -> None:
    script, client = api
    script.say(JOBS, {"message": "the server timed out", "code": 504}, status=504, method="POST")
    script.say(JOBS, {"message": "already exists", "code": 409}, status=409, method="POST")
    script.say(f"{JOBS}/pull-0", job_json())
    created = await client.create_job({"metadata": {"name": "pull-0"}})
    assert created.metadata.uid == "job-uid"


async def test_a_job_of_that_name_that_another_run_made_is_not_taken_for_ours(api: Api) -> None:
    script, client = api
    script.say(JOBS, {"message": "already exists", "code": 409}, status=409, method="POST")
    theirs = job_json()
    theirs["metadata"]["labels"] = {"pullstudy.io/run": "theirs"}
    script.say(f"{JOBS}/pull-0", theirs)
    ours = {"name": "pull-0", "labels": {"pullstudy.io/run": "theirs"}}
    assert (await client.create_job({"metadata": ours})).metadata.uid == "job-uid"
    with pytest.raises(ApiError, match="409"):
        await client.create_job({"metadata": {**ours, "labels": {"pullstudy.io/run": "ours"}}})


async def test_a_job_that_is_gone_already_is_deleted(api: Api) -> None:
    script, client = api
    script.say(f"{JOBS}/pull-0", {"message": "not found", "code": 404}, status=404, method="DELETE")
    await client.delete_job("pull-0")
    assert script.asked == [f"DELETE {JOBS}/pull-0"]
