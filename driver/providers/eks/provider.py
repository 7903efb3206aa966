"""EKS as a provider: the steps up, each announced before it is taken, and the way down."""

import asyncio
import getpass
import secrets
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from driver.child import end_child, last_line, start_child
from driver.eks_plan import Patience
from driver.errors import ApiError, ProviderError
from driver.price import HourlyPrice
from driver.provider import Cluster, ClusterOrder, Handle, SaveHandle
from driver.providers.eks.access import clear_simulator, free_balancers, write_kubeconfig
from driver.providers.eks.account import Account, Clients, Sleep, endpoint, load_boto3
from driver.providers.eks.aws_errors import AwsError, Kind
from driver.providers.eks.control_plane import ControlPlane, find_cluster, make_control_plane
from driver.providers.eks.handle import LONGEST_NAME, EksHandle, Step, decode_handle, encode_handle
from driver.providers.eks.network import choose_zones, make_network
from driver.providers.eks.node_group import NodeGroup
from driver.providers.eks.preflight import check_study
from driver.providers.eks.prices import load_table, price_of
from driver.providers.eks.tags import Mark, tag_value
from driver.providers.eks.teardown import Teardown
from driver.providers.eks.waiting import Waiting
from driver.study import Study

LOOK_SECONDS = 60.0  # between two looks whether the cluster is still there
TUNNEL_SECONDS = 60.0
TUNNEL_GRACE_SECONDS = 5.0
TOLD = ("volume", "ami_type", "ami_release", "snapshotter", "layer_downloads", "local_ssd", "registry")
# Seen by users of EKS: a stack takes 1 to 2 min, a control plane 8 to 12, nodes 2 to 4; back 3 to 6, 2 to 4 and 1.
WHOLE_SECONDS = 1500.0


def wall_clock() -> datetime:
    return datetime.now(UTC)


class EksProvider:
    """Each cluster has a stack, a control plane and a node group of its own."""

    name = "eks"
    prefix = "eks-"
    overhead_seconds = WHOLE_SECONDS
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

        Raises UsageError where boto3 is not installed.
        """
        load_boto3()
        self._kubeconfig = kubeconfig
        self._now = now
        self._sleep = sleep
        self._draw = draw
        self._clients = {} if clients is None else clients
        self._tunnels: dict[str, Process] = {}

    def price(self, study: Study, size: int) -> HourlyPrice:
        check_study(study, clears_caches=self._kubeconfig is not None)
        return price_of(study, size, load_table())

    async def up(self, order: ClusterOrder, save: SaveHandle) -> Cluster:
        check_study(order.study, clears_caches=self._kubeconfig is not None)
        account, waiting = (
            self._account(order.study.cluster.region, order.study.eks.patience),
            self._waiting(order.study.eks.patience),
        )
        keep = _Keeper(save, self._now)
        handle = keep.announce(await self._begin(account, order), Step.NETWORK)
        network = await make_network(account, waiting, handle, await choose_zones(account, handle.plan))
        handle = keep.announce(handle, Step.CONTROL_PLANE)
        plane = await make_control_plane(account, waiting, handle, network)
        handle = keep.announce(msgspec.structs.replace(handle, node_group=f"nodes-{order.size}"), Step.NODES)
        await NodeGroup(account, waiting, handle, network).make(order.study.cluster.node_type, order.size)
        handle = keep.announce(handle, Step.UP)
        await self._reach(order, handle, plane)
        return Cluster(name=order.name, size=order.size, kubeconfig=handle.kubeconfig, handle=encode_handle(handle))

    async def clear_cache(self, cluster: Cluster, images: tuple[str, ...]) -> None:
        handle = _handle_of(cluster)
        if handle.own_kubeconfig or not await clear_simulator(handle.kubeconfig, images):
            raise ProviderError(f"{cluster.name}: the caches of EKS nodes cannot be cleared: run with --cache warm")

    async def environment(self, cluster: Cluster) -> dict[str, Any]:
        handle = _handle_of(cluster)
        kept: dict[str, Any] = msgspec.to_builtins(handle.plan)
        return {"eks_cluster": handle.cluster, "region": handle.region, **{key: kept[key] for key in TOLD}}

    async def lost(self, cluster: Cluster) -> NoReturn:
        handle = _handle_of(cluster)
        account = self._account(handle.region, handle.plan.patience)
        tunnel = self._tunnels.get(cluster.name)
        while True:
            if tunnel is not None and tunnel.returncode is not None:
                said = last_line(_tunnel_log(handle, cluster.name))
                raise ProviderError(f"the tunnel to {cluster.name} ended with code {tunnel.returncode}: {said}")
            try:
                found = await find_cluster(account, handle.cluster)
            except AwsError:
                # Jobs run without AWS' own API, and its being away, or our credentials, tell nothing about the cluster.
                found = {"status": "ACTIVE"}
            if found is None or found["status"] in ("DELETING", "FAILED"):
                raise ProviderError(f"{cluster.name}: EKS says {found['status'] if found else 'that it is gone'}")
            await self._pause(tunnel)

    async def _pause(self, tunnel: Process | None) -> None:
        if tunnel is None:
            return await self._sleep(LOOK_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await tunnel.wait()

    async def down(self, name: str, kept: Handle) -> None:
        handle = decode_handle(kept)
        if handle is None:
            return
        unreached = ""

        async def free() -> None:
            nonlocal unreached
            try:
                await free_balancers(
                    handle.kubeconfig, self._waiting(handle.plan.patience), all_services=handle.own_kubeconfig
                )
            except ApiError as error:  # balancers that are left hold the network, and are named then
                unreached = f"; its services were not looked at: {error}"

        try:
            async with _way_out(name, handle):
                await self._check_account(handle)
                await self._teardown(handle).everything(free)
        except ProviderError as error:
            raise ProviderError(f"{error}{unreached}") from error
        finally:
            await self._end_tunnel(name)

    async def close(self) -> None:
        for name in list(self._tunnels):
            await self._end_tunnel(name)

    async def _begin(self, account: Account, order: ClusterOrder) -> EksHandle:
        """All names and tags, before anything is made."""
        study, run = order.study, self._draw()
        plan = study.eks
        mark = Mark(
            study=tag_value(study.name),
            run=run,
            owner=tag_value(plan.owner or _user()),
            expires_at=self._now() + timedelta(hours=plan.ttl_hours),
        )
        name = f"{order.name[: LONGEST_NAME - len(run) - 1]}-{run}"
        own = order.directory / "clusters" / f"{order.name}.kubeconfig"
        return EksHandle(
            step=Step.NETWORK,
            announced_at=self._now(),
            mark=mark,
            account=await account.number(),
            region=study.cluster.region,
            endpoint=endpoint(),
            stack=name,
            cluster=name,
            node_group="",
            kubeconfig=self._kubeconfig or own.absolute(),
            own_kubeconfig=self._kubeconfig is None and not plan.tunnel,
            directory=order.directory,
            plan=plan,
        )

    async def _reach(self, order: ClusterOrder, handle: EksHandle, plane: ControlPlane) -> None:
        """Have a kubeconfig that leads to the cluster."""
        if handle.own_kubeconfig:
            write_kubeconfig(handle.kubeconfig, handle.cluster, handle.region, plane)
        elif handle.plan.tunnel:
            await self._open_tunnel(order, handle, plane)

    async def _open_tunnel(self, order: ClusterOrder, handle: EksHandle, plane: ControlPlane) -> None:
        filled = {
            "cluster": handle.cluster,
            "endpoint": plane.endpoint,
            "kubeconfig": str(handle.kubeconfig),
            "region": handle.region,
            "size": str(order.size),
        }
        argv = [word.format_map(filled) for word in handle.plan.tunnel]
        if self._kubeconfig is None:
            handle.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
            handle.kubeconfig.unlink(missing_ok=True)
        log = _tunnel_log(handle, order.name)
        tunnel = await start_child(argv, log, stdin=PIPE, stdout=DEVNULL)
        self._tunnels[order.name] = tunnel
        waited = 0.0
        while not handle.kubeconfig.exists():
            if tunnel.returncode is not None or waited >= TUNNEL_SECONDS:
                raise ProviderError(f"the tunnel to {order.name} did not write {handle.kubeconfig}: {last_line(log)}")
            await self._sleep(0.1)
            waited += 0.1

    async def _end_tunnel(self, name: str) -> None:
        tunnel = self._tunnels.pop(name, None)
        if tunnel is not None:
            await end_child(tunnel, grace_seconds=TUNNEL_GRACE_SECONDS)

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

    def _waiting(self, patience: Patience) -> Waiting:
        return Waiting(patience, now=self._now, sleep=self._sleep)


class _Keeper:
    """Has each step in the ledger before it is taken."""

    def __init__(self, save: SaveHandle, now: Callable[[], datetime]) -> None:
        self._save = save
        self._now = now

    def announce(self, handle: EksHandle, step: Step) -> EksHandle:
        announced = msgspec.structs.replace(handle, step=step, announced_at=self._now())
        self._save(encode_handle(announced))
        return announced


@asynccontextmanager
async def _way_out(name: str, handle: EksHandle) -> AsyncIterator[None]:
    """Adds to any error the one command that finishes the deletion."""
    try:
        yield
    except (ProviderError, ApiError) as error:
        first = "renew the credentials, then run" if _of_credentials(error) else "run"
        raise ProviderError(f"{name} may still exist: {error}; {first}: {handle.way_out}") from error


def _of_credentials(error: BaseException) -> bool:
    return isinstance(error, AwsError) and error.kind is Kind.CREDENTIALS


def _handle_of(cluster: Cluster) -> EksHandle:
    handle = decode_handle(cluster.handle)
    assert handle is not None
    return handle


def _tunnel_log(handle: EksHandle, name: str) -> Path:
    return handle.directory / "logs" / f"{name}.tunnel.log"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
