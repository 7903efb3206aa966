"""Whether a bucket can be written and read, before anything depends on it: one point is written, and read back.

It is of a measurement of its own, which no reading of records sees. Its time is the beginning of the hour, so that it
is written over by each check in it; one time for ever would be older than the retention of a bucket that has one.
"""

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime

from pullstudy.polling import Sleep, every, polls
from pullstudy.store.influx.answers import Action, Verdict, judge
from pullstudy.store.influx.connection import Answer, InfluxConnection, NoAnswerError
from pullstudy.store.influx.flux import literal
from pullstudy.store.influx.line_protocol import SECOND
from pullstudy.store.influx.query import stretch
from pullstudy.store.influx.query_client import QueryClient, QueryError
from pullstudy.store.influx.settings import InfluxSettings

MEASUREMENT = "pullstudy_check"
_HOUR = 3600 * SECOND
_LOOKS, _REST_SECONDS = 10, 0.2  # a query may not see yet what was just written


class CheckedBucket:
    """One bucket, looked at."""

    def __init__(self, settings: InfluxSettings, now: Callable[[], datetime], sleep: Sleep = asyncio.sleep) -> None:
        self._settings = settings
        self._now = now
        self._sleep = sleep
        self._connection = InfluxConnection(settings)
        self._client = QueryClient(settings)
        self._at = 0
        self._word = ""

    async def write(self) -> tuple[Answer, Verdict]:
        """Write the point. Raises NoAnswerError."""
        now = self._now()
        self._at = int(now.timestamp()) * SECOND // _HOUR * _HOUR
        self._word = secrets.token_hex(8)
        answer = await self._connection.write(f'{MEASUREMENT} word="{self._word}" {self._at}'.encode())
        return answer, judge(answer.status, answer.headers, answer.body, now)

    async def reads_back(self) -> bool:
        """Whether the point that was written is there. Raises QueryError, StoreError, NoAnswerError."""
        flux = f"{self._bucket()} |> range({stretch(self._at, self._at + 1)})"
        flux += f' |> filter(fn: (r) => r._measurement == "{MEASUREMENT}") |> keep(columns: ["_value"])'
        async for waited in polls(every(_REST_SECONDS), _LOOKS * _REST_SECONDS, sleep=self._sleep):
            if any(row.get("_value") == self._word for row in await self._client.rows(flux)):
                return True
            if waited:  # another check may have written over it
                await self.write()
        return False

    async def can_be_read(self) -> None:
        """Raises QueryError, StoreError."""
        await self._client.rows(f"{self._bucket()} |> range(start: -1s) |> limit(n: 1)")

    async def retention_seconds(self) -> int:
        """0 is for ever. Raises QueryError, StoreError."""
        named = f"r.name == {literal(self._settings.bucket)}"
        rows = await self._client.rows(f'buckets() |> filter(fn: (r) => {named}) |> keep(columns: ["retentionPeriod"])')
        if not rows:
            raise QueryError(self._settings.url, "the token sees no such bucket")
        return rows[0].whole_number("retentionPeriod") // SECOND

    def _bucket(self) -> str:
        return f"from(bucket: {literal(self._settings.bucket)})"

    async def close(self) -> None:
        await self._connection.close()
        await self._client.close()


async def why_not_usable(settings: InfluxSettings, now: datetime, sleep: Sleep = asyncio.sleep) -> str | None:
    """One line that says what is wrong; None where nothing is. Raises StoreError, MissingExtraError."""
    bucket = CheckedBucket(settings, lambda: now, sleep)
    try:
        await bucket.can_be_read()
        _, verdict = await bucket.write()
        if verdict.action is not Action.DONE:
            return f"cannot be written: {verdict.reason}"
        return None if await bucket.reads_back() else "a point that it took is not there: check the address"
    except QueryError as error:
        return error.reason if error.answer is None else f"cannot be read: {error.reason}"
    except NoAnswerError as error:
        return str(error)
    finally:
        await bucket.close()
