"""Pods of one job stay apart, however pods come and go."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pullstudy.sim.control.placement import MAX_PODS, Placement

HOST = "kubernetes.io/hostname"


def node(name: str, zone: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {HOST: name, "zone": zone}}, "spec": {}}


def pod(uid: str, job: str, key: str | None = HOST) -> dict[str, Any]:
    term = {"labelSelector": {"matchLabels": {"job": job}}, "topologyKey": key}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    spec: dict[str, Any] = {"affinity": apart} if key else {}
    return {"metadata": {"uid": uid, "namespace": "default", "labels": {"job": job}}, "spec": spec}


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from(["place", "end"]), st.integers(0, 9), st.sampled_from("xy")), max_size=40),
    st.sampled_from([HOST, "zone"]),
)
def test_a_pod_may_go_wherever_no_living_pod_of_its_job_is(
    zones: list[str], steps: list[tuple[str, int, str]], key: str
) -> None:
    placement = Placement()
    nodes = [node(f"node-{number}", zone) for number, zone in enumerate(zones)]
    for each in nodes:
        placement.node_changed(each)
    living: dict[str, dict[str, Any]] = {}
    for number, (step, choice, job) in enumerate(steps):
        if step == "end":
            if living:
                placement.release(living.pop(sorted(living)[choice % len(living)]))
            continue
        new = pod(f"pod-{number:02}", job, key)
        taken = {
            label(nodes, other["spec"]["nodeName"], key) for other in living.values() if job_of(other) == job_of(new)
        }
        names, refusals = placement.feasible(new)
        assert list(names) == [n["metadata"]["name"] for n in nodes if n["metadata"]["labels"][key] not in taken]
        assert len(names) + refusals.total() == len(nodes)
        if names:
            new["spec"]["nodeName"] = names[choice % len(names)]
            placement.occupy(new, new["spec"]["nodeName"])
            living[new["metadata"]["uid"]] = new


def label(nodes: list[dict[str, Any]], name: str, key: str) -> str:
    (found,) = [n["metadata"]["labels"][key] for n in nodes if n["metadata"]["name"] == name]
    return str(found)


def job_of(each: dict[str, Any]) -> str:
    return str(each["metadata"]["labels"]["job"])


def test_a_node_takes_so_many_pods_and_no_more_until_one_has_ended() -> None:
    placement = Placement()
    placement.node_changed(node("node-0", "a"))
    placed = []
    for number in range(MAX_PODS):
        new = pod(f"pod-{number}", "x", key=None)
        assert list(placement.feasible(new)[0]) == ["node-0"]
        new["spec"]["nodeName"] = "node-0"
        placement.occupy(new, "node-0")
        placed.append(new)
    assert list(placement.feasible(pod("more", "x", key=None))[0]) == []
    placement.release(placed[0])
    assert list(placement.feasible(pod("more", "x", key=None))[0]) == ["node-0"]
