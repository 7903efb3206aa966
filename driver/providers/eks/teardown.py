"""The way down, in the one order in which nothing is left: what hangs on a thing goes before it.

1. services of type LoadBalancer, and whatever balancers are in the network after that
2. node groups
3. the CNI's network interfaces, once they are free: with them there, EKS leaves its security group behind
4. the control plane
5. the stack with the network
6. a look at everything with the run's tags: what is left is an error, never a silence
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from driver.errors import ProviderError
from driver.planning.eks_plan import Patience
from driver.providers.eks.account import Account, Answer
from driver.providers.eks.aws_errors import AwsError
from driver.providers.eks.balancers import delete_balancers
from driver.providers.eks.control_plane import delete_control_plane, find_cluster
from driver.providers.eks.handle import EksStep
from driver.providers.eks.interfaces import (
    delete_cni_interfaces,
    delete_free_interfaces,
    delete_routes,
    delete_security_groups,
    delete_volume,
    delete_vpc,
)
from driver.providers.eks.inventory import Found, find_network, say_found, take_inventory
from driver.providers.eks.network import delete_network, find_stack
from driver.providers.eks.node_group import delete_node_group, find_node_group, list_node_groups
from driver.providers.eks.tags import ours, unlisted
from driver.providers.eks.waiting import EksWaiting

FreeBalancers = Callable[[], Awaitable[None]]  # through the cluster's API, as far as that can be done


class Teardown:
    """Takes down all of one run's cluster. Safe to do again, from any state and in any process."""

    def __init__(
        self,
        account: Account,
        waiting: EksWaiting,
        *,
        run: str,
        cluster: str,
        node_group: str,
        stack: str,
        step: EksStep,
        announced_at: datetime,
    ) -> None:
        self._account = account
        self._waiting = waiting
        self._run = run
        self._cluster = cluster
        self._node_group = node_group
        self._stack = stack
        self._step = step
        self._announced_at = announced_at

    @property
    def _patience(self) -> Patience:
        return self._waiting.patience

    async def everything(self, free_balancers: FreeBalancers) -> None:
        """Raises ProviderError that names what is left.

        What others' controllers left and the credentials' policy does not let us delete stops nothing: what is paid
        for by the hour comes after it.
        """
        forbidden: list[str] = []
        try:
            await self._in_order(free_balancers, forbidden)
        except ProviderError as error:
            if not forbidden or isinstance(error, AwsError):
                raise
            raise ProviderError(f"{error}; not allowed was: {'; '.join(forbidden)}") from error

    async def _in_order(self, free_balancers: FreeBalancers, forbidden: list[str]) -> None:
        cluster = await self._look_for_cluster()
        stack = await self._look_for_stack()
        vpc = await find_network(self._account, self._run)
        if cluster is not None and cluster["status"] == "ACTIVE":
            await free_balancers()
        if vpc:
            await _as_allowed(delete_balancers(self._account, vpc), forbidden)
        if cluster is not None:
            await self.node_groups()
        if vpc:
            await _as_allowed(delete_cni_interfaces(self._account, self._waiting, vpc), forbidden)
        if cluster is not None:
            await delete_control_plane(self._account, self._waiting, self._cluster, self.node_groups)
        if stack is not None:
            await self._network(stack, vpc, forbidden)
        await self._nothing_left()

    async def _look_for_cluster(self) -> Answer | None:
        """Ours, None where there is none. Raises ProviderError where one of that name is somebody else's."""
        found = await self._look(EksStep.CONTROL_PLANE, lambda: find_cluster(self._account, self._cluster))
        if found is not None and not ours(found.get("tags", {}), self._run):
            raise ProviderError(f"cluster {self._cluster} bears other tags than ours: it is left alone")
        return found

    async def _look_for_stack(self) -> Answer | None:
        found = await self._look(EksStep.NETWORK, lambda: find_stack(self._account, self._stack))
        if found is not None and not ours(unlisted(found.get("Tags", [])), self._run):
            raise ProviderError(f"stack {self._stack} bears other tags than ours: it is left alone")
        return found

    async def _look(self, step: EksStep, look: Callable[[], Awaitable[Answer | None]]) -> Answer | None:
        """Patiently for what was last asked for, since that may yet appear."""
        return await (self._waiting.settled(look, self._announced_at) if step is self._step else look())

    async def node_groups(self) -> None:
        """Raises ProviderError where one stays."""
        if self._step is EksStep.NODES:
            await self._look(EksStep.NODES, lambda: find_node_group(self._account, self._cluster, self._node_group))
        # All of them: the cluster is ours, and cannot be deleted while it has any.
        names = await list_node_groups(self._account, self._cluster)
        deleting = (delete_node_group(self._account, self._waiting, self._cluster, name) for name in names)
        for failed in await asyncio.gather(*deleting, return_exceptions=True):  # each to its end
            if failed is not None:
                raise failed

    async def _network(self, stack: Answer, vpc: str, forbidden: list[str]) -> None:
        status = ""
        for _ in range(self._patience.delete_tries):
            if vpc:
                await _as_allowed(delete_security_groups(self._account, vpc, self._cluster), forbidden)
            status = await delete_network(self._account, self._waiting, stack)
            if not status:
                return
            if vpc:  # mostly an interface that was given back too late
                await _as_allowed(delete_free_interfaces(self._account, vpc), forbidden)
                await delete_routes(self._account, vpc)
            await self._waiting.sleep(self._patience.poll_seconds)
        raise ProviderError(
            f"stack {self._stack} was not deleted: {status}; its events in CloudFormation say what holds it"
        )

    async def _nothing_left(self) -> None:
        """Lists lag behind deletions: what they still show is looked at again, for a while."""

        async def nothing() -> bool | None:
            left = await take_inventory(self._account, self._run)
            if await self._orphans(left):
                left = await take_inventory(self._account, self._run)
            return None if left else True

        try:
            await self._waiting.until(nothing, "", self._patience.settle_seconds)
        except AwsError:
            raise
        except ProviderError:
            left = await take_inventory(self._account, self._run)
            if left:
                raise ProviderError(f"still there: {', '.join(map(say_found, left))}") from None

    async def _orphans(self, left: list[Found]) -> bool:
        """Delete what its owner, the stack or a node, left behind when it went; whether there was such a thing."""
        for thing in left:
            if thing.kind == "network":
                await delete_routes(self._account, thing.name)
                await delete_vpc(self._account, thing.name)
            elif thing.kind == "volume":
                await delete_volume(self._account, thing.name)
        return any(thing.kind in ("network", "volume") for thing in left)


async def _as_allowed(deleting: Awaitable[None], forbidden: list[str]) -> None:
    """Go on where a deletion is not allowed, and keep what AWS said. A list that is not allowed raises as ever."""
    try:
        await deleting
    except AwsError as error:
        if not (error.forbidden and ".delete_" in error.operation):
            raise
        if str(error) not in forbidden:
            forbidden.append(str(error))
