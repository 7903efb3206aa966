"""One tenant's events of 1.2 MB each stop collection for nobody: memory stays under 256 MiB, and all others' arrive."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from tests.collector.api_server import initial_end, write_kubeconfig
from tests.collector.harness import stored_counts
from tests.collector.kube_events import event
from tests.collector.polling import until
from tests.collector.test_command import start
from tests.hostile.conftest import Attack

HUGE = 2_000
EVERY = 10  # after so many of them comes one of another tenant
HUGE_BYTES = 1_200_000
MOST_MIB = 256
FIELDS = ("message", "reason", "image", "name", "fieldPath", "uid")


def body_of(number: int) -> bytes:
    """An event of the tenant, as JSON: each field in its turn is long, and no text comes twice."""
    found, field = event(number), FIELDS[number % len(FIELDS)]
    if field in found:
        found[field] = "@"
    elif field == "image":
        found["message"] = found["message"].replace("ghcr.io", "@")
    else:
        found["involvedObject"][field] = "@"
    return json.dumps(found).encode().replace(b"@", b"%d" % number + b"x" * HUGE_BYTES, 1)


def items(first: int, end: int) -> Iterator[bytes]:
    for number in range(first, end):
        yield json.dumps(event(number)).encode() if number % EVERY == 0 else body_of(number)


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
        for item in items(0, HUGE) if whole else ():
            await answer.write(b'{"type":"ADDED","object":' + item + b"}\n")
        await answer.write(initial_end(9_000))
        await asyncio.sleep(3_600)

    async def _page(self, answer: web.StreamResponse, first: int, limit: int) -> None:
        end = min(first + limit, HUGE)
        more = f',"continue":"{end}"' if end < HUGE else ""
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


@pytest.mark.timeout(240)
@pytest.mark.parametrize("streaming", [False, True], ids=["in pages", "inside a watch"])
async def test_others_events_all_arrive_and_memory_stays_bounded(
    tmp_path: Path, attack: Attack, *, streaming: bool
) -> None:
    others = set(range(0, HUGE, EVERY))
    async with serving_huge(Api(streaming=streaming)) as url:
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", url)
        process = await start(
            "--cluster", "c", "--kubeconfig", str(kubeconfig), "--data-dir", str(tmp_path / "out"), "--no-reconcile"
        )
        try:
            assert process.stderr is not None
            while b"watching events" not in (line := await process.stderr.readline()):
                assert line, "the collector ended before it watched"

            def arrived() -> set[int]:
                return {int(uid[:8], 16) for uid in stored_counts(tmp_path / "out")} & others

            await until(lambda: arrived() == others)
            peak = peak_mib(process.pid)
            process.send_signal(signal.SIGTERM)
            _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
    assert process.returncode == 0, said
    assert b"Traceback" not in said
    assert peak < MOST_MIB, peak
    assert re.search(rb" cut=\d+", said)
    attack(
        f"2,000 events of 1.2 MB, {'inside a watch' if streaming else 'in pages'}", f"all others' kept, {peak:.0f} MiB"
    )
