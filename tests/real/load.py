"""A writer of real Event objects, and what the API server acknowledged of them: the oracle of every test of loss.

    python -m tests.real.load --kubeconfig F --events 10000 --nodes 256 --acknowledged acknowledged.jsonl

makes kubelets' events in bursts, from many node names, with so many requests open at a time, and writes a line of JSON
for each that the API server took: ``uid``, ``count``, ``at`` (seconds since 1970, when the answer was here). It goes on
while the server is away: a request without an answer is repeated, and an event that is there already was made by the
one before. ``--backoffs N`` makes so many events more that are counted up in place meanwhile, as client-go's recorder
does it: each count that was acknowledged is a line.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import aiohttp
from kubernetes_asyncio import client, config

IMAGE = "ghcr.io/converged-computing/container-chonks-run1:{layers}-layers-size-{image_bytes}-bytes"
SIZES = (1176249324, 2770722493, 6836726027, 10902729561, 14968733095, 19034736629)
LAYERS = (9, 125)
AGAIN = frozenset((429, 500, 502, 503, 504))
PAUSE_SECONDS = 0.1  # before a request without an answer is repeated
ANSWER_SECONDS = 10.0
PATIENCE_SECONDS = 120.0
NANOSECONDS = 1_000_000_000

Identity = tuple[str, int]  # uid, count


class WriterError(Exception):
    """The API server refused an event for good, or was away for too long."""


@dataclass(frozen=True)
class Load:
    """What to write. Each event is a pull of its own, by a pod of its own."""

    events: int
    nodes: int
    job: str = "load"  # the pods' names begin with it: no two loads of a namespace have the same
    burst_events: int = 200
    every_seconds: float = 0.0  # from the beginning of a burst to that of the next, if it does not take longer
    concurrency: int = 16  # requests open at a time


@dataclass(frozen=True)
class CountedUp:
    """Events that are updated in place, all at the same time."""

    events: int
    counts: int  # the last count of each
    nodes: int = 1
    job: str = "backoff"
    pause_seconds: float = 0.0  # between two updates of one event


@dataclass
class Acknowledged:
    """Every (uid, count) that the API server said it has, in memory and, where there is a file, as a line there."""

    file: IO[str] | None = None
    at_seconds: dict[Identity, float] = field(default_factory=dict)
    """When the answer that said so was here, in seconds since 1970."""
    stamps: dict[Identity, float] = field(default_factory=dict)
    """The event's own lastTimestamp, which can be much older: the server may have been away meanwhile."""

    @property
    def identities(self) -> Set[Identity]:
        """All of them; grows while it is written."""
        return self.at_seconds.keys()

    def add(self, event: dict[str, Any]) -> Identity:
        identity = (str(event["metadata"]["uid"]), int(event["count"]))
        at = self.at_seconds.setdefault(identity, time.time())
        self.stamps[identity] = datetime.fromisoformat(event["lastTimestamp"]).timestamp()
        if self.file is not None:
            self.file.write(json.dumps({"uid": identity[0], "count": identity[1], "at": at}) + "\n")
            self.file.flush()
        return identity


class EventWriter:
    """Writes events of one namespace until each is acknowledged."""

    def __init__(self, api: client.ApiClient, namespace: str, acknowledged: Acknowledged) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/events"
        self._namespace = namespace
        self.acknowledged = acknowledged

    async def create(self, event: dict[str, Any]) -> dict[str, Any]:
        """Make the event; as the API server has it."""
        made = await self._until_answered("POST", self._path, event)
        if made is None:
            made = await self._until_answered("GET", f"{self._path}/{event['metadata']['name']}", None)
            assert made is not None
        self.acknowledged.add(made)
        return made

    async def count_up(self, event: dict[str, Any], at: datetime) -> dict[str, Any]:
        """The same event once more, as client-go's recorder tells it: the count goes up in place."""
        change = {"count": event["count"] + 1, "lastTimestamp": seconds_text(at)}
        changed = await self._until_answered("PATCH", f"{self._path}/{event['metadata']['name']}", change)
        assert changed is not None
        self.acknowledged.add(changed)
        return changed

    async def keep_counting_up(self, what: CountedUp) -> None:
        """All of these, from their first count to their last."""
        async with asyncio.TaskGroup() as group:
            for number in range(what.events):
                group.create_task(self._count_up_to_the_last(number, what))

    async def _count_up_to_the_last(self, number: int, what: CountedUp) -> None:
        event = await self.create(backed_off(what.job, number, what.nodes, self._namespace, time.time()))
        for _ in range(what.counts - 1):
            await asyncio.sleep(what.pause_seconds)
            event = await self.count_up(event, datetime.now(UTC))

    async def write(self, load: Load, now: Callable[[], float] = time.time) -> None:
        """All of the load. Raises WriterError."""
        next_at = time.monotonic()
        for first in range(0, load.events, load.burst_events):
            await asyncio.sleep(next_at - time.monotonic())
            next_at = max(next_at, time.monotonic()) + load.every_seconds
            await self._burst(range(first, min(first + load.burst_events, load.events)), load, now)

    async def _burst(self, numbers: range, load: Load, now: Callable[[], float]) -> None:
        left = iter(numbers)

        async def work() -> None:
            for number in left:
                await self.create(pulled(load.job, number, load.nodes, self._namespace, now()))

        async with asyncio.TaskGroup() as group:
            for _ in range(load.concurrency):
                group.create_task(work())

    async def _until_answered(self, method: str, path: str, body: Any) -> dict[str, Any] | None:
        """The answer; None where the object is there already."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                status, content = await self._once(method, path, body)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                status, content = 0, f"{type(error).__name__} {error}".encode()
            if 200 <= status < 300:
                return dict(json.loads(content))
            if status == 409 and method == "POST":
                return None
            if (status not in AGAIN and status != 0) or time.monotonic() > deadline:
                raise WriterError(f"{method} {path}: {status} {content.decode(errors='replace')[:300]}")
            await asyncio.sleep(PAUSE_SECONDS)

    async def _once(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        answer = await self._api.call_api(
            path,
            method,
            header_params={"Accept": "application/json", "Content-Type": kind},
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=ANSWER_SECONDS,
        )
        async with answer:
            return answer.status, await answer.read()


@asynccontextmanager
async def event_writer(
    kubeconfig: Path, namespace: str, acknowledged: Acknowledged | None = None
) -> AsyncIterator[EventWriter]:
    """A writer with the kubeconfig's user."""
    async with await config.new_client_from_config(str(kubeconfig)) as api:
        yield EventWriter(api, namespace, acknowledged if acknowledged is not None else Acknowledged())


def pulled(job: str, number: int, nodes: int, namespace: str, at_seconds: float) -> dict[str, Any]:
    """A kubelet's Pulled event of one of so many nodes."""
    layers, image_bytes = LAYERS[number % 2], SIZES[number // 2 % len(SIZES)]
    image = IMAGE.format(layers=layers, image_bytes=image_bytes)
    pull = f"{1 + number % 97}.{number % 1000:03d}s"
    text = f'Successfully pulled image "{image}" in {pull} ({pull} including waiting). Image size: {image_bytes} bytes.'
    return _event(job, number, nodes, namespace, at_seconds, "Pulled", text)


def backed_off(job: str, number: int, nodes: int, namespace: str, at_seconds: float) -> dict[str, Any]:
    """A kubelet's BackOff event, to be counted up."""
    image = IMAGE.format(layers=LAYERS[0], image_bytes=SIZES[0])
    return _event(job, number, nodes, namespace, at_seconds, "BackOff", f'Back-off pulling image "{image}"')


def _event(
    job: str, number: int, nodes: int, namespace: str, at_seconds: float, reason: str, message: str
) -> dict[str, Any]:
    pod = f"{job}-{number}-{_pod_suffix(number)}"
    stamp = seconds_text(datetime.fromtimestamp(at_seconds, UTC))
    node = f"node-{number % nodes}"
    return {
        "metadata": {"name": f"{pod}.{int(at_seconds * NANOSECONDS):x}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": namespace,
            "name": pod,
            "uid": f"{number:08x}-0000-4000-9000-000000000000",
            "fieldPath": "spec.containers{chonk}",
        },
        "reason": reason,
        "message": message,
        "source": {"component": "kubelet", "host": node},
        "reportingComponent": "kubelet",
        "reportingInstance": node,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
        "type": "Normal",
    }


def _pod_suffix(number: int) -> str:
    return "".join(random.Random(number).choices("bcdfghjklmnpqrstvwxz2456789", k=5))


def seconds_text(at: datetime) -> str:
    """A time as the API has it: cut to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


async def run(options: argparse.Namespace) -> None:
    """Write the load of the command line, and print how long it took as one line of JSON."""
    load = Load(
        events=options.events,
        nodes=options.nodes,
        job=options.job,
        burst_events=options.burst,
        every_seconds=options.every,
        concurrency=options.concurrency,
    )
    counted = CountedUp(options.backoffs, options.counts, options.nodes, f"{options.job}-backoff", options.count_pause)
    with options.acknowledged.open("a") as file:
        async with event_writer(options.kubeconfig, options.namespace, Acknowledged(file)) as writer:
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                group.create_task(writer.write(load))
                group.create_task(writer.keep_counting_up(counted))
            took = time.monotonic() - began
    done = len(writer.acknowledged.identities)
    report = {"acknowledged": done, "seconds": round(took, 3), "events_per_second": round(done / took, 1)}
    sys.stdout.write(json.dumps(report) + "\n")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--acknowledged", type=Path, required=True, help="the file that a line an event is added to")
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=256, help="node names that the events come from")
    parser.add_argument("--job", default="load", help="what the pods' names begin with; another one each time")
    parser.add_argument("--burst", type=int, default=Load.burst_events, help="events written together")
    parser.add_argument("--every", type=float, default=Load.every_seconds, help="seconds from one burst to the next")
    parser.add_argument("--concurrency", type=int, default=Load.concurrency, help="requests open at a time")
    parser.add_argument("--backoffs", type=int, default=0, help="events more that are counted up in place meanwhile")
    parser.add_argument("--counts", type=int, default=10, help="the last count of each of these")
    parser.add_argument("--count-pause", type=float, default=1.0, help="seconds between two updates of one of these")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
