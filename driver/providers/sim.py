"""The simulator as a provider: one server process a cluster, reached over HTTP like any other API server."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from driver.child_process import end_child, end_stranger, last_line, start_child
from driver.clusters.provider import Cluster, ClusterOrder, Handle, SaveHandle
from driver.errors import ProviderError, UsageError
from driver.planning.study import SimPlan, Stages, Study
from pullstudy.sim.cli import MOST_NODES

if TYPE_CHECKING:
    import aiohttp

START_SECONDS = 30.0
SIMULATOR = "pullstudy.sim"
STOP_SECONDS = 5.0
ADMIN_SECONDS = 60.0
SOME_LAYERS = 384  # of each image at a size, whose pulls are told of where not all are
STALL_SECONDS = 60.0  # at full speed a simulator that says nothing for so long is stuck


class _Ready(msgspec.Struct, frozen=True):
    ready: bool
    url: str


class SimProvider:
    """Each cluster is a ``python -m pullstudy.sim`` that dies with the driver: its stdin is held open."""

    name = "sim"
    prefix = "sim-"
    overhead_seconds = 0.0
    lasting = False
    billed = False
    stall_seconds: float | None = STALL_SECONDS

    def __init__(self) -> None:
        self._processes: dict[str, Process] = {}
        self._plans: dict[str, SimPlan] = {}
        self._session: aiohttp.ClientSession | None = None

    def check_study(self, study: Study) -> None:
        from pullstudy.sim.api.version import KubernetesVersion
        from pullstudy.sim.faults.kinds import FaultError, parse_faults

        if (largest := max(study.sizes)) > MOST_NODES:
            raise UsageError(f"--sizes: the simulator has at most {MOST_NODES:,} nodes, not {largest:,}")
        try:
            KubernetesVersion.parse(study.sim.kubernetes_version)
            parse_faults(msgspec.json.encode(study.sim.faults))
        except (ValueError, FaultError) as error:
            raise UsageError(f"[sim] of the study: {error}; docs/sim.md") from error
        if study.sim.speed != "max" and not _is_speed(study.sim.speed):
            raise UsageError(f"[sim] speed = {study.sim.speed!r}: write max, or virtual seconds a second, like 60")

    async def up(self, order: ClusterOrder, save: SaveHandle) -> Cluster:
        self.stall_seconds = STALL_SECONDS if order.study.sim.speed == "max" else None
        incarnation = int((order.previous or {}).get("incarnation", 0)) + 1
        kubeconfig = order.directory / "clusters" / f"{order.name}.kubeconfig"
        kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        log = order.directory / "logs" / f"{order.name}.sim.log"
        handle: Handle = {"incarnation": incarnation, "kubeconfig": str(kubeconfig), "log": str(log)}
        save(handle)
        argv = sim_command(order, kubeconfig, incarnation)
        process = await start_child(argv, log, stdin=PIPE, stdout=PIPE)
        self._processes[order.name] = process
        self._plans[order.name] = order.study.sim
        handle = {**handle, "pid": process.pid}
        save(handle)
        ready = await _ready(process, order.name, log)
        handle = {**handle, "url": ready.url}
        save(handle)
        return Cluster(name=order.name, size=order.size, kubeconfig=kubeconfig, handle=handle)

    async def clear_cache(self, cluster: Cluster, images: tuple[str, ...]) -> None:
        await self._admin(cluster, "cache/clear", {"images": list(images)})

    def sends_spans(self, study: Study) -> bool:
        """SendsSpans."""
        return study.sim.stages is not Stages.NONE

    async def send_spans(self, cluster: Cluster, url: str) -> None:
        await self._admin(cluster, "spans", {"url": url})

    async def spans_sent(self, cluster: Cluster) -> None:
        await self._admin(cluster, "spans/sent", {})

    async def environment(self, cluster: Cluster) -> dict[str, Any]:
        plan = self._plans[cluster.name]
        return {"simulated": True, "profile": plan.profile, "model": plan.changes, "seed": plan.seed}

    async def lost(self, cluster: Cluster) -> NoReturn:
        code = await self._processes[cluster.name].wait()
        said = last_line(Path(cluster.handle["log"]))
        raise ProviderError(f"the simulator of {cluster.name} ended with code {code}: {said}")

    async def down(self, name: str, handle: Handle) -> None:
        process = self._processes.pop(name, None)
        if process is not None:
            await end_child(process, grace_seconds=STOP_SECONDS)
        elif "pid" in handle:
            await end_stranger(int(handle["pid"]), (SIMULATOR, name), grace_seconds=STOP_SECONDS)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _admin(self, cluster: Cluster, verb: str, body: dict[str, Any]) -> None:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ADMIN_SECONDS))
        url = f"{cluster.handle['url']}/sim/{verb}"
        try:
            async with self._session.post(url, json=body) as response:
                if response.status != 200:
                    raise ProviderError(f"{cluster.name}: {verb} was answered {response.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProviderError(f"{cluster.name}: {verb} failed: {error}") from error


def _is_speed(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def sim_command(order: ClusterOrder, kubeconfig: Path, incarnation: int) -> list[str]:
    """A cluster that is made again gets another seed: its uids must not be those of its forerunner's events."""
    plan = order.study.sim
    seed = plan.seed + 1_000_003 * (incarnation - 1)
    # -P: a folder pullstudy in the user's working directory is not this package.
    argv = [
        sys.executable,
        "-P",
        "-m",
        SIMULATOR,
        "--nodes",
        str(order.size),
        "--port",
        "0",
        "--kubeconfig",
        str(kubeconfig),
    ]
    argv += ["--cluster", order.name, "--seed", str(seed), "--exit-with-stdin"]
    argv += ["--profile", plan.profile, "--version", plan.kubernetes_version, "--speed", plan.speed]
    if plan.stages is Stages.SOME:
        argv += ["--otlp-layers", str(SOME_LAYERS)]
    for name, value in (("model", plan.model), ("faults", plan.faults), ("images", order.study.images.sizes)):
        if value:
            path = kubeconfig.with_suffix(f".{name}.json")
            path.write_bytes(msgspec.json.encode(value))
            argv += [f"--{name}", str(path)]
    return argv


async def _ready(process: Process, name: str, log: Path) -> _Ready:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
    except TimeoutError:
        raise ProviderError(f"the simulator of {name} was not ready after {START_SECONDS:.0f} s") from None
    try:
        return msgspec.json.decode(line, type=_Ready)
    except msgspec.DecodeError:
        code = await process.wait() if not line else process.returncode
        raise ProviderError(f"the simulator of {name} did not start (code {code}): {last_line(log)}") from None
