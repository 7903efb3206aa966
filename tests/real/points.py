"""What is in a bucket of InfluxDB, asked as a user would, by Flux."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

import aiohttp

from tests.real.load import Identity
from tests.stack.error import StackError
from tests.stack.influx import Influx
from tests.stack.wait import until

PULLS = 'filter(fn: (r) => r._measurement == "pull"'
COUNTED = PULLS + ' and r._field == "event_uid") |> group() |> count()'
IDENTIFIED = (
    PULLS + ' and (r._field == "event_uid" or r._field == "count"))'
    ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
    ' |> group() |> keep(columns: ["event_uid", "count"])'
)
GAPS = 'filter(fn: (r) => r._measurement == "gap" and r._field == "why") |> group() |> keep(columns: ["_value"])'

ANSWER_SECONDS = 20.0


class Points:
    """The points of one bucket."""

    def __init__(self, influx: Influx, bucket: str) -> None:
        self._influx = influx
        self._bucket = bucket

    async def count(self) -> int:
        """How many pulls there are, counted by the server."""
        rows = await self._rows(COUNTED)
        return int(rows[0]["_value"]) if rows else 0

    async def identities(self, since_seconds: float = 0) -> Counter[Identity]:
        """How many points each (uid, count) has, of those since that time (seconds since 1970)."""
        rows = await self._rows(IDENTIFIED, since_seconds)
        # While a point is written, a query may see some of its fields and others not.
        whole = [row for row in rows if row["event_uid"] and row["count"]]
        return Counter((row["event_uid"], int(row["count"])) for row in whole)

    async def identities_if_there(self, since_seconds: float = 0) -> Counter[Identity]:
        """The same; none while the server is away, frozen or not yet itself."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self.identities(since_seconds)
        except (StackError, aiohttp.ClientError, OSError):
            return Counter()

    async def gaps(self) -> list[str]:
        """Why, of each stretch that was not watched or not read."""
        return [row["_value"] for row in await self._rows(GAPS)]

    async def until_stored(self, wanted: Iterable[Identity], deadline_seconds: float) -> None:
        """Return when all of these are points, also over restarts of the server. Raises StackError with how many are
        missing."""
        missing = set(wanted)

        async def all_there() -> bool:
            missing.difference_update(await self.identities_if_there())
            return not missing

        try:
            await until(all_there, deadline_seconds, "all points", poll_seconds=0.5)
        except StackError as error:
            raise StackError(f"{error}; {len(missing)} missing, such as {sorted(missing)[:3]}") from None

    async def _rows(self, what: str, since_seconds: float = 0) -> list[dict[str, str]]:
        start = datetime.fromtimestamp(since_seconds, UTC).isoformat().replace("+00:00", "Z")
        return await self._influx.query(f'from(bucket: "{self._bucket}") |> range(start: {start}) |> {what}')
