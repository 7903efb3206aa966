"""``collector check`` on real servers, with each fault in turn: it names what is missing, and what mends it."""

import asyncio
import json
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient

from tests.real.collecting import Collector
from tests.stack.certificate import Authority
from tests.stack.control_plane import ControlPlane
from tests.stack.home import StackHome
from tests.stack.influx import Influx
from tests.stack.kafka import Kafka, Security
from tests.stack.port import free_port

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

RULES = [
    {"apiGroups": [""], "resources": ["events", "pods"], "verbs": ["list", "watch"]},
    {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]},
]
WRITTEN_MEANWHILE = {"acknowledged", "study.sqlite3-shm", "study.sqlite3-wal"}  # by the collector, which goes on
USERS = {"admin": "a", "nobody": "b"}
Found = dict[str, Any]


class Checked:
    """What a run of the command said."""

    def __init__(self, code: int, output: str) -> None:
        self.code = code
        answer = json.loads(output)
        self.ok: bool = answer["ok"]
        self.findings: list[Found] = answer["findings"]

    def of(self, place: str, check: str) -> Found:
        (found,) = [each for each in self.findings if (each["place"], each["check"]) == (place, check)]
        return found

    def levels(self, place: str) -> dict[str, str]:
        return {each["check"]: each["level"] for each in self.findings if each["place"] == place}

    @property
    def bad(self) -> set[tuple[str, str]]:
        return {(each["check"], each["level"]) for each in self.findings if each["level"] != "ok"}


async def check(kubeconfig: Path, directory: Path, *more: str, environment: Mapping[str, str] | None = None) -> Checked:
    program = Path(sys.executable).with_name("collector")
    options = ["--cluster", "real", "--kubeconfig", str(kubeconfig), "--data-dir", str(directory), "--format", "json"]
    child = await asyncio.create_subprocess_exec(
        str(program),
        "check",
        *options,
        *more,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )
    output, complaint = await child.communicate()
    assert complaint == b"", complaint.decode()
    return Checked(child.returncode or 0, output.decode())


async def allowed(cluster: ControlPlane) -> Path:
    """The kubeconfig of a user who may do all that a collector does."""
    await cluster.access.grant("checked", RULES)
    return cluster.access.certificate_kubeconfig("checked")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kubeconfig(control_plane: ControlPlane) -> AsyncIterator[Path]:
    yield await allowed(control_plane)
    await control_plane.access.withdraw("checked")


# The cluster


async def test_who_may_do_everything_is_told_so(kubeconfig: Path, tmp_path: Path) -> None:
    found = await check(kubeconfig, tmp_path / "data")
    assert (found.code, found.ok, found.bad) == (0, True, set())
    assert found.of("cluster", "user")["message"] == "checked"
    assert "v1.34" in found.of("cluster", "API server")["message"]
    rights = ["list events", "watch events", "list pods", "watch pods", "get namespaces"]
    assert [name for name in found.levels("cluster") if name in rights] == rights
    assert not (tmp_path / "data").exists(), "nothing was made"


async def test_what_the_commands_that_it_prints_grant_is_what_was_missing(
    stack_home: StackHome, control_plane: ControlPlane, tmp_path: Path
) -> None:
    kubeconfig = control_plane.access.certificate_kubeconfig("newcomer")
    found = await check(kubeconfig, tmp_path)
    assert found.code == 1
    assert found.bad == {
        ("list events", "failed"),
        ("watch events", "failed"),
        ("list pods", "warning"),
        ("watch pods", "warning"),
        ("get namespaces", "warning"),
        ("events", "failed"),
    }
    commands = [each["todo"] for each in found.findings if (each["todo"] or "").startswith("kubectl ")]
    for command in dict.fromkeys(commands):  # of a resource's two verbs it is the same
        await shell(stack_home, control_plane.access.kubeconfig(), command)
    found = await check(kubeconfig, tmp_path)
    assert (found.code, found.bad) == (0, set())


async def test_of_one_namespace_a_role_is_enough_and_its_commands_grant_it_to_a_service_account(
    stack_home: StackHome, control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    access = control_plane.access
    await access.service_account("tenant", namespace)
    token = await access.service_account_token("tenant", namespace)
    kubeconfig = access.kubeconfig_with("tenant", {"token": token})
    found = await check(kubeconfig, tmp_path, "--namespace", namespace)
    for command in dict.fromkeys(each["todo"] for each in found.findings if "kubectl" in (each["todo"] or "")):
        await shell(stack_home, access.kubeconfig(), command)
    found = await check(kubeconfig, tmp_path, "--namespace", namespace)
    assert (found.code, found.bad) == (0, set())
    assert found.of("cluster", "list pods")["message"] == f"may list pods in namespace {namespace}"
    elsewhere = await check(kubeconfig, tmp_path)
    assert elsewhere.code == 1


async def shell(home: StackHome, kubeconfig: Path, command: str) -> None:
    """As an administrator would run it."""
    path = f"{home.program('kubectl').parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(kubeconfig)}
    child = await asyncio.create_subprocess_shell(
        command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await child.communicate()
    assert child.returncode == 0, complaint.decode()


async def test_without_reconciling_nothing_is_asked_of_pods(kubeconfig: Path, tmp_path: Path) -> None:
    found = await check(kubeconfig, tmp_path, "--no-reconcile")
    assert not any("pods" in each["check"] for each in found.findings)


async def test_a_token_that_is_not_accepted_a_dead_port_and_a_wrong_authority_are_told_apart(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    access = control_plane.access
    wrong_token = access.kubeconfig_with("stale", {"token": "stale"})
    found = await check(wrong_token, tmp_path)
    assert found.code == 1
    assert "401" in found.of("cluster", "API server")["message"]
    assert "log in again" in found.of("cluster", "API server")["todo"]

    def changed(name: str, **fields: str) -> Path:
        content = json.loads(access.kubeconfig().read_text())
        content["clusters"][0]["cluster"] |= fields
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    found = await check(changed("dead", server=f"https://127.0.0.1:{free_port()}"), tmp_path)
    assert "connection refused" in found.of("cluster", "API server")["message"]
    other = Authority(tmp_path / "other").certificate
    found = await check(changed("another", **{"certificate-authority": str(other)}), tmp_path)
    assert "certificate is not trusted" in found.of("cluster", "API server")["message"]
    assert "certificate-authority" in found.of("cluster", "API server")["todo"]


# The data directory


async def test_the_data_directory_is_looked_at_and_left_as_it_is(
    kubeconfig: Path, control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with Collector(kubeconfig, tmp_path) as collector:
        before = {path.name for path in collector.directory.rglob("*")}
        found = await check(kubeconfig, collector.directory, "--spool-limit", "4096GiB")
        assert (found.code, found.bad) == (0, {("room", "warning"), ("spool", "warning")})
        assert str(collector.process.pid) in found.of("data", "spool")["message"]
        after = {path.name for path in collector.directory.rglob("*")}
        assert before <= after <= before | WRITTEN_MEANWHILE
        await collector.stop()
    (tmp_path / "file").write_text("")
    found = await check(kubeconfig, tmp_path / "file")
    assert (found.code, found.bad) == (1, {("directory", "failed")})


# Kafka


async def test_kafka_is_asked_and_nothing_is_left_there(
    kubeconfig: Path, kafka: Kafka, topic: str, tmp_path: Path
) -> None:
    found = await check(kubeconfig, tmp_path, "--kafka", kafka.bootstrap, environment={"KAFKA_TOPIC": topic})
    assert (found.code, found.bad) == (0, set())
    assert found.of("kafka", f"topic {topic}")["message"] == "is not there yet, and can be made"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        assert not [name for name in await admin.list_topics() if name.startswith(topic)]
    finally:
        await admin.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed_kafka(stack_home: StackHome, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kafka]:
    """A broker with TLS, passwords and ACLs."""
    security = Security(tls=True, users=USERS, acl=True)
    async with Kafka(stack_home, tmp_path_factory.mktemp("closed-kafka"), security=security) as broker:
        yield broker


def login(broker: Kafka, user: str, password: str, authority: Path | None = None) -> dict[str, str]:
    assert broker.authority is not None
    return {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": user,
        "KAFKA_SASL_PASSWORD": password,
        "KAFKA_SSL_CAFILE": str(authority or broker.authority.certificate),
    }


async def test_each_fault_of_kafka_is_told_apart(kubeconfig: Path, closed_kafka: Kafka, tmp_path: Path) -> None:
    broker = closed_kafka
    asked = ("--kafka", broker.bootstrap)
    found = await check(kubeconfig, tmp_path, *asked, environment=login(broker, "admin", "a"))
    assert (found.code, found.bad) == (0, set())
    found = await check(kubeconfig, tmp_path, *asked, environment=login(broker, "nobody", "b"))
    assert (found.code, {name for name, _ in found.bad}) == (
        1,
        {"topic pulls", "topic pulls-context", "topic pulls-dead"},
    )
    assert found.of("kafka", "topic pulls")["todo"] == "allow Describe, Write and Read on topic pulls"
    found = await check(kubeconfig, tmp_path, *asked, environment=login(broker, "admin", "wrong"))
    assert "KAFKA_SASL_PASSWORD" in found.of("kafka", "brokers")["todo"]
    other = Authority(tmp_path / "other").certificate
    found = await check(kubeconfig, tmp_path, *asked, environment=login(broker, "admin", "a", other))
    assert "certificate is not trusted" in found.of("kafka", "brokers")["message"]
    assert "KAFKA_SSL_CAFILE" in found.of("kafka", "brokers")["todo"]
    dead = f"127.0.0.1:{free_port()}"
    found = await check(kubeconfig, tmp_path, "--kafka", dead)
    assert found.of("kafka", "brokers")["message"] == f"{dead}: connection refused"


async def test_who_writes_and_may_not_read_is_warned_or_fails_where_the_sink_is_in_the_same_process(
    kubeconfig: Path, closed_kafka: Kafka, influx: Influx, tmp_path: Path
) -> None:
    await closed_kafka.allow("nobody", "Write", "Describe", "Create", topics="half")
    environment = {**login(closed_kafka, "nobody", "b"), "KAFKA_TOPIC": "half"}
    found = await check(kubeconfig, tmp_path, "--kafka", closed_kafka.bootstrap, environment=environment)
    assert (found.code, found.bad) == (0, {("read half", "warning"), ("read half-context", "warning")})
    both = ("--kafka", closed_kafka.bootstrap, "--influx", influx.url)
    found = await check(kubeconfig, tmp_path, *both, environment={**environment, **influx.environment()})
    assert (found.code, found.bad) == (
        1,
        {("read half", "failed"), ("read half-context", "failed"), ("group", "failed")},
    )


# InfluxDB


async def token_for(influx: Influx, bucket: str, *actions: str) -> str:
    """One that may do only this with the bucket."""
    (found,) = (await influx.request("GET", f"/api/v2/buckets?name={bucket}"))["buckets"]
    resource = {"type": "buckets", "id": found["id"], "orgID": found["orgID"]}
    permissions = [{"action": action, "resource": resource} for action in actions]
    made = await influx.request("POST", "/api/v2/authorizations", {"orgID": found["orgID"], "permissions": permissions})
    return str(made["token"])


async def test_each_fault_of_influxdb_is_told_apart(
    kubeconfig: Path, influx: Influx, bucket: str, tmp_path: Path
) -> None:
    good = {**influx.environment(), "INFLUXDB_V2_BUCKET": bucket}

    async def changed(**environment: str) -> Checked:
        return await check(kubeconfig, tmp_path, "--influx", influx.url, environment={**good, **environment})

    found = await changed()
    assert (found.code, found.bad) == (0, set())
    assert found.of("influxdb", "retention")["message"] == "points are kept for ever"
    found = await changed(INFLUXDB_V2_TOKEN="wrong")
    assert (found.code, found.bad) == (1, {("token", "failed")})
    found = await changed(INFLUXDB_V2_BUCKET="missing")
    assert (found.code, found.bad) == (1, {("bucket", "failed")})
    assert 'bucket "missing" not found' in found.of("influxdb", "bucket")["message"]
    found = await changed(INFLUXDB_V2_TOKEN=await token_for(influx, bucket, "read"))
    assert (found.code, found.bad) == (1, {("write", "failed")})
    writing = await token_for(influx, bucket, "write")
    found = await changed(INFLUXDB_V2_TOKEN=writing)
    assert (found.code, found.bad) == (1, {("retention", "warning"), ("layout", "failed")})
    found = await changed(INFLUXDB_V2_TOKEN=writing, INFLUXDB_V2_LAYOUT="2")
    assert (found.code, found.bad) == (0, {("retention", "warning")})
    point = f"pull,cluster=c,node=n,outcome=pulled count=1i {time.time_ns()}"
    async with aiohttp.ClientSession(headers={"Authorization": f"Token {influx.token}"}) as session:
        url = f"{influx.url}/api/v2/write?org={influx.organisation}&bucket=old"
        await influx.new_bucket("old")
        async with session.post(url, data=point) as response:
            assert response.status == 204
    found = await changed(INFLUXDB_V2_BUCKET="old")
    assert (found.code, found.bad) == (0, {("layout", "warning")})
    assert "collector migrate" in found.of("influxdb", "layout")["todo"]
    dead = f"http://127.0.0.1:{free_port()}"
    found = await check(kubeconfig, tmp_path, "--influx", dead, environment=good)
    assert found.of("influxdb", "server")["message"] == f"{dead}: connection refused"
    spoken = influx.url.replace("http:", "https:")
    found = await check(kubeconfig, tmp_path, "--influx", spoken, environment=good)
    assert (found.code, found.bad) == (1, {("server", "failed")})
    count = f'from(bucket: "{bucket}") |> range(start: 0) |> group() |> distinct(column: "_measurement")'
    assert [row["_value"] for row in await influx.query(count)] == ["pullstudy_check"], "and no record"


async def test_an_authority_that_did_not_sign_the_servers_certificate_is_told(
    kubeconfig: Path, influx: Influx, tmp_path: Path
) -> None:
    """influxd itself speaks plain HTTP here: the certificate is a proxy's, as it often is."""
    signed, other = Authority(tmp_path / "signed"), Authority(tmp_path / "other")
    made = signed.server("influx")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)

    async def pass_on(near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        far_reader, far = await asyncio.open_connection("127.0.0.1", influx.port)
        await asyncio.gather(_copy(near_reader, far), _copy(far_reader, near), return_exceptions=True)

    proxy = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    async with proxy:
        good = {**influx.environment(), "INFLUXDB_V2_SSL_CA_CERT": str(signed.certificate)}
        assert (await check(kubeconfig, tmp_path, "--influx", url, environment=good)).code == 0
        wrong = {**good, "INFLUXDB_V2_SSL_CA_CERT": str(other.certificate)}
        found = await check(kubeconfig, tmp_path, "--influx", url, environment=wrong)
    assert (found.code, found.bad) == (1, {("server", "failed")})
    assert "INFLUXDB_V2_SSL_CA_CERT" in found.of("influxdb", "server")["todo"]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(1 << 16):
        writer.write(piece)
        await writer.drain()
    writer.close()
