"""Ways into a cluster: kubeconfig files, tokens and permissions of made-up users, and plain calls of the API."""

import base64
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from tests.stack.certificate import Authority, Certificate, openssl
from tests.stack.error import StackError
from tests.stack.wait import until

ADMIN = "admin"
CLUSTER = "stack"
LEEWAY_SECONDS = 60
ISSUER = "https://kubernetes.default.svc"


class ApiRefusedError(StackError):
    """The API server answered with an error."""

    def __init__(self, request: str, status: int, body: str) -> None:
        super().__init__(f"{request}: {status} {body}")
        self.status = status


class Access:
    """Who may come in, and how, to the cluster of one API server."""

    def __init__(self, url: str, authority: Authority, directory: Path, tokens: Mapping[str, str]) -> None:
        self.url = url
        self.authority = authority
        self._directory = directory
        self._tokens = tokens
        self._tls = authority.trust()

    def token(self, user: str = ADMIN) -> str:
        """The static token of a user the control plane was made with."""
        return self._tokens[user]

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """A kubeconfig file with the user's token."""
        return self.kubeconfig_with(user, {"token": self.token(user)})

    def certificate_kubeconfig(self, user: str, groups: Iterable[str] = ()) -> Path:
        """A kubeconfig file with a client certificate, made now, of any user."""
        made: Certificate = self.authority.client(user, tuple(groups))
        return self.kubeconfig_with(user, {"client-certificate": str(made.certificate), "client-key": str(made.key)})

    def kubeconfig_with(self, name: str, credentials: Mapping[str, Any]) -> Path:
        """A kubeconfig file whose ``user`` entry holds these credentials (token, tokenFile, exec ...)."""
        path = self._directory / f"{name.replace(':', '-')}.kubeconfig"
        cluster = {"server": self.url, "certificate-authority": str(self.authority.certificate)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": CLUSTER, "cluster": cluster}],
            "users": [{"name": name, "user": dict(credentials)}],
            "contexts": [{"name": CLUSTER, "context": {"cluster": CLUSTER, "user": name}}],
            "current-context": CLUSTER,
        }
        path.write_text(json.dumps(content, indent=1))
        return path

    async def service_account(self, name: str, namespace: str = "default") -> str:
        """Make a service account; the name RBAC knows it by."""
        body = {"metadata": {"name": name}}
        await self.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", body)
        return f"system:serviceaccount:{namespace}:{name}"

    async def service_account_token(
        self, name: str, namespace: str = "default", *, lifetime_seconds: float = 3600
    ) -> str:
        """A token of a service account that is refused when told, even after a second.

        The API's own tokens last ten minutes at least, so this one is signed here, with the API server's key. The API
        server takes a token for a minute after its ``exp`` (a leeway for clocks), which is why that is a minute early
        here; what it found of a token it keeps for ten seconds, so it may refuse that much later.
        """
        account = await self.request("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}")
        now = int(time.time())
        identity = {"namespace": namespace, "serviceaccount": {"name": name, "uid": account["metadata"]["uid"]}}
        claims = {
            "iss": ISSUER,
            "aud": [ISSUER],
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "iat": now - LEEWAY_SECONDS,
            "nbf": now - LEEWAY_SECONDS,
            "exp": now + round(lifetime_seconds) - LEEWAY_SECONDS,
            "kubernetes.io": identity,
        }
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        signature = openssl("dgst", "-sha256", "-sign", str(self._directory / "sa.key"), given=signed.encode())
        return f"{signed}.{_base64(signature)}"

    async def grant(self, user: str, rules: list[dict[str, list[str]]]) -> None:
        """Give a user a ClusterRole of its own with these rules (apiGroups, resources, verbs)."""
        name = user.replace(":", "-")
        group = "rbac.authorization.k8s.io"
        path = f"/apis/{group}/v1"
        await self.request("POST", f"{path}/clusterroles", {"metadata": {"name": name}, "rules": rules})
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        }
        await self.request("POST", f"{path}/clusterrolebindings", binding)

    async def withdraw(self, user: str) -> None:
        """Take away what ``grant`` gave."""
        name, path = user.replace(":", "-"), "/apis/rbac.authorization.k8s.io/v1"
        await self.request("DELETE", f"{path}/clusterrolebindings/{name}")
        await self.request("DELETE", f"{path}/clusterroles/{name}")

    async def request(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, kind: str = "application/json"
    ) -> Any:
        """One call of the API, as admin or with this token; its JSON. ``kind`` is the body's type, for a patch.

        Raises ApiRefusedError at any answer but 2xx.
        """
        headers = {"Authorization": f"Bearer {token or self.token()}", "Content-Type": kind}
        data = None if body is None else json.dumps(body)
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, data=data, headers=headers, ssl=self._tls) as response,
        ):
            text = await response.text()
            if not response.ok:
                raise ApiRefusedError(f"{method} {path}", response.status, text)
            return json.loads(text)

    async def nodes_ready(self, names: Iterable[str], deadline_seconds: float) -> None:
        """Return when these nodes are Ready and without a taint, so that pods can be put on them.

        Raises StackError after the deadline.
        """
        wanted = set(names)

        async def all_ready() -> bool:
            nodes = (await self.request("GET", "/api/v1/nodes"))["items"]
            return wanted <= {node["metadata"]["name"] for node in nodes if _takes_pods(node)}

        await until(all_ready, deadline_seconds, f"{len(wanted)} nodes to be Ready: {', '.join(sorted(wanted)[:5])}")


def _takes_pods(node: dict[str, Any]) -> bool:
    conditions = {entry["type"]: entry["status"] for entry in node["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and not node["spec"].get("taints")


def _part(claims: dict[str, Any]) -> str:
    return _base64(json.dumps(claims).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
