"""What a token may do, asked of the API server itself: each verb on each resource that it serves."""

import asyncio
import itertools
from collections.abc import Iterable

import aiohttp

from tests.stack.control_plane import ControlPlane

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
SPECIAL = {  # verbs that no discovery names, on what they are for
    ("impersonate", "", "users"),
    ("impersonate", "", "serviceaccounts"),
    ("bind", "rbac.authorization.k8s.io", "clusterroles"),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles"),
    ("approve", "certificates.k8s.io", "signers"),
    ("use", "policy", "podsecuritypolicies"),
}
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
TOGETHER = 8

Right = tuple[str, str, str]  # verb, group, resource


async def every_right(cluster: ControlPlane) -> set[Right]:
    """Every verb on everything that the API server serves, subresources too, and on everything at once."""
    request = cluster.access.request
    versions = [("", "/api/v1")]
    for group in (await request("GET", "/apis"))["groups"]:
        versions += [(group["name"], f"/apis/{version['groupVersion']}") for version in group["versions"]]
    served = {("*", "*"), ("", "*")}
    for group_name, path in versions:
        served |= {(group_name, resource["name"]) for resource in (await request("GET", path))["resources"]}
    return SPECIAL | {(verb, group, name) for verb, (group, name) in itertools.product(VERBS, served)}


class Reviewer:
    """Asks with one token."""

    def __init__(self, cluster: ControlPlane, token: str) -> None:
        self._url = cluster.url + REVIEW
        self._tls = cluster.access.authority.trust()
        self._headers = {"Authorization": f"Bearer {token}"}

    async def allowed(self, rights: Iterable[Right], *, namespace: str = "", name: str = "") -> set[Right]:
        """Those of the rights that the token has, in all namespaces or in one, on all objects or on one."""
        left = iter(sorted(rights))
        found: set[Right] = set()
        async with aiohttp.ClientSession(headers=self._headers, raise_for_status=True) as session:

            async def ask() -> None:
                for right in left:
                    if await self._may(session, right, namespace, name):
                        found.add(right)

            async with asyncio.TaskGroup() as group:
                for _ in range(TOGETHER):
                    group.create_task(ask())
        return found

    async def _may(self, session: aiohttp.ClientSession, right: Right, namespace: str, name: str) -> bool:
        verb, group, resource = right
        kind, _, subresource = resource.partition("/")
        attributes = {
            "verb": verb,
            "group": group,
            "resource": kind,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        body = {"spec": {"resourceAttributes": attributes}}
        async with session.post(self._url, json=body, ssl=self._tls) as answer:
            status = (await answer.json())["status"]
        return bool(status["allowed"])
