"""InfluxDB: reached, token and bucket taken, writing allowed, retention. Asked by a write of no points at all.

| answer to an empty write (influxd 2.7) | means |
|---|---|
| 204 | all is well |
| 401 | the token |
| 403 | the token may not write to the bucket |
| 404 | the organisation or the bucket |
"""

import os
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import datetime

import aiohttp

from collector.checks.finding import Finding, Findings, Place
from pullstudy.store.influx.answers import Action, judge
from pullstudy.store.influx.connection import Answer, InfluxConnection, NoAnswerError
from pullstudy.store.influx.flux import literal
from pullstudy.store.influx.settings import InfluxSettings

place = Place("influxdb")

SHORT_RETENTION_SECONDS = 86_400
NANOSECONDS = 1_000_000_000
_WRONG = {
    401: ("token", "set INFLUXDB_V2_TOKEN, or the file of INFLUXDB_V2_TOKEN_FILE, to a token of this InfluxDB"),
    403: ("write", "give the token write permission on the bucket"),
    404: ("bucket", "create it, or set INFLUXDB_V2_ORG and INFLUXDB_V2_BUCKET right"),
}


class InfluxCheck:
    """Of one bucket."""

    def __init__(self, settings: InfluxSettings, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now

    async def findings(self) -> Findings:
        """Stops at what makes the rest pointless."""
        connection = InfluxConnection(self._settings)
        try:
            async for finding in self._look(connection):
                yield finding
        finally:
            await connection.close()

    async def _look(self, connection: InfluxConnection) -> AsyncIterator[Finding]:
        settings = self._settings
        try:
            answer = await connection.write(b"")
        except NoAnswerError as error:
            yield place.failed("server", f"{settings.url}: {_why(error)}", _todo(str(error)))
            return
        version = answer.headers.get("X-Influxdb-Version")
        verdict = judge(answer.status, answer.headers, answer.body, self._now())
        if verdict.action is not Action.DONE and answer.status not in _WRONG:
            yield place.failed("server", f"{settings.url} answered {verdict.reason}", "see that this is InfluxDB 2")
            return
        yield place.ok("server", f"{settings.url} answers{f', version {version}' if version else ''}")
        if answer.status in _WRONG:
            check, todo = _WRONG[answer.status]
            yield place.failed(check, verdict.reason.partition(": ")[0], todo)
            return
        yield place.ok("write", f"the token may write to bucket {settings.bucket} of {settings.organisation}")
        yield await self._retention(connection)

    async def _retention(self, connection: InfluxConnection) -> Finding:
        name = self._settings.bucket
        flux = f'buckets() |> filter(fn: (r) => r.name == {literal(name)}) |> keep(columns: ["retentionPeriod"])'
        try:
            seconds = _retention_seconds(await connection.query(flux))
        except NoAnswerError as error:
            return place.warning("retention", f"cannot be asked: {error}")
        if seconds is None:
            return place.warning(
                "retention",
                f"the token may not read bucket {name}: pulldriver report --influx will need one that may",
            )
        if seconds == 0:
            return place.ok("retention", "points are kept for ever")
        kept = f"points are kept for {seconds / 86_400:g} days"
        if seconds < SHORT_RETENTION_SECONDS:
            return place.warning("retention", f"{kept}; what is older when it arrives is refused", "keep them longer")
        return place.ok("retention", kept)


def _retention_seconds(answer: Answer) -> int | None:
    """0 is for ever; None where the bucket may not be read."""
    if answer.status != 200:
        return None
    lines = [line.split(",") for line in answer.body.decode().splitlines() if line]
    if len(lines) < 2:
        return None
    return int(lines[1][lines[0].index("retentionPeriod")]) // NANOSECONDS


def _why(error: NoAnswerError) -> str:
    cause = error.__cause__
    os_error = cause.os_error if isinstance(cause, aiohttp.ClientConnectorError) else None
    # A certificate's error has a number too, of OpenSSL's own.
    plain = os_error is not None and os_error.errno and not isinstance(os_error, ssl.SSLError)
    return os.strerror(os_error.errno).lower() if plain and os_error is not None and os_error.errno else str(error)


def _todo(why: str) -> str:
    if "certificate" in why.lower():
        return "set INFLUXDB_V2_SSL_CA_CERT to the server's authority"
    return "see that it runs there, and that the address and http or https are right"
