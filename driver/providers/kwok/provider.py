"""The provider: the servers started as children that die with the driver, and fake nodes made on them."""

import asyncio
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from driver.child import end_child, end_stranger, last_line, start_child
from driver.cluster_api import ClusterApi, Sleep, open_cluster
from driver.errors import ApiError, ProviderError
from driver.provider import Cluster, ClusterOrder, Handle, SaveHandle
from driver.providers.kwok.servers import (
    ANNOTATION,
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

START_SECONDS = 60.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.1
NODES_AT_ONCE = 16  # requests
CAPACITY = {"cpu": "16", "memory": "32Gi", "pods": "110"}  # c5a.4xlarge


class KwokHandle(msgspec.Struct, frozen=True, kw_only=True):
    """The processes, each named before and numbered after its start; a cluster ends with them."""

    directory: str
    pids: dict[str, int] = {}


class KwokProvider:
    """Each cluster has an API server and controllers of its own."""

    name = "kwok"
    prefix = "kwok-"
    overhead_seconds = 15.0
    billed = False
    lasting = False
    stall_seconds: float | None = None

    def __init__(self, *, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = sleep
        self._processes: dict[str, dict[str, Process]] = {}
        self._logs: dict[str, Path] = {}

    async def up(self, order: ClusterOrder, save: SaveHandle) -> Cluster:
        find_programs()
        directory = (order.directory / "clusters" / order.name).resolve()
        handle = KwokHandle(directory=str(directory))
        save(msgspec.to_builtins(handle))
        layout = lay_out(directory)
        stages = directory / "stages.yaml"
        stages.write_text(stage_file(order.study))
        self._processes[order.name] = {}
        self._logs[order.name] = order.directory / "logs"
        plan = order.study.kwok
        for command in (etcd_command(layout), api_server_command(layout)):
            handle = await self._start(order, command, handle, save)
        await self._until(order.name, lambda: _has(layout.certificate), "wrote no certificate")
        async with self._api(layout, order) as api:
            await self._until(order.name, lambda: _serves(api), "did not answer")
            others = (
                controller_command(layout, plan.controller_qps),
                scheduler_command(layout),
                kwok_command(layout.kubeconfig, stages),
            )
            for command in others:
                handle = await self._start(order, command, handle, save)
            await self._make_nodes(api, order.size)
        return Cluster(
            name=order.name, size=order.size, kubeconfig=layout.kubeconfig, handle=msgspec.to_builtins(handle)
        )

    async def clear_cache(self, cluster: Cluster, images: tuple[str, ...]) -> None:
        """Fake nodes keep no images."""

    async def environment(self, cluster: Cluster) -> dict[str, Any]:
        return {"simulated": True, "nodes": "kwok"}

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
                await end_stranger(pid, (program,), grace_seconds=STOP_SECONDS)
        for process in mine.values():
            await end_child(process, grace_seconds=STOP_SECONDS)

    async def close(self) -> None:
        pass

    def _api(self, layout: Layout, order: ClusterOrder) -> Any:
        return open_cluster(layout.kubeconfig, order.study.cluster.namespace, sleep=self._sleep)

    async def _start(self, order: ClusterOrder, command: list[str], handle: KwokHandle, save: SaveHandle) -> KwokHandle:
        program = command[0]
        process = await start_child(command, self._log(order.name, program), stdin=DEVNULL, stdout=DEVNULL)
        self._processes[order.name][program] = process
        handle = msgspec.structs.replace(handle, pids={**handle.pids, program: process.pid})
        save(msgspec.to_builtins(handle))
        return handle

    async def _until(self, name: str, reached: Callable[[], Awaitable[bool]], otherwise: str) -> None:
        """The API server writes its certificate first, then answers, then makes the namespace."""
        waited = 0.0
        while not await reached():
            for program, process in self._processes[name].items():
                if process.returncode is not None:
                    raise ProviderError(self._death(name, program))
            if waited >= START_SECONDS:
                raise ProviderError(f"the API server of {name} {otherwise} within {START_SECONDS:.0f} s")
            await self._sleep(POLL_SECONDS)
            waited += POLL_SECONDS

    async def _make_nodes(self, api: ClusterApi, size: int) -> None:
        few = asyncio.Semaphore(NODES_AT_ONCE)

        async def make(index: int) -> None:
            async with few:
                await api.create("/api/v1/nodes", node_manifest(f"node-{index}"))

        try:
            async with asyncio.TaskGroup() as group:
                for index in range(size):
                    group.create_task(make(index))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    def _log(self, name: str, program: str) -> Path:
        return self._logs[name] / f"{name}.{program}.log"

    def _death(self, name: str, program: str) -> str:
        code = self._processes[name][program].returncode
        return f"{program} of {name} ended with code {code}: {last_line(self._log(name, program))}"


async def _has(path: Path) -> bool:
    return await asyncio.to_thread(lambda: path.exists() and path.stat().st_size > 0)


async def _serves(api: ClusterApi) -> bool:
    try:
        return await api.exists(f"/api/v1/namespaces/{api.namespace}")
    except ApiError as error:
        if error.status not in (0, 401, 403, 503):  # its own roles are made last
            raise
        return False


def node_manifest(name: str) -> dict[str, Any]:
    """A node that kwok takes for its own."""
    labels = {"kubernetes.io/hostname": name, "type": "kwok"}
    return {
        "metadata": {"name": name, "annotations": dict([ANNOTATION]), "labels": labels},
        "status": {"allocatable": CAPACITY, "capacity": CAPACITY},
    }
