"""Real pulls by a real kubelet: records, containerd's own log and the pods' status are three witnesses of one thing.

Skipped, with the reason, where the machine allows no real node.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from driver.jobs.audit import places
from driver.jobs.pod_status import pod_witnesses
from pullstudy.kube.objects import Page
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.failure import FailureClass, classify
from pullstudy.pulls.pod import Pod
from pullstudy.pulls.record import WITNESS_PREFIX, Outcome, PullRecord
from pullstudy.pulls.witness import PodWitness, had_its_image
from tests.real.collecting import Collector
from tests.real.containerd_log import PullLine, attempts
from tests.stack.control_plane import ControlPlane
from tests.stack.home import StackHome
from tests.stack.node import KubeletNode
from tests.stack.pod import pod
from tests.stack.registry import Registry
from tests.stack.wait import until

pytestmark = pytest.mark.real

ORIGIN = Origin(cluster="real")
DEADLINE_SECONDS = 120
KUBELETS_OVERHEAD_SECONDS = 2.0
"""The kubelet's duration has the call to containerd, over a socket, around containerd's; far more than that takes."""
ROUNDING_SECONDS = 0.002  # the kubelet cuts to the millisecond


@pytest_asyncio.fixture
async def collector(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Collector]:
    """A collector of the shared cluster."""
    async with Collector(control_plane.access.kubeconfig(), tmp_path) as running:
        yield running


async def start(cluster: ControlPlane, namespace: str, manifest: dict[str, Any]) -> None:
    await cluster.access.request("POST", f"/api/v1/namespaces/{namespace}/pods", manifest)


async def pods(cluster: ControlPlane, namespace: str) -> list[Pod]:
    page = await cluster.access.request("GET", f"/api/v1/namespaces/{namespace}/pods")
    return list(msgspec.convert(page, Page[Pod]).objects)


async def witnesses(cluster: ControlPlane, namespace: str) -> list[PodWitness]:
    """A row a container, once every one of them has ended."""
    found: list[PodWitness] = []

    async def all_ended() -> bool:
        found[:] = pod_witnesses(await pods(cluster, namespace), ORIGIN, "none")
        return bool(found) and all(row.finished_at is not None for row in found)

    await until(all_ended, DEADLINE_SECONDS, f"the containers in {namespace} to end")
    return found


async def until_told(
    collector: Collector, namespace: str, enough: Callable[[list[PullRecord]], bool], what: str
) -> list[PullRecord]:
    found: list[PullRecord] = []

    async def told() -> bool:
        found[:] = collector.records(namespace)
        return enough(found)

    await until(told, DEADLINE_SECONDS, what)
    return found


def of(records: Sequence[PullRecord], name: str, outcome: Outcome) -> list[PullRecord]:
    return [record for record in records if record.pod == name and record.outcome is outcome]


def logged(node: KubeletNode, image: str) -> list[PullLine]:
    return [line for line in attempts(node.containerd.process.output()) if line.image == image]


async def test_records_agree_with_containerds_log_and_with_pod_status(
    collector: Collector, node: KubeletNode, control_plane: ControlPlane, registry: Registry, namespace: str
) -> None:
    sizes = {"small": [200_000], "layered": [1_000_000] * 8, "large": [30_000_000]}
    images = {name: await registry.push_new(f"pulls/{name}:1", layers, seed=21) for name, layers in sizes.items()}
    for name, image in images.items():
        await start(control_plane, namespace, pod(name, [image.reference], node=node.name))
    rows = {row.pod: row for row in await witnesses(control_plane, namespace)}
    records = await until_told(collector, namespace, lambda found: len(found) >= 3, "three pulls")
    assert len(records) == 3
    for name, image in images.items():
        (record,) = of(records, name, Outcome.PULLED)
        (line,) = logged(node, image.reference)
        assert (record.node, record.image, record.container) == (node.name, image.reference, "c0")
        assert (record.repository, record.tag) == (f"{registry.host}/pulls/{name}", "1")
        assert line.reference is not None
        assert record.pull_seconds is not None
        over = record.pull_seconds - line.seconds
        assert -ROUNDING_SECONDS <= over <= KUBELETS_OVERHEAD_SECONDS
        assert record.finished_at is not None
        behind = (record.finished_at - line.ended_at).total_seconds()
        assert -ROUNDING_SECONDS <= behind <= KUBELETS_OVERHEAD_SECONDS
        assert image.image_bytes <= (record.image_bytes or 0) < image.image_bytes + 10_000
        assert (rows[name].image_id or "").endswith(image.digest), "the digest that was pushed"
        assert (rows[name].pod_uid, rows[name].node) == (record.pod_uid, record.node)
        started = rows[name].started_at
        assert started is not None
        assert (started - record.finished_at).total_seconds() > -1, "status is cut to the second"


async def test_an_image_that_is_there_is_cached_and_containerd_was_not_asked(
    collector: Collector, node: KubeletNode, control_plane: ControlPlane, registry: Registry, namespace: str
) -> None:
    image = await registry.push_new("pulls/again:1", [500_000], seed=22)
    await start(control_plane, namespace, pod("first", [image.reference], node=node.name))
    await witnesses(control_plane, namespace)
    await start(control_plane, namespace, pod("present", [image.reference], node=node.name))
    await start(control_plane, namespace, pod("never", [image.reference], node=node.name, policy="Never"))
    rows = await witnesses(control_plane, namespace)
    records = await until_told(collector, namespace, lambda found: len(found) >= 3, "three pulls")
    assert {record.pod: record.outcome for record in records} == {
        "first": Outcome.PULLED,
        "present": Outcome.CACHED,
        "never": Outcome.CACHED,
    }
    for name in ("present", "never"):
        (record,) = of(records, name, Outcome.CACHED)
        assert (record.pull_seconds, record.waiting_seconds, record.image_bytes) == (None, None, None)
    assert len(logged(node, image.reference)) == 1
    assert all(had_its_image(row) for row in rows)


async def test_each_container_of_a_pod_has_a_record_of_its_own(
    collector: Collector, node: KubeletNode, control_plane: ControlPlane, registry: Registry, namespace: str
) -> None:
    images = [await registry.push_new(f"pulls/one-of-{n}:1", [300_000], seed=30 + n) for n in range(3)]
    await start(control_plane, namespace, pod("several", [image.reference for image in images], node=node.name))
    rows = await witnesses(control_plane, namespace)
    records = await until_told(collector, namespace, lambda found: len(found) >= 3, "three pulls")
    told = {(record.pod_uid, record.container): record.image for record in records}
    assert told == {(row.pod_uid, row.container): row.image for row in rows}
    assert {record.outcome for record in records} == {Outcome.PULLED}


# Failures


async def failed(collector: Collector, namespace: str, name: str) -> PullRecord:
    def enough(found: list[PullRecord]) -> bool:
        return bool(of(found, name, Outcome.FAILED))

    return of(await until_told(collector, namespace, enough, f"{name} to fail"), name, Outcome.FAILED)[0]


async def test_a_missing_tag_a_damaged_layer_and_a_policy_of_never_fail_by_their_class(
    collector: Collector, node: KubeletNode, control_plane: ControlPlane, registry: Registry, namespace: str
) -> None:
    image = await registry.push_new("pulls/damaged:1", [3_000_000, 2_000_000], seed=23)
    registry.corrupt(image.layers[1])
    missing = f"{registry.host}/pulls/damaged:2"
    absent = f"{registry.host}/pulls/absent:1"
    await start(control_plane, namespace, pod("missing", [missing], node=node.name))
    await start(control_plane, namespace, pod("damaged", [image.reference], node=node.name))
    await start(control_plane, namespace, pod("never", [absent], node=node.name, policy="Never"))
    expected = {
        "missing": (missing, FailureClass.NOT_FOUND),
        "damaged": (image.reference, FailureClass.CORRUPT),
        "never": (absent, FailureClass.NEVER_PULL),
    }
    for name, (reference, kind) in expected.items():
        record = await failed(collector, namespace, name)
        assert (record.image, classify(record.error)) == (reference, kind)
        assert (record.pull_seconds, record.node) == (None, node.name)
    for reference in (missing, image.reference):
        assert {line.reference for line in logged(node, reference)} == {None}, "containerd says that it failed, too"
    assert logged(node, absent) == []
    assert not any(had_its_image(row) for row in pod_witnesses(await pods(control_plane, namespace), ORIGIN, "none"))


async def test_a_pull_without_credentials_is_refused_and_with_them_succeeds(
    stack_home: StackHome,
    tmp_path: Path,
    collector: Collector,
    node: KubeletNode,
    control_plane: ControlPlane,
    namespace: str,
) -> None:
    async with Registry(stack_home, tmp_path / "registry", credentials=("user", "secret")) as closed:
        image = await closed.push_new("pulls/closed:1", [400_000], seed=24)
        await start(control_plane, namespace, pod("refused", [image.reference], node=node.name))
        assert classify((await failed(collector, namespace, "refused")).error) is FailureClass.UNAUTHORIZED
        secrets = f"/api/v1/namespaces/{namespace}/secrets"
        await control_plane.access.request("POST", secrets, closed.pull_secret("key"))
        await start(control_plane, namespace, pod("let-in", [image.reference], node=node.name, secret="key"))
        let_in: Callable[[list[PullRecord]], bool] = lambda found: bool(of(found, "let-in", Outcome.PULLED))  # noqa: E731
        await until_told(collector, namespace, let_in, "the pull with a secret")
    assert len([line for line in logged(node, image.reference) if line.reference is not None]) == 1


# What the sender loses


IMAGES = 12


async def test_what_the_kubelet_did_not_tell_of_a_pod_with_12_images_is_recorded_from_its_status(
    node: KubeletNode, control_plane: ControlPlane, registry: Registry, namespace: str, tmp_path: Path
) -> None:
    """[24] The recorder's spam filter passes 25 events of one pod; four a container would be 48."""
    images = [await registry.push_new(f"pulls/twelve-{n}:1", [100_000], seed=50 + n) for n in range(IMAGES)]
    references = [image.reference for image in images]
    grace = ["--reconcile-grace", "5s", "--namespace", namespace]
    async with Collector(control_plane.access.kubeconfig(), tmp_path, more=grace) as collector:
        await start(control_plane, namespace, pod("twelve", references, node=node.name))
        rows = await witnesses(control_plane, namespace)
        assert len(rows) == IMAGES
        assert all(len(logged(node, reference)) == 1 for reference in references), "each was pulled"
        complete = lambda found: len(places(found)) == IMAGES  # noqa: E731
        records = await until_told(collector, namespace, complete, "a record of each container")
        listed = (await control_plane.access.request("GET", f"/api/v1/namespaces/{namespace}/events"))["items"]
        await collector.stop()
    witnessed = [record for record in records if record.event_uid.startswith(WITNESS_PREFIX)]
    told = {record.container for record in records if record not in witnessed and record.container}
    assert told == _containers_told(listed), "by events those that the API server has"
    assert {record.container for record in witnessed} == {row.container for row in rows} - told
    assert witnessed, "more than 25 events of one pod were not to be sent"
    digests = {image.reference: image.digest for image in images}
    started = {row.container: row.started_at for row in rows}
    for record in witnessed:
        assert (record.outcome, record.digest) == (Outcome.PULLED, digests[record.image or ""])
        assert (record.pull_seconds, record.started_at, record.image_bytes) == (None, None, None)
        assert (record.finished_at, record.node) == (started[record.container or ""], node.name)
    combined = [record for record in records if record.image is None]
    assert all(record.container is None for record in combined), "pinned on no container"
    assert len(combined) == _combined(listed)
    (line,) = collector.said("no event told of these pulls")
    assert f" pulls={len(witnessed)} " in line
    assert f" untold={len(witnessed)} " in collector.said("status")[-1]


def _containers_told(listed: list[dict[str, Any]]) -> set[str]:
    told = [item for item in listed if item["reason"] == "Pulled" and not item["message"].startswith("(combined")]
    return {item["involvedObject"]["fieldPath"].removeprefix("spec.containers{").removesuffix("}") for item in told}


def _combined(listed: list[dict[str, Any]]) -> int:
    return sum(item["reason"] == "Pulled" and item["message"].startswith("(combined from") for item in listed)


async def test_combined_events_of_a_pod_with_12_missing_images_are_pinned_on_no_image(
    collector: Collector, node: KubeletNode, control_plane: ControlPlane, registry: Registry, namespace: str
) -> None:
    """[24] From the tenth different message the recorder sends one event for all that follow."""
    references = [f"{registry.host}/pulls/missing-{n}:1" for n in range(IMAGES)]
    await start(control_plane, namespace, pod("twelve", references, node=node.name))

    def combined(found: list[PullRecord]) -> list[PullRecord]:
        return [record for record in found if (record.error or "").startswith("(combined from similar events)")]

    records = await until_told(collector, namespace, lambda found: bool(combined(found)), "a combined event")
    assert {(record.image, record.container, record.outcome) for record in combined(records)} == {
        (None, None, Outcome.FAILED)
    }
    single = {record.image for record in of(records, "twelve", Outcome.FAILED) if record.image is not None}
    assert single < set(references), "some images' failures are known by their own event, and not all"
    await collector.stop()
    rejects = {reject.problem for reject in collector.rejects()}
    assert "Failed events combined: which image each was of is not told" in rejects
