"""The roles of deploy/ on a real API server: who has them can do their work, and nothing beside it."""

import asyncio
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from driver.clusters.cluster_api import open_cluster
from driver.errors import ProviderError
from driver.jobs.job import job_manifest
from driver.planning.study import Study
from driver.providers.kubeconfig.cleaner import Cleaner
from driver.providers.kubeconfig.nodes import RUN_LABEL
from driver.providers.kubeconfig.provider import KubeconfigProvider
from pullstudy.kube.access import Access
from pullstudy.kube.client import open_client
from pullstudy.kube.errors import ApiError, StatusError
from pullstudy.kube.list_watch import ListWatch
from pullstudy.kube.settings import WatchSettings
from tests.deploy.access_review import Reviewer, Right, every_right
from tests.deploy.conftest import Applied
from tests.real.collecting import Collector
from tests.real.load import Load, event_writer, pulled
from tests.stack.access import ApiRefusedError
from tests.stack.control_plane import ControlPlane
from tests.stack.error import StackError

pytestmark = pytest.mark.real

COLLECTOR = "system:serviceaccount:pullstudy:collector"
NAMESPACED = "system:serviceaccount:pulling-study:collector"
DRIVER = "system:serviceaccount:pulling-study:pulldriver"
STUDY_NAMESPACE = "pulling-study"
CORE = "/api/v1/namespaces/default"

COLLECTORS = {(verb, "", resource) for verb in ("list", "watch") for resource in ("events", "pods")}

NODES = {("list", "", "nodes"), ("patch", "", "nodes")}

Used = tuple[str, str, str, str]  # verb, group, resource, name


def used(cluster: ControlPlane, user: str) -> set[Used]:
    """What the user did and was allowed to, by the audit log; names only of single objects that are not made."""
    return {
        (entry["verb"], entry["objectRef"].get("apiGroup", ""), entry["objectRef"]["resource"], _name(entry))
        for entry in cluster.audited(user)
        if "objectRef" in entry and entry.get("annotations", {}).get("authorization.k8s.io/decision") == "allow"
    }


def _name(entry: dict[str, Any]) -> str:
    return str(entry["objectRef"].get("name", "")) if entry["verb"] == "get" else ""


async def rights_beyond_everybodys(cluster: ControlPlane, token: str, namespace: str = "") -> set[Right]:
    """What the token may do that one without any role may not."""
    rights = await every_right(cluster)
    await _stranger(cluster)
    stranger = Reviewer(cluster, await cluster.access.service_account_token("stranger"))
    everybodys = await stranger.allowed(rights, namespace=namespace)
    assert len(everybodys) < 10, "of the rights that everybody has there are few"
    return await Reviewer(cluster, token).allowed(rights, namespace=namespace) - everybodys


async def _stranger(cluster: ControlPlane) -> None:
    try:
        await cluster.access.service_account("stranger")
    except ApiRefusedError as error:
        if error.status != 409:  # made by another test
            raise


# The collector


async def go_on(collector: Collector) -> None:
    """Stop it and start it again: it asks for a list at the version where it was, the first one came inside a watch."""
    await collector.stop()
    await collector.start()
    await collector.stop()


async def test_a_collector_with_its_role_stores_real_events_and_uses_no_more_than_it_was_given(
    applied: Applied, namespace: str, tmp_path: Path
) -> None:
    access = applied.cluster.access
    token = await access.service_account_token("collector", "pullstudy")
    kubeconfig = access.kubeconfig_with("collector", {"token": token})
    async with event_writer(access.kubeconfig(), namespace) as writer:
        await writer.write(Load(events=30, nodes=8, job="before"))
        async with Collector(kubeconfig, tmp_path) as collector:
            await writer.write(Load(events=30, nodes=8, job="live"))
            await collector.until_stored(writer.acknowledged.identities, namespace)
            await go_on(collector)
    assert collector.stored(namespace) == writer.acknowledged.identities
    assert not collector.said("may not be read"), "the cluster's identity is known"
    assert used(applied.cluster, COLLECTOR) == {
        ("list", "", "events", ""),
        ("watch", "", "events", ""),
        ("list", "", "pods", ""),
        ("watch", "", "pods", ""),
        ("get", "", "namespaces", "kube-system"),
    }


async def test_the_collector_has_no_other_right_on_anything_that_the_api_server_serves(applied: Applied) -> None:
    token = await applied.cluster.access.service_account_token("collector", "pullstudy")
    assert await rights_beyond_everybodys(applied.cluster, token) == COLLECTORS
    namespaces = {("get", "", "namespaces"), ("list", "", "namespaces"), ("delete", "", "namespaces")}
    reviewer = Reviewer(applied.cluster, token)
    assert await reviewer.allowed(namespaces, name="kube-system") == {("get", "", "namespaces")}
    assert await reviewer.allowed(namespaces, name="default") == set()


REFUSED: list[tuple[str, str, object]] = [
    ("GET", f"{CORE}/events/some", None),
    ("POST", f"{CORE}/events", pulled("refused", 0, 1, "default", 1_700_000_000.0)),
    ("PATCH", f"{CORE}/events/some", {"count": 2}),
    ("DELETE", f"{CORE}/events/some", None),
    ("DELETE", f"{CORE}/events", None),
    ("GET", "/apis/events.k8s.io/v1/events", None),
    ("GET", f"{CORE}/pods/some", None),
    ("PATCH", f"{CORE}/pods/some", {"metadata": {}}),
    ("GET", f"{CORE}/pods/some/status", None),
    ("POST", f"{CORE}/pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}),
    ("DELETE", f"{CORE}/pods/some", None),
    ("POST", f"{CORE}/pods/some/exec?command=id", None),
    ("GET", f"{CORE}/pods/some/log", None),
    ("GET", "/api/v1/secrets", None),
    ("GET", "/api/v1/namespaces/pullstudy/secrets", None),
    ("GET", "/api/v1/nodes", None),
    ("GET", "/api/v1/nodes/some/proxy/configz", None),
    ("DELETE", "/api/v1/nodes/some", None),
    ("GET", "/api/v1/namespaces", None),
    ("GET", "/api/v1/namespaces/default", None),
    ("POST", "/api/v1/namespaces", {"metadata": {"name": "another"}}),
    ("GET", "/api/v1/configmaps", None),
    ("POST", "/apis/batch/v1/namespaces/default/jobs", {"metadata": {"name": "j"}}),
    ("POST", "/api/v1/namespaces/pullstudy/serviceaccounts/collector/token", {"spec": {}}),
    ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {"metadata": {"name": "b"}}),
]


@pytest.mark.parametrize(("method", "path", "body"), REFUSED)
async def test_the_collectors_token_is_answered_403(applied: Applied, method: str, path: str, body: object) -> None:
    access = applied.cluster.access
    token = await access.service_account_token("collector", "pullstudy")
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    with pytest.raises(ApiRefusedError) as refused:
        await access.request(method, path, body, token=token, kind=kind)
    assert refused.value.status == 403


# The collector of one namespace


async def test_a_collector_with_a_role_in_one_namespace_stores_its_events_and_is_refused_everywhere_else(
    applied: Applied, namespace: str, tmp_path: Path
) -> None:
    access = applied.cluster.access
    token = await access.service_account_token("collector", STUDY_NAMESPACE)
    kubeconfig = access.kubeconfig_with("namespaced", {"token": token})
    own, elsewhere = f"own-{namespace}", f"elsewhere-{namespace}"
    async with (
        event_writer(access.kubeconfig(), STUDY_NAMESPACE) as writer,
        event_writer(access.kubeconfig(), namespace) as other,
    ):
        await other.write(Load(events=10, nodes=2, job=elsewhere))
        await writer.write(Load(events=20, nodes=8, job=own))
        async with Collector(kubeconfig, tmp_path, more=["--namespace", STUDY_NAMESPACE]) as collector:
            await writer.write(Load(events=20, nodes=8, job=f"live-{own}"))
            await collector.until_stored(writer.acknowledged.identities, STUDY_NAMESPACE)
            await go_on(collector)
    assert collector.stored(STUDY_NAMESPACE) >= writer.acknowledged.identities
    assert collector.stored(namespace) == set()
    assert not collector.said("may not be read")
    identity = ("get", "", "namespaces", STUDY_NAMESPACE)
    assert used(applied.cluster, NAMESPACED) == {(*right, "") for right in COLLECTORS} | {identity}
    assert await rights_beyond_everybodys(applied.cluster, token, STUDY_NAMESPACE) == COLLECTORS | {identity[:3]}
    assert await rights_beyond_everybodys(applied.cluster, token, namespace) == set()


async def test_a_collector_of_all_namespaces_says_in_one_line_that_a_role_in_one_is_too_little(
    applied: Applied, tmp_path: Path
) -> None:
    access = applied.cluster.access
    token = await access.service_account_token("collector", STUDY_NAMESPACE)
    collector = Collector(access.kubeconfig_with("too-little", {"token": token}), tmp_path)
    with pytest.raises(StackError, match="may not read events: allow 'list' and 'watch' on events in all namespaces"):
        await collector.start()


# The driver


async def test_a_driver_with_its_role_runs_a_job_and_uses_all_that_it_was_given(applied: Applied) -> None:
    access = applied.cluster.access
    token = await access.service_account_token("pulldriver", STUDY_NAMESPACE)
    await drive(access.kubeconfig_with("pulldriver", {"token": token}), f"pull-0-rbac-{time.time_ns():x}"[:40])
    given = {(verb, "batch", "jobs") for verb in ("create", "get", "list", "watch", "delete", "deletecollection")}
    given |= {(verb, "apps", "daemonsets") for verb in ("create", "delete", "deletecollection")}
    given |= COLLECTORS | {("get", "", "namespaces")} | NODES
    assert {(verb, group, resource) for verb, group, resource, _ in used(applied.cluster, DRIVER)} == given
    rights = await rights_beyond_everybodys(applied.cluster, token, STUDY_NAMESPACE)
    assert rights == given | COLLECTORS
    elsewhere = await rights_beyond_everybodys(applied.cluster, token, "kube-system")
    assert elsewhere == NODES | COLLECTORS, "jobs and pods in the study's namespace only"


async def open_watch(kubeconfig: Path, path: str, selector: tuple[str, str]) -> None:
    """All that a watch asks for: a list, whether its version is known, and the watch."""
    async with open_client(Access(str(kubeconfig)), WatchSettings()) as client:
        objects = ListWatch(client, path, [selector])
        version = (await objects.list_page(limit=500, continue_token=None)).metadata.resource_version
        try:
            await objects.prove(version)
        except StatusError as error:  # a watch cache that is behind: the watch then lists anew
            if not error.answer.version_too_large:
                raise
        async with aclosing(objects.watch(version, 1.0)) as chunks:
            async for _ in chunks:
                break


async def drive(kubeconfig: Path, job: str) -> None:
    """Each verb of the driver's edge to a cluster, once. A whole sweep with this role is in tests/real."""
    study = Study()
    node = "/api/v1/nodes/of-nobody"
    handle = {"kubeconfig": str(kubeconfig), "namespace": STUDY_NAMESPACE, "mark": job, "nodes": ["of-nobody"]}
    async with open_cluster(kubeconfig, STUDY_NAMESPACE) as api:
        manifest = job_manifest(study, job, "example.invalid/image:1", 1)
        manifest["metadata"]["namespace"] = STUDY_NAMESPACE
        await api.nodes()
        made = await api.create_job(manifest)
        assert (await api.job(job)).metadata.uid == made.metadata.uid
        selector = ("fieldSelector", f"metadata.name={job}")
        await api.list_objects(api.jobs_path, selector, bytes)
        await api.pods(job)
        await api.events("Pulled")
        assert [page async for page in api.event_pages()]
        pull_events = (api.events_path, ("fieldSelector", "reason=Pulled"))
        for path, chosen in ((api.jobs_path, selector), (api.pods_path, api.pods_of(job)), pull_events):
            await open_watch(kubeconfig, path, chosen)
        await api.delete_job(job)
        with pytest.raises(ApiError, match="404"):
            await api.change(node, {"metadata": {"labels": {RUN_LABEL: job}}})
        cleaner = Cleaner(api, {RUN_LABEL: job}, image="x", socket="/x", limit_seconds=0.1, sleep=asyncio.sleep)
        with pytest.raises(ProviderError, match="0 of 1 nodes are clear"):
            await cleaner.clear(["example.invalid/image:1"], 1)
    await KubeconfigProvider(kubeconfig).down("kube-rbac-1", handle)
