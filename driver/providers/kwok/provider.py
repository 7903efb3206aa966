"""The provider: fake nodes on servers that are started for them, or on the cluster of a kubeconfig."""

import asyncio
import secrets
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from driver.child_process import end_child, end_stranger, last_line, start_child
from driver.clusters.answering import answering
from driver.clusters.cluster_api import ClusterApi, open_cluster
from driver.clusters.provider import Cluster, ClusterOrder, Handle, SaveHandle
from driver.errors import ProviderError, UsageError
from driver.planning.study import Study
from driver.providers.kubeconfig.context import hold_context, keep_context, kept_context
from driver.providers.kubeconfig.permissions import provider_errors
from driver.providers.kwok.kubelets.nodes import NodesOrder, node_names
from driver.providers.kwok.servers import (
    PROGRAMS,
    SCHEDULER_QPS,
    Layout,
    api_server_command,
    controller_command,
    etcd_command,
    find_programs,
    kwok_command,
    lay_out,
    scheduler_command,
)
from driver.providers.kwok.stages import stage_file
from pullstudy.kube.access import current_context
from pullstudy.kube.errors import ApiError, KubeError
from pullstudy.kube.objects import Node, Page, Taint
from pullstudy.polling import Sleep, every, polls

START_SECONDS = 60.0
STOP_SECONDS = 10.0
CLEAR_SECONDS = 60.0
PACE = every(0.1)
KUBELETS = "driver.providers.kwok.kubelets"
LABEL = "pullstudy/fake"  # of the nodes of one cluster, and the annotation by which its kwok knows them
TAINT = Taint(key=LABEL, value="node", effect="NoSchedule")


class KwokHandle(msgspec.Struct, frozen=True, kw_only=True):
    """The processes, each named before and numbered after its start, and the mark of the nodes."""

    directory: str
    mark: str
    # Of a cluster that was there before, with the context that was current; without it all ends with the servers.
    kubeconfig: str | None = None
    namespace: str = "default"  # of the jobs
    pids: dict[str, int] = {}


class KwokProvider:
    """Each cluster has an API server and controllers of its own, or nodes of its own on the one that was given."""

    name = "kwok"
    prefix = "kwok-"
    overhead_seconds = 15.0
    billed = False
    stall_seconds: float | None = None

    def __init__(self, kubeconfig: Path | None = None, *, sleep: Sleep = asyncio.sleep) -> None:
        self._given = kubeconfig
        self.lasting = kubeconfig is not None
        self._sleep = sleep
        self._processes: dict[str, dict[str, Process]] = {}
        self._logs: dict[str, Path] = {}
        self._orders: dict[str, NodesOrder] = {}
        self._context: str | None = None  # of the given kubeconfig

    def check_study(self, study: Study) -> None:
        if self._given is not None:
            _check_tolerations(study)

    def check_place(self, study: Study) -> None:
        if self._given is not None and not self._given.is_file():
            raise UsageError(f"--kubeconfig {self._given}: no such file")
        find_programs(("kwok",) if self._given else PROGRAMS)
        if self._given is not None:
            asyncio.run(self._check_given(self._given, study.cluster.namespace))

    async def _check_given(self, kubeconfig: Path, namespace: str) -> None:
        with provider_errors():
            async with answering(kubeconfig, namespace, self._sleep) as api:
                if not await api.exists(f"/api/v1/namespaces/{namespace}"):
                    raise ProviderError(f"namespace {namespace} is not there: kubectl create namespace {namespace}")

    async def up(self, order: ClusterOrder, save: SaveHandle) -> Cluster:
        self.check_study(order.study)
        find_programs(("kwok",) if self._given else PROGRAMS)
        directory = (order.directory / "clusters" / order.name).resolve()
        given = str(self._held(self._given, directory)) if self._given else None
        handle = KwokHandle(
            directory=str(directory),
            mark=secrets.token_hex(4),
            kubeconfig=given,
            namespace=order.study.cluster.namespace,
        )
        save(msgspec.to_builtins(handle))
        self._processes[order.name] = {}
        self._logs[order.name] = order.directory / "logs"
        directory.mkdir(parents=True, exist_ok=True)
        if given is None:
            layout = lay_out(directory)
            handle = await self._start_servers(order, layout, handle, save)
            kubeconfig = layout.kubeconfig
        else:
            kubeconfig = Path(given)
        handle = await self._start_nodes(order, kubeconfig, directory, handle, save)
        if self._context is not None:
            keep_context(order.directory, self._context)
        return Cluster(
            name=order.name,
            size=order.size,
            kubeconfig=kubeconfig,
            handle=msgspec.to_builtins(handle),
            node_selector={LABEL: handle.mark} if given else {},
        )

    async def clear_cache(self, cluster: Cluster, images: tuple[str, ...]) -> frozenset[str]:
        orders = self._processes[cluster.name]["kubelets"].stdin
        assert orders is not None
        with suppress(OSError):  # a dead one is found out by its missing answer
            orders.write(msgspec.json.encode(images) + b"\n")
            await orders.drain()
        await self._answer(cluster.name, CLEAR_SECONDS)
        return frozenset(node_names(self._orders[cluster.name]))

    async def environment(self, cluster: Cluster) -> dict[str, Any]:
        order = self._orders[cluster.name]
        return {
            "simulated": True,
            "nodes": "kwok",
            "profile": order.profile,
            "speed": order.speed,
            "model": order.model,
        }

    async def lost(self, cluster: Cluster) -> NoReturn:
        processes = self._processes[cluster.name]
        ends = {asyncio.ensure_future(process.wait()): name for name, process in processes.items()}
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        raise ProviderError(self._death(cluster.name, ends[done.pop()]))

    async def down(self, name: str, handle: Handle) -> None:
        if not handle:
            return
        kept = msgspec.convert(handle, KwokHandle)
        mine = self._processes.pop(name, {})
        for program, pid in reversed(kept.pids.items()):
            if program in mine:
                await end_child(mine.pop(program), grace_seconds=STOP_SECONDS)
            else:
                marks = (KUBELETS, name) if program == "kubelets" else (program,)
                await end_stranger(pid, marks, grace_seconds=STOP_SECONDS)
        for process in mine.values():
            await end_child(process, grace_seconds=STOP_SECONDS)
        if kept.kubeconfig is not None:
            await self._leave(Path(kept.kubeconfig), kept)
        # What etcd holds is of no use without its servers, and large.
        await asyncio.to_thread(shutil.rmtree, Path(kept.directory) / "etcd", ignore_errors=True)

    async def close(self) -> None:
        pass

    async def _start_servers(
        self, order: ClusterOrder, layout: Layout, handle: KwokHandle, save: SaveHandle
    ) -> KwokHandle:
        for command in (etcd_command(layout), api_server_command(layout)):
            handle = await self._start(order, command, handle, save)
        await self._until(order.name, lambda: _has(layout.certificate), "wrote no certificate")
        async with open_cluster(layout.kubeconfig, "default", sleep=self._sleep) as api:
            await self._until(order.name, lambda: _serves(api), "did not answer")
        plan = order.study.kwok
        for command in (
            controller_command(layout, plan.controller_qps, plan.lease_seconds),
            scheduler_command(layout, max(plan.controller_qps, SCHEDULER_QPS)),
        ):
            handle = await self._start(order, command, handle, save)
        return handle

    async def _start_nodes(
        self, order: ClusterOrder, kubeconfig: Path, directory: Path, handle: KwokHandle, save: SaveHandle
    ) -> KwokHandle:
        stages, wanted = directory / "stages.yaml", directory / "nodes.json"
        stages.write_text(stage_file())
        self._orders[order.name] = nodes = nodes_order(order, kubeconfig, handle)
        wanted.write_bytes(msgspec.json.encode(nodes))
        kwok = kwok_command(self._given or kubeconfig, stages, (LABEL, handle.mark), order.study.kwok.lease_seconds)
        handle = await self._start(order, kwok, handle, save)
        # -P: a file of the working directory is no module of ours.
        command = [sys.executable, "-P", "-m", KUBELETS, order.name, str(wanted)]
        handle = await self._start(order, command, handle, save, name="kubelets", pipe=PIPE)
        await self._answer(order.name, order.study.limits.nodes_ready_seconds)
        return handle

    async def _start(
        self,
        order: ClusterOrder,
        command: list[str],
        handle: KwokHandle,
        save: SaveHandle,
        *,
        name: str | None = None,
        pipe: int = DEVNULL,
    ) -> KwokHandle:
        program = name or command[0]
        process = await start_child(command, self._log(order.name, program), stdin=pipe, stdout=pipe)
        self._processes[order.name][program] = process
        handle = msgspec.structs.replace(handle, pids={**handle.pids, program: process.pid})
        save(msgspec.to_builtins(handle))
        return handle

    async def _answer(self, name: str, limit_seconds: float) -> None:
        """Wait for the kubelets' next word."""
        kubelets = self._processes[name]["kubelets"]
        assert kubelets.stdout is not None
        try:
            async with asyncio.timeout(limit_seconds):
                said = await kubelets.stdout.readline()
        except TimeoutError:
            raise ProviderError(f"the kubelets of {name} did not answer within {limit_seconds:.0f} s") from None
        if not said:
            await kubelets.wait()
            raise ProviderError(self._death(name, "kubelets"))

    async def _until(self, name: str, reached: Callable[[], Awaitable[bool]], otherwise: str) -> None:
        """The API server writes its certificate first, then answers, then makes the namespace."""
        async for _ in polls(PACE, START_SECONDS, sleep=self._sleep):
            if await reached():
                return
            for program, process in self._processes[name].items():
                if process.returncode is not None:
                    raise ProviderError(self._death(name, program))
        raise ProviderError(f"the API server of {name} {otherwise} within {START_SECONDS:.0f} s")

    def _held(self, kubeconfig: Path, directory: Path) -> Path:
        """The nodes of all sizes are made on one cluster. kwok takes no other than the current one."""
        current = current_context(kubeconfig)
        self._context = self._context or kept_context(directory.parents[1]) or current
        if current != self._context:
            raise ProviderError(
                f"kubeconfig {kubeconfig} leads to {current} by now: kubectl config use-context {self._context}"
            )
        return hold_context(kubeconfig.resolve(), current, directory.with_name(f"{directory.name}.context"))

    async def _leave(self, kubeconfig: Path, kept: KwokHandle) -> None:
        """Of the cluster that was there before, nothing ends with us: the jobs neither, nor the nodes."""
        mark = kept.mark
        try:
            async with open_cluster(kubeconfig, kept.namespace, sleep=self._sleep) as api:
                await api.delete(
                    f"{api.jobs_path}?labelSelector={LABEL.replace('/', '%2F')}%3D{mark}&propagationPolicy=Background"
                )
                for name in await api.list_objects("/api/v1/nodes", ("labelSelector", f"{LABEL}={mark}"), _names):
                    await api.delete(f"/api/v1/nodes/{name}")
        except KubeError as error:
            way = f"kubectl delete jobs,nodes -n {kept.namespace} -l {LABEL}={mark}"
            raise ProviderError(f"jobs and fake nodes may be left: {error}; {way}") from error

    def _log(self, name: str, program: str) -> Path:
        return self._logs[name] / f"{name}.{program}.log"

    def _death(self, name: str, program: str) -> str:
        code = self._processes[name][program].returncode
        return f"{program} of {name} ended with code {code}: {last_line(self._log(name, program))}"


def nodes_order(order: ClusterOrder, kubeconfig: Path, handle: KwokHandle) -> NodesOrder:
    """On a cluster that has other nodes, ours have names of their own and keep other pods off."""
    plan, shared = order.study.kwok, handle.kubeconfig is not None
    return NodesOrder(
        cluster=order.name,
        nodes=order.size,
        kubeconfig=str(kubeconfig),
        profile=plan.profile,
        speed=plan.speed,
        seed=plan.seed,
        model=plan.changes,
        images=order.study.images.sizes,
        domain=f"{handle.mark}.kwok" if shared else None,
        labels={LABEL: handle.mark},
        annotations={LABEL: handle.mark},
        taints=({"key": TAINT.key, "value": TAINT.value, "effect": TAINT.effect},) if shared else (),
    )


def _check_tolerations(study: Study) -> None:
    if not TAINT.tolerated(study.job.tolerations):
        wanted = f'[job] tolerations = [{{ key = "{LABEL}", operator = "Exists" }}]'
        raise ProviderError(f"the fake nodes keep other pods off by a taint: study.toml needs {wanted}")


def _names(content: bytes) -> list[str]:
    return [node.metadata.name for node in msgspec.json.decode(content, type=Page[Node]).objects]


async def _has(path: Path) -> bool:
    return await asyncio.to_thread(lambda: path.exists() and path.stat().st_size > 0)


async def _serves(api: ClusterApi) -> bool:
    try:
        return await api.exists(f"/api/v1/namespaces/{api.namespace}")
    except ApiError as error:
        if error.status not in (0, 401, 403, 503):  # its own roles are made last
            raise
        return False
