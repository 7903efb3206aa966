"""What a running process answers at /metrics, /healthz and /readyz."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from collector.configuration.quantity import Address
from collector.monitoring.endpoints import endpoints
from collector.monitoring.vitals import Vitals
from tests.notices import KeptNotices


class Endpoint:
    """One that is listened on."""

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    def told(cls, line: str) -> "Endpoint":
        """By the line that says where."""
        found = re.search(r"listening on (http://\S+): /metrics", line)
        assert found, line
        return cls(found[1])

    async def get(self, path: str, accept: str = "") -> tuple[int, str]:
        """Status and body."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path, headers={"Accept": accept}) as got:
            return got.status, await got.text()

    async def ready(self) -> tuple[int, list[str]]:
        status, text = await self.get("/readyz")
        return status, text.splitlines()

    async def families(self) -> list[Metric]:
        status, text = await self.get("/metrics")
        assert status == 200
        return list(text_string_to_metric_families(text))

    async def value(self, name: str, **labels: str) -> float | None:
        """Of the sample that has this name and these labels, and perhaps others."""
        found = [
            sample.value
            for family in await self.families()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert len(found) <= 1, (name, labels)
        return found[0] if found else None


@asynccontextmanager
async def served(vitals: Vitals) -> AsyncIterator[Endpoint]:
    """On a free port of the loopback."""
    notices = KeptNotices()
    async with endpoints(Address("127.0.0.1:0"), vitals, notices):
        yield Endpoint.told(notices.said("info")[0])
