"""An existing cluster with two real nodes, and ``pulldriver`` as a user of it runs it."""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.driver.sweeps import has_ledger, rows
from tests.stack.control_plane import ControlPlane
from tests.stack.home import StackHome, system_program
from tests.stack.image import Layout, umoci
from tests.stack.node import KubeletNode
from tests.stack.registry import Registry
from tests.stack.wait import until

NODES = ("real-1", "real-2")
RUN_LABEL = "pullstudy.io/run"
MERGE = "application/merge-patch+json"
TOOLS = ("sh", "awk", "grep", "chroot", "date", "tee", "sleep")
LAYERS = [3_000_000, 2_000_000, 1_000_000, 4_000_000, 500_000]
LOGIN = ("user", "secret")
STEP_SECONDS = 120  # for anything that takes seconds on an idle machine

# A node that is silent for so long is not ready: 50 s, unless told. Far more than a busy machine's kubelet is late.
CONTROLLERS = {"node-monitor-grace-period": "20s", "node-monitor-period": "1s"}
KUBELET = {"nodeLeaseDurationSeconds": 4, "nodeStatusUpdateFrequency": "1s", "nodeStatusReportFrequency": "10s"}


@dataclass(frozen=True)
class Machines:
    """What all tests share. The private registry asks for a password, and may be frozen: the other one stays up."""

    plane: ControlPlane
    nodes: list[KubeletNode]
    registry: Registry
    private: Registry


@asynccontextmanager
async def two_nodes(home: StackHome, registry: Registry, root: Path) -> AsyncIterator[Machines]:
    """Up, with the study's images pushed: one, two and three, and private:one to private:three."""
    await registry.push("cleaner:1", make_cleaner(root / "cleaner"))
    async with Registry(home, root / "private", credentials=LOGIN) as private:
        for seed, tag in enumerate(("one", "two", "three")):
            await registry.push_new(f"study:{tag}", LAYERS, seed=seed)
            await private.push_new(f"private:{tag}", LAYERS, seed=seed + 10)
        pause = f"{registry.host}/pause:1"
        async with ControlPlane(home, root / "plane", users=["guest"], controller_options=CONTROLLERS) as plane:
            nodes = [
                KubeletNode(home, root / name, plane.access, pause, name=name, kubelet_settings=KUBELET)
                for name in NODES
            ]
            try:
                for node in nodes:
                    await node.start()
                yield Machines(plane, nodes, registry, private)
            finally:
                for node in nodes:
                    node.kill()


def make_cleaner(directory: Path) -> Layout:
    """busybox alone."""
    layout, tools = directory / "layout", directory / "bin"
    tools.mkdir(parents=True)
    shutil.copy(system_program("busybox", "busybox-static"), tools / "busybox")
    for tool in TOOLS:
        (tools / tool).symlink_to("busybox")
    umoci("init", "--layout", str(layout))
    umoci("new", "--image", f"{layout}:latest")
    umoci("insert", "--image", f"{layout}:latest", str(tools), "/bin")
    index = json.loads((layout / "index.json").read_text())
    return Layout(layout, index["manifests"][0]["digest"], (), ())


@dataclass
class Existing:
    """A user's directory beside the cluster: a study's file, and the commands."""

    machines: Machines
    directory: Path
    out: Path = field(init=False)

    def __post_init__(self) -> None:
        self.out = self.directory / "out"

    def study(self, *images: str, **tables: Mapping[str, Any]) -> Path:
        """study.toml with these images (``private:one`` of the private registry), and more keys by table."""
        content: dict[str, dict[str, Any]] = {
            "images": {"tags": [], "more": [self.reference(image) for image in images]},
            "job": {"command": ["/pause", "exit"], "host_network": True},
            "run": {},
            "kubeconfig": {"cleaner_image": f"{self.machines.registry.host}/cleaner:1"},
            "limits": {"quiet_seconds": 1.0, "cache_clear_seconds": 120.0},
        }
        for table, keys in tables.items():
            content.setdefault(table, {}).update(keys)
        path = self.directory / "study.toml"
        lines = ['name = "real"']
        for table, keys in content.items():
            lines += [f"[{table}]", *(f"{key} = {_toml(value)}" for key, value in keys.items())]
        path.write_text("\n".join(lines) + "\n")
        return path

    def reference(self, image: str) -> str:
        host = self.machines.private.host if image.startswith("private:") else self.machines.registry.host
        return f"{host}/{image if ':' in image else f'study:{image}'}"

    def sweep(self, study: Path, sizes: str, *, kubeconfig: Path | None = None) -> list[str]:
        """The words of the command."""
        where = kubeconfig or self.machines.plane.access.kubeconfig()
        options = {"--provider": "kubeconfig", "--kubeconfig": where, "--sizes": sizes, "--study": study}
        return ["sweep", "--out", str(self.out), *(str(word) for pair in options.items() for word in pair)]

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        """``pulldriver``, without a terminal."""
        command = [str(Path(sys.executable).with_name("pulldriver")), *words]
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT, stdin=null)

    async def run(self, *words: str) -> tuple[int, str]:
        """Its exit code and what it said."""
        return await ended(await self.start(*words))

    async def labelled(self) -> list[str]:
        return [node["metadata"]["name"] for node in await self._items("/api/v1/nodes") if _label(node)]

    async def nothing_left(self) -> bool:
        """Whether no node is labelled, and no job or DaemonSet of a sweep is there."""
        found = await self._items("/apis/batch/v1/jobs") + await self._items("/apis/apps/v1/daemonsets")
        return not found and not await self.labelled()

    async def _items(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.machines.plane.access.request("GET", path))["items"]
        return found

    async def patch_node(self, name: str, change: dict[str, Any]) -> None:
        await self.machines.plane.access.request("PATCH", f"/api/v1/nodes/{name}", change, kind=MERGE)

    async def pods_pulling(self, count: int) -> list[dict[str, Any]]:
        """The study's pods, once so many have a kubelet that pulls for them."""
        found: list[dict[str, Any]] = []

        async def pulling() -> bool:
            events = await self._items("/api/v1/events?fieldSelector=reason%3DPulling")
            about = {event["involvedObject"]["uid"] for event in events}
            pods = await self._items("/api/v1/pods?labelSelector=batch.kubernetes.io%2Fjob-name")
            found[:] = [pod for pod in pods if pod["metadata"]["uid"] in about]
            return len(found) >= count

        await until(pulling, STEP_SECONDS, f"{count} pods to pull")
        return found

    async def until_jobs(self, holds: Callable[[list[tuple[str, str]]], bool], what: str) -> None:
        """Wait for the ledger's states and errors, in the order of the run."""

        async def shown() -> bool:
            return has_ledger(self.out) and holds(self.jobs())

        await until(shown, STEP_SECONDS, what, poll_seconds=0.2)

    def jobs(self) -> list[tuple[str, str]]:
        """State and error of each attempt, in the order of the run."""
        return [
            (state, error or "")
            for state, error in rows(self.out, "SELECT state, error FROM jobs ORDER BY size, position, attempt")
        ]

    def pulls(self, image: str) -> list[tuple[Any, ...]]:
        """Size, repeat, node and outcome of each pull of the image by a job of the study."""
        sql = """SELECT p.size, j.repeat, p.node, p.outcome FROM pulls p JOIN jobs j ON j.job = p.job
            AND j.cluster = p.cluster WHERE p.image = ? AND p.outcome IN ('pulled', 'cached') ORDER BY 1, 2, 3"""
        return rows(self.out, sql, self.reference(image))

    async def study_images(self) -> list[str]:
        """The study's images that are still on a node."""
        found = [name for node in self.machines.nodes for name in await node.images()]
        return [name for name in found if "/study" in name or "/private" in name]


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    """Its exit code and what it said."""
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def stopped(process: asyncio.subprocess.Process, number: signal.Signals) -> tuple[int, str]:
    """The same, after this signal."""
    process.send_signal(number)
    return await ended(process)


def _label(node: dict[str, Any]) -> str | None:
    value: str | None = node["metadata"].get("labels", {}).get(RUN_LABEL)
    return value


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
