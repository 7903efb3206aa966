"""Puts the folder, the data sources, the dashboards and the alert rules into a Grafana. Doing it again changes nothing."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from dashboards import alerts
from dashboards.build import dashboards
from dashboards.errors import GrafanaAddressError, GrafanaError
from dashboards.flux import Bucket
from dashboards.layout import Json
from dashboards.panels import INFLUXDB_UID, PROMETHEUS_UID
from pullstudy.pulls.printable import printable
from pullstudy.store.influx.settings import checked_url

_SECONDS = 30.0
_TIMED_OUT_SECONDS = 30  # a query over a study of 6,000 pulls takes a second or two
_MOST_TEXT = 300
_MOST_ANSWER_BYTES = 16 << 20


@dataclass(frozen=True)
class Grafana:
    """Where, and with which token. The token is never taken from a flag: flags are visible to all of the machine."""

    url: str
    token: str = field(repr=False)

    @classmethod
    def from_environment(cls, url: str, environment: Mapping[str, str]) -> "Grafana":
        """GRAFANA_TOKEN, or GRAFANA_TOKEN_FILE with the token in it. Raises GrafanaAddressError."""
        if "@" in url:  # before anything else: no message may repeat a password
            raise GrafanaAddressError("Grafana: no user or password in the address; set GRAFANA_TOKEN")
        if not _is_address(url):
            shown = url.partition("?")[0].partition("#")[0]
            raise GrafanaAddressError(f"Grafana: {shown!r} is no address; write it as http://HOST:3000")
        token = environment.get("GRAFANA_TOKEN")
        if not token and (path := environment.get("GRAFANA_TOKEN_FILE")):
            try:
                token = Path(path).read_bytes().decode("ascii", errors="replace").strip()
            except OSError as error:
                raise GrafanaAddressError(f"Grafana: token file {path}: {error.strerror}") from error
        if not token:
            raise GrafanaAddressError("Grafana: no token; set GRAFANA_TOKEN, or GRAFANA_TOKEN_FILE to a file")
        if not (token.isascii() and token.isprintable()):  # it goes into no message: half a token is a secret too
            raise GrafanaAddressError("Grafana: GRAFANA_TOKEN or its file holds no token: it is one line of ASCII")
        return cls(url.rstrip("/"), token)

    def ask(self, method: str, path: str, body: Json | None = None, *, missing: bool = False) -> Any:
        """One call; None for a 404 where it may be missing. Raises GrafanaError."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            # Rules stay editable in Grafana's own pages.
            headers={"Content-Type": "application/json", "X-Disable-Provenance": "true"},
        )
        request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as response:
                return json.loads(response.read(_MOST_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                text = printable(error.read(_MOST_TEXT).decode(errors="replace").replace("\n", " "))
            if missing and error.code == 404:
                return None
            raise GrafanaError(f"Grafana {self.url}: {method} {path}: {error.code} {text}") from error
        except (OSError, ValueError, HTTPException, RecursionError) as error:
            raise GrafanaError(f"Grafana {self.url} does not answer as a Grafana: {printable(str(error))}") from error


def data_sources(environment: Mapping[str, str], bucket: str) -> list[Json]:
    """InfluxDB as influxdb-client's variables say, and PROMETHEUS_URL; where one is not set, none is made.

    Raises StoreSettingsError for an address of InfluxDB that is none.
    """
    made: list[Json] = []
    if url := environment.get("INFLUXDB_V2_URL"):
        organisation = environment.get("INFLUXDB_V2_ORG", "")
        settings = {
            "version": "Flux",
            "organization": organisation,
            "defaultBucket": bucket,
            "timeout": _TIMED_OUT_SECONDS,
        }
        secret = {"token": environment.get("INFLUXDB_V2_TOKEN", "")}
        made.append(_source("pullstudy InfluxDB", "influxdb", INFLUXDB_UID, checked_url(url), settings, secret))
    if url := environment.get("PROMETHEUS_URL"):
        made.append(_source("pullstudy Prometheus", "prometheus", PROMETHEUS_UID, url, {"httpMethod": "POST"}, {}))
    return made


def _is_address(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        plain = url.isprintable() and not parts.query and not parts.fragment
        return plain and parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # a bracket that is not closed
        return False


def _source(name: str, kind: str, uid: str, url: str, settings: Json, secret: Json) -> Json:
    place = {"name": name, "type": kind, "uid": uid, "url": url, "access": "proxy"}
    return {**place, "jsonData": settings, "secureJsonData": secret}


def push_all(grafana: Grafana, bucket: Bucket, environment: Mapping[str, str]) -> list[str]:
    """What was put, a line each. Raises GrafanaError, StoreSettingsError."""
    sources = data_sources(environment, bucket.name)
    folder = f"/api/folders/{alerts.FOLDER_UID}"
    if grafana.ask("GET", folder, missing=True) is None:
        grafana.ask("POST", "/api/folders", {"uid": alerts.FOLDER_UID, "title": "pullstudy"})
    said = ["folder pullstudy"]
    for each in sources:
        path = f"/api/datasources/uid/{each['uid']}"
        known = grafana.ask("GET", path, missing=True)
        grafana.ask(*(("POST", "/api/datasources") if known is None else ("PUT", path)), each)
        said.append(f"data source {each['name']}")
    for board in dashboards(bucket).values():
        body = {"dashboard": board, "folderUid": alerts.FOLDER_UID, "overwrite": True}
        grafana.ask("POST", "/api/dashboards/db", body)
        said.append(f"dashboard {grafana.url}/d/{board['uid']}")
    rules = alerts.build(bucket)
    group = f"/api/v1/provisioning/folder/{alerts.FOLDER_UID}/rule-groups/{alerts.GROUP}"
    grafana.ask("PUT", group, rules)
    return [*said, f"{len(rules['rules'])} alert rules"]
