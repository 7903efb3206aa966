"""The control plane: made and deleted by EKS calls, since a stack would hold its state apart from its node groups'."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from driver.errors import ProviderError
from driver.providers.eks.account import Account, Answer
from driver.providers.eks.aws_errors import AwsError, AwsErrorKind
from driver.providers.eks.handle import EksHandle
from driver.providers.eks.network import Network
from driver.providers.eks.tags import ours
from driver.providers.eks.waiting import EksWaiting


class ControlPlane(msgspec.Struct, frozen=True, kw_only=True):
    """How its API is reached."""

    endpoint: str
    certificate_authority: str  # base64


async def find_cluster(account: Account, name: str) -> Answer | None:
    """The cluster, None where there is none."""
    if not name:
        return None
    try:
        found = await account.call("eks", "describe_cluster", name=name)
    except AwsError as error:
        if error.kind is AwsErrorKind.GONE:
            return None
        raise
    cluster: Answer = found["cluster"]
    return cluster


async def make_control_plane(
    account: Account, waiting: EksWaiting, handle: EksHandle, network: Network
) -> ControlPlane:
    """Make it, or take it up where it was made and the answer was lost. Raises ProviderError."""
    wanted: dict[str, Any] = {
        "name": handle.cluster,
        "roleArn": network.cluster_role,
        "resourcesVpcConfig": {"subnetIds": list(network.subnets)},
        "accessConfig": {"bootstrapClusterCreatorAdminPermissions": True, "authenticationMode": "API_AND_CONFIG_MAP"},
        "tags": handle.mark.tags(),
        "clientRequestToken": f"create-{handle.mark.run}",
    }
    if handle.plan.kubernetes_version:
        wanted["version"] = handle.plan.kubernetes_version
    await ask_with_role(account, waiting, "create_cluster", wanted)

    async def made() -> Answer | None:
        found = await find_cluster(account, handle.cluster)
        if found is None:  # not yet seen everywhere
            return None
        if not ours(found.get("tags", {}), handle.mark.run):
            raise ProviderError(f"cluster {handle.cluster} exists and is not ours: it is left alone; try again")
        return None if found["status"] in ("CREATING", "PENDING", "UPDATING") else found

    what = f"making the control plane of {handle.cluster}"
    cluster = await waiting.until(made, what, waiting.patience.create_seconds)
    if cluster["status"] != "ACTIVE":
        raise ProviderError(f"{handle.cluster} came to {cluster['status']}: {health(cluster)}")
    return read_plane(cluster)


async def stand_on_plane(account: Account, handle: EksHandle) -> ControlPlane:
    """The one that the size before left. Raises ProviderError where it is no more."""
    cluster = await find_cluster(account, handle.cluster)
    if cluster is None or cluster["status"] != "ACTIVE":
        raise ProviderError(f"{handle.cluster}, which all sizes share, {cluster['status'] if cluster else 'is gone'}")
    return read_plane(cluster)


def read_plane(cluster: Answer) -> ControlPlane:
    return ControlPlane(endpoint=cluster["endpoint"], certificate_authority=cluster["certificateAuthority"]["data"])


async def ask_with_role(account: Account, waiting: EksWaiting, operation: str, wanted: dict[str, Any]) -> None:
    """Ask EKS for something that stands on a role; that it exists already is no error.

    A role that was just made is not seen everywhere for some seconds, and EKS then says that it is no good one.
    """
    async for _ in waiting.settling():
        try:
            await account.call("eks", operation, **wanted)
            return
        except AwsError as error:
            if error.kind is AwsErrorKind.CONFLICT:
                return
            if not (error.code == "InvalidParameterException" and "role" in error.why.lower()):
                raise
            unknown_role = error
    raise unknown_role


def health(described: Answer) -> str:
    """What EKS says is wrong with a cluster or node group."""
    issues = described.get("health", {}).get("issues", [])
    return "; ".join(f"{issue.get('code')}: {issue.get('message')}" for issue in issues) or "EKS does not say why"


async def delete_control_plane(
    account: Account, waiting: EksWaiting, name: str, clear_the_way: Callable[[], Awaitable[None]]
) -> None:
    """Delete it and wait until it is gone. Raises AwsError where something goes on hanging on it.

    ``clear_the_way`` is called where something does: a node group that a killed driver asked for may appear late.
    """
    tries = 0

    async def asked() -> bool | None:
        nonlocal tries
        try:
            await account.call("eks", "delete_cluster", name=name)
        except AwsError as error:
            if error.kind is AwsErrorKind.GONE:
                return True
            if error.kind is not AwsErrorKind.CONFLICT:
                raise
            found = await find_cluster(account, name)
            if found is None or found["status"] == "DELETING":
                return True
            # One that is still being made cannot be deleted yet, and that takes a quarter of an hour. Nor can one that
            # EKS updates by itself, which its status does not show.
            if found["status"] in ("CREATING", "UPDATING", "PENDING") or "in progress" in error.why:
                return None
            tries += 1
            if tries >= waiting.patience.delete_tries:
                raise
            await clear_the_way()
            return None
        return True

    async def gone() -> bool | None:
        return True if await find_cluster(account, name) is None else None

    limit = waiting.patience.delete_seconds
    await waiting.until(asked, f"waiting to delete cluster {name}", limit + waiting.patience.create_seconds)
    await waiting.until(gone, f"deleting cluster {name}", limit)
