"""The process: pods in by a watch, requests out, orders of the driver on standard input.

It says ``ready`` on standard output when all nodes are registered, and ``cleared`` after each order.
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from driver.clusters.cluster_api import ClusterApi, open_cluster
from driver.errors import first_error
from driver.providers.kwok.kubelets.machines import BoundPod, Machines
from driver.providers.kwok.kubelets.nodes import NodesOrder
from driver.providers.kwok.kubelets.outbox import Outbox
from pullstudy.kube.errors import KubeError
from pullstudy.kube.object_watch import Change
from pullstudy.sim.api.version import KubernetesVersion
from pullstudy.sim.time.pacing import Pacer

USUAL_VERSION = "1.34.4"  # spoken where the API server's version cannot be read
READY, CLEARED = b"ready\n", b"cleared\n"


async def run(order: NodesOrder) -> None:
    """Until standard input ends. Raises KubeError."""
    with first_error():
        async with open_cluster(Path(order.kubeconfig), "default") as api, asyncio.TaskGroup() as group:
            outbox = Outbox(api)
            machines = Machines(order, await _version(api), datetime.now(UTC), outbox.put)
            pacer = Pacer(machines.clock, 1.0, _nothing_to_wait_for, lambda: None)
            tasks = [group.create_task(work) for work in (pacer.run(), outbox.run(), _watch_pods(api, machines, pacer))]
            await outbox.sent()
            _say(READY)
            await _clear_as_ordered(machines, pacer)
            for task in tasks:
                task.cancel()


async def _nothing_to_wait_for() -> None:
    """The outbox takes everything: real time waits for nobody."""


async def _version(api: ClusterApi) -> KubernetesVersion:
    text = await api.server_version()
    try:
        return KubernetesVersion.parse(text.partition("-")[0].partition("+")[0])
    except ValueError:
        return KubernetesVersion.parse(USUAL_VERSION)


async def _watch_pods(api: ClusterApi, machines: Machines, pacer: Pacer) -> None:
    def take(change: Change[BoundPod]) -> None:
        pacer.touch(writes=True)  # time stands at what happened last
        machines.pod_changed(change.object, deleted=change.deleted)

    await api.watch("/api/v1/pods", ("fieldSelector", "spec.nodeName!="), BoundPod, take)


async def _clear_as_ordered(machines: Machines, pacer: Pacer) -> None:
    """A line is a JSON list of images to remove from all nodes; it is answered when that is on its way."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        pacer.touch(writes=True)
        machines.clear(set(msgspec.json.decode(line, type=list[str])))
        _say(CLEARED)


def _say(word: bytes) -> None:
    sys.stdout.buffer.write(word)
    sys.stdout.buffer.flush()


def main(file: str) -> int:
    """The exit code. ``file`` has the order, JSON."""
    try:
        order = msgspec.json.decode(Path(file).read_bytes(), type=NodesOrder)
        asyncio.run(run(order))
    except (OSError, msgspec.DecodeError, KubeError) as error:
        sys.stderr.write(f"kubelets: {error}\n")
        return 1
    return 0
