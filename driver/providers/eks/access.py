"""The API of a cluster on EKS: its kubeconfig, the balancers of its services, and what it is to forget."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from driver.clusters.cluster_api import ClusterApi, open_cluster
from driver.clusters.labels import MANAGED_BY
from driver.providers.eks.control_plane import ControlPlane
from driver.providers.eks.token import exec_section
from driver.providers.eks.waiting import EksWaiting
from pullstudy.atomic_file import write_file
from pullstudy.kube.errors import ApiError
from pullstudy.kube.objects import Page
from pullstudy.pulls.pod import Metadata

UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404


class _ServiceSpec(msgspec.Struct, frozen=True):
    type: str = ""


class _Service(msgspec.Struct, frozen=True):
    metadata: Metadata = Metadata()
    spec: _ServiceSpec = _ServiceSpec()


class _User(msgspec.Struct, frozen=True):
    user: dict[str, Any] = {}


class _Kubeconfig(msgspec.Struct, frozen=True):
    users: tuple[_User, ...] = ()


class _Namespace(msgspec.Struct, frozen=True):
    metadata: Metadata = Metadata()


_services = msgspec.json.Decoder(Page[_Service]).decode
_namespaces = msgspec.json.Decoder(Page[_Namespace]).decode


def write_kubeconfig(path: Path, cluster: str, region: str, plane: ControlPlane) -> None:
    """Whole or not at all, readable by its owner only. It holds no secret: tokens are made when asked for."""
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster,
                "cluster": {"server": plane.endpoint, "certificate-authority-data": plane.certificate_authority},
            }
        ],
        "users": [{"name": cluster, "user": {"exec": exec_section(cluster, region)}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
        "current-context": cluster,
    }
    # JSON is YAML.
    write_file(path, msgspec.json.format(msgspec.json.encode(document)) + b"\n", mode=0o600)


def leads_to_simulator(kubeconfig: Path) -> bool:
    """Whether the simulator wrote it, as far as that is known before anything is asked."""
    try:
        document = msgspec.json.decode(kubeconfig.read_bytes(), type=_Kubeconfig)
    except (OSError, msgspec.MsgspecError):  # not there yet, or YAML: the simulator writes JSON
        return False
    return any(user.user.get("token") == "simulated" for user in document.users)


async def free_balancers(
    kubeconfig: Path,
    waiting: EksWaiting,
    *,
    all_services: bool,
    prove: Callable[[ClusterApi], Awaitable[object]] | None = None,
) -> None:
    """Delete the services of type LoadBalancer and wait until their balancers are given back.

    Without ``all_services`` only the driver's own. ``prove`` raises where the kubeconfig leads to another cluster.
    Raises ApiError, and ProviderError where one is not given back in time.
    """
    selector = "" if all_services else ",".join(f"{key}={value}" for key, value in MANAGED_BY.items())
    async with open_cluster(kubeconfig, "default") as api:
        if prove is not None:
            await prove(api)

        async def none_left() -> bool | None:
            left = await _balanced(api, selector, waiting.patience.api_seconds)
            for service in left:
                if service.deletion_timestamp is None:
                    await api.delete(f"/api/v1/namespaces/{service.namespace}/services/{service.name}")
            return None if left else True

        await waiting.until(none_left, "giving back load balancers", waiting.patience.interface_seconds)


async def _balanced(api: ClusterApi, selector: str, patience_seconds: float) -> list[Metadata]:
    try:
        page = await api.list_objects(
            "/api/v1/services", ("labelSelector", selector), _services, patience_seconds=patience_seconds
        )
    except ApiError as error:
        if error.status == NOT_FOUND:  # an API without services has no balancers
            return []
        raise
    return [service.metadata for service in page.objects if service.spec.type == "LoadBalancer"]


async def is_simulator(api: ClusterApi) -> bool:
    """Whether the simulator answers in place of a cluster: what comes of it has to be called simulated."""
    try:
        return await api.exists("/sim/state")
    except ApiError as error:
        if error.status not in (UNAUTHORIZED, FORBIDDEN):  # an API server that tells strangers nothing
            raise
        return False


async def forget_nodes(api: ClusterApi) -> None:
    """Have the API forget nodes that are gone, and all that was said of them. Raises ApiError.

    The next size's collector lists every event that there is, and would take those of this size for its own.
    """
    for node in await api.nodes():
        await api.delete(f"/api/v1/nodes/{node.metadata.name}")
    spaces = await api.list_objects("/api/v1/namespaces", ("limit", "0"), _namespaces)
    for space in spaces.objects:
        await api.delete(f"/api/v1/namespaces/{space.metadata.name}/events")
