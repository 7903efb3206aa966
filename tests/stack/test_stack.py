"""The real servers do what the tests on them rely on: they answer, come back with their data, and leave nothing."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from influxdb_client import InfluxDBClient, Point
from influxdb_client.client.write_api import SYNCHRONOUS
from kubernetes_asyncio import client, config, watch

from tests.stack.access import ApiRefusedError
from tests.stack.control_plane import ControlPlane
from tests.stack.error import NotPossibleHereError
from tests.stack.home import StackHome
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka, Security
from tests.stack.kwok import Kwok
from tests.stack.machine import CGROUPS, remove_cgroups_of_ended_runs
from tests.stack.node import KubeletNode
from tests.stack.pod import pod
from tests.stack.registry import Registry
from tests.stack.wait import until

pytestmark = pytest.mark.real

EVENT_SECONDS = 60
FLUX_ALL = 'from(bucket: "pulls") |> range(start: 0) |> filter(fn: (r) => r._measurement == "pull")'


@contextmanager
def no_process_left() -> Iterator[None]:
    """After the block this process has the children that it had before."""
    before = set(psutil.Process().children(recursive=True))
    yield
    assert set(psutil.Process().children(recursive=True)) - before == set()


# Kafka


async def send(kafka: Kafka, topic: str, *values: bytes, **login: Any) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, enable_idempotence=True, **login)
    try:
        await producer.start()
        for value in values:
            await producer.send_and_wait(topic, value, key=b"node-1")
    finally:
        await producer.stop()


async def receive(kafka: Kafka, topic: str, count: int, **login: Any) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest", **login)
    try:
        await consumer.start()
        async with asyncio.timeout(30):
            return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_a_killed_broker_comes_back_on_its_port_with_its_records(stack_home: StackHome, tmp_path: Path) -> None:
    with no_process_left():
        async with Kafka(stack_home, tmp_path / "kafka") as kafka:
            await send(kafka, "pulls", b"1", b"2")
            kafka.kill()
            assert not kafka.process.running
            await kafka.restart()
            await send(kafka, "pulls", b"3")
            assert await receive(kafka, "pulls", 3) == [b"1", b"2", b"3"]


async def test_a_frozen_broker_answers_nobody_and_goes_on_when_thawed(own_kafka: Kafka) -> None:
    await send(own_kafka, "pulls", b"before")
    own_kafka.freeze()
    with pytest.raises((KafkaError, TimeoutError)):
        await asyncio.wait_for(send(own_kafka, "pulls", b"lost"), 2)
    own_kafka.thaw()
    await send(own_kafka, "pulls", b"after")
    assert await receive(own_kafka, "pulls", 2) == [b"before", b"after"]


async def test_a_broker_with_tls_and_passwords_lets_in_who_knows_one(stack_home: StackHome, tmp_path: Path) -> None:
    security = Security(tls=True, users={"admin": "secret", "stranger": "known"}, acl=True)
    async with Kafka(stack_home, tmp_path / "kafka", security=security) as kafka:
        assert kafka.authority is not None
        trust = {"security_protocol": security.protocol, "ssl_context": kafka.authority.trust()}
        for mechanism in ("PLAIN", "SCRAM-SHA-512"):
            admin = {"sasl_mechanism": mechanism, "sasl_plain_username": "admin", "sasl_plain_password": "secret"}
            await send(kafka, f"by-{mechanism}", b"hello", **trust, **admin)
            assert await receive(kafka, f"by-{mechanism}", 1, **trust, **admin) == [b"hello"]
            with pytest.raises(KafkaError):
                await send(kafka, "t", b"x", **trust, **{**admin, "sasl_plain_password": "wrong"})
            stranger = {**admin, "sasl_plain_username": "stranger", "sasl_plain_password": "known"}
            with pytest.raises((KafkaError, TimeoutError)):
                await asyncio.wait_for(send(kafka, f"by-{mechanism}", b"x", **trust, **stranger), 10)


# InfluxDB


def write_point(influx: Influx, second: int) -> None:
    settings = {"url": influx.url, "token": influx.token, "org": influx.organisation}
    with InfluxDBClient(**settings) as database, database.write_api(write_options=SYNCHRONOUS) as writer:
        point = Point("pull").tag("node", "n1").field("pull_seconds", 1.5).time(second, write_precision="s")
        writer.write(bucket=influx.bucket, record=point)


async def test_a_killed_influxdb_comes_back_with_its_points(stack_home: StackHome, tmp_path: Path) -> None:
    with no_process_left():
        async with Influx(stack_home, tmp_path / "influx") as influx:
            write_point(influx, 1_700_000_000)
            influx.kill()
            await influx.restart()
            write_point(influx, 1_700_000_001)
            write_point(influx, 1_700_000_001)
            rows = await influx.query(FLUX_ALL)
            assert [(row["node"], row["_value"]) for row in rows] == [("n1", "1.5")] * 2


# Kubernetes


def event(name: str, reason: str = "Pulled") -> dict[str, Any]:
    pod_reference = {"kind": "Pod", "namespace": "default", "name": "p", "uid": "u"}
    return {"metadata": {"name": name}, "involvedObject": pod_reference, "reason": reason, "message": "m"}


@asynccontextmanager
async def core_api(kubeconfig: Path) -> AsyncIterator[client.CoreV1Api]:
    async with await config.new_client_from_config(str(kubeconfig)) as api:
        yield client.CoreV1Api(api)


async def first_watched(api: client.CoreV1Api, version: str) -> Any:
    watcher = watch.Watch()
    async with (
        asyncio.timeout(30),
        watcher.stream(api.list_namespaced_event, "default", resource_version=version) as seen,
    ):
        async for change in seen:
            return change["object"]


async def test_a_user_lists_and_watches_events_and_may_do_no_more(control_plane: ControlPlane) -> None:
    rules = [{"apiGroups": [""], "resources": ["events"], "verbs": ["list", "watch"]}]
    await control_plane.access.grant("looker", rules)
    path = "/api/v1/namespaces/default/events"
    async with core_api(control_plane.access.certificate_kubeconfig("looker")) as api:
        await control_plane.access.request("POST", path, event("first"))
        listed = await api.list_namespaced_event("default")
        assert "first" in {item.metadata.name for item in listed.items}
        await control_plane.access.request("POST", path, event("second"))
        watched = await first_watched(api, listed.metadata.resource_version)
        assert watched.metadata.name == "second"
        with pytest.raises(client.ApiException) as refused:
            await api.list_namespaced_pod("default")
        assert refused.value.status == 403
    await control_plane.access.withdraw("looker")
    verbs = {entry["verb"] for entry in control_plane.audited("looker")}
    assert verbs == {"list", "watch"}


async def test_a_killed_control_plane_comes_back_with_its_objects(stack_home: StackHome, tmp_path: Path) -> None:
    with no_process_left():
        async with ControlPlane(stack_home, tmp_path / "cluster", users=["looker"]) as cluster:
            request = cluster.access.request
            await request("POST", "/api/v1/namespaces/default/events", event("kept"))
            await cluster.api_server.restart()
            assert (await request("GET", "/api/v1/namespaces/default/events/kept"))["reason"] == "Pulled"
            await cluster.restart()
            assert (await request("GET", "/api/v1/namespaces/default/events/kept"))["reason"] == "Pulled"


async def test_a_compacted_cluster_answers_an_old_version_with_410(own_control_plane: ControlPlane) -> None:
    request, path = own_control_plane.access.request, "/api/v1/namespaces/default/events"
    old = (await request("POST", path, event("first")))["metadata"]["resourceVersion"]
    await request("POST", path, event("second"))
    await own_control_plane.forget_history()
    line = await request("GET", f"{path}?watch=1&timeoutSeconds=10&resourceVersion={old}")
    assert (line["type"], line["object"]["code"]) == ("ERROR", 410)


async def test_a_service_account_token_ends_when_told(own_control_plane: ControlPlane) -> None:
    access = own_control_plane.access
    await access.service_account("short")
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    token = await access.service_account_token("short", lifetime_seconds=2)
    answer = await access.request("POST", review, {}, token=token)
    assert answer["status"]["userInfo"]["username"] == "system:serviceaccount:default:short"

    async def refused() -> bool:
        try:
            await access.request("POST", review, {}, token=token)
        except ApiRefusedError as error:
            return error.status == 401
        return False

    await until(refused, 30, "the token to expire")


# Fake nodes


async def test_fake_nodes_turn_ready_and_run_a_pod(kwok: Kwok, control_plane: ControlPlane, namespace: str) -> None:
    names = await kwok.create_nodes(3)
    assert names == ["kwok-0", "kwok-1", "kwok-2"]
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await control_plane.access.request("POST", pods, pod("p", ["example.invalid/image:1"], node="kwok-1"))

    async def runs() -> bool:
        return (await control_plane.access.request("GET", f"{pods}/p"))["status"]["phase"] in ("Running", "Succeeded")

    await until(runs, EVENT_SECONDS, "the pod on a fake node to run")
    for name in names:
        await control_plane.access.request("DELETE", f"/api/v1/nodes/{name}")


# Real nodes


async def pod_events(cluster: ControlPlane, namespace: str, reason: str, count: int = 1) -> list[str]:
    """The messages of the namespace's events of this reason, once there are so many."""
    found: list[str] = []

    async def enough() -> bool:
        listed = await cluster.access.request("GET", f"/api/v1/namespaces/{namespace}/events")
        found[:] = [item["message"] for item in listed["items"] if item["reason"] == reason]
        return len(found) >= count

    await until(enough, EVENT_SECONDS, f"{count} {reason} events in {namespace}")
    return found


async def pull(cluster: ControlPlane, namespace: str, manifest: dict[str, Any]) -> None:
    await cluster.access.request("POST", f"/api/v1/namespaces/{namespace}/pods", manifest)


async def test_a_kubelet_pulls_a_real_image_and_says_so(
    node: KubeletNode, control_plane: ControlPlane, registry: Registry, namespace: str
) -> None:
    image = await registry.push_new("study/three-layers:1", [4_000_000] * 3)
    await pull(control_plane, namespace, pod("p", [image.reference], node=node.name))
    (message,) = await pod_events(control_plane, namespace, "Pulled")
    assert message.startswith(f'Successfully pulled image "{image.reference}" in ')
    size = int(message.rpartition("Image size: ")[2].removesuffix(" bytes."))
    assert image.image_bytes <= size < image.image_bytes + 10_000, "the layers, the configuration and the manifest"
    assert image.reference in await node.images()
    log = node.containerd.process.output()
    assert f'PullImage \\"{image.reference}\\" returns image reference' in log
    await node.forget_image(image.reference)
    assert image.reference not in await node.images()


async def test_a_missing_tag_and_a_corrupted_layer_fail_by_name(
    node: KubeletNode, control_plane: ControlPlane, registry: Registry, namespace: str
) -> None:
    image = await registry.push_new("study/damaged:1", [3_000_000, 2_000_000], seed=7)
    registry.corrupt(image.layers[1])
    missing = f"{registry.host}/study/damaged:2"
    await pull(control_plane, namespace, pod("missing", [missing], node=node.name))
    await pull(control_plane, namespace, pod("damaged", [image.reference], node=node.name))

    async def both_failed() -> bool:
        text = "\n".join(await pod_events(control_plane, namespace, "Failed"))
        return f'pull image "{missing}"' in text and f'pull image "{image.reference}"' in text

    await until(both_failed, EVENT_SECONDS, "both pulls to fail")
    text = "\n".join(await pod_events(control_plane, namespace, "Failed"))
    assert f"{missing}: not found" in text
    assert "unexpected commit digest" in text


async def test_a_registry_with_a_password_refuses_a_pull_without(
    stack_home: StackHome, tmp_path: Path, node: KubeletNode, control_plane: ControlPlane, namespace: str
) -> None:
    async with Registry(stack_home, tmp_path / "registry", credentials=("user", "secret")) as closed:
        image = await closed.push_new("study/closed:1", [1_000_000], seed=9)
        await pull(control_plane, namespace, pod("refused", [image.reference], node=node.name))
        assert "401 Unauthorized" in "\n".join(await pod_events(control_plane, namespace, "Failed", 2))
        await control_plane.access.request("POST", f"/api/v1/namespaces/{namespace}/secrets", closed.pull_secret("key"))
        await pull(control_plane, namespace, pod("let-in", [image.reference], node=node.name, secret="key"))
        (message,) = await pod_events(control_plane, namespace, "Pulled")
        assert message.startswith("Successfully pulled image")


async def test_a_node_without_power_comes_back_with_its_images_and_leaves_nothing(
    stack_home: StackHome, tmp_path: Path, control_plane: ControlPlane, registry: Registry, namespace: str
) -> None:
    image = await registry.push_new("study/kept:1", [1_000_000], seed=11)
    pause = f"{registry.host}/pause:1"
    with no_process_left():
        try:
            machine = KubeletNode(stack_home, tmp_path / "node", control_plane.access, pause, name="real-2")
        except NotPossibleHereError as reason:
            pytest.skip(str(reason))
        async with machine:
            await pull(control_plane, namespace, pod("first", [image.reference], node="real-2"))
            await pod_events(control_plane, namespace, "Started")
            await machine.restart()
            await pull(control_plane, namespace, pod("again", [image.reference], node="real-2"))
            assert any("already present" in said for said in await pod_events(control_plane, namespace, "Pulled", 2))
    await control_plane.access.request("DELETE", "/api/v1/nodes/real-2")


# A killed test run

LONE_RUN = """
import asyncio, json, subprocess, sys
from pathlib import Path
from tests.stack.control_plane import ControlPlane
from tests.stack.home import StackHome
from tests.stack.machine import Machine, why_not

async def main(directory):
    async with ControlPlane(StackHome.from_environment(), directory / "cluster", controllers=False) as cluster:
        pids = [cluster.etcd.process.pid, cluster.api_server.process.pid]
        if why_not() is None:
            machine = Machine(directory / "machine", "lone")
            machine.boot()
            while not machine.booted:
                await asyncio.sleep(0.01)
            subprocess.run(machine.inside(["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 &"]), check=True)
            pids.append(machine.process.pid)
        print(json.dumps(pids), flush=True)
        await asyncio.sleep(600)

asyncio.run(main(Path(sys.argv[1])))
"""


def cgroups_of(pid: int) -> list[Path]:
    return [*CGROUPS.glob(f"*/pullstudy-{pid}-*"), *CGROUPS.glob(f"pullstudy-{pid}-*")]


async def test_servers_end_with_a_test_run_that_is_killed(tmp_path: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    run = await asyncio.create_subprocess_exec(sys.executable, "-c", LONE_RUN, str(tmp_path), stdout=pipe)
    assert run.stdout is not None
    pids = json.loads(await run.stdout.readline())
    family = psutil.Process(run.pid).children(recursive=True)
    assert set(pids) <= {process.pid for process in family}
    os.kill(run.pid, signal.SIGKILL)
    await run.wait()

    async def all_gone() -> bool:
        return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)

    await until(all_gone, 10, f"{pids} to end with the run that started them")
    remove_cgroups_of_ended_runs()
    assert cgroups_of(run.pid) == []
