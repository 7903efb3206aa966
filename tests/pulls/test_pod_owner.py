"""Whose pod it is: by what is told, else by its name, and never more than the name can tell."""

from pathlib import Path

import pytest

from pullstudy.pulls.event import ObjectReference
from pullstudy.pulls.eventlog import LoggedEvent, read_log
from pullstudy.pulls.pod_owner import Belonging, OwnerReference, PodOwner, belonging, job_of_pod, pod_owner

UID = "9c2f1de1-6ba5-428a-95fc-27bfac9f769e"


@pytest.mark.parametrize(
    ("pod", "job"),
    [
        ("container-pull-0-xhjfv", "container-pull"),
        ("pull-3-9l-1176249324-r1-a1-15-2297p", "pull-3-9l-1176249324-r1-a1"),
        ("cron-28862400-0-bcdfg", "cron-28862400"),  # an Indexed Job that a CronJob made
        ("aws-node-ddr66", None),  # a DaemonSet's
        ("event-exporter-6bf9c87d4d-hnlfh", None),  # a Deployment's
        ("kube-dns-8595898865-lt4mz", None),  # the same: one hash in 100 is all digits
        ("cron-28862400-bcdfg", None),  # a CronJob's
        ("web-0", None),  # a StatefulSet's
        ("router-1-deploy", None),  # a DeploymentConfig's
        ("container-pull-0-aeiou", None),
        ("container-pull-00-xhjfv", None),
        ("container-pull-1000000-xhjfv", None),
    ],
)
def test_the_name_of_an_indexed_pod_tells_its_job(pod: str, job: str | None) -> None:
    assert job_of_pod(pod) == job


def test_an_owner_tells_more_than_labels_and_labels_more_than_the_name() -> None:
    name = "router-1-8fjc6"
    labels = {"batch.kubernetes.io/job-name": "by-label", "batch.kubernetes.io/controller-uid": UID}
    replicas = [OwnerReference("ReplicationController", "router-1", UID)]
    assert belonging(name, labels, replicas) == Belonging(owner="ReplicationController/router-1")
    assert belonging(name, labels, [OwnerReference("Job", "j", UID)]) == Belonging("j", UID, "Job/j")
    assert belonging(name, labels, None) == Belonging("by-label", UID, "Job/by-label")
    assert belonging(name, {"job-name": "old", "controller-uid": UID}, []) == Belonging("old", UID, "Job/old")
    assert belonging(name, {"app": "router"}, None) == Belonging()
    assert belonging(name, None, None) == Belonging(job="router"), "a name is all there is"


def test_of_several_owners_a_job_is_the_one() -> None:
    owners = [OwnerReference("ConfigMap", "c"), OwnerReference("Job", "j", UID)]
    assert belonging("p", None, owners) == Belonging("j", UID, "Job/j")


@pytest.mark.parametrize(
    ("pod", "owner", "found"),
    [
        ("web-6bf9c87d4d-hnlfh", "ReplicaSet/web-6bf9c87d4d", PodOwner("Deployment", "web")),
        ("web-hnlfh", "ReplicaSet/web", PodOwner("ReplicaSet", "web")),
        ("kube-dns-8595898865-lt4mz", "ReplicaSet/kube-dns-8595898865", PodOwner("Deployment", "kube-dns")),
        ("router-1-8fjc6", "ReplicationController/router-1", PodOwner("DeploymentConfig", "router")),
        ("plugin-2-8fjc6", "DaemonSet/plugin-2", PodOwner("DaemonSet", "plugin-2")),
        ("web-0", "StatefulSet/web", PodOwner("StatefulSet", "web")),
        ("cron-28862400-bcdfg", "Job/cron-28862400", PodOwner("CronJob", "cron")),
        ("old-1600000000-bcdfg", "Job/old-1600000000", PodOwner("CronJob", "old")),
        ("pull-0-xhjfv", "Job/pull", PodOwner("Job", "pull")),
        ("kube-proxy-node-1", "Node/node-1", PodOwner("static pod", "kube-proxy")),
        ("train-worker-0", "PyTorchJob/train", PodOwner("PyTorchJob", "train")),
    ],
)
def test_what_people_deployed_stands_behind_the_controller(pod: str, owner: str, found: PodOwner) -> None:
    assert pod_owner(pod, owner=owner) == found


@pytest.mark.parametrize(
    ("pod", "found"),
    [
        ("kube-proxy-node-1", PodOwner("static pod", "kube-proxy")),
        ("event-exporter-6bf9c87d4d-hnlfh", PodOwner("Deployment", "event-exporter")),
        ("kube-dns-8595898865-lt4mz", PodOwner("Deployment", "kube-dns")),
        ("cron-28862400-bcdfg", PodOwner("CronJob", "cron")),
        ("aws-node-ddr66", PodOwner(None, "aws-node")),
        ("web-0", PodOwner("StatefulSet", "web")),
        ("my-nginx", PodOwner(None, "my-nginx")),
    ],
)
def test_a_name_tells_no_more_than_its_form(pod: str, found: PodOwner) -> None:
    assert pod_owner(pod, node="node-1") == found


def test_a_recorded_job_is_the_owner_where_no_other_is_told() -> None:
    assert pod_owner("pull-0-xhjfv", job="pull") == PodOwner("Job", "pull")


def test_the_names_of_real_pods_agree_with_the_owners_that_the_exporter_wrote(study_data: Path) -> None:
    """Of 12,000 events: the name never tells another job or owner, and leaves the kind open for DaemonSets alone."""
    seen = 0
    for reference, node in _real_pods(study_data):
        seen += 1
        told = belonging(reference.name, reference.labels, reference.owner_references)
        assert belonging(reference.name, None, None).job == told.job
        by_owner = pod_owner(reference.name, node=node, owner=told.owner)
        by_name = pod_owner(reference.name, node=node, job=told.job)
        assert by_name in (by_owner, PodOwner(None, by_owner.name))
        assert by_name.kind is not None or by_owner.kind in ("DaemonSet", "static pod")
    assert seen > 8_000


def _real_pods(study_data: Path) -> list[tuple[ObjectReference, str | None]]:
    found = []
    for path in sorted(study_data.glob("*/events-*")):
        with path.open("rb") as lines:
            events = [item.event for item in read_log(lines) if isinstance(item, LoggedEvent)]
        found += [
            (event.object, event.host)
            for event in events
            if event.object and event.object.kind == "Pod" and event.object.owner_references
        ]
    return found
