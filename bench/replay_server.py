"""An API server that only replays: so many events of a study on one watch, as fast as they are read, then the end.

Run by watch_to_store.py as a process of its own, so that making the events costs the measured process nothing.
The lines are what kube-apiserver 1.34 sends for the six events of each pod of an Indexed Job, managedFields included.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

IMAGE = "ghcr.io/converged-computing/container-chonks-run1:125-layers-size-2770722493-bytes"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST_VERSION = 1_000
BLOCK_LINES = 600
SCATTER = 2_654_435_761  # odd, so that uids are as scattered as random ones, which is what an index has to bear
# (component, reason, message, kind and field path of the object)
FORMS = (
    ("job-controller", "SuccessfulCreate", "Created pod: {pod}", "Job", None),
    ("default-scheduler", "Scheduled", "Successfully assigned default/{pod} to {node}", "Pod", None),
    ("kubelet", "Pulling", 'Pulling image "{image}"', "Pod", "spec.containers{{chonk}}"),
    (
        "kubelet",
        "Pulled",
        'Successfully pulled image "{image}" in 8.703s (8.703s including waiting). Image size: 2770722493 bytes.',
        "Pod",
        "spec.containers{{chonk}}",
    ),
    ("kubelet", "Created", "Created container: chonk", "Pod", "spec.containers{{chonk}}"),
    ("kubelet", "Started", "Started container chonk", "Pod", "spec.containers{{chonk}}"),
)


def _managed_fields(component: str, at: str) -> list[dict[str, Any]]:
    names = ("count", "firstTimestamp", "involvedObject", "lastTimestamp", "message", "reason", "source", "type")
    fields: dict[str, Any] = {f"f:{name}": {} for name in (*names, "reportingComponent", "reportingInstance")}
    return [
        {
            "manager": component,
            "operation": "Update",
            "apiVersion": "v1",
            "time": at,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
    ]


def _template(form: int) -> bytes:
    """The line of a form, with %-places for what differs from pod to pod."""
    component, reason, message, kind, field_path = FORMS[form]
    job, pod, node = "pull-3-chonks-r1-a1", "@POD@", "@NODE@"
    subject = {"kind": kind, "namespace": "default", "name": job if kind == "Job" else pod, "uid": "@PODUID@"}
    subject |= {"apiVersion": "v1", "resourceVersion": "900"}
    if field_path:
        subject["fieldPath"] = field_path.format()
    event = {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {
            "name": f"{subject['name']}.@NANOS@",
            "namespace": "default",
            "uid": "@UID@",
            "resourceVersion": "@VERSION@",
            "creationTimestamp": "@AT@",
            "managedFields": _managed_fields(component, "@AT@"),
        },
        "involvedObject": subject,
        "reason": reason,
        "message": message.format(pod=pod, node=node, image=IMAGE),
        "source": {"component": component, **({"host": node} if component == "kubelet" else {})},
        "firstTimestamp": "@AT@",
        "lastTimestamp": "@AT@",
        "count": 1,
        "type": "Normal",
        "eventTime": None,
        "reportingComponent": component,
        "reportingInstance": node if component == "kubelet" else "",
    }
    text = json.dumps({"type": "ADDED", "object": event}, separators=(",", ":")).replace("%", "%%")
    for mark in ("POD", "NODE", "PODUID", "NANOS", "UID", "VERSION", "AT"):
        text = text.replace(f"@{mark}@", f"%({mark})s")
    return text.encode() + b"\n"


def lines(count: int) -> Iterator[bytes]:
    """The lines of so many events."""
    templates = [_template(form) for form in range(len(FORMS))]
    for number in range(count):
        pod, form = divmod(number, len(FORMS))
        at = START + timedelta(milliseconds=number)
        seconds = int(at.timestamp())
        yield templates[form] % {
            b"POD": b"pull-3-chonks-r1-a1-%d-bcdfg" % pod,
            b"NODE": b"ip-192-168-%d-%d.us-east-2.compute.internal" % divmod(pod % 256, 16),
            b"PODUID": b"%08x-0000-4000-9000-000000000000" % pod,
            b"NANOS": b"%x" % (seconds * 10**9 + number % 1000 * 10**6),
            b"UID": b"%08x-0000-4000-8000-%012x" % (number * SCATTER % 2**32, number),
            b"VERSION": b"%d" % (FIRST_VERSION + 1 + number),
            b"AT": at.strftime("%Y-%m-%dT%H:%M:%SZ").encode(),
        }


def blocks(count: int) -> Iterator[bytes]:
    """The same in pieces that are worth a system call."""
    block: list[bytes] = []
    for line in lines(count):
        block.append(line)
        if len(block) == BLOCK_LINES:
            yield b"".join(block)
            block.clear()
    yield b"".join(block)


class Replay:
    """The routes that a client of events needs."""

    def __init__(self, count: int) -> None:
        self._count = count

    async def events(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            metadata = {"resourceVersion": str(FIRST_VERSION)}
            return web.json_response({"kind": "EventList", "apiVersion": "v1", "metadata": metadata, "items": []})
        if "sendInitialEvents" in request.query:  # as a server without lists inside watches
            return web.json_response({"kind": "Status", "code": 422, "message": "Forbidden"}, status=422)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if request.query["resourceVersion"] == str(FIRST_VERSION):
            for block in blocks(self._count):
                await response.write(block)
            return response
        await asyncio.Event().wait()  # all was told: nothing more happens
        return response

    async def identity(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Namespace", "metadata": {"name": "kube-system", "uid": "bench"}})


async def serve(count: int) -> None:
    replay = Replay(count)
    app = web.Application()
    app.router.add_get("/api/v1/events", replay.events)
    app.router.add_get("/api/v1/namespaces/kube-system", replay.identity)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"url": f"http://127.0.0.1:{runner.addresses[0][1]}"}), flush=True)
    # Ends with the process that started it.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
