"""A real Kubernetes control plane: etcd, kube-apiserver and, where asked for, controller-manager and scheduler.

Each of the four is a server of its own, so that a test can kill or freeze just one. Users are certificates, tokens
or service accounts; what they may do is RBAC's, as on any cluster.
"""

import base64
import json
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from tests.stack.access import ADMIN, ISSUER, Access, ApiRefusedError
from tests.stack.certificate import Authority, openssl
from tests.stack.home import StackHome, system_program
from tests.stack.port import LOOPBACK, free_port
from tests.stack.process import Process
from tests.stack.server import Lifecycle, Server, answers
from tests.stack.wait import until

AUDIT_POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}
DEFAULT_NAMESPACE_SECONDS = 30
HISTORY_KEY = base64.b64encode(b"stack/history").decode()


class ControlPlane(Lifecycle):
    """The servers of one cluster, and ways in.

    ``users`` get a token each and no permission (see ``access.grant``). ``api_server_options`` are flags without their
    dashes, and override the ones here: ``{"event-ttl": "20s", "etcd-compaction-interval": "0"}``; so do
    ``controller_options``, for the controller manager, and ``etcd_options``.
    """

    def __init__(
        self,
        home: StackHome,
        directory: Path,
        *,
        users: Iterable[str] = (),
        controllers: bool = True,
        api_server_options: Mapping[str, str] | None = None,
        controller_options: Mapping[str, str] | None = None,
        etcd_options: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.audit_log = directory / "audit.log"
        self._tokens = {ADMIN: secrets.token_hex(16)} | {user: secrets.token_hex(16) for user in users}
        authority = Authority(directory / "tls")
        self.etcd = Etcd(directory, dict(etcd_options or {}))
        self.api_server = ApiServer(home, directory, authority, self.etcd.url, dict(api_server_options or {}))
        self.access = Access(self.api_server.url, authority, directory, self._tokens)
        self._write_files()
        admin = self.access.kubeconfig()
        self.controller_manager = ControllerManager(home, directory, admin, dict(controller_options or {}))
        self.scheduler = Scheduler(home, directory, admin)
        self._controllers: list[Server] = [self.controller_manager, self.scheduler] if controllers else []

    @property
    def url(self) -> str:
        """Where the API server listens."""
        return self.api_server.url

    async def start(self) -> None:
        """Start all of it; return when the API answers and the ``default`` namespace is there.

        Raises StackError with the end of the log of the one that did not come up.
        """
        await self.etcd.start()
        await self.api_server.start()
        for server in self._controllers:
            server.process.start()
        await until(self._has_namespace, DEFAULT_NAMESPACE_SECONDS, "the namespace default")
        for server in self._controllers:
            await server.wait_ready()

    async def stop(self) -> None:
        """Stop all of it, the data stays."""
        for server in [*reversed(self._controllers), self.api_server, self.etcd]:
            await server.stop()

    def kill(self) -> None:
        """SIGKILL all of it at once."""
        for server in [*self._controllers, self.api_server, self.etcd]:
            server.kill()

    async def forget_history(self) -> None:
        """Compact etcd up to now: every older resource version is answered 410 from here on."""
        # A watch starts one revision after the version it is given, and only what lies before the compacted revision
        # is gone: two writes outside the API server's keys put the newest version behind it.
        for _ in range(2):
            written = await self.etcd.call("/v3/kv/put", {"key": HISTORY_KEY, "value": ""})
        revision = int(written["header"]["revision"])
        await self.etcd.call("/v3/kv/compaction", {"revision": revision, "physical": True})

    def audited(self, user: str) -> list[dict[str, Any]]:
        """The user's requests that the API server finished, from its audit log: verb, objectRef, responseStatus.

        One that is refused at the door is of no user.
        """
        lines = self.audit_log.read_text().splitlines() if self.audit_log.exists() else []
        return [entry for entry in map(json.loads, lines) if entry["user"].get("username") == user]

    async def _has_namespace(self) -> bool:
        try:
            await self.access.request("GET", "/api/v1/namespaces/default")
        except ApiRefusedError:
            return False
        return True

    def _write_files(self) -> None:
        lines = [f'{token},{user},{user},"{_group(user)}"' for user, token in self._tokens.items()]
        (self.directory / "tokens.csv").write_text("\n".join(lines) + "\n")
        (self.directory / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))
        (self.directory / "sa.key").write_bytes(openssl("genrsa", "2048"))
        public = openssl("rsa", "-in", str(self.directory / "sa.key"), "-pubout")
        (self.directory / "sa.pub").write_bytes(public)


def _group(user: str) -> str:
    return "system:masters" if user == ADMIN else "people"


class Etcd(Server):
    """The cluster's data. Without fsync: by that a machine that lost power loses data, a killed process does not."""

    def __init__(self, directory: Path, options: dict[str, str]) -> None:
        self.url = f"http://{LOOPBACK}:{free_port()}"
        peers = f"http://{LOOPBACK}:{free_port()}"
        flags: dict[str, object] = {
            "data-dir": directory / "etcd",
            "listen-client-urls": self.url,
            "advertise-client-urls": self.url,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
        }
        command = [system_program("etcd", "etcd-server"), *_flags(flags | options), "--unsafe-no-fsync"]
        super().__init__(Process("etcd", command, directory))

    async def is_ready(self) -> bool:
        """Whether /health says so: there is a leader."""
        return await answers(f"{self.url}/health")

    async def call(self, path: str, body: dict[str, Any]) -> Any:
        """One call of etcd's JSON gateway."""
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.post(self.url + path, json=body) as response,
        ):
            return await response.json(content_type=None)


class ApiServer(Server):
    """kube-apiserver with Node and RBAC authorisation, TLS of the authority's, and an audit log."""

    def __init__(
        self, home: StackHome, directory: Path, authority: Authority, etcd: str, options: dict[str, str]
    ) -> None:
        port = free_port()
        self.url = f"https://{LOOPBACK}:{port}"
        self._tls = authority.trust()
        made = authority.server("kube-apiserver", ("IP:127.0.0.1", "DNS:localhost", "DNS:kubernetes.default.svc"))
        flags = {
            "etcd-servers": etcd,
            "secure-port": port,
            "bind-address": LOOPBACK,
            "advertise-address": LOOPBACK,
            "tls-cert-file": made.certificate,
            "tls-private-key-file": made.key,
            "client-ca-file": authority.certificate,
            "token-auth-file": directory / "tokens.csv",
            "service-account-key-file": directory / "sa.pub",
            "service-account-signing-key-file": directory / "sa.key",
            "service-account-issuer": ISSUER,
            "service-account-extend-token-expiration": "false",
            "service-cluster-ip-range": "10.96.0.0/16",
            "authorization-mode": "Node,RBAC",
            # Pods then need no service account token mounted, and so no image with a shell of its own.
            "disable-admission-plugins": "ServiceAccount",
            "allow-privileged": "true",
            # A loopback address is refused as an endpoint of the service `kubernetes`; nothing here uses that service.
            "endpoint-reconciler-type": "none",
            "audit-policy-file": directory / "audit-policy.json",
            "audit-log-path": directory / "audit.log",
        }
        program = home.program("kube-apiserver")
        super().__init__(Process("kube-apiserver", [program, *_flags(flags | options)], directory))

    async def is_ready(self) -> bool:
        """Whether /readyz says ok: its own roles are made by then."""
        return await answers(f"{self.url}/readyz", tls=self._tls)


class ControllerManager(Server):
    """kube-controller-manager with its usual controllers: jobs, nodes' taints, namespaces, garbage collection."""

    def __init__(self, home: StackHome, directory: Path, kubeconfig: Path, options: dict[str, str]) -> None:
        self._port = free_port()
        flags: dict[str, object] = {
            "kubeconfig": kubeconfig,
            "leader-elect": "false",
            "bind-address": LOOPBACK,
            "secure-port": self._port,
            "cert-dir": directory / "controller-manager",
            "service-account-private-key-file": directory / "sa.key",
            "root-ca-file": directory / "tls" / "ca.crt",
        }
        program = home.program("kube-controller-manager")
        super().__init__(Process("kube-controller-manager", [program, *_flags(flags | options)], directory))

    async def is_ready(self) -> bool:
        """Whether /healthz says ok."""
        return await answers(f"https://{LOOPBACK}:{self._port}/healthz", tls=False)


class Scheduler(Server):
    """kube-scheduler as it comes."""

    def __init__(self, home: StackHome, directory: Path, kubeconfig: Path) -> None:
        self._port = free_port()
        flags = {
            "kubeconfig": kubeconfig,
            "leader-elect": "false",
            "bind-address": LOOPBACK,
            "secure-port": self._port,
            "cert-dir": directory / "scheduler",
        }
        super().__init__(Process("kube-scheduler", [home.program("kube-scheduler"), *_flags(flags)], directory))

    async def is_ready(self) -> bool:
        """Whether /healthz says ok."""
        return await answers(f"https://{LOOPBACK}:{self._port}/healthz", tls=False)


def _flags(flags: Mapping[str, object]) -> list[str | Path]:
    return [f"--{name}={value}" for name, value in flags.items()]
