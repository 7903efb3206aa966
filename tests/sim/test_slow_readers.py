"""A reader that takes nothing holds time up for a while, and is then cut off."""

import asyncio
import random
from types import SimpleNamespace
from typing import Any, cast

from pullstudy.sim.api.apiserver import ApiServer, Identities
from pullstudy.sim.api.history import History
from pullstudy.sim.api.resources import NAMESPACES
from pullstudy.sim.api.watching import WatchCursor
from pullstudy.sim.faults.http import HttpFaults
from pullstudy.sim.http.streams import LAG_LIMIT, Stream, Streams
from pullstudy.sim.time.clock import VirtualClock
from tests.sim.conftest import START_AT


class StuckReader:
    """Takes the first chunk and never another; gone when it is aborted."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.transport = SimpleNamespace(abort=self.gone.set, close=self.gone.set)

    async def write(self, _: bytes) -> None:
        await self.gone.wait()
        raise ConnectionResetError


async def test_time_goes_on_without_a_reader_that_stalls() -> None:
    clock = VirtualClock(START_AT)
    history = History(clock, 0, 100_000)
    api = ApiServer(clock, history, Identities(random.Random(0)))
    namespace = api.create(NAMESPACES, {"metadata": {"name": "a"}, "spec": {}, "status": {"phase": "Active"}})
    streams = Streams(HttpFaults(), stall_seconds=0.02)
    reader: Any = StuckReader()
    stream = Stream(WatchCursor(history, NAMESPACES, None), "namespaces", bookmarks=False)
    first = stream.watch.start(str(history.version))
    serving = asyncio.create_task(streams.serve(cast(Any, reader), reader, stream, first, 60.0))
    api.update(NAMESPACES, namespace)
    await asyncio.sleep(0)
    for _ in range(2 * LAG_LIMIT):
        api.update(NAMESPACES, namespace)
    await streams.keep_up()
    assert reader.gone.is_set()
    await serving
    assert streams.matching("*") == []
