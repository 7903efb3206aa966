"""What the kubelets write to the API server: many requests at once, those about one thing one after another."""

import asyncio
from collections import deque
from typing import Any

import msgspec

from driver.clusters.cluster_api import CONFLICT, NOT_FOUND, ClusterApi
from pullstudy.kube.errors import ApiError

AT_ONCE = 32  # requests; 2 cores of API server answer no more of them any faster


class Write(msgspec.Struct, frozen=True):
    """One request. Writes of one ``key`` keep their order; a ``whole`` one replaces another that still waits."""

    key: str
    method: str
    path: str
    body: Any
    whole: bool = False


class Outbox:
    """Takes writes at any time and sends them as fast as they are answered."""

    def __init__(self, api: ClusterApi) -> None:
        self._api = api
        self._waiting: dict[str, deque[Write]] = {}  # of the keys in _ready, and of those being sent
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._empty = asyncio.Event()

    async def sent(self) -> None:
        """Return when all is written that was put."""
        await self._empty.wait()

    def put(self, write: Write) -> None:
        self._empty.clear()
        waiting = self._waiting.get(write.key)
        if waiting is None:
            self._waiting[write.key] = deque([write])
            self._ready.put_nowait(write.key)
        elif waiting and write.whole and waiting[-1].whole:
            waiting[-1] = write
        else:
            waiting.append(write)

    async def run(self) -> None:
        """For ever. Raises ApiError."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._send_on())

    async def _send_on(self) -> None:
        while True:
            key = await self._ready.get()
            await self._send(self._waiting[key].popleft())
            if self._waiting[key]:
                self._ready.put_nowait(key)
            else:
                del self._waiting[key]
                if not self._waiting:
                    self._empty.set()

    async def _send(self, write: Write) -> None:
        try:
            match write.method:
                case "POST":
                    await self._api.create(write.path, write.body)
                case "PATCH":
                    await self._api.change(write.path, write.body)
                case "DELETE":
                    await self._api.delete(write.path, write.body)
        except ApiError as error:
            if error.status not in (NOT_FOUND, CONFLICT):  # deleted meanwhile, or another of that name
                raise
