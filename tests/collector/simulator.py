"""The simulated cluster as a process, reached over HTTP like any other."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.collector.polling import until_it_is

IMAGE = "ghcr.io/converged-computing/container-chonks-run1:{layers}-layers-size-1176249324-bytes"


class Simulator:
    """Its two sides: the API of the cluster, and /sim/."""

    def __init__(self, url: str, kubeconfig: Path, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.kubeconfig = kubeconfig
        self._session = session

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        async with self._session.request(method, f"{self.url}{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def run_job(self, name: str, nodes: int, layers: int) -> None:
        """An Indexed Job of one pod a node, that does nothing but pull."""
        container = {"name": "chonk", "image": IMAGE.format(layers=layers), "command": ["true"]}
        spec = {"restartPolicy": "Never", "containers": [container]}
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {
                "completions": nodes,
                "parallelism": nodes,
                "completionMode": "Indexed",
                "template": {"metadata": {}, "spec": spec},
            },
        }
        await self._call("POST", "/apis/batch/v1/namespaces/default/jobs", job)

    async def fault(self, fault: str, **fields: Any) -> dict[str, Any]:
        """Misbehave now, or at the next occasion; returns what was done."""
        (done,) = await self._call("POST", "/sim/faults", {"fault": fault, **fields})
        return dict(done)

    async def strike_open_watch(self, fault: str, **fields: Any) -> None:
        """The same for a fault of open watches, once there is one."""

        async def struck() -> bool:
            return bool((await self.fault(fault, resource="events", **fields))["watches"])

        await until_it_is(struck)

    async def away(self, seconds: float) -> None:
        """The server is away for so long; return when it is back."""

        async def answers() -> bool:
            try:
                await self._call("GET", "/sim/state")
            except aiohttp.ClientConnectionError:
                return False
            return True

        async def gone() -> bool:
            return not await answers()

        await self.fault("away", seconds=seconds)
        await until_it_is(gone)
        await until_it_is(answers)

    async def until_faults_are_spent(self) -> None:
        """Until everything that was ordered has gone wrong."""

        async def spent() -> bool:
            return not await self.faults_left()

        await until_it_is(spent)

    async def faults_left(self) -> list[dict[str, Any]]:
        return list(await self._call("GET", "/sim/faults"))

    async def truth(self) -> list[dict[str, Any]]:
        """Every pull that happened."""
        return list(await self._call("GET", "/sim/truth"))

    async def until_pulled(self, pulls: int) -> None:
        """Until so many containers have their image, and the events that tell it are made."""

        async def enough() -> bool:
            truth = await self.truth()
            done = sum(pull["outcome"] in ("pulled", "cached") for pull in truth)
            return done >= pulls and all(pull["event_uid"] for pull in truth)

        await until_it_is(enough)


@asynccontextmanager
async def simulator(directory: Path, nodes: int, *more: str) -> AsyncIterator[Simulator]:
    """It ends with its standard input, so that it cannot outlive the test."""
    kubeconfig = directory / "sim.kubeconfig"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pullstudy.sim", "--nodes", str(nodes), "--kubeconfig", str(kubeconfig)),
        *("--exit-with-stdin", "--seed", "1", *more),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        ready = json.loads(await process.stdout.readline())
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
            yield Simulator(ready["url"], kubeconfig, session)
    finally:
        process.stdin.close()
        await process.wait()
