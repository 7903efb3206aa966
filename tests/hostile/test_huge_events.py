"""One tenant's events of 1.2 MB each stop collection for nobody: memory stays under 256 MiB, and all others' arrive."""

import asyncio
import json
import re
import shutil
import signal
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from collector.reconciling.reconcile import Reconciler
from collector.sources.recent_events import RecentEvents
from collector.sources.reported import ReportedContainers
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.pod import decode_pod
from tests.collector.api_server import initial_end, write_kubeconfig
from tests.collector.harness import stored_counts
from tests.collector.kube_events import event
from tests.collector.kube_pods import START, pod, waits
from tests.collector.polling import until
from tests.collector.test_command import Process, start
from tests.hostile.conftest import Attack
from tests.hostile.memory_limit import MemoryLimit, NoLimitError, memory_limit
from tests.stack.control_plane import ControlPlane
from tests.stack.home import StackHome

HUGE = 2_000
EVERY = 11  # the first of so many events is another tenant's
ALL = HUGE * EVERY // (EVERY - 1)
REAL = 2_200  # on a real API server, others' among them; a page of 500 of them takes it more than its 60 s
HUGE_BYTES = 1_200_000
LIMIT_MIB = 300  # that the kernel holds
MOST_MIB = 256
MIB = 1 << 20
# Where the long text stands; fields that nobody reads among them.
PLACES = {
    "message": ("message",),
    "reason": ("reason",),
    "name": ("involvedObject", "name"),
    "fieldPath": ("involvedObject", "fieldPath"),
    "uid": ("involvedObject", "uid"),
    "host": ("source", "host"),
    "component": ("source", "component"),
    "related": ("related", "name"),
    "image": ("message",),
}


def is_others(number: int) -> bool:
    return number % EVERY == 0


def body_of(number: int, namespace: str = "default") -> bytes:
    """An event: another tenant's, or with one long text, each in another place and none twice."""
    found = event(number)
    found["metadata"]["namespace"] = found["involvedObject"]["namespace"] = namespace
    if is_others(number):
        return json.dumps(found).encode()
    name = list(PLACES)[number % len(PLACES)]
    parent: dict[str, Any] = found
    *path, last = PLACES[name]
    for each in path:
        parent = parent.setdefault(each, {})
    parent[last] = found["message"].replace("ghcr.io", "@") if name == "image" else "@"
    return json.dumps(found).encode().replace(b"@", b"%d" % number + b"x" * HUGE_BYTES, 1)


def items(first: int, end: int) -> Iterator[bytes]:
    for number in range(first, end):
        yield body_of(number)


class Api:
    """Only what a list and a watch need; ``streaming`` where it has lists inside watches."""

    def __init__(self, *, streaming: bool) -> None:
        self._streaming = streaming
        self.sent_pages = 0

    async def namespace(self, _: web.Request) -> web.Response:
        return web.json_response({"metadata": {"uid": "u-1"}})

    async def events(self, request: web.Request) -> web.StreamResponse:
        query, answer = request.query, web.StreamResponse()
        if query.get("resourceVersionMatch") == "NotOlderThan" and "watch" not in query:
            return web.json_response({"metadata": {"resourceVersion": "9000"}, "items": []})
        if query.get("sendInitialEvents") and not self._streaming:
            return web.json_response({"code": 422, "message": "no"}, status=422)
        await answer.prepare(request)
        with suppress(ConnectionError):  # what is too long is not read to its end
            if "watch" in query:
                await self._watch(answer, whole="sendInitialEvents" in query)
            else:
                await self._page(answer, int(query.get("continue", "0")), int(query["limit"]))
        return answer

    async def _watch(self, answer: web.StreamResponse, *, whole: bool) -> None:
        for item in items(0, ALL) if whole else ():
            await answer.write(b'{"type":"ADDED","object":' + item + b"}\n")
        await answer.write(initial_end(9_000))
        await asyncio.sleep(3_600)

    async def _page(self, answer: web.StreamResponse, first: int, limit: int) -> None:
        end = min(first + limit, ALL)
        more = f',"continue":"{end}"' if end < ALL else ""
        await answer.write(f'{{"metadata":{{"resourceVersion":"9000"{more}}},"items":['.encode())
        for number, item in enumerate(items(first, end)):
            await answer.write((b"," if number else b"") + item)
        await answer.write(b"]}")
        self.sent_pages += 1


@asynccontextmanager
async def serving_huge(api: Api) -> AsyncIterator[str]:
    application = web.Application()
    application.add_routes(
        [web.get("/api/v1/namespaces/kube-system", api.namespace), web.get("/api/v1/events", api.events)]
    )
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def peak_mib(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


@pytest.fixture
def limit() -> Iterator[MemoryLimit | None]:
    """None where no cgroup can be made: the process alone tells its memory then."""
    try:
        with memory_limit("huge", LIMIT_MIB * MIB) as made:
            yield made
    except NoLimitError:
        yield None


@asynccontextmanager
async def collector(kubeconfig: Path, directory: Path, limit: MemoryLimit | None, *more: str) -> AsyncIterator[Process]:
    """In the cgroup, and watching."""
    arguments = ("--cluster", "c", "--kubeconfig", str(kubeconfig), "--data-dir", str(directory), *more)
    process = await start(*arguments, preexec=limit.enter if limit else None)
    try:
        assert process.stderr is not None
        said = b""
        while b"watching events" not in (line := await process.stderr.readline()):
            assert line, said
            said += line
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def held(process: Process, limit: MemoryLimit | None) -> str:
    """It took little memory, and ends well; in words."""
    peak = peak_mib(process.pid)
    process.send_signal(signal.SIGTERM)
    _, said = await process.communicate()
    assert process.returncode == 0, said
    assert b"Traceback" not in said
    assert peak < MOST_MIB
    assert re.search(rb" cut=\d+", said)
    if limit is None:
        return f"all others' kept, {peak:.0f} MiB (no cgroup can be made here)"
    counted = limit.peak_mib()
    assert limit.kills() == 0
    assert counted < MOST_MIB
    return f"all others' kept; under {LIMIT_MIB} MiB, the cgroup counted {counted:.0f}, the process {peak:.0f}"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("streaming", [False, True], ids=["in pages", "inside a watch"])
async def test_others_events_all_arrive_and_memory_stays_bounded(
    tmp_path: Path, limit: MemoryLimit | None, attack: Attack, *, streaming: bool
) -> None:
    others = set(filter(is_others, range(ALL)))
    async with serving_huge(Api(streaming=streaming)) as url:
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", url)
        async with collector(kubeconfig, tmp_path / "out", limit, "--no-reconcile") as process:
            await until(lambda: others <= {int(uid[:8], 16) for uid in stored_counts(tmp_path / "out")})
            words = await held(process, limit)
    attack(f"{HUGE:,} events of 1.2 MB, {'inside a watch' if streaming else 'in pages'}", words)


@pytest.fixture
async def cluster(stack_home: StackHome, tmp_path: Path) -> AsyncIterator[ControlPlane]:
    """With an etcd that takes more than its usual 2 GiB."""
    directory = tmp_path / "cluster"
    options = {"quota-backend-bytes": str(8 << 30)}
    try:
        async with ControlPlane(stack_home, directory, controllers=False, etcd_options=options) as made:
            yield made
    finally:
        shutil.rmtree(directory / "etcd", ignore_errors=True)


async def post(cluster: ControlPlane, namespace: str, numbers: Iterable[int]) -> set[str]:
    """Make these events, a few at a time; the uids of others'."""
    waiting, found = iter(numbers), set()
    headers = {"Authorization": f"Bearer {cluster.access.token()}", "Content-Type": "application/json"}
    tls: ssl.SSLContext = cluster.access.authority.trust()

    async def post_on(session: aiohttp.ClientSession) -> None:
        for number in waiting:
            place = "default" if is_others(number) else namespace
            url = f"{cluster.url}/api/v1/namespaces/{place}/events"
            body = BytesIO(body_of(number, place))
            async with session.post(url, data=body, headers=headers, ssl=tls) as answer:
                assert answer.status == 201, (number, await answer.text())
                if is_others(number):
                    found.add((await answer.json())["metadata"]["uid"])

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(post_on(session))
    return found


@pytest.mark.real
@pytest.mark.timeout(1_200)
async def test_on_a_real_api_server(
    tmp_path: Path, cluster: ControlPlane, limit: MemoryLimit | None, attack: Attack
) -> None:
    """Those that are there at the start, and a tenth more while the collector watches."""
    await cluster.access.request("POST", "/api/v1/namespaces", {"metadata": {"name": "tenant"}})
    others = await post(cluster, "tenant", range(REAL))
    assert len(others) == REAL // EVERY
    async with collector(cluster.access.kubeconfig(), tmp_path / "out", limit) as process:
        others |= await post(cluster, "tenant", range(REAL, REAL + REAL // 10))
        await until(lambda: others <= stored_counts(tmp_path / "out").keys())
        words = await held(process, limit)
    attack(f"{REAL * (EVERY - 1) // EVERY} events of 1.2 MB on a real API server, a tenth more while it watches", words)


@pytest.mark.attack("events with uids of 16,000 characters", "a uid over 128 characters is not remembered")
def test_uids_without_end_are_not_remembered() -> None:
    recent = RecentEvents(16_384)
    assert all(recent.add(f"{number}" + "u" * 16_000, 1) for number in range(200))
    assert len(recent) == 0
    assert (recent.add("u", 1), recent.add("u", 1)) == (True, False)


@pytest.mark.attack("pods with images, messages and uids of 600,000 characters", "pods' texts are kept to 4,096")
def test_pods_texts_are_bounded() -> None:
    reconciler = Reconciler(Origin(cluster="c"), ReportedContainers(16), grace_seconds=1.0)
    reconciler.list_begins(START)
    mirror = {"kubernetes.io/config.mirror": "y", "kubernetes.io/config.hash": "h" * 250_000}
    for number in range(20):
        state = waits("InvalidImageName", "m" * 300_000)
        item = pod(f"p{number}", state, images=[f"{number}" + "x" * 600_000], annotations=mirror)
        reconciler.see(decode_pod(json.dumps(item).encode()), 0.0)
    rows = [each.row for each in reconciler.due(10.0)]
    assert len(rows) == 20
    assert max(len(msgspec.json.encode(row)) for row in rows) < 8_192
