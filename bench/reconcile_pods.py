"""What it costs to hold pod status against events: a list of so many pods, and every state that a pod goes through.

    python bench/reconcile_pods.py [--pods 5000] [--containers 2]

Pods have the size of real ones (managedFields included, some 7 KB). Bytes come from memory, as the client hands them
on: CPU seconds are of decoding and reconciling alone, memory is of the whole process.
"""

import argparse
import asyncio
import json
import random
import resource
import sys
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from collector.clock import SystemClock
from collector.context import Context
from collector.log import Log
from collector.reconciling.pod_watch import PodWatch
from collector.reconciling.reconcile import Reconciler
from collector.settings import Settings
from collector.sources.reported import ReportedContainers
from pullstudy.kube.page import RawPage, read_page
from pullstudy.pulls.decode import Origin

STATES = 5  # of a pod with a node: made, ContainerCreating, running, ended, deleted
PADDING_BYTES = 5_200  # of managedFields, volumes, tolerations and conditions that nobody reads
PAGE = 500


def pod(number: int, state: int, containers: int, created: str) -> bytes:
    """One pod as kube-apiserver sends it."""
    running = state >= 2
    status = [
        {
            "name": f"c{index}",
            "image": f"registry.example/team/app-{index}:1.2.{number % 40}",
            "imageID": f"registry.example/team/app-{index}@sha256:{number % 40:064x}" if running else "",
            "restartCount": 0,
            "state": {"running": {"startedAt": created}} if running else {"waiting": {"reason": "ContainerCreating"}},
        }
        for index in range(containers)
    ]
    spec = [{"name": each["name"], "image": each["image"], "imagePullPolicy": "IfNotPresent"} for each in status]
    uid = f"{random.Random(number).getrandbits(128):032x}"
    metadata = {
        "name": f"app-{number}-abcde",
        "namespace": f"team-{number % 50}",
        "uid": uid,
        "resourceVersion": str(1000 + number * STATES + state),
        "creationTimestamp": created,
        "labels": {"app": f"app-{number}"},
        "managedFields": [{"fieldsV1": "f" * PADDING_BYTES}],
    }
    body = {
        "metadata": metadata,
        "spec": {"nodeName": f"node-{number % 500}", "containers": spec},
        "status": {"phase": "Running" if running else "Pending", "containerStatuses": status},
    }
    return json.dumps(body).encode()


class Pods:
    """ListerWatcher from memory: a list of pods that run, then the states of as many new ones."""

    def __init__(self, pods: int, containers: int) -> None:
        self._pods, self._containers = pods, containers
        self._stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.bytes = 0
        self.done = asyncio.Event()
        self.making = 0.0  # CPU seconds of making the bytes, which are not the collector's

    async def renew_login(self) -> None: ...

    async def prove(self, version: str) -> None: ...

    async def list_page(self, *, limit: int | None, continue_token: str | None) -> RawPage:
        began = time.process_time()
        first = int(continue_token or 0)
        old = "2026-01-01T00:00:00Z"
        items = b",".join(pod(n, 2, self._containers, old) for n in range(first, min(first + PAGE, self._pods)))
        rest = str(first + PAGE) if first + PAGE < self._pods else ""
        metadata: dict[str, Any] = {"resourceVersion": "1000", "continue": rest}
        body = b'{"metadata":' + json.dumps(metadata).encode() + b',"items":[' + items + b"]}"
        self.bytes += len(body)
        self.making += time.process_time() - began
        return read_page(body, "list pods")

    def stream_list(self, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        raise NotImplementedError  # pods come in pages

    async def watch(self, version: str, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        kinds = ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]
        for number in range(self._pods, 2 * self._pods):
            began = time.process_time()
            lines = b"".join(
                b'{"type":"%s","object":%s}\n' % (kind.encode(), pod(number, state, self._containers, self._stamp))
                for state, kind in enumerate(kinds)
            )
            self.bytes += len(lines)
            self.making += time.process_time() - began
            yield lines
        self.done.set()
        await asyncio.Event().wait()


async def measure(pods: int, containers: int) -> None:
    clock = SystemClock()
    context = Context(Settings(), clock, random.Random(1), Log(clock))
    reconciler = Reconciler(Origin(cluster="bench"), ReportedContainers(16_384), 60.0)
    api = Pods(pods, containers)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    watching = asyncio.create_task(PodWatch(api, reconciler, lambda: datetime.now(UTC), context).run())
    await api.done.wait()
    spent = time.process_time() - began - api.making
    watching.cancel()
    states = pods * (1 + STATES)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{pods:,} pods listed, {pods:,} more seen through {STATES} states: {api.bytes / 1e6:,.0f} MB of JSON")
    print(f"CPU {spent:.2f} s, {spent / states * 1e6:.0f} µs a state; memory grown by {grown:.0f} MiB at its peak")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pods", type=int, default=5_000)
    parser.add_argument("--containers", type=int, default=2)
    options = parser.parse_args()
    asyncio.run(measure(options.pods, options.containers))


if __name__ == "__main__":
    main()
