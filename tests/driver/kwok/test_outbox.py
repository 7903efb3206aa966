"""What kubelets write: in order for one thing, at once for many, and never an old status after a newer one."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from driver.errors import first_error
from driver.providers.kwok.kubelets.outbox import Outbox, Write
from pullstudy.kube.errors import ApiError
from tests.driver.scripted_api import scripted

EVENTS = "/api/v1/namespaces/default/events"


def status(number: int) -> Write:
    return Write("pod", "PATCH", "/pod/status", {"status": {"number": number}}, whole=True)


async def until_sent(outbox: Outbox) -> None:
    with first_error():
        async with asyncio.TaskGroup() as group:
            running = group.create_task(outbox.run())
            await outbox.sent()
            running.cancel()


async def test_events_of_one_pod_keep_their_order_and_of_waiting_statuses_the_last_is_sent(tmp_path: Path) -> None:
    async with scripted(tmp_path) as (script, api):
        sent: list[object] = []

        async def remember(request: web.Request) -> web.StreamResponse:
            sent.append(await request.json())
            return web.json_response({})

        script.answer(EVENTS, remember, method="POST")
        script.answer("/pod/status", remember, method="PATCH")
        outbox = Outbox(api)
        for number in range(3):
            outbox.put(Write("events", "POST", EVENTS, number))
            outbox.put(status(number))
        await until_sent(outbox)
        assert [one for one in sent if isinstance(one, int)] == [0, 1, 2]
        assert [one for one in sent if not isinstance(one, int)] == [{"status": {"number": 2}}]


async def test_what_is_gone_meanwhile_is_passed_over_and_a_refusal_is_not(tmp_path: Path) -> None:
    async with scripted(tmp_path) as (script, api):
        script.say("/pod/status", {"code": 404, "message": "gone"}, status=404, method="PATCH")
        script.say(EVENTS, {"code": 403, "message": "forbidden: events"}, status=403, method="POST")
        outbox = Outbox(api)
        outbox.put(status(1))
        outbox.put(Write("events", "POST", EVENTS, {}))
        with pytest.raises(ApiError, match="forbidden: events"), first_error():
            await outbox.run()
        assert sorted(script.asked) == ["PATCH /pod/status", f"POST {EVENTS}"]
