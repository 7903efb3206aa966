"""Ways into a real API server: tokens and certificates that run out, a pod's service account, proxies."""

import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.real.collecting import Collector
from tests.real.load import Load, event_writer
from tests.real.proxy import ConnectProxy
from tests.real.relay import Relay
from tests.real.test_api_server import ALONE, NODES, RULES, by_kubeconfig, shut_out, until_answered
from tests.stack.access import Access
from tests.stack.certificate import Certificate, openssl
from tests.stack.control_plane import ControlPlane
from tests.stack.error import StackError
from tests.stack.wait import until

API = "client.authentication.k8s.io/v1"

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


async def account(access: Access, name: str) -> str:
    """A service account that may do what a collector does; its name is new, since roles outlive a test."""
    named = f"{name}-{time.time_ns():x}"
    await access.grant(await access.service_account(named), RULES)
    return named


# Tokens


async def test_an_exec_plugin_is_run_again_when_its_token_has_expired(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """As on EKS, where a token lives 15 minutes: the command is asked for another."""
    access = control_plane.access
    name = await account(access, "plugin")
    credential, runs = tmp_path / "credential.json", tmp_path / "runs"

    def offer(token: str) -> None:
        told = {"apiVersion": API, "kind": "ExecCredential", "status": {"token": token}}
        credential.write_text(json.dumps(told))

    first = await access.service_account_token(name, lifetime_seconds=20)
    offer(first)
    script = tmp_path / "plugin"
    script.write_text(f"#!/bin/sh\necho run >> {runs}\ncat {credential}\n")
    script.chmod(0o755)
    plugin = {"apiVersion": API, "command": str(script), "args": ["token"], "interactiveMode": "Never"}

    async def shut() -> None:
        await until_answered(control_plane, first, 401)

    async def reopen() -> None:
        offer(await access.service_account_token(name))

    kubeconfig = access.kubeconfig_with(name, {"exec": plugin})
    await shut_out(control_plane, namespace, by_kubeconfig(kubeconfig, tmp_path), shut=shut, reopen=reopen, says="401")
    assert len(runs.read_text().splitlines()) >= 2


async def test_a_token_that_is_revoked_is_waited_out_until_there_is_another(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """[25] The account is deleted, and so are its tokens; made anew, it is another one of the same name."""
    access = control_plane.access
    name = await account(access, "revoked")
    file = tmp_path / "token"
    first = await requested_token(access, name)
    file.write_text(first)

    async def shut() -> None:
        await access.request("DELETE", f"/api/v1/namespaces/default/serviceaccounts/{name}")
        await until_answered(control_plane, first, 401)

    async def reopen() -> None:
        await access.service_account(name)
        file.write_text(await requested_token(access, name))

    kubeconfig = access.kubeconfig_with(name, {"tokenFile": str(file)})
    await shut_out(control_plane, namespace, by_kubeconfig(kubeconfig, tmp_path), shut=shut, reopen=reopen, says="401")


async def requested_token(access: Access, name: str) -> str:
    """Of the TokenRequest API, for the ten minutes that it gives at least."""
    body = {"spec": {"expirationSeconds": 600}}
    made = await access.request("POST", f"/api/v1/namespaces/default/serviceaccounts/{name}/token", body)
    return str(made["status"]["token"])


# Certificates

SIGNING = """
[ca]
default_ca = one
[one]
database = {directory}/index.txt
new_certs_dir = {directory}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""


def short_lived(tls: Path, made: Certificate, ends_at: datetime, directory: Path) -> bytes:
    """The certificate of this key, signed again to end then: openssl's other command knows whole days only."""
    directory.mkdir()
    (directory / "index.txt").write_text("")
    (directory / "openssl.cnf").write_text(SIGNING.format(directory=directory))
    request, signed = made.certificate.with_suffix(".csr"), directory / "client.crt"
    authority = ["-cert", str(tls / "ca.crt"), "-keyfile", str(tls / "ca.key")]
    files = ["-config", str(directory / "openssl.cnf"), "-extfile", str(made.certificate.with_suffix(".ext"))]
    openssl(
        *("ca", "-batch", "-notext", *authority, *files, "-enddate", f"{ends_at:%y%m%d%H%M%S}Z"),
        *("-in", str(request), "-out", str(signed)),
    )
    return signed.read_bytes()


async def test_a_client_certificate_that_has_run_out_is_replaced_by_the_one_now_in_its_files(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    access, user = control_plane.access, f"certified-{time.time_ns():x}"
    await access.grant(user, RULES)
    made = access.authority.client(user)
    lasting = made.certificate.read_bytes()
    ends_at = datetime.now(UTC) + timedelta(seconds=25)
    certificate = tmp_path / "client.crt"
    certificate.write_bytes(short_lived(control_plane.directory / "tls", made, ends_at, tmp_path / "signing"))

    async def shut() -> None:
        async def has_ended() -> bool:
            return datetime.now(UTC) > ends_at + timedelta(seconds=1)

        await until(has_ended, 60, "the certificate to run out")

    async def reopen() -> None:
        certificate.write_bytes(lasting)

    files = {"client-certificate": str(certificate), "client-key": str(made.key)}
    make = by_kubeconfig(access.kubeconfig_with(user, files), tmp_path)
    await shut_out(control_plane, namespace, make, shut=shut, reopen=reopen, says="401")


async def test_without_the_right_to_read_pods_that_is_said_once_and_events_are_stored(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    access, user = control_plane.access, f"without-pods-{time.time_ns():x}"
    await access.grant(user, [{"apiGroups": [""], "resources": ["events"], "verbs": ["list", "watch"]}])
    collector = Collector(access.certificate_kubeconfig(user), tmp_path)
    async with event_writer(access.kubeconfig(), namespace) as writer, collector:
        await collector.until_said("pods may not be read")
        await writer.write(Load(events=20, nodes=NODES))
        await collector.until_stored(writer.acknowledged.identities, namespace)
        await collector.stop()
    (said,) = collector.said("pods may not be read")
    assert "allow 'list' and 'watch' on pods, or say --no-reconcile" in said


# Service accounts in a pod


class Projected:
    """The directory of a projected service account volume: a new token comes with a swap of one symbolic link."""

    def __init__(self, directory: Path, authority: bytes) -> None:
        self.directory = directory
        self._authority = authority
        self._count = 0
        directory.mkdir()

    def put(self, token: str) -> None:
        """As the kubelet's atomic writer does it."""
        self._count += 1
        fresh = self.directory / f"..2026_{self._count}"
        fresh.mkdir()
        (fresh / "token").write_text(token)
        (fresh / "ca.crt").write_bytes(self._authority)
        link = self.directory / "..data_tmp"
        link.symlink_to(fresh.name)
        os.replace(link, self.directory / "..data")
        for name in ("token", "ca.crt"):
            if not (self.directory / name).is_symlink():
                (self.directory / name).symlink_to(f"..data/{name}")


# In a mount namespace of its own /run is empty, and holds only what a pod has there.
IN_POD = (
    "mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io "
    '&& ln -s "$0" /run/secrets/kubernetes.io/serviceaccount && exec "$@"'
)


class InPod(Collector):
    """Where a pod's service account is mounted; the API server is at the relay."""

    def __init__(self, volume: Path, directory: Path, relay: Relay) -> None:
        address = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(relay.port)}
        super().__init__(Path("unused"), directory, name="in-pod", environment=address)
        program = Path(sys.executable).with_name("collector")
        options = ["--cluster", "real", "--in-cluster", "--data-dir", str(self.directory), *ALONE]
        self.process.command = ["unshare", "--mount", "sh", "-c", IN_POD, str(volume), str(program), *options]


async def test_a_pods_token_that_is_swapped_in_its_volume_is_read_again(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a service account's volume where a pod has it")
    access = control_plane.access
    name = await account(access, "in-pod")
    volume = Projected(tmp_path / "volume", access.authority.certificate.read_bytes())
    first = await access.service_account_token(name, lifetime_seconds=20)
    volume.put(first)

    async def shut() -> None:
        await until_answered(control_plane, first, 401)

    async def reopen() -> None:
        volume.put(await requested_token(access, name))

    await shut_out(
        control_plane,
        namespace,
        lambda relay: InPod(volume.directory, tmp_path, relay),
        shut=shut,
        reopen=reopen,
        says="401",
    )


# Proxies


@asynccontextmanager
async def collected(
    cluster: ControlPlane, namespace: str, kubeconfig: Path, directory: Path, environment: dict[str, str]
) -> AsyncIterator[None]:
    """A collector with this environment has stored all that was written when the block begins."""
    async with event_writer(cluster.access.kubeconfig(), namespace) as writer:
        await writer.write(Load(events=20, nodes=NODES, job=f"before-{directory.name}"))
        async with Collector(kubeconfig, directory, environment=environment) as collector:
            await writer.write(Load(events=20, nodes=NODES, job=f"live-{directory.name}"))
            await collector.until_stored(writer.acknowledged.identities, namespace)
            yield
            await collector.stop()


async def test_the_environments_proxy_is_used_but_for_what_it_leaves_out(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    kubeconfig, address = control_plane.access.kubeconfig(), urlsplit(control_plane.url).netloc
    async with ConnectProxy() as proxy:
        used = {"HTTPS_PROXY": proxy.url}
        async with collected(control_plane, namespace, kubeconfig, tmp_path / "used", used):
            assert set(proxy.asked) == {address}
        proxy.asked.clear()
        left_out = {**used, "NO_PROXY": "127.0.0.1,localhost"}
        async with collected(control_plane, namespace, kubeconfig, tmp_path / "left-out", left_out):
            assert proxy.asked == []


async def test_a_kubeconfigs_proxy_url_goes_before_the_environments(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    async with ConnectProxy() as proxy, ConnectProxy() as other:
        content: dict[str, Any] = json.loads(control_plane.access.kubeconfig().read_text())
        content["clusters"][0]["cluster"]["proxy-url"] = proxy.url
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(json.dumps(content))
        environment = {"HTTPS_PROXY": other.url}
        async with collected(control_plane, namespace, kubeconfig, tmp_path / "data", environment):
            assert set(proxy.asked) == {urlsplit(control_plane.url).netloc}
            assert other.asked == []


async def test_a_proxy_that_is_away_is_told_at_the_start(control_plane: ControlPlane, tmp_path: Path) -> None:
    async with ConnectProxy() as proxy:
        gone = {"HTTPS_PROXY": proxy.url}
    kubeconfig, more = control_plane.access.kubeconfig(), ["--connect-tries", "2"]
    collector = Collector(kubeconfig, tmp_path, more=more, environment=gone)
    with pytest.raises(StackError, match="cannot be reached: connection refused"):
        await collector.start()
