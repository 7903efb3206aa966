"""EKS as a provider: the steps up, each announced before it is taken, and the way down."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from driver.clusters.cluster_api import ClusterApi, open_cluster
from driver.clusters.provider import Cluster, ClusterOrder, Handle, SaveHandle
from driver.errors import ProviderError
from driver.planning.eks_plan import Mode, Patience
from driver.planning.plan import Overhead
from driver.planning.price import HourlyPrice
from driver.planning.study import Study
from driver.providers.eks.access import forget_nodes, free_balancers, is_simulator, leads_to_simulator, write_kubeconfig
from driver.providers.eks.account import Account, Clients, endpoint, load_boto3
from driver.providers.eks.announcement import Announcer
from driver.providers.eks.aws_errors import AwsError, AwsErrorKind
from driver.providers.eks.boundary import check_boundary
from driver.providers.eks.caches import clear_caches
from driver.providers.eks.control_plane import ControlPlane, find_cluster, make_control_plane, stand_on_plane
from driver.providers.eks.description import say_what_is_made
from driver.providers.eks.duration import WHOLE, overhead_of
from driver.providers.eks.handle import EksHandle, EksStep, decode_handle, encode_handle
from driver.providers.eks.network import make_network, stand_on_network
from driver.providers.eks.node_group import NodeGroup
from driver.providers.eks.offering import check_node_type, choose_zones
from driver.providers.eks.preflight import check_study
from driver.providers.eks.prices import load_table, price_of
from driver.providers.eks.proof import hold_proven, prove
from driver.providers.eks.teardown import Teardown
from driver.providers.eks.tunnel import Tunnels
from driver.providers.eks.waiting import EksWaiting
from pullstudy.kube.errors import KubeError
from pullstudy.polling import Sleep

PREFIX = "eks-"  # of what is made, also where its API is a simulator's
LOOK_SECONDS = 60.0  # between two looks whether the cluster is still there
RECORDED_KEYS = (
    "mode",
    "placement_group",
    "volume",
    "ami_type",
    "ami_release",
    "snapshotter",
    "layer_downloads",
    "local_ssd",
    "registry",
)


def wall_clock() -> datetime:
    return datetime.now(UTC)


class EksProvider:
    """Each cluster has a stack, a control plane and a node group of its own; or the first two serve a whole run."""

    name = "eks"
    prefix = PREFIX
    overhead_seconds = WHOLE.make_seconds + WHOLE.delete_seconds
    lasting = False
    billed = True
    stall_seconds: float | None = None

    def __init__(
        self,
        kubeconfig: Path | None = None,
        *,
        now: Callable[[], datetime] = wall_clock,
        sleep: Sleep = asyncio.sleep,
        draw: Callable[[], str] = lambda: secrets.token_hex(4),
        clients: dict[str, Clients] | None = None,
    ) -> None:
        """``draw`` makes the runs' marks; ``clients`` are those that there are, by region.

        Raises MissingExtraError where boto3 is not installed.
        """
        load_boto3()
        if kubeconfig is not None and leads_to_simulator(kubeconfig):
            self.prefix = f"sim-{PREFIX}"
        self._kubeconfig = kubeconfig
        self._now = now
        self._sleep = sleep
        self._draw = draw
        self._clients = {} if clients is None else clients
        self._tunnels = Tunnels(sleep)
        self._studies: dict[str, Study] = {}

    def check_study(self, study: Study) -> None:
        check_study(study)

    def price(self, study: Study, size: int) -> HourlyPrice:
        check_study(study)
        return price_of(study, size, load_table())

    def makes(self, study: Study) -> tuple[str, ...]:
        return tuple(say_what_is_made(study))

    def overhead(self, study: Study, size: int) -> Overhead:
        return overhead_of(study, size)

    async def up(self, order: ClusterOrder, save: SaveHandle) -> Cluster:
        check_study(order.study)
        self.knows(order.name, order.study)
        account = self._account(order.study.cluster.region, order.study.eks.patience)
        waiting = self._waiting(order.study.eks.patience)
        announcer = Announcer(order, save, now=self._now, kubeconfig=self._kubeconfig)
        base, node_type = decode_handle(order.base or {}), order.study.cluster.node_type
        if base is None:
            await check_node_type(account, node_type, order.study.eks)
            zones = await choose_zones(account, node_type, order.study.eks)
            await check_boundary(account)
            handle = announcer.begin(await account.number(), self._draw())
            network = await make_network(account, waiting, handle, zones)
            handle = announcer.announce(handle, EksStep.CONTROL_PLANE)
            plane = await make_control_plane(account, waiting, handle, network)
            handle = announcer.nodes(handle)
        else:
            handle = announcer.nodes(base)
            network = await stand_on_network(account, handle)
            plane = await stand_on_plane(account, handle)
        await NodeGroup(account, waiting, handle, network).make(node_type, order.size)
        handle = announcer.announce(handle, EksStep.UP)
        simulated = False
        await self._reach(order, handle, plane)
        if not handle.own_kubeconfig:
            # Sizes that share a control plane share its context, unless each one's tunnel writes it.
            read = handle.kubeconfig if base is None or handle.plan.tunnel else base.kubeconfig
            held, simulated = await hold_proven(order.name, handle, read, waiting)
            handle = announcer.announce(msgspec.structs.replace(handle, kubeconfig=held), EksStep.UP)
        return Cluster(
            name=order.name,
            size=order.size,
            kubeconfig=handle.kubeconfig,
            handle=encode_handle(handle),
            node_selector={} if simulated else handle.node_labels,
        )

    def knows(self, name: str, study: Study) -> None:
        """Whose cluster of that name it is."""
        self._studies[name] = study

    async def clear_cache(self, cluster: Cluster, images: tuple[str, ...]) -> frozenset[str] | None:
        study, handle = self._studies[cluster.name], _handle_of(cluster)
        async with open_cluster(
            handle.kubeconfig,
            study.cluster.namespace,
            node_selector=handle.node_labels,
            patience_seconds=study.limits.api_seconds,
            sleep=self._sleep,
        ) as api:
            return await clear_caches(api, handle, study, images, self._sleep)

    async def environment(self, cluster: Cluster) -> dict[str, Any]:
        handle = _handle_of(cluster)
        kept: dict[str, Any] = msgspec.to_builtins(handle.plan)
        told = {"eks_cluster": handle.cluster, "region": handle.region, **{key: kept[key] for key in RECORDED_KEYS}}
        async with open_cluster(handle.kubeconfig, "default", sleep=self._sleep) as api:
            simulated = not handle.own_kubeconfig and await is_simulator(api)
        return {**told, "simulated": True} if simulated else told

    async def lost(self, cluster: Cluster) -> NoReturn:
        handle = _handle_of(cluster)
        account = self._account(handle.region, handle.plan.patience)
        while True:
            if self._now() >= handle.mark.expires_at:
                hours = f"{handle.plan.ttl_hours:g} h"
                raise ProviderError(
                    f"{cluster.name}: its {hours} are over (eks.ttl_hours); a janitor may delete it now"
                )
            try:
                found = await find_cluster(account, handle.cluster)
            except AwsError:
                # Jobs run without AWS' own API, and its being away, or our credentials, tell nothing about the cluster.
                found = {"status": "ACTIVE"}
            if found is None or found["status"] in ("DELETING", "FAILED"):
                raise ProviderError(f"{cluster.name}: EKS says {found['status'] if found else 'that it is gone'}")
            await self._tunnels.pause(cluster.name, LOOK_SECONDS)

    async def empty(self, name: str, kept: Handle) -> bool:
        handle = decode_handle(kept)
        if handle is None or handle.plan.mode is not Mode.SHARED:
            return False
        try:
            async with open_cluster(handle.kubeconfig, "default", sleep=self._sleep) as api:
                # Before the nodes go, which are the proof.
                simulated = not handle.own_kubeconfig and await prove(api, handle)
                await self._teardown(handle).node_groups()
                if not simulated:
                    await forget_nodes(api)
        except KubeError as error:
            raise ProviderError(str(error)) from error
        finally:
            await self._tunnels.end(name)
        return True

    async def down(self, name: str, kept: Handle) -> None:
        handle = decode_handle(kept)
        if handle is None:
            return
        unreached = ""

        async def proven(api: ClusterApi) -> None:
            await prove(api, handle, patience_seconds=handle.plan.patience.api_seconds)

        async def free() -> None:
            nonlocal unreached
            try:
                await free_balancers(
                    handle.kubeconfig,
                    self._waiting(handle.plan.patience),
                    all_services=handle.own_kubeconfig,
                    prove=None if handle.own_kubeconfig else proven,
                )
            except (KubeError, ProviderError) as error:  # what is left of them is found in the network
                unreached = f"; its services were not all deleted: {error}"

        try:
            async with _way_out(name, handle):
                await self._check_account(handle)
                await self._teardown(handle).everything(free)
        except ProviderError as error:
            raise ProviderError(f"{error}{unreached}") from error
        finally:
            await self._tunnels.end(name)

    async def close(self) -> None:
        await self._tunnels.end_all()

    async def _reach(self, order: ClusterOrder, handle: EksHandle, plane: ControlPlane) -> None:
        """Have a kubeconfig that leads to the cluster, or is said to."""
        if handle.own_kubeconfig:
            write_kubeconfig(handle.kubeconfig, handle.cluster, handle.region, plane)
        elif handle.plan.tunnel:
            if self._kubeconfig is None:
                handle.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
                handle.kubeconfig.unlink(missing_ok=True)
            await self._tunnels.open(order.name, order.size, handle, plane)

    async def _check_account(self, handle: EksHandle) -> None:
        """In another account nothing of it would be found, and it would be taken for gone."""
        number = await self._deleting(handle).number()
        if number != handle.account:
            raise ProviderError(
                f"it was made in account {handle.account}, and these credentials are of {number}: set AWS_PROFILE"
            )
        if endpoint() != handle.endpoint:
            raise ProviderError(f"it was made at AWS_ENDPOINT_URL={handle.endpoint or 'nothing'}: set it so again")

    def _teardown(self, handle: EksHandle) -> Teardown:
        return Teardown(
            self._deleting(handle),
            self._waiting(handle.plan.patience),
            run=handle.mark.run,
            cluster=handle.cluster,
            node_group=handle.node_group,
            stack=handle.stack,
            step=handle.step,
            announced_at=handle.announced_at,
        )

    def _deleting(self, handle: EksHandle) -> Account:
        """For the way down, which must not give up at once when the credentials are gone."""
        patience = handle.plan.patience
        return Account(
            self._clients_of(handle.region),
            retry_seconds=patience.retry_seconds,
            credentials_seconds=patience.credentials_seconds,
            sleep=self._sleep,
        )

    def _account(self, region: str, patience: Patience) -> Account:
        return Account(self._clients_of(region), retry_seconds=patience.retry_seconds, sleep=self._sleep)

    def _clients_of(self, region: str) -> Clients:
        if region not in self._clients:
            self._clients[region] = Clients(region)
        return self._clients[region]

    def _waiting(self, patience: Patience) -> EksWaiting:
        return EksWaiting(patience, now=self._now, sleep=self._sleep)


@asynccontextmanager
async def _way_out(name: str, handle: EksHandle) -> AsyncIterator[None]:
    """Adds to any error the one command that finishes the deletion."""
    try:
        yield
    except (ProviderError, KubeError) as error:
        first = "renew the credentials, then run" if _of_credentials(error) else "run"
        raise ProviderError(f"{name} may still exist: {error}; {first}: {handle.way_out}") from error


def _of_credentials(error: BaseException) -> bool:
    return isinstance(error, AwsError) and error.kind is AwsErrorKind.CREDENTIALS


def _handle_of(cluster: Cluster) -> EksHandle:
    handle = decode_handle(cluster.handle)
    assert handle is not None
    return handle
