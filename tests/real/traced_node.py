"""A node whose pulls are traced by the product: its containerd sends spans to a collector in the node's own network.

The collector watches a cluster, as it always does; that is a simulated one in the same network, of which nothing comes.
"""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from driver.profiling.cri import Cri, runtime
from driver.profiling.usage import Usage, usage_of
from pullstudy.pulls.kinds import LAYER, PULL_STAGES
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.store.embedded.store import EmbeddedStore
from tests.real.collecting import CLUSTER, CollectorCommand
from tests.stack.containerd_node import OTLP_PORT, ContainerdNode
from tests.stack.error import StackError
from tests.stack.network import Place
from tests.stack.process import Process
from tests.stack.registry import Registry
from tests.stack.server import Lifecycle, Server
from tests.stack.wait import until

TAKEN = "spans are taken over http"
RECORDED_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ColdPull:
    """As its client saw it, and what containerd used for it."""

    image: str
    began: float  # seconds since 1970
    seconds: float
    used: Usage


@dataclass(frozen=True, slots=True)
class TracedPull:
    """A pull, and what the collector made of its spans."""

    pull: ColdPull
    stages: PullStages
    layers: tuple[PulledLayer, ...]


async def cold_pull(node: ContainerdNode, cri: Cri, image: str) -> ColdPull:
    """Of an image that is not on the node; it is taken off again. Raises StackError, RuntimeRefusedError."""
    if await cri.held_as(image) is not None:
        raise StackError(f"{image} is on {node.name}")
    before, began, since = usage_of(node.containerd_pid), time.time(), time.monotonic()
    await cri.pull(image, None)
    seconds = time.monotonic() - since
    used = usage_of(node.containerd_pid).since(before)
    await cri.remove(image)
    return ColdPull(image, began, seconds, used)


class TracedNode(Lifecycle):
    """A node, its cluster and its collector."""

    def __init__(self, node: ContainerdNode, directory: Path) -> None:
        self.node = node
        self._simulator = _Simulator(node, directory)
        self._data = directory / "study"
        self._collector = _SpanCollector(node, directory, self._simulator.kubeconfig, self._data)

    async def start(self) -> None:
        self._started = AsyncExitStack()
        try:
            for each in (self.node, self._simulator, self._collector):
                await self._started.enter_async_context(each)
            self.cri = await self._started.enter_async_context(runtime(self.node.socket))
        except BaseException:
            await self._started.aclose()
            raise

    def kill(self) -> None:
        for each in (self._collector, self._simulator, self.node):
            each.kill()

    async def stop(self) -> None:
        await self._started.aclose()

    async def pull(self, image: str) -> TracedPull:
        """A cold pull, once its records are in the collector's store. Raises StackError."""
        pull = await cold_pull(self.node, self.cri, image)
        found: list[PullStages] = []

        async def recorded() -> bool:
            found[:] = [stages for stages in self._stages() if _is_of(stages, pull)]
            return bool(found)

        await until(recorded, RECORDED_SECONDS, f"the record of the pull of {image}", poll_seconds=0.2)
        return TracedPull(pull, found[0], self._layers_of(found[0]))

    def _stages(self) -> list[PullStages]:
        store = EmbeddedStore(self._data, create=False)
        try:
            return list(store.records(PULL_STAGES))
        finally:
            store.close_now()

    def _layers_of(self, stages: PullStages) -> tuple[PulledLayer, ...]:
        store = EmbeddedStore(self._data, create=False)
        try:
            return tuple(layer for layer in store.records(LAYER) if layer.pull == stages.pull)
        finally:
            store.close_now()


def _is_of(stages: PullStages, pull: ColdPull) -> bool:
    at = stages.started_at.timestamp()
    return stages.image == pull.image and pull.began - 0.01 <= at <= pull.began + pull.seconds


class _Simulator(Server):
    def __init__(self, node: ContainerdNode, directory: Path) -> None:
        self._node = node
        self.kubeconfig = directory / "kubeconfig"
        program = str(Path(sys.executable).with_name("pulldriver"))
        self._command = [program, "sim", "--nodes", "1", "--kubeconfig", str(self.kubeconfig)]
        super().__init__(Process("simulator", [], directory))

    async def start(self) -> None:
        self.process.command = self._node.in_network(self._command)
        await super().start()

    async def is_ready(self) -> bool:
        return '"ready"' in self.process.output()


class _SpanCollector(CollectorCommand):
    def __init__(self, node: ContainerdNode, directory: Path, kubeconfig: Path, data: Path) -> None:
        self._node = node
        options = ["--cluster", CLUSTER, "--kubeconfig", kubeconfig, "--data-dir", data]
        super().__init__("collector", [*options, "--otlp", f"127.0.0.1:{OTLP_PORT}"], directory, TAKEN)
        self._command = self.process.command

    async def start(self) -> None:
        self.process.command = self._node.in_network(self._command)
        await super().start()


async def push_ordered(registry: Registry, place: Place, layout: Path, options: Sequence[str]) -> list[str]:
    """Images of ``pulldriver images build``, in the registry; their references. Raises StackError."""
    program = str(Path(sys.executable).with_name("pulldriver"))
    await _run("build", [program, "images", "build", str(layout), *options], layout.parent)
    target = f"{registry.host}/ordered"
    await _run("push", place.inside([program, "images", "push", str(layout), target, "--plain-http"]), layout.parent)
    index = json.loads((layout / "index.json").read_text())
    names = [each["annotations"]["org.opencontainers.image.ref.name"] for each in index["manifests"]]
    return [f"{target}{'/' if ':' in name else ':'}{name}" for name in names]


async def _run(name: str, command: list[str], directory: Path) -> None:
    process = Process(name, command, directory)
    process.start()
    if await process.ended() != 0:
        raise StackError(f"{name}: {process.last_words()}")
