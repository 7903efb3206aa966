"""``pulldriver sweep --provider kubeconfig`` on two real kubelets: real pulls, caches really cleared between them."""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from tests.driver.swept import rows
from tests.stack.control_plane import ControlPlane
from tests.stack.home import StackHome, system_program
from tests.stack.image import Layout, make_image, umoci
from tests.stack.machine import why_not
from tests.stack.node import KubeletNode
from tests.stack.registry import Registry
from tests.stack.wait import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

LAYERS = [3_000_000, 2_000_000, 1_000_000]
TOOLS = ("sh", "awk", "grep", "chroot", "date", "tee", "sleep")
LABEL = "pullstudy.io/run"


class Place:
    """Two nodes, a registry, and a study's file."""

    def __init__(self, plane: ControlPlane, nodes: list[KubeletNode], registry: Registry, directory: Path) -> None:
        self.plane = plane
        self.nodes = nodes
        self.registry = registry
        self.directory = directory

    def study(self, *tags: str, more: str = "", job: str = "", run: str = "", limits: str = "") -> Path:
        path = self.directory / "study.toml"
        names = ", ".join(f'"{tag}"' for tag in tags)
        path.write_text(
            f'name = "real"\n[images]\nrepository = "{self.registry.host}/study"\ntags = [{names}]\n'
            f'[job]\ncommand = ["/pause", "exit"]\nhost_network = true\n{job}\n[run]\n{run}\n'
            f'[kubeconfig]\ncleaner_image = "{self.registry.host}/cleaner:1"\n{more}\n'
            f"[limits]\nquiet_seconds = 1.0\ncache_clear_seconds = 120.0\n{limits}\n"
        )
        return path

    async def driver(self, *words: str) -> tuple[int, str]:
        process = await self.start(*words)
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        command = [str(Path(sys.executable).with_name("pulldriver")), *words]
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT, stdin=null)

    def sweep(self, out: Path, study: Path, sizes: str) -> list[str]:
        kubeconfig = str(self.plane.access.kubeconfig())
        options = {"--provider": "kubeconfig", "--kubeconfig": kubeconfig, "--sizes": sizes, "--study": str(study)}
        return ["sweep", "--out", str(out), *(word for pair in options.items() for word in pair)]

    async def labelled(self) -> list[str]:
        nodes = (await self.plane.access.request("GET", "/api/v1/nodes"))["items"]
        return [node["metadata"]["name"] for node in nodes if LABEL in node["metadata"]["labels"]]

    async def jobs(self) -> list[str]:
        found = await self.plane.access.request("GET", "/apis/batch/v1/namespaces/default/jobs")
        return [job["metadata"]["name"] for job in found["items"]]


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


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def machines(
    stack_home: StackHome, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[ControlPlane, list[KubeletNode]]]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    root = tmp_path_factory.mktemp("existing")
    await registry.push("cleaner:1", make_cleaner(root / "cleaner"))
    for tag, seed in (("one", 1), ("two", 2)):
        layout = await asyncio.to_thread(make_image, stack_home, root / tag, LAYERS, seed=seed)
        await registry.push(f"study:{tag}", layout)
    pause = f"{registry.host}/pause:1"
    async with (
        ControlPlane(stack_home, root / "plane", users=["guest"]) as plane,
        KubeletNode(stack_home, root / "node-1", plane.access, pause, name="real-1") as first,
        KubeletNode(stack_home, root / "node-2", plane.access, pause, name="real-2") as second,
    ):
        yield plane, [first, second]


@pytest.fixture
def place(machines: tuple[ControlPlane, list[KubeletNode]], registry: Registry, tmp_path: Path) -> Place:
    return Place(*machines, registry, tmp_path)


def durations(out: Path, image: str) -> Sequence[tuple[object, ...]]:
    return rows(
        out,
        "SELECT p.size, j.repeat, p.node, p.outcome FROM pulls p JOIN jobs j ON j.job = p.job AND j.cluster = p.cluster"
        f" WHERE p.image LIKE '%{image}' ORDER BY 1, 2, 3",
    )


async def test_each_repeat_is_cold_and_every_pull_is_told_once(place: Place) -> None:
    out = place.directory / "out"
    code, said = await place.driver(*place.sweep(out, place.study("one", run="repeats = 2"), "1..2"))
    assert code == 0, said
    expected = [(1, 1, "real-1", "pulled"), (1, 2, "real-1", "pulled")]
    expected += [(2, repeat, node, "pulled") for repeat in (1, 2) for node in ("real-1", "real-2")]
    assert durations(out, "one") == expected
    # containerd's own log says that it pulled anew each time: 4 on the first node, 2 on the second.
    for node, times in zip(place.nodes, (4, 2), strict=True):
        log = node.containerd.process.log.read_text()
        assert (
            sum("PullImage" in line and "study:one" in line and "returns" in line for line in log.splitlines()) >= times
        )
        assert not [name for name in await node.images() if "study" in name]
    assert await place.labelled() == []
    assert await place.jobs() == []


async def test_too_many_nodes_are_refused_and_nothing_is_labelled(place: Place) -> None:
    code, said = await place.driver(*place.sweep(place.directory / "out", place.study("one"), "3"))
    assert code == 1
    assert "3 nodes are wanted, and 2 of 2 can be had" in said
    assert await place.labelled() == []


async def test_a_user_without_rights_is_told_the_rule(place: Place) -> None:
    words = place.sweep(place.directory / "out", place.study("one"), "1")
    words[words.index("--kubeconfig") + 1] = str(place.plane.access.kubeconfig("guest"))
    code, said = await place.driver(*words)
    assert code == 1
    assert (
        'user guest needs a Role in namespace default with the rule {apiGroups: [""], resources: ["namespaces"]' in said
    )


async def test_an_image_that_is_nowhere_fails_its_job_and_the_next_goes_on(place: Place) -> None:
    out = place.directory / "out"
    code, said = await place.driver(*place.sweep(out, place.study("missing", "one"), "1"))
    assert code == 1, said
    states = rows(out, "SELECT state, error FROM jobs ORDER BY position")
    assert [state for state, _ in states] == ["failed", "done"]
    assert "not-found" in str(states[0][1]) or "not found" in str(states[0][1])


async def test_pods_that_find_no_node_end_their_job(place: Place) -> None:
    out = place.directory / "out"
    study = place.study("one", job="", run='on_failure = "stop"', limits="stuck_seconds = 2.0")
    taint = {"spec": {"taints": [{"key": "busy", "effect": "NoExecute"}]}}
    kind = "application/merge-patch+json"
    await place.plane.access.request("PATCH", "/api/v1/nodes/real-1", taint, kind=kind)
    try:
        code, said = await place.driver(*place.sweep(out, study, "1"))
    finally:
        await place.plane.access.request("PATCH", "/api/v1/nodes/real-1", {"spec": {"taints": None}}, kind=kind)
    assert code == 1
    assert "has no node: Unschedulable" in said


async def test_what_a_killed_driver_left_is_taken_down(place: Place) -> None:
    out = place.directory / "out"
    study = place.study("one", run="repeats = 50")
    process = await place.start(*place.sweep(out, study, "2"))

    async def begun() -> bool:
        return bool(await place.jobs())

    await until(begun, 60, "the first job")
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    assert await place.labelled() == ["real-1", "real-2"]
    code, said = await place.driver("down", "--out", str(out))
    assert code == 0, said
    assert await place.labelled() == []
    assert await place.jobs() == []
