"""A real InfluxDB 2: one organisation, the bucket ``pulls``, one all-access token."""

import csv
import io
import secrets
from pathlib import Path
from typing import Any

import aiohttp

from tests.stack.error import StackError
from tests.stack.home import StackHome
from tests.stack.port import LOOPBACK, free_port
from tests.stack.process import Process
from tests.stack.server import Server, answers

ORGANISATION = "pullstudy"
BUCKET = "pulls"


class Influx(Server):
    """influxd on a loopback port, set up at its first start."""

    def __init__(self, home: StackHome, directory: Path, assets: Path | None = None) -> None:
        """``assets``: the directory of its web interface's page, which a build without one has not."""
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.organisation = ORGANISATION
        self.bucket = BUCKET
        self.token = secrets.token_hex(16)
        settings = {
            "INFLUXD_BOLT_PATH": str(directory / "influxd.bolt"),
            "INFLUXD_SQLITE_PATH": str(directory / "influxd.sqlite"),
            "INFLUXD_ENGINE_PATH": str(directory / "engine"),
            "INFLUXD_HTTP_BIND_ADDRESS": f"{LOOPBACK}:{self.port}",
            "INFLUXD_REPORTING_DISABLED": "true",
        }
        if assets is not None:
            settings["INFLUXD_ASSETS_PATH"] = str(assets)
        super().__init__(Process("influxd", [home.program("influxd")], directory, environment=settings))

    async def start(self) -> None:
        """Start it; the first time, make the organisation, the bucket and the token."""
        await super().start()
        if (await self.request("GET", "/api/v2/setup"))["allowed"]:
            names = {"org": ORGANISATION, "bucket": BUCKET, "username": "admin", "password": secrets.token_hex(16)}
            await self.request("POST", "/api/v2/setup", {**names, "token": self.token})

    async def is_ready(self) -> bool:
        """Whether /health says pass."""
        return await answers(f"{self.url}/health")

    def environment(self) -> dict[str, str]:
        """The variables that influxdb-client, and so this project, reads its settings from."""
        return {
            "INFLUXDB_V2_URL": self.url,
            "INFLUXDB_V2_ORG": self.organisation,
            "INFLUXDB_V2_TOKEN": self.token,
        }

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the API with the all-access token; its JSON, None where there is none.

        Raises StackError with the answer if that is not a 2xx.
        """
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Token {self.token}"}) as session,
            session.request(method, self.url + path, json=body) as response,
        ):
            if not response.ok:
                raise StackError(f"InfluxDB: {method} {path}: {response.status} {await response.text()}")
            return await response.json() if response.content_type == "application/json" else None

    async def query(self, flux: str) -> list[dict[str, str]]:
        """The rows of a Flux query, as the annotation-free CSV gives them: the counts of a test come from here.

        Raises StackError with the answer if that is not a 2xx.
        """
        body = {"query": flux, "type": "flux", "dialect": {"header": True, "annotations": []}}
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Token {self.token}"}) as session,
            session.post(f"{self.url}/api/v2/query?org={ORGANISATION}", json=body) as response,
        ):
            text = await response.text()
            if not response.ok:
                raise StackError(f"InfluxDB: {flux}: {response.status} {text}")
        return [row for table in text.split("\r\n\r\n") for row in csv.DictReader(io.StringIO(table))]

    async def new_bucket(self, name: str, *, retention_seconds: int = 0) -> str:
        """Make a bucket; its id. 0 keeps points for ever."""
        organisations = await self.request("GET", f"/api/v2/orgs?org={ORGANISATION}")
        rules = [{"type": "expire", "everySeconds": retention_seconds}] if retention_seconds else []
        body = {"orgID": organisations["orgs"][0]["id"], "name": name, "retentionRules": rules}
        return str((await self.request("POST", "/api/v2/buckets", body))["id"])

    async def delete_bucket(self, name: str) -> None:
        """Take a bucket and its points away."""
        found = await self.request("GET", f"/api/v2/buckets?name={name}")
        await self.request("DELETE", f"/api/v2/buckets/{found['buckets'][0]['id']}")
