"""A simulated cluster in the test's own event loop, reached through real HTTP."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from pullstudy.sim.cluster import ClusterSettings
from pullstudy.sim.http.server import SimServer, serving

Json = dict[str, Any]
START_AT = datetime(2026, 1, 1, tzinfo=UTC)
IMAGE = "ghcr.io/converged-computing/container-chonks-run1:9-layers-size-1176249324-bytes"
PODS = "/api/v1/namespaces/default/pods"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
EVENTS = "/api/v1/events"


class Api:
    """What the tests do over HTTP."""

    def __init__(self, server: SimServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session

    async def ask(self, method: str, path: str, body: Any = None, **kwargs: Any) -> tuple[int, Any]:
        async with self.session.request(method, self.server.url + path, json=body, **kwargs) as response:
            return response.status, json.loads(await response.read())

    async def get(self, path: str) -> Any:
        code, answer = await self.ask("GET", path)
        assert code == 200, answer
        return answer

    async def post(self, path: str, body: Any) -> Any:
        code, answer = await self.ask("POST", path, body)
        assert code in (200, 201), answer
        return answer

    async def fault(self, fault: str, **parameters: Any) -> Any:
        return (await self.post("/sim/faults", {"fault": fault, **parameters}))[0]

    async def version(self) -> str:
        return str((await self.get("/sim/state"))["resource_version"])

    async def quiet(self) -> None:
        """Until nothing that makes time run is left."""
        while not (await self.get("/sim/state"))["idle"]:
            pass

    async def run_job(self, name: str, **kwargs: Any) -> Json:
        """Create a job and wait until the cluster is quiet; the job as it is then."""
        await self.post(JOBS, job(name, **kwargs))
        await self.quiet()
        return dict(await self.get(f"{JOBS}/{name}"))

    async def truth(self, **query: str) -> list[Json]:
        return list(await self.get("/sim/truth?" + "&".join(f"{k}={v}" for k, v in query.items())))

    @asynccontextmanager
    async def watch(self, path: str) -> AsyncIterator["WatchReader"]:
        timeout = aiohttp.ClientTimeout(total=None)
        async with self.session.get(self.server.url + path, timeout=timeout) as response:
            yield WatchReader(response)

    async def watched(self, path: str) -> list[Json]:
        """All of a watch that ends by itself."""
        async with self.watch(path) as reader:
            return await reader.rest()


class WatchReader:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> Json:
        line = await self.response.content.readline()
        assert line, "the watch ended"
        return dict(json.loads(line))

    async def rest(self) -> list[Json]:
        return [json.loads(line) async for line in self.response.content]


def job(
    name: str, *, pods: int = 2, image: str = IMAGE, command: list[str] | None = None, apart: bool = True, **spec: Any
) -> Json:
    """An Indexed Job as the study makes them."""
    term = {"labelSelector": {"matchLabels": {"job-name": name}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}} if apart else {}
    container = {"name": "pull", "image": image, "command": command or ["true"]}
    template = {"spec": {"restartPolicy": "Never", "affinity": affinity, "containers": [container]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"completions": pods, "parallelism": pods, "completionMode": "Indexed", "template": template, **spec},
    }


Start = Callable[..., Awaitable[Api]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a cluster with these settings; ``speed`` None is as fast as it goes."""
    opened: list[Any] = []

    async def begin(speed: float | None = None, patience_seconds: float = 0.002, **settings: Any) -> Api:
        whole = replace(ClusterSettings(name="sim-test", nodes=4, seed=1, start_at=START_AT), **settings)
        context = serving(whole, speed, patience_seconds=patience_seconds)
        server = await context.__aenter__()
        session = aiohttp.ClientSession()
        opened.append((context, session))
        return Api(server, session)

    yield begin
    for context, session in opened:
        await session.close()
        await context.__aexit__(None, None, None)


@pytest.fixture
async def api(start: Start) -> Api:
    return await start()
