"""The REST API as clients meet it."""

from email.utils import parsedate_to_datetime

import pytest

from tests.sim.conftest import EVENTS, JOBS, PODS, START_AT, Api, Start, job


async def test_discovery_leads_to_every_resource(api: Api) -> None:
    assert (await api.get("/version"))["gitVersion"] == "v1.34.4"
    groups = [group["name"] for group in (await api.get("/apis"))["groups"]]
    assert groups == ["batch", "events.k8s.io", "authorization.k8s.io"]
    names = [resource["name"] for resource in (await api.get("/api/v1"))["resources"]]
    assert names == ["namespaces", "nodes", "pods", "events"]
    for path in ("/apis/batch", "/apis/batch/v1", "/apis/events.k8s.io/v1", "/api"):
        assert await api.get(path)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
async def test_health_paths_say_ok(api: Api, path: str) -> None:
    async with api.session.get(api.server.url + path) as response:
        assert (response.status, await response.text()) == (200, "ok")


@pytest.mark.parametrize(
    ("method", "path", "code", "reason"),
    [
        ("GET", "/api/v1/namespaces/default/pods/none", 404, "NotFound"),
        ("GET", "/apis/batch/v1/namespaces/default/jobs/none", 404, "NotFound"),
        ("GET", "/api/v1/configmaps", 404, "NotFound"),
        ("GET", "/openapi/v2", 404, "NotFound"),
        ("POST", "/api/v1/nodes", 405, "MethodNotAllowed"),
        ("DELETE", "/apis/batch/v1/namespaces/default/jobs/none", 404, "NotFound"),
        ("POST", "/apis/batch/v1/namespaces/default/jobs", 422, "Invalid"),
        ("POST", "/apis/batch/v1/namespaces/nowhere/jobs", 404, "NotFound"),
        ("GET", "/api/v1/pods?labelSelector=a%20b%20c", 400, "BadRequest"),
        ("GET", "/api/v1/pods?fieldSelector=spec.nope%3D1", 400, "BadRequest"),
        ("GET", "/api/v1/pods?limit=many", 400, "BadRequest"),
        ("GET", "/api/v1/pods?watch=1&resourceVersion=x", 400, "BadRequest"),
        ("GET", "/api/v1/pods?continue=nonsense", 400, "BadRequest"),
    ],
)
async def test_errors_are_status_objects(api: Api, method: str, path: str, code: int, reason: str) -> None:
    answered, body = await api.ask(method, path, {} if method == "POST" else None)
    assert (answered, body["kind"], body["code"], body["reason"]) == (code, "Status", code, reason)


async def test_the_date_header_is_virtual(api: Api) -> None:
    async with api.session.get(api.server.url + "/version") as response:
        assert parsedate_to_datetime(response.headers["Date"]) == START_AT
    await api.post("/sim/advance", {"seconds": 3600})
    async with api.session.get(api.server.url + "/version") as response:
        assert (parsedate_to_datetime(response.headers["Date"]) - START_AT).total_seconds() == 3600


async def test_nodes_look_like_nodes(api: Api) -> None:
    nodes = (await api.get("/api/v1/nodes"))["items"]
    assert len(nodes) == 4
    node = nodes[0]
    assert "kind" not in node  # a list's items come without it
    assert node["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "c5a.4xlarge"
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.34.4"
    assert [c["type"] for c in node["status"]["conditions"] if c["status"] == "True"] == ["Ready"]
    assert node["status"]["images"] == []
    config = await api.get(f"/api/v1/nodes/{node['metadata']['name']}/proxy/configz")
    assert config["kubeletconfig"]["serializeImagePulls"] is False


async def test_a_node_can_be_labelled(api: Api) -> None:
    name = (await api.get("/api/v1/nodes"))["items"][0]["metadata"]["name"]
    patch = {"metadata": {"labels": {"role": "puller", "kubernetes.io/os": None}}}
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    code, node = await api.ask("PATCH", f"/api/v1/nodes/{name}", patch, headers=headers)
    assert code == 200
    assert node["metadata"]["labels"]["role"] == "puller"
    assert "kubernetes.io/os" not in node["metadata"]["labels"]
    found = (await api.get("/api/v1/nodes?labelSelector=role%3Dpuller"))["items"]
    assert [item["metadata"]["name"] for item in found] == [name]
    operations = [{"op": "remove", "path": "/metadata/labels/role"}]
    headers = {"Content-Type": "application/json-patch+json"}
    code, node = await api.ask("PATCH", f"/api/v1/nodes/{name}", operations, headers=headers)
    assert code == 200
    assert "role" not in node["metadata"]["labels"]


async def test_a_patch_of_an_old_version_is_a_conflict(api: Api) -> None:
    name = (await api.get("/api/v1/nodes"))["items"][0]["metadata"]["name"]
    headers = {"Content-Type": "application/merge-patch+json"}
    patch = {"metadata": {"resourceVersion": "1", "labels": {"a": "b"}}}
    code, body = await api.ask("PATCH", f"/api/v1/nodes/{name}", patch, headers=headers)
    assert (code, body["reason"]) == (409, "Conflict")


@pytest.mark.parametrize(
    ("selector", "count"),
    [
        ("labelSelector=job-name%3Done", 2),
        ("labelSelector=job-name%21%3Done", 0),
        ("labelSelector=job-name%20in%20(one,two)", 2),
        ("labelSelector=job-name%20notin%20(one)", 0),
        ("labelSelector=job-name,%21absent", 2),
        ("labelSelector=batch.kubernetes.io/job-completion-index%3D1", 1),
        ("fieldSelector=status.phase%3DSucceeded", 2),
        ("fieldSelector=status.phase%21%3DSucceeded", 0),
        ("fieldSelector=spec.nodeName%3Dnowhere", 0),
    ],
)
async def test_selectors_choose(api: Api, selector: str, count: int) -> None:
    await api.run_job("one")
    assert len((await api.get(f"/api/v1/pods?{selector}"))["items"]) == count


async def test_events_can_be_asked_for_by_their_object_in_both_forms(api: Api) -> None:
    await api.run_job("one", pods=1)
    pod = (await api.get(PODS))["items"][0]["metadata"]
    core = (await api.get(f"{EVENTS}?fieldSelector=involvedObject.uid%3D{pod['uid']},reason%3DPulled"))["items"]
    new = (await api.get(f"/apis/events.k8s.io/v1/events?fieldSelector=regarding.uid%3D{pod['uid']},reason%3DPulled"))[
        "items"
    ]
    assert [event["message"] for event in core] == [event["note"] for event in new]
    assert core[0]["metadata"] == new[0]["metadata"]
    assert new[0]["regarding"] == core[0]["involvedObject"]
    assert new[0]["deprecatedCount"] == core[0]["count"] == 1
    assert new[0]["deprecatedSource"] == core[0]["source"]
    assert "message" not in new[0]


async def test_a_job_is_given_what_the_server_gives(api: Api) -> None:
    created = await api.post(JOBS, job("one"))
    meta, spec = created["metadata"], created["spec"]
    assert meta["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert spec["backoffLimit"] == 6
    assert spec["selector"]["matchLabels"] == {"batch.kubernetes.io/controller-uid": meta["uid"]}
    assert spec["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "one"
    code, body = await api.ask("POST", JOBS, job("one"))
    assert (code, body["reason"]) == (409, "AlreadyExists")


async def test_a_pod_carries_its_job(api: Api) -> None:
    created = await api.run_job("one", pods=3)
    pods = (await api.get(PODS))["items"]
    assert sorted(pod["metadata"]["name"].rsplit("-", 1)[0] for pod in pods) == ["one-0", "one-1", "one-2"]
    for pod in pods:
        meta = pod["metadata"]
        assert meta["ownerReferences"][0]["uid"] == created["metadata"]["uid"]
        index = meta["labels"]["batch.kubernetes.io/job-completion-index"]
        assert meta["annotations"]["batch.kubernetes.io/job-completion-index"] == index
        assert meta["labels"]["batch.kubernetes.io/controller-uid"] == created["metadata"]["uid"]
        assert "finalizers" not in meta


async def test_access_reviews_allow(api: Api) -> None:
    attributes = {"verb": "list", "resource": "events"}
    body = {"spec": {"resourceAttributes": attributes}}
    answer = await api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    assert answer["status"]["allowed"] is True
    assert answer["spec"]["resourceAttributes"] == attributes


async def test_a_namespace_can_be_made_used_and_deleted(api: Api) -> None:
    await api.post("/api/v1/namespaces", {"metadata": {"name": "study"}})
    await api.post("/apis/batch/v1/namespaces/study/jobs", job("one"))
    await api.quiet()
    code, _ = await api.ask("DELETE", "/api/v1/namespaces/study")
    assert code == 200
    await api.quiet()
    assert (await api.get("/api/v1/pods"))["items"] == []


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
async def test_a_deleted_job_takes_its_pods_along(api: Api, policy: str) -> None:
    await api.run_job("one", pods=3)
    code, _ = await api.ask("DELETE", f"{JOBS}/one", {"propagationPolicy": policy})
    assert code == 200
    await api.quiet()
    assert (await api.get(PODS))["items"] == []
    assert (await api.get(JOBS))["items"] == []


async def test_in_foreground_the_job_goes_last(api: Api) -> None:
    await api.run_job("one", pods=3)
    version = await api.version()
    await api.ask("DELETE", f"{JOBS}/one", {"propagationPolicy": "Foreground"})
    await api.quiet()
    gone = {}
    for path in (PODS, JOBS):
        async with api.watch(f"{path}?watch=1&resourceVersion={version}") as reader:
            while (line := await reader.next())["type"] != "DELETED":
                pass
            gone[path] = int(line["object"]["metadata"]["resourceVersion"])
    assert gone[PODS] < gone[JOBS]


async def test_orphaned_pods_stay(api: Api) -> None:
    await api.run_job("one", pods=2)
    await api.ask("DELETE", f"{JOBS}/one?propagationPolicy=Orphan")
    await api.quiet()
    pods = (await api.get(PODS))["items"]
    assert [pod["metadata"]["ownerReferences"] for pod in pods] == [[], []]


async def test_a_deletion_with_the_wrong_uid_is_a_conflict(api: Api) -> None:
    await api.run_job("one")
    code, body = await api.ask("DELETE", f"{JOBS}/one", {"preconditions": {"uid": "another"}})
    assert (code, body["reason"]) == (409, "Conflict")


async def test_a_collection_of_pods_can_be_deleted(api: Api) -> None:
    await api.run_job("one", pods=3)
    code, _ = await api.ask("DELETE", f"{PODS}?labelSelector=job-name%3Done")
    assert code == 200
    await api.quiet()
    assert (await api.get(PODS))["items"] == []


async def test_two_lives_of_a_cluster_share_no_uid(start: Start) -> None:
    one = await start(start_at=None)
    two = await start(start_at=None)
    assert (await one.get("/sim/state"))["identity"] != (await two.get("/sim/state"))["identity"]


async def test_events_can_be_posted_counted_and_deleted(api: Api) -> None:
    path = "/api/v1/namespaces/default/events"
    event = {
        "metadata": {"name": "x.1"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "x"},
        "reason": "BackOff",
        "message": "m",
        "count": 1,
        "type": "Normal",
    }
    created = await api.post(path, event)
    assert (await api.ask("POST", path, event))[0] == 409
    version = created["metadata"]["resourceVersion"]
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    for count in (2, 3):
        code, patched = await api.ask("PATCH", f"{path}/x.1", {"count": count}, headers=headers)
        assert (code, patched["count"]) == (200, count)
        assert patched["metadata"]["uid"] == created["metadata"]["uid"]
    assert (await api.ask("DELETE", f"{path}/x.1"))[0] == 200
    assert (await api.ask("DELETE", f"{path}/x.1"))[0] == 404
    async with api.watch(f"{path}?watch=1&resourceVersion={version}") as reader:
        lines = [await reader.next() for _ in range(3)]
    assert [(line["type"], line["object"]["count"]) for line in lines] == [
        ("MODIFIED", 2), ("MODIFIED", 3), ("DELETED", 3),
    ]  # fmt: skip
