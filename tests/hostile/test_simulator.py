"""The simulator answers whatever is asked of it with a Status, soon, and goes on."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import aiohttp
import pytest

from pullstudy.sim.cluster import ClusterSettings
from pullstudy.sim.http.server import SimServer, serving
from tests.sim.conftest import EVENTS, JOBS, PODS, START_AT, job

Attack = Callable[..., None]
HUGE = 10**400
ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    HUGE,
    1e308,
    -1e308,
    "",
    "nan",
    "inf",
    "x" * 5_000,
    "\x00\x1b[2J\u2028",
    "²",
    [],
    [[]],
    {},
    {"a": None},
    [1, None, "x"],
    {"matchLabels": 5},
)
NAMESPACED = "/api/v1/namespaces/default/"
PATHS = (
    "/sim/truth",
    "/sim/state",
    "/sim/faults",
    "/sim/cache/clear",
    "/sim/cache/preload",
    "/sim/advance",
    "/sim/",
    *(
        "/",
        "/api",
        "/apis",
        "/api/v1",
        "/version",
        "/openapi/v3",
        "/healthz",
        "/api/v1/nodes",
        "/api/v1/nodes/sim-hostile-0",
    ),
    "/api/v1/namespaces",
    "/api/v1/namespaces/default",
    EVENTS,
    NAMESPACED + "events",
    NAMESPACED + "events/e",
    PODS,
    *(
        PODS + "/p",
        PODS + "/p/status",
        PODS + "/p/log",
        JOBS,
        JOBS + "/j",
        JOBS + "/j/status",
        "/api/v1/namespaces/%00/pods",
    ),
    *(
        "/apis/events.k8s.io/v1/events",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        "/api/v1/nodes/n/proxy/configz",
    ),
    "/apis/batch/v1/jobs",
    "/api/v1/" + "a/" * 500,
    "/%ff%fe",
    "/api//v1",
    "/../sim/state",
)
QUERIES = (
    "",
    "limit=-1",
    f"limit={HUGE}",
    "limit=x",
    "limit=²",
    "continue=%ff",
    "continue=" + "A" * 3_000,
    "continue=e30",
    "continue=eyJydiI6LTksInN0YXJ0IjoiIn0",
    "resourceVersion=-5",
    f"resourceVersion={HUGE}",
    "resourceVersion=²",
    *(
        "resourceVersion=1&resourceVersionMatch=Exact",
        "labelSelector=" + "(" * 3_000,
        "labelSelector=a%20in%20(" + "," * 2_000,
    ),
    "labelSelector=" + "!" * 3_000,
    "fieldSelector=x=y",
    "fieldSelector=" + "%2C" * 1_500,
    "gracePeriodSeconds=x",
    *(
        f"gracePeriodSeconds={HUGE}",
        "gracePeriodSeconds=-1",
        "propagationPolicy=x",
        "outcome=%00&job=%ff",
        "a=" + "b" * 6_000,
    ),
    *(
        "watch=1&timeoutSeconds=x",
        "watch=1&resourceVersion=-5&timeoutSeconds=1",
        "watch=true&resourceVersion=²&timeoutSeconds=1",
    ),
    "watch=1&sendInitialEvents=true",
    f"watch=1&timeoutSeconds={HUGE}",
    "watch=1&labelSelector=%3D&timeoutSeconds=1",
)
BODIES = (
    *(
        b"",
        b"null",
        b"[]",
        b"{}",
        b"5",
        b"{",
        b"\xff\xfe",
        b'"\\ud800"',
        b"[" * 50_000,
        b'{"a":' * 50_000,
        b"9" * 5_000,
    ),
    *(
        b'{"metadata":' + each + b"}"
        for each in (b"null", b"5", b"[]", b'{"name":5}', b'{"name":"a/b"}', b'{"name":"a\\u0000"}')
    ),
    *(
        b'{"metadata":{"name":"x"},"spec":' + each + b"}"
        for each in (b"5", b"[]", b'{"containers":5}', b'{"containers":[5]}')
    ),
    b'[{"op":"add"}]',
    b'[{"op":"replace","path":"/metadata","value":5}]',
    b'[{"op":"add","path":"/metadata/labels","value":[]}]',
    b'[{"path":"/metadata/name/x/y","op":"remove"}]',
    b'{"metadata":{"labels":{"a":5}},"status":5}',
    b'{"metadata":{"resourceVersion":7}}',
    b'{"propagationPolicy":[],"gracePeriodSeconds":{},"preconditions":5}',
)
TYPES = ("application/json", "application/merge-patch+json", "application/json-patch+json", "text/html", "")


@pytest.fixture
async def server() -> AsyncIterator[SimServer]:
    settings = ClusterSettings(name="sim-hostile", nodes=3, start_at=START_AT)
    async with serving(settings) as made:
        yield made


async def answered(server: SimServer, session: aiohttp.ClientSession, method: str, path: str, **asked: Any) -> int:
    """The code of the answer, which came in time and was no failure of the server's own."""
    async with asyncio.timeout(20):
        async with session.request(method, server.url + path, **asked) as response:
            text = await response.read() if response.status >= 400 else b""
    # 504 is what a version that is not there yet is answered with, as by a real server.
    assert response.status < 500 or response.status == 504, (method, path, asked, response.status, text)
    if response.status >= 400:
        assert b'"kind":"Status"' in text, (method, path, asked, response.status, text[:300])
    return response.status


async def alive(server: SimServer, session: aiohttp.ClientSession, name: str) -> None:
    """It still does what it is for."""
    # Its own namespaces can be deleted, as on a server without that admission plugin.
    await answered(server, session, "POST", "/api/v1/namespaces", json={"metadata": {"name": "default"}})
    code = await answered(server, session, "POST", JOBS, json=job(name, completions=2))
    assert code == 201
    async with asyncio.timeout(20):
        while True:
            async with session.get(f"{server.url}{JOBS}/{name}") as response:
                if (await response.json())["status"].get("succeeded") == 2:
                    return


async def test_requests_of_all_kinds_that_make_no_sense_are_answered_with_a_status(
    server: SimServer, attack: Attack
) -> None:
    attack("simulator: 900 requests of odd methods, paths, queries, bodies and types", "shapes checked; a last guard")
    random = Random(13)
    async with aiohttp.ClientSession() as session:
        for name in ("j", "p"):
            await answered(server, session, "POST", JOBS, json=job(name))
        for _ in range(900):
            path, query = random.choice(PATHS), random.choice(QUERIES) if random.random() < 0.5 else ""
            headers = {"Content-Type": random.choice(TYPES)}
            method = random.choice(("GET", "POST", "PUT", "PATCH", "DELETE", "POST", "PATCH", "OPTIONS", "TRACE"))
            await answered(server, session, method, f"{path}?{query}", data=random.choice(BODIES), headers=headers)
        await session.post(server.url + "/sim/faults", json={"fault": "compact"})
        await session.delete(server.url + "/sim/faults")
        await alive(server, session, "after")


def spoilt(value: Any, random: Random) -> Any:
    """The same with one thing in it that is of another kind."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        key = random.choice(list(value))
        return value | {key: spoilt(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.85:
        place = random.randrange(len(value))
        return [*value[:place], spoilt(value[place], random), *value[place + 1 :]]
    return random.choice(ODD)


FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "refuse", "code": 429, "times": 1, "retry_after_seconds": 1, "on": "list", "resource": "x"},
    {"fault": "clock-skew", "node": "*", "seconds": 1.0},
    {"fault": "delay-events", "seconds": 1.0, "reason": "x"},
    {"fault": "slow-nodes", "factor": 2.0, "share": 0.5},
    {"fault": "lapse-events", "older_than_seconds": 1.0},
    {"fault": "pod-fails", "job": "x", "index": 0, "exit_code": 1},
    {"fault": "stream-error", "code": 500, "retry_after_seconds": 1},
    {"fault": "drop-watches", "every_events": 5, "resource": "x", "times": 1, "in_seconds": 5.0},
)


async def test_objects_and_faults_with_one_value_of_another_kind_are_refused_or_harmless(
    server: SimServer, attack: Attack
) -> None:
    attack("simulator: 900 objects and faults with one odd value", "shapes checked before an object is kept")
    random = Random(31)
    made = job("spoilt")
    event = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p"}, "reason": "R", "count": 1}
    pod = {"metadata": {"name": "q"}, "spec": made["spec"]["template"]["spec"]}
    chosen = (
        (JOBS, made),
        (NAMESPACED + "events", event),
        (PODS, pod),
        ("/api/v1/namespaces", {"metadata": {"name": "n"}}),
    )
    async with aiohttp.ClientSession() as session:
        for number in range(900):
            path, body = random.choice((*chosen, *(("/sim/faults", fault) for fault in FAULTS)))
            body = spoilt(body, random)
            if isinstance(body, dict) and isinstance(body.get("metadata"), dict):
                body["metadata"] = (
                    {**body["metadata"], "name": f"n{number}"} if random.random() < 0.7 else body["metadata"]
                )
            await answered(server, session, "POST", path, json=body)
        await answered(server, session, "DELETE", "/sim/faults")
        await answered(server, session, "POST", "/sim/faults", json={"fault": "slow-nodes", "node": "*", "factor": 1.0})
        await answered(server, session, "POST", "/sim/faults", json={"fault": "clock-skew", "node": "*", "seconds": 0})
        await alive(server, session, "after")


@pytest.mark.parametrize("seconds", ["nan", "inf", -1, HUGE, 1e308, None, [], "5", 604_801])
async def test_time_is_not_moved_by_what_is_no_time(server: SimServer, seconds: Any, attack: Attack) -> None:
    attack(f"simulator: advance by {str(seconds)[:10]} seconds", "0 to a week")
    async with aiohttp.ClientSession() as session:
        assert await answered(server, session, "POST", "/sim/advance", json={"seconds": seconds}) == 400
        assert await answered(server, session, "POST", "/sim/advance", json={"seconds": 60}) == 200


async def test_a_week_of_time_moves_in_steps_between_which_others_are_answered(
    server: SimServer, attack: Attack
) -> None:
    attack("simulator: advance by a day", "in steps of a minute")
    async with aiohttp.ClientSession() as session:
        moving = asyncio.create_task(answered(server, session, "POST", "/sim/advance", json={"seconds": 86_400}))
        await answered(server, session, "GET", "/sim/state")
        assert await moving == 200


async def test_a_body_of_many_megabytes_is_refused(server: SimServer, attack: Attack) -> None:
    attack("simulator: a body of 17 MiB", "16 MiB at most")
    async with aiohttp.ClientSession() as session:
        assert await answered(server, session, "POST", JOBS, data=io.BytesIO(b" " * (17 << 20))) == 413


async def test_images_whose_names_order_layers_without_number_are_ordinary_ones(
    server: SimServer, attack: Attack
) -> None:
    attack("simulator: images of 10^9 layers by name", "1,000 layers at most")
    names = [
        "r/a:999999999-layers-size-1-bytes",
        "r/a:" + "9" * 400 + "-layers-size-1-bytes",
        "r/a:99999-layers-size-9-bytes",
    ]
    async with aiohttp.ClientSession() as session:
        assert await answered(server, session, "POST", "/sim/cache/preload", json={"images": names}) == 200
        await alive(server, session, "after")
