"""A real Prometheus: it scrapes what it is told to, every second."""

import json
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from tests.stack.error import StackError
from tests.stack.home import StackHome
from tests.stack.port import LOOPBACK, free_port
from tests.stack.process import Process
from tests.stack.server import Server, answers

Job = Mapping[str, Sequence[str]]
"""Name of a job -> its targets, each HOST:PORT."""


class Prometheus(Server):
    """prometheus on a loopback port."""

    def __init__(
        self,
        home: StackHome,
        directory: Path,
        jobs: Job,
        *,
        rules: Sequence[Path] = (),
        native_histograms: bool = False,
    ) -> None:
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._settings = directory / "prometheus.json"
        self._configuration = {
            "global": {
                "scrape_interval": "1s",
                "evaluation_interval": "1s",
                "scrape_native_histograms": native_histograms,
            },
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": list(targets)}]} for name, targets in jobs.items()
            ],
        }
        command = [
            home.program("prometheus"),
            f"--config.file={self._settings}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self.port}",
            "--enable-feature=exemplar-storage",
        ]
        super().__init__(Process("prometheus", command, directory))

    async def start(self) -> None:
        """Start it with its configuration."""
        self._settings.parent.mkdir(parents=True, exist_ok=True)
        self._settings.write_text(json.dumps(self._configuration))
        await super().start()

    async def is_ready(self) -> bool:
        """Whether it says so."""
        return await answers(f"{self.url}/-/ready")

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an expression now, each with ``metric`` and ``value``.

        Raises StackError with its complaint.
        """
        data = await self._get(f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        return list(data["result"])

    async def exemplars(self, expression: str) -> list[dict[str, Any]]:
        """Of whatever time, each with ``labels`` and ``value``."""
        words = urllib.parse.urlencode({"query": expression, "start": 0, "end": time.time() + 3600})
        found = await self._get(f"/api/v1/query_exemplars?{words}")
        return [exemplar for series in found for exemplar in series["exemplars"]]

    async def rules(self) -> list[dict[str, Any]]:
        """Its rules, each with its type and health, alerting ones with their state."""
        return [rule for group in (await self._get("/api/v1/rules"))["groups"] for rule in group["rules"]]

    async def _get(self, path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            body = await response.json()
        if body["status"] != "success":
            raise StackError(f"Prometheus: {path}: {body['error']}")
        return body["data"]
