"""How many events a sweep asks the API server for."""

from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout, web
from aiohttp.test_utils import TestServer

from driver.clusters.provider import Cluster, ClusterOrder, Handle, SaveHandle
from driver.progress import JobSummary
from driver.providers.sim import SimProvider
from pullstudy.sim.kubeconfig import write_kubeconfig
from tests.driver.sweeps import RecordedProgress, run_sweep, small_study

EVENT = b'"involvedObject"'
JOBS, NODES = 12, 4


class CountingProxy:
    """Hands every request on to the simulator, and counts the events in its answers."""

    def __init__(self) -> None:
        self.events = 0
        self._session: ClientSession | None = None
        self._server: TestServer | None = None
        self._to = ""

    async def start(self, url: str) -> str:
        self._to, self._session = url, ClientSession(timeout=ClientTimeout(total=None), auto_decompress=False)
        application = web.Application(client_max_size=2**26)
        application.router.add_route("*", "/{path:.*}", self._hand_on)
        self._server = TestServer(application)
        await self._server.start_server()
        return str(self._server.make_url("")).rstrip("/")

    async def stop(self) -> None:
        if self._server is not None and self._session is not None:
            await self._server.close()
            await self._session.close()

    async def _hand_on(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name not in ("Host", "Accept-Encoding")}
        async with self._session.request(
            request.method, self._to + request.path_qs, data=await request.read(), headers=headers
        ) as answer:
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
            await response.prepare(request)
            async for chunk in self._counted(answer.content.iter_any()):
                await response.write(chunk)
            return response

    async def _counted(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        tail = b""
        async for chunk in chunks:
            self.events += (tail + chunk).count(EVENT)
            tail = chunk[-len(EVENT) + 1 :]
            yield chunk


class CountedSim(SimProvider):
    """A simulator behind the proxy, for driver and collector alike."""

    def __init__(self) -> None:
        super().__init__()
        self.proxy = CountingProxy()

    async def up(self, order: ClusterOrder, save: SaveHandle) -> Cluster:
        cluster = await super().up(order, save)
        write_kubeconfig(cluster.kubeconfig, cluster.name, await self.proxy.start(cluster.handle["url"]))
        return cluster

    async def down(self, name: str, handle: Handle) -> None:
        await super().down(name, handle)
        await self.proxy.stop()


class CountAtEachJob(RecordedProgress):
    def __init__(self, proxy: CountingProxy) -> None:
        super().__init__()
        self._proxy = proxy
        self.served: list[int] = []

    def job_ended(self, summary: JobSummary) -> None:
        super().job_ended(summary)
        self.served.append(self._proxy.events)


async def test_the_twelfth_job_is_served_no_more_events_than_the_second(tmp_path: Path) -> None:
    provider = CountedSim()
    heard = CountAtEachJob(provider.proxy)
    tags = tuple(f"9-layers-size-{1176249324 + number}-bytes" for number in range(JOBS))
    outcome, _ = await run_sweep(small_study(*tags, size=NODES), tmp_path, provider, heard)
    assert outcome.accounted == f"{JOBS * NODES}/{JOBS * NODES} accounted for"
    each_job = [later - earlier for earlier, later in zip(heard.served, heard.served[1:], strict=False)]
    assert len(each_job) == JOBS - 1
    # Its own few a pull, to the collector and the driver; one job's last may be counted at the next.
    assert max(each_job) <= 2 * min(each_job)
    assert sum(each_job[-5:]) <= 1.2 * sum(each_job[:5])
