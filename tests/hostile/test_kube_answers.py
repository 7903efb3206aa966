"""Whatever an API server answers is understood, or said and backed off from: no traceback, no busy loop, no crash."""

import asyncio
import json
import os
import tracemalloc
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from collector.context import Context
from collector.log import Format, Log
from collector.reconciling.pod_watch import PodWatch
from collector.settings import StopSettings
from collector.sources.event_watch import EventWatch, WatchedCluster
from collector.sources.intake import Intake
from collector.sources.recent_events import RecentEvents
from pullstudy.kube.errors import TransportError
from pullstudy.kube.list_watch import ListWatch
from pullstudy.kube.objects import ListMetadata
from pullstudy.kube.status import is_error_line, read_error_line, read_status
from pullstudy.kube.watch_protocol import WatchProtocol
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.retry_after import LONGEST_SECONDS, http_date, retry_after_seconds
from tests.collector.harness import SETTINGS, VirtualClock
from tests.collector.kube_events import event
from tests.hostile.conftest import Attack
from tests.hostile.kube_answers import DIGITS, HEADERS, NASTY, EnoughError, HostileClient, plain, status

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MIB = 1 << 20


class Spooled:
    """In the place of a spool."""

    def __init__(self) -> None:
        self.records = 0
        self.rejects = 0
        self.gaps = 0

    async def append(self, batch: Batch, position: bytes | None = None) -> None:
        self.records += len(batch.pulls)
        self.rejects += len(batch.rejects)
        self.gaps += len(batch.gaps)


class Watching:
    """An event watch over a client, in virtual time."""

    def __init__(self, client: Any, reports: Path | None = None, *, streaming: bool = True) -> None:
        self.clock = VirtualClock()
        self.lines: list[str] = []
        self.spooled = Spooled()
        settings = replace(SETTINGS, stop=StopSettings(connect_tries=10**9))
        log = Log(self.clock, Format.TEXT, self.lines.append)
        self.context = Context(settings, self.clock, Random(1), log, reports=reports)
        self.context.status.bugs = 0
        self.protocol = WatchProtocol(streaming=streaming)
        recent = RecentEvents(1_000)
        self.intake = Intake(Origin(cluster="c"), recent, self.context.status, bugs=self.context.bugs)
        self.watch = EventWatch(WatchedCluster("c"), client, self.protocol, self.intake, self.context)
        self.watch.is_open.set()  # nothing that is answered before is given up on

    async def run(self) -> None:
        spool: Any = self.spooled
        await self.watch.run(spool)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(5))
async def test_a_thousand_mutated_answers_each_end_in_a_line_and_a_wait(seed: int, attack: Attack) -> None:
    client = HostileClient(Random(seed), 1_000)
    watching = Watching(client)
    tracemalloc.start()
    try:
        with pytest.raises(EnoughError):
            await watching.run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert watching.context.status.bugs == 0, [line for line in watching.lines if "bug" in line]
    assert client.requests / watching.clock.seconds < 45, "0.05 s after a watch that worked, and one question before it"
    assert min(watching.clock.sleeps) >= 0
    assert peak < 32 * MIB
    assert watching.spooled.records
    assert watching.spooled.rejects
    attack(f"1,000 mutated answers to the event watch, seed {seed}", "no bug met, waits kept, under 32 MiB")


@pytest.mark.timeout(300)
async def test_a_thousand_mutated_answers_do_not_end_the_watch_of_pods(attack: Attack) -> None:
    class Reconciling:
        def __getattr__(self, name: str) -> Callable[..., None]:
            return lambda *_: None

    client: Any = HostileClient(Random(9), 1_000)
    clock, lines = VirtualClock(), list[str]()
    context = Context(SETTINGS, clock, Random(1), Log(clock, Format.TEXT, lines.append))
    reconciler: Any = Reconciling()
    with pytest.raises(EnoughError):
        await PodWatch(ListWatch(client, "/api/v1/pods"), reconciler, lambda: client.server_time, context).run()
    assert context.status.bugs == 0, lines
    assert client.requests / clock.seconds < 45
    attack("1,000 mutated answers to the watch of pods", "no bug met, waits kept")


@pytest.mark.parametrize("header", HEADERS)
def test_headers_say_a_time_within_reason_or_none(header: str | None, attack: Attack) -> None:
    asked = retry_after_seconds(header, NOW)
    assert asked is None or 0 <= asked <= LONGEST_SECONDS
    http_date(header)
    attack(f"Date and Retry-After {(header or '')[:30]!r}", f"read as {asked}")


@pytest.mark.parametrize("value", NASTY, ids=lambda value: str(value[:12]))
@pytest.mark.parametrize("field", ["code", "message", "reason", "details", "seconds", "unread", "object"])
def test_a_status_is_read_as_far_as_it_can_be(field: str, value: bytes, attack: Attack) -> None:
    parts = {"code": b"410", "message": b'"gone"', "reason": b'"Expired"', "details": b'{"retryAfterSeconds":7}'}
    if field == "seconds":
        parts["details"] = b'{"retryAfterSeconds":%b}' % value
    elif field != "object":
        parts[field] = value
    body = b"{" + b",".join(b'"%b":%b' % (name.encode(), part) for name, part in parts.items()) + b"}"
    line = b'{"type":"ERROR","object":%b}' % (value if field == "object" else body)
    for found in (read_error_line(line), read_status(410, body, None, None)):
        assert 100 <= found.code <= 999
        assert len(found.message) < 3_000
        assert found.retry_after_seconds is None or 0 <= found.retry_after_seconds <= LONGEST_SECONDS
    if field in ("message", "reason", "details", "seconds", "unread") and is_error_line(line):
        assert read_error_line(line).code == 410
    attack(f"a Status whose {field} is {value[:12]!r}", "the rest of it is read")


class Scripted:
    """A client with one answer for each question, and time to wait for ever after them."""

    url = "https://scripted"

    def __init__(self, lists: list[bytes], watches: list[list[bytes]]) -> None:
        self.requests = 0
        self._lists = lists
        self._watches = watches

    async def renew_login(self) -> None: ...

    async def get(self, what: str, path: str, query: Any = ()) -> bytes:
        self.requests += 1
        if path.startswith("/api/v1/namespaces/"):
            return plain({"metadata": {"uid": "u-1"}})
        if ("limit", "1") in query:
            return plain({"metadata": {"resourceVersion": "1"}, "items": []})
        if not self._lists:
            raise EnoughError
        return self._lists.pop(0)

    async def stream(self, what: str, path: str, query: Any, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        self.requests += 1
        yield b""
        if not self._watches:
            raise EnoughError
        for line in self._watches.pop(0):
            yield line + b"\n"


EMPTY = plain({"metadata": {"resourceVersion": "1"}, "items": []})


async def ran(lists: list[bytes], watches: list[list[bytes]], reports: Path | None = None) -> Watching:
    watching = Watching(Scripted(lists, watches), reports, streaming=False)
    with pytest.raises(EnoughError):
        await watching.run()
    return watching


@pytest.mark.parametrize("seconds", [-5, 10**400, -(10**400), "5", None, [], 1.5e308])
async def test_no_retry_after_in_a_stream_makes_a_busy_loop(seconds: Any, attack: Attack) -> None:
    errors = plain({"type": "ERROR", "object": status(429, details={"retryAfterSeconds": seconds})})
    watching = await ran([EMPTY], [[errors] for _ in range(20)])
    assert watching.clock.seconds > 60
    attack(f"ERROR lines with retryAfterSeconds {str(seconds)[:12]}", "each waited for longer than the last")


@pytest.mark.parametrize("code", ["410", 410])
async def test_a_version_too_old_is_understood_from_a_text_too(code: Any, attack: Attack) -> None:
    watching = await ran([EMPTY, EMPTY], [[plain({"type": "ERROR", "object": status(code)})]])
    assert watching.context.status.lists == 2
    attack(f"an ERROR line of code {code!r}", "listed again")


@pytest.mark.parametrize("value", [b"1e999", DIGITS, b'"\xff"', b"[" * 900 + b"]" * 900])
async def test_fields_that_are_not_read_cost_no_event(value: bytes, attack: Attack) -> None:
    good, odd = event(1), event(2)
    odd["message"] = "Successfully pulled image in a way that nobody knows"
    odd["extra"] = "@"
    raw = plain(odd).replace(b'"@"', value)
    page = b'{"metadata":{"resourceVersion":"5"},"items":[%b,%b]}' % (raw, plain(good))
    watching = await ran([page], [[b'{"type":"ADDED","object":%b}' % raw.replace(b"Successfully", b"successfully")]])
    assert watching.spooled.records >= 1
    assert watching.context.status.bugs == 0
    attack(f"an event of unknown form with an unread field {value[:10]!r}", "a reject; the others are kept")


async def test_a_cluster_uid_that_is_no_text_is_no_identity(attack: Attack) -> None:
    class Surrogate(Scripted):
        async def get(self, what: str, path: str, query: Any = ()) -> bytes:
            self.requests += 1
            if self.requests > 20:
                raise EnoughError
            return b'{"metadata":{"uid":"\\ud800"}}'

    watching = Watching(Surrogate([], []), streaming=False)
    with pytest.raises(EnoughError):
        await watching.run()
    assert watching.clock.seconds > 60
    attack("a lone surrogate as the cluster's uid", "said, and backed off from")


@pytest.mark.parametrize("token", ["same", "other"])
async def test_a_list_without_end_is_backed_off_from(token: str, attack: Attack) -> None:
    pages = [
        plain({"metadata": {"resourceVersion": "1", "continue": f"{token}-{token == 'other' and n}"}, "items": []})
        for n in range(40)
    ]
    watching = await ran(pages, [])
    assert watching.clock.seconds > 60
    attack(f"empty pages, each with a continue token ({token})", "each waited for longer than the last")


def test_full_pages_without_end_are_given_up() -> None:
    protocol = WatchProtocol(page_items=1)

    def all_pages() -> None:
        for number in range(200_000):
            protocol.page(ListMetadata("1", str(number)), 1)

    with pytest.raises(TransportError, match="do not end"):
        all_pages()
    assert protocol.next_step().failures == 1


async def test_a_bug_is_said_once_with_a_file_and_the_watch_goes_on(tmp_path: Path, attack: Attack) -> None:
    class Broken(Scripted):
        async def get(self, what: str, path: str, query: Any = ()) -> bytes:
            if self.requests < 20:
                self.requests += 1
                raise ZeroDivisionError("what nobody thought of")
            return await super().get(what, path, query)

    watching = Watching(Broken([EMPTY], []), tmp_path, streaming=False)
    with pytest.raises(EnoughError):
        await watching.run()
    assert watching.context.status.bugs == 20
    assert watching.clock.seconds > 60
    said = [line for line in watching.lines if "bug" in line]
    assert len(said) == 1
    (report,) = os.listdir(tmp_path)
    assert report in said[0]
    assert "what nobody thought of" in (tmp_path / report).read_text()
    assert (tmp_path / report).stat().st_mode & 0o777 == 0o600
    attack("an error that nobody thought of, in the loop", "said once, a report file, ever longer waits")


async def test_a_bug_after_the_version_moved_is_a_gap_and_a_new_list(attack: Attack) -> None:
    found = event(3)
    found["metadata"]["resourceVersion"] = "7"
    again = plain({"metadata": {"resourceVersion": "8"}, "items": [found]})
    watching = Watching(Scripted([EMPTY, again], [[plain({"type": "ADDED", "object": found})]]), streaming=False)
    broken = iter((False, True))

    class Failing(Spooled):
        async def append(self, batch: Batch, position: bytes | None = None) -> None:
            if next(broken, False):
                raise RuntimeError("once")
            await super().append(batch, position)

    watching.spooled = Failing()
    with pytest.raises(EnoughError):
        await watching.run()
    assert watching.context.status.bugs == 1
    assert (watching.context.status.gaps, watching.spooled.records) == (1, 1)
    assert watching.context.status.lists == 2
    attack("a bug while records are spooled", "listed again")


async def test_a_cancellation_ends_the_loop() -> None:
    watching = Watching(Forever([], []), streaming=False)
    task = asyncio.create_task(watching.run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert watching.context.status.bugs == 0


class Forever(Scripted):
    """Its answers never come."""

    async def get(self, what: str, path: str, query: Any = ()) -> bytes:
        await asyncio.Event().wait()
        return json.dumps({}).encode()
