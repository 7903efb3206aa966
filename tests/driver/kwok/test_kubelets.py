"""The kubelets of fake nodes: what a consumer of the API sees of them is what real ones write."""

import pytest

from driver.providers.kwok.kubelets.nodes import node_names
from pullstudy.pulls.record import Outcome
from pullstudy.sim.model.images import describe
from pullstudy.sim.model.parameters import EKS, GKE_LOCAL_SSD, ModelParameters, accelerated
from pullstudy.sim.model.pull_model import nominal_seconds
from tests.driver.kwok.fake_nodes import LARGE, SMALL, FakeNodes, order


def test_events_are_a_kubelets_in_order_source_and_field_path() -> None:
    nodes = FakeNodes()
    nodes.bind(1)
    nodes.run(60.0)
    events = nodes.events()
    assert [event["reason"] for event in events] == ["Pulling", "Pulled", "Created", "Started"]
    for event in events:
        assert event["source"] == {"component": "kubelet", "host": nodes.names[1]}
        assert event["reportingComponent"] == "kubelet"
        assert event["involvedObject"] == {
            "kind": "Pod", "namespace": "default", "name": "pod-1", "uid": "uid-1", "apiVersion": "v1",
            "resourceVersion": "777", "fieldPath": "spec.containers{pull}",
        }  # fmt: skip
        assert set(event["metadata"]) == {"name", "namespace"}, "uid and creation time are the API server's to give"
    assert [event["message"] for event in events[2:]] == ["Created container: pull", "Started container pull"]


@pytest.mark.parametrize("speed", [1.0, 20.0])
def test_a_pulls_times_agree_with_its_duration_which_is_the_models_at_that_speed(speed: float) -> None:
    nodes = FakeNodes(order(speed=speed))
    nodes.bind(0, LARGE)
    nodes.run(600.0 / speed)
    (pull,), milestones = nodes.decoded()
    assert pull.outcome is Outcome.PULLED
    assert (pull.node, pull.container, pull.image, pull.waiting_seconds) == (nodes.names[0], "pull", LARGE, 0.0)
    assert pull.image_bytes == describe(LARGE).image_bytes
    assert pull.pull_seconds == pytest.approx(nominal_seconds(EKS, describe(LARGE)) / speed, rel=0.05)
    at = {milestone.moment.value: milestone.at for milestone in milestones}
    # The message cuts to milliseconds.
    assert (at["pulled"] - at["pulling"]).total_seconds() == pytest.approx(pull.pull_seconds, abs=0.0011)


@pytest.mark.parametrize("parameters", [EKS, GKE_LOCAL_SSD])
@pytest.mark.parametrize("image", [SMALL, LARGE])
def test_an_accelerated_model_pulls_every_image_in_less_time(parameters: ModelParameters, image: str) -> None:
    usual = nominal_seconds(parameters, describe(image))
    assert nominal_seconds(accelerated(parameters, 60.0), describe(image)) == pytest.approx(usual / 60.0)


def test_the_status_of_a_pod_goes_from_pending_through_running_to_succeeded() -> None:
    nodes = FakeNodes()
    nodes.bind(0)
    nodes.run(60.0)
    statuses = nodes.statuses(0)
    assert list(dict.fromkeys(status["phase"] for status in statuses)) == ["Pending", "Running", "Succeeded"]
    assert all("imageID" in status["containerStatuses"][0] for status in statuses)
    ended = statuses[-1]["containerStatuses"][0]
    assert ended["state"]["terminated"]["exitCode"] == 0
    assert ended["imageID"].startswith("ghcr.io/converged-computing/container-chonks-run1@sha256:")
    assert "PodScheduled" in {condition["type"] for condition in statuses[-1]["conditions"]}


def test_the_node_lists_the_image_until_the_cache_is_cleared_and_then_pulls_again() -> None:
    nodes = FakeNodes()
    nodes.bind(0)
    nodes.run(60.0)
    path = f"/api/v1/nodes/{nodes.names[0]}/status"
    assert [SMALL in str(write.body) for write in nodes.writes if write.path == path] == [True]
    nodes.machines.clear({SMALL})
    assert [SMALL in str(write.body) for write in nodes.writes if write.path == path] == [True, False]
    nodes.bind(7, node=nodes.names[0])
    nodes.run(60.0)
    assert [pull.outcome for pull in nodes.decoded()[0]] == [Outcome.PULLED, Outcome.PULLED]


def test_an_image_that_is_there_is_told_as_present() -> None:
    nodes = FakeNodes()
    nodes.bind(0)
    nodes.run(60.0)
    nodes.bind(7, node=nodes.names[0])
    nodes.run(60.0)
    assert [pull.outcome for pull in nodes.decoded()[0]] == [Outcome.PULLED, Outcome.CACHED]


def test_a_pod_that_is_deleted_while_it_pulls_says_no_more_and_is_removed() -> None:
    nodes = FakeNodes()
    nodes.bind(0, LARGE)
    nodes.run(10.0)
    nodes.bind(0, LARGE, deletionTimestamp="2026-01-01T00:00:10Z")
    nodes.run(600.0)
    assert [event["reason"] for event in nodes.events()] == ["Pulling"]
    removal = nodes.writes[-1]
    assert (removal.method, removal.path) == ("DELETE", "/api/v1/namespaces/default/pods/pod-0")
    assert removal.body == {"gracePeriodSeconds": 0, "preconditions": {"uid": "uid-0"}}
    nodes.machines.pod_changed(nodes.bound_pod(0, LARGE), deleted=True)
    assert nodes.writes[-1] is removal


def test_pods_of_other_nodes_and_ended_ones_are_left_alone() -> None:
    nodes = FakeNodes()
    written = len(nodes.writes)
    nodes.bind(0, node="someone-elses")
    nodes.machines.pod_changed(nodes.bound_pod(1, deletionTimestamp=None), deleted=True)
    nodes.run(600.0)
    assert len(nodes.writes) == written


def test_nodes_are_registered_ready_under_the_names_that_the_driver_expects() -> None:
    wanted = order(nodes=3, domain="0a1b.kwok", labels={"mine": "yes"}, taints=({"key": "k", "effect": "NoSchedule"},))
    posted = [write.body for write in FakeNodes(wanted).writes]
    assert [node["metadata"]["name"] for node in posted] == node_names(wanted)
    assert node_names(wanted)[2] == "ip-192-168-0-3.0a1b.kwok"
    for node in posted:
        assert node["metadata"]["labels"]["kubernetes.io/hostname"] == node["metadata"]["name"]
        assert node["metadata"]["labels"]["mine"] == "yes"
        assert node["spec"]["taints"] == [{"key": "k", "effect": "NoSchedule"}]
        assert {"Ready": "True"}.items() <= {c["type"]: c["status"] for c in node["status"]["conditions"]}.items()
        assert not {"uid", "resourceVersion", "creationTimestamp"} & set(node["metadata"])
