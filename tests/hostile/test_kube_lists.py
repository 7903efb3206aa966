"""Lists without end, answers of millions of tiny values, and pulls of negative length, from an API server."""

import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from collector.context import Context
from collector.log import Format, Log
from collector.monitoring.histogram import Histogram
from collector.sources.intake import RAW_MOST_CHARACTERS, Intake
from collector.sources.recent_events import RecentEvents
from pullstudy.kube.access import Access
from pullstudy.kube.client import Query, open_client
from pullstudy.kube.errors import TooLargeError, TransportError
from pullstudy.kube.list_pages import list_pages
from pullstudy.kube.settings import WatchSettings
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.event import EventList, Metadata
from tests.collector.api_server import write_kubeconfig
from tests.collector.harness import SETTINGS, VirtualClock
from tests.collector.kube_events import event
from tests.hostile.conftest import Attack
from tests.hostile.kube_answers import EnoughError, plain
from tests.hostile.test_kube_answers import Watching

MIB = 1 << 20


async def all_of(pages: AsyncIterator[EventList]) -> None:
    async for _ in pages:
        pass


@pytest.mark.parametrize("new_tokens", [False, True])
async def test_a_list_without_end_is_given_up(new_tokens: bool, attack: Attack) -> None:
    numbers = count()

    async def ask(query: Query) -> EventList:
        number = next(numbers)
        return EventList(metadata=Metadata(continue_token=str(number) if new_tokens else "same"), items=[])

    with pytest.raises(TransportError, match="do not end"):
        await all_of(list_pages(ask, (), 500))
    assert next(numbers) < 100
    attack(f"events of a reason in pages without end ({new_tokens=})", "given up, and said")


class TooLong:
    """Each answer is longer than is read, to whatever is asked."""

    url = "https://too.long"

    def __init__(self, identity: bool) -> None:
        self.requests = 0
        self._identity = identity

    async def renew_login(self) -> None: ...

    async def get(self, what: str, path: str, query: Any = ()) -> bytes:
        self.requests += 1
        if self.requests > 60:
            raise EnoughError
        if path.startswith("/api/v1/namespaces/") and not self._identity:
            return plain({"metadata": {"uid": "u-1"}})
        raise TooLargeError(what, "the answer is too long")

    async def stream(self, *_: Any) -> AsyncGenerator[bytes, None]:
        raise EnoughError
        yield b""


async def test_an_identity_too_long_to_be_read_is_asked_for_ever_less_often(attack: Attack) -> None:
    client = TooLong(identity=True)
    watching = Watching(client, streaming=False)
    with pytest.raises(EnoughError):
        await watching.run()
    assert max(watching.clock.sleeps) > 10
    attack("8 MiB and more for a namespace, for ever", "each waited for longer than the last")


def test_an_event_of_millions_of_tiny_values_is_no_memory(attack: Attack) -> None:
    clock = VirtualClock()
    context = Context(SETTINGS, clock, Random(1), Log(clock, Format.TEXT, lambda _: None))
    intake = Intake(Origin(cluster="c"), RecentEvents(10), context.status)
    odd = event(1)
    odd["message"] = "Successfully pulled image in a way that nobody knows"
    odd["unread"] = "@"
    item = msgspec.Raw(plain(odd).replace(b'"@"', b"[" + b"[]," * (4 * MIB) + b"[]]"))
    tracemalloc.start()
    try:
        intake.item(item, "1")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    (reject,) = intake.take_batch().rejects
    assert len(reject.raw) == RAW_MOST_CHARACTERS
    assert peak < 8 * MIB
    attack("an event of unknown form with 4 million empty lists", f"kept as it came, cut: {peak / MIB:.1f} MiB")


def test_a_pull_of_negative_length_makes_no_sum_fall(attack: Attack) -> None:
    histogram = Histogram()
    histogram.observe(3.0)
    histogram.observe(-(2.0**33))
    assert (histogram.sum_seconds, histogram.count) == (3.0, 2)
    attack("an event of a pull that took -292 years", "counted as none: sums of OpenMetrics do not fall")


async def test_an_answer_of_millions_of_tiny_values_is_not_decoded(tmp_path: Path, attack: Attack) -> None:
    async def tiny(_: web.Request) -> web.Response:
        return web.Response(
            body=b'{"metadata":{},"items":[' + b"1," * 1_500_000 + b"1]}", content_type="application/json"
        )

    application = web.Application()
    application.add_routes([web.get("/api/v1/events", tiny)])
    server = TestServer(application)
    await server.start_server()
    access = Access(kubeconfig=str(write_kubeconfig(tmp_path / "kubeconfig", str(server.make_url("")).rstrip("/"))))
    async with open_client(access, WatchSettings()) as client:
        with pytest.raises(TooLargeError, match="more than 1,000,000 values"):
            await client.get("list", "/api/v1/events")
    await server.close()
    attack("an answer of 1,500,000 numbers", "refused before it is decoded; a page of a list is asked for smaller")
