"""What a real API server refuses the simulator refuses, in its words; what a kubelet refuses is an event of the pod."""

from typing import Any

import pytest

from tests.sim.conftest import JOBS, PODS, Api, job

Json = dict[str, Any]


def pod(name: str = "a", *, image: str = "busybox:1", labels: Json | None = None, **spec: Any) -> Json:
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"containers": [{"name": "c", "image": image}], "restartPolicy": "Never", **spec},
    }


WRONG: dict[str, tuple[str, Json, str, str, str]] = {
    "a pod's name": (PODS, pod("A_b"), "metadata.name", "FieldValueInvalid", "lowercase RFC 1123 subdomain"),
    "a pod's long name": (PODS, pod("a" * 254), "metadata.name", "FieldValueInvalid", "no more than 253"),
    "a job's name": (JOBS, job("my_job"), "metadata.name", "FieldValueInvalid", 'Invalid value: "my_job"'),
    "a namespace's name": (
        "/api/v1/namespaces",
        {"metadata": {"name": "a.b"}},
        "metadata.name",
        "FieldValueInvalid",
        "lowercase RFC 1123 label",
    ),
    "a made-up name": (
        PODS,
        {**pod(), "metadata": {"generateName": "A-"}},
        "metadata.generateName",
        "FieldValueInvalid",
        "lowercase",
    ),
    "a label's key": (PODS, pod(labels={"a b": "c"}), "metadata.labels", "FieldValueInvalid", "name part must consist"),
    "a label's value": (PODS, pod(labels={"a": "b c"}), "metadata.labels", "FieldValueInvalid", "a valid label must"),
    "a node selector": (PODS, pod(nodeSelector={"a": "b c"}), "spec.nodeSelector", "FieldValueInvalid", '"b c"'),
    "spaces around an image": (PODS, pod(image=" a"), "spec.containers[0].image", "FieldValueInvalid", "whitespace"),
    "no image": (PODS, pod(image=""), "spec.containers[0].image", "FieldValueRequired", "Required value"),
    "no container": (PODS, pod(containers=[]), "spec.containers", "FieldValueRequired", "Required value"),
    "a container's name": (
        PODS,
        pod(containers=[{"name": "a.b", "image": "x"}]),
        "spec.containers[0].name",
        "FieldValueInvalid",
        "RFC 1123 label",
    ),
    "two containers of a name": (
        PODS,
        pod(containers=[{"name": "a", "image": "x"}] * 2),
        "spec.containers[1].name",
        "FieldValueDuplicate",
        'Duplicate value: "a"',
    ),
    "a pull policy": (
        PODS,
        pod(containers=[{"name": "a", "image": "x", "imagePullPolicy": "Often"}]),
        "spec.containers[0].imagePullPolicy",
        "FieldValueNotSupported",
        'supported values: "Always", "IfNotPresent", "Never"',
    ),
}


@pytest.mark.parametrize(("path", "body", "field", "reason", "said"), WRONG.values(), ids=list(WRONG))
async def test_a_wrong_object_is_answered_422_with_its_cause(
    api: Api, path: str, body: Json, field: str, reason: str, said: str
) -> None:
    code, answer = await api.ask("POST", path, body)
    assert (code, answer["kind"], answer["reason"], answer["code"]) == (422, "Status", "Invalid", 422)
    (cause,) = answer["details"]["causes"]
    assert (cause["field"], cause["reason"]) == (field, reason)
    assert said in cause["message"]
    assert answer["message"].endswith(f" is invalid: {field}: {cause['message']}")


async def test_all_that_is_wrong_is_told_at_once(api: Api) -> None:
    wrong = job("a")
    wrong["spec"]["template"]["metadata"] = {"labels": {"a b": "c d"}}
    wrong["spec"]["template"]["spec"]["containers"][0]["name"] = "C"
    code, answer = await api.ask("POST", JOBS, wrong)
    fields = [cause["field"] for cause in answer["details"]["causes"]]
    assert (code, fields) == (422, ["spec.template.labels"] * 2 + ["spec.template.spec.containers[0].name"])
    assert answer["message"].startswith('Job.batch "a" is invalid: [spec.template.labels: Invalid value: "a b": ')


async def test_a_label_is_refused_in_a_patch_too(api: Api) -> None:
    await api.post(PODS, pod())
    patch = {"metadata": {"labels": {"a": "b c"}}}
    headers = {"Content-Type": "application/merge-patch+json"}
    code, answer = await api.ask("PATCH", f"{PODS}/a", patch, headers=headers)
    assert (code, answer["details"]["causes"][0]["field"]) == (422, "metadata.labels")
    assert "labels" not in (await api.get(f"{PODS}/a"))["metadata"]


@pytest.mark.parametrize("kind", ["pods", "events"])
async def test_nothing_is_made_in_a_namespace_that_is_not_there(api: Api, kind: str) -> None:
    code, answer = await api.ask("POST", f"/api/v1/namespaces/absent/{kind}", pod())
    assert (code, answer["message"], answer["details"]["kind"]) == (404, 'namespaces "absent" not found', "namespaces")


async def test_an_invalid_reference_is_refused_by_the_kubelet(api: Api) -> None:
    told = (
        'Failed to apply default image tag "ghcr.io/Me/a:1": couldn\'t parse image name "ghcr.io/Me/a:1": '
        "invalid reference format: repository name (Me/a) must be lowercase"
    )
    made = await api.post(PODS, pod(image="ghcr.io/Me/a:1"))
    waiting = {"reason": "InvalidImageName", "message": told}
    async with api.watch(f"{PODS}?watch=1&resourceVersion={made['metadata']['resourceVersion']}") as changes:
        while True:
            statuses = (await changes.next())["object"]["status"].get("containerStatuses")
            if statuses and statuses[0]["state"].get("waiting") == waiting:
                break
    events = {(event["reason"], event["message"]) for event in (await api.get("/api/v1/events"))["items"]}
    assert {("InspectFailed", told), ("Failed", "Error: InvalidImageName")} <= events
    assert not any(reason in ("Pulling", "Pulled", "BackOff") for reason, _ in events)
