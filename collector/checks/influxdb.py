"""InfluxDB: reached, token and bucket taken, retention, and whether what is written is there. One point is written.

| answer to the write (influxd 2.7) | means |
|---|---|
| 204 | written; the point is then read back |
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
from pullstudy.store.influx.answers import Action, one_line
from pullstudy.store.influx.bucket_layout import VARIABLE, found_layouts, layout_to_write
from pullstudy.store.influx.check import CheckedBucket
from pullstudy.store.influx.connection import NoAnswerError
from pullstudy.store.influx.point_layout import FIRST, NEWEST
from pullstudy.store.influx.query_client import QueryError
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.protocol import StoreError

place = Place("influxdb")

SHORT_RETENTION_SECONDS = 86_400
_SAY_LAYOUT = (
    f"let it read, or set {VARIABLE}: {FIRST} where pullstudy 0.2 or an earlier one wrote to it, else {NEWEST}"
)
_NOT_THERE = "see that the address is that of the InfluxDB itself, and what stands before it"
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
        """Stops at what makes the rest pointless. Raises MissingExtraError."""
        bucket = CheckedBucket(self._settings, self._now)
        try:
            async for finding in self._look(bucket):
                yield finding
        finally:
            await bucket.close()

    async def _look(self, bucket: CheckedBucket) -> AsyncIterator[Finding]:
        settings = self._settings
        try:
            answer, verdict = await bucket.write()
        except NoAnswerError as error:
            yield place.failed("server", f"{settings.url}: {_why(error)}", _todo(str(error)))
            return
        version = one_line(answer.headers.get("X-Influxdb-Version", ""))
        if verdict.action is Action.REPEAT and answer.status not in _WRONG:
            yield place.failed("server", f"{settings.url} answered {verdict.reason}", "see that this is InfluxDB 2")
            return
        yield place.ok("server", f"{settings.url} answers{f', version {version}' if version else ''}")
        if verdict.action is not Action.DONE:
            check, todo = _WRONG.get(answer.status, ("write", "see why the bucket refuses a point of now"))
            yield place.failed(check, verdict.reason.partition(": ")[0], todo)
            return
        async for finding in self._read(bucket):
            yield finding

    async def _read(self, bucket: CheckedBucket) -> AsyncIterator[Finding]:
        settings = self._settings
        may = f"the token may write to bucket {settings.bucket} of {settings.organisation}"
        try:
            if not await bucket.reads_back():
                yield place.failed("write", f"{settings.url} took a point and does not have it", _NOT_THERE)
                return
        except QueryError as error:
            yield place.ok("write", may)
            yield _cannot_read(settings, error)
            if settings.layout is None:
                yield place.failed("layout", f"is not told to a token that may not read {settings.bucket}", _SAY_LAYOUT)
            return
        except (StoreError, NoAnswerError) as error:
            yield place.failed("write", f"the point was not read back: {error}", _NOT_THERE)
            return
        yield place.ok("write", f"{may}; a point was written and read back")
        yield await self._retention(bucket)
        yield await self._layout()

    async def _layout(self) -> Finding:
        settings = self._settings
        try:
            found = await found_layouts(settings)
        except StoreError as error:
            return place.warning("layout", f"cannot be asked: {error}")
        layout = settings.layout or layout_to_write(found)
        if FIRST in found:
            beside = " beside those of layout 2" if len(found) > 1 else ""
            return place.warning(
                "layout",
                f"bucket {settings.bucket} has points of layout {FIRST}{beside}; layout {layout} is written",
                "move them with collector migrate (docs/influxdb.md)",
            )
        return place.ok("layout", f"layout {layout} of points")

    async def _retention(self, bucket: CheckedBucket) -> Finding:
        try:
            seconds = await bucket.retention_seconds()
        except QueryError as error:
            return _cannot_read(self._settings, error)
        except StoreError as error:
            return place.warning("retention", f"cannot be asked: {error}")
        if seconds == 0:
            return place.ok("retention", "points are kept for ever")
        kept = f"points are kept for {seconds / 86_400:g} days"
        if seconds < SHORT_RETENTION_SECONDS:
            return place.warning("retention", f"{kept}; what is older when it arrives is refused", "keep them longer")
        return place.ok("retention", kept)


def _cannot_read(settings: InfluxSettings, error: QueryError) -> Finding:
    if error.answer is None or error.answer.status not in _WRONG:
        return place.warning("retention", f"cannot be asked: {error.reason}")
    return place.warning(
        "retention",
        f"the token may not read bucket {settings.bucket}, so that the point was not read back:"
        " pulldriver report --influx will need one that may",
    )


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
