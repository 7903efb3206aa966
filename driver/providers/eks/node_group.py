"""The managed node group of a cluster: as many nodes as the size, from one launch template."""

from typing import Any

from driver.errors import ProviderError
from driver.providers.eks.account import Account, Answer
from driver.providers.eks.aws_errors import AwsError, AwsErrorKind
from driver.providers.eks.control_plane import ask_with_role, health
from driver.providers.eks.handle import EksHandle
from driver.providers.eks.network import Network
from driver.providers.eks.tags import ours
from driver.providers.eks.waiting import EksWaiting

# Words of EC2's refusals as a node group's health repeats them: capacity that others hold, this account's limits, and
# an account that is new in the region.
_CAPACITY = (
    "InsufficientInstanceCapacity",
    "do not have sufficient",
    "VcpuLimitExceeded",
    "InstanceLimitExceeded",
    "PendingVerification",
    "is being validated",
)


async def find_node_group(account: Account, cluster: str, name: str) -> Answer | None:
    """The node group, None where there is none."""
    try:
        found = await account.call("eks", "describe_nodegroup", clusterName=cluster, nodegroupName=name)
    except AwsError as error:
        if error.kind is AwsErrorKind.GONE:
            return None
        raise
    group: Answer = found["nodegroup"]
    return group


async def list_node_groups(account: Account, cluster: str) -> list[str]:
    """All of a cluster; none where there is no such cluster."""
    names: list[str] = []
    try:
        async for page in account.pages("eks", "list_nodegroups", ("nextToken", "nextToken"), clusterName=cluster):
            names += page["nodegroups"]
    except AwsError as error:
        if error.kind is not AwsErrorKind.GONE:
            raise
    return names


class NodeGroup:
    """Makes the nodes of one cluster."""

    def __init__(self, account: Account, waiting: EksWaiting, handle: EksHandle, network: Network) -> None:
        self._account = account
        self._waiting = waiting
        self._handle = handle
        self._network = network

    async def make(self, node_type: str, size: int) -> None:
        """Have them, asking again where there is no capacity: in the next place, and after all of them in a while.

        Raises ProviderError.
        """
        places, retries = self._places(), self._handle.plan.capacity_retries
        for tried in range(1, retries + 2):
            try:
                return await self._once(self._wanted(node_type, size, places[(tried - 1) % len(places)]))
            except NoCapacityError as error:
                if tried > retries:
                    raise NoCapacityError(
                        f"{error}; asked {tried} times: give another cluster.node_type, eks.zones or region, more"
                        " eks.capacity_retries, or have the account's limit raised"
                    ) from error
            # What there is of it would be paid for while nobody uses it.
            await delete_node_group(self._account, self._waiting, self._handle.cluster, self._handle.node_group)
            if tried % len(places) == 0:
                await self._waiting.sleep(self._handle.plan.capacity_wait_seconds)

    def _places(self) -> list[list[str]]:
        """The subnets to ask for, by turns. EC2 itself spreads over those of one place, and leaves out a full zone."""
        plan, subnets = self._handle.plan, self._network.subnets
        mine = list(subnets[: len(plan.zones) or len(subnets)])
        return [[subnet] for subnet in mine] if plan.placement_group else [mine]  # a placement group lies in one zone

    def _wanted(self, node_type: str, size: int, subnets: list[str]) -> dict[str, Any]:
        handle, plan = self._handle, self._handle.plan
        wanted: dict[str, Any] = {
            "clusterName": handle.cluster,
            "nodegroupName": handle.node_group,
            "scalingConfig": {"minSize": size, "maxSize": size, "desiredSize": size},
            "subnets": subnets,
            "instanceTypes": [node_type],
            "amiType": plan.ami_type,
            "nodeRole": self._network.node_role,
            "launchTemplate": {
                "id": self._network.node_template,
                "version": self._network.node_template_version,
            },
            "capacityType": "ON_DEMAND",
            "labels": handle.node_labels,
            "tags": handle.mark.tags(),
        }
        if plan.ami_release:
            wanted["releaseVersion"] = plan.ami_release
        return wanted

    async def _once(self, wanted: dict[str, Any]) -> None:
        name = self._handle.node_group
        try:
            await ask_with_role(self._account, self._waiting, "create_nodegroup", wanted)
        except AwsError as error:
            if error.code == "ResourceLimitExceededException":
                raise NoCapacityError(str(error)) from error
            raise
        what = f"making the {wanted['scalingConfig']['desiredSize']} nodes of {self._handle.cluster}"
        group = await self._waiting.until(self._made, what, self._waiting.patience.create_seconds)
        if group["status"] == "ACTIVE":
            return
        said = f"node group {name} came to {group['status']}: {health(group)}"
        raise NoCapacityError(said) if any(word in said for word in _CAPACITY) else ProviderError(said)

    async def _made(self) -> Answer | None:
        found = await find_node_group(self._account, self._handle.cluster, self._handle.node_group)
        if found is None:  # not yet seen everywhere
            return None
        if not ours(found.get("tags", {}), self._handle.mark.run):
            raise ProviderError(f"node group {self._handle.node_group} exists and is not ours: it is left alone")
        return None if found["status"] in ("CREATING", "UPDATING") else found


class NoCapacityError(ProviderError):
    """EC2 has no such instances now, or the account's limit is reached."""


async def delete_node_group(account: Account, waiting: EksWaiting, cluster: str, name: str) -> None:
    """Delete it and wait until it is gone, asking again where that fails. Raises ProviderError."""
    said = ""
    for _ in range(waiting.patience.delete_tries):
        said = await _ask_to_delete(account, waiting, cluster, name) or await _gone(account, waiting, cluster, name)
        if not said:
            return
        await waiting.sleep(waiting.patience.poll_seconds)
    raise ProviderError(f"node group {name} of {cluster} cannot be deleted: {said}")


async def _ask_to_delete(account: Account, waiting: EksWaiting, cluster: str, name: str) -> str:
    """Why EKS will not; empty: it does, or it is gone."""

    async def asked() -> str | None:
        try:
            await account.call("eks", "delete_nodegroup", clusterName=cluster, nodegroupName=name)
        except AwsError as error:
            if error.kind is AwsErrorKind.GONE:
                return ""
            if error.kind is not AwsErrorKind.CONFLICT:
                raise
            found = await find_node_group(account, cluster, name)
            if found is None or found["status"] == "DELETING":
                return ""
            # One that is still being made or changed is refused until it is done with that.
            busy = found["status"] in ("CREATING", "UPDATING") or "in progress" in error.why
            return None if busy else str(error)
        return ""

    limit = waiting.patience.create_seconds
    return await waiting.until(asked, f"waiting to delete node group {name} of {cluster}", limit)


async def _gone(account: Account, waiting: EksWaiting, cluster: str, name: str) -> str:
    """Why it could not be deleted; empty: it is gone."""

    async def ended() -> str | None:
        found = await find_node_group(account, cluster, name)
        if found is None:
            return ""
        return health(found) if found["status"] == "DELETE_FAILED" else None

    return await waiting.until(ended, f"deleting node group {name} of {cluster}", waiting.patience.delete_seconds)
