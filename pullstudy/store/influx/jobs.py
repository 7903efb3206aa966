"""What a sweep asks of InfluxDB while it runs: one job's pulls, one cluster's identities. Cheap, since asked often.

The job's name alone, one field in the series of one cluster and run, is found without joining columns: that gives the
times between which the job's points lie, and only those are read whole.
"""

from pullstudy.pulls.record import PullRecord
from pullstudy.store.influx.point_layout import MILESTONE, PULL, Measurement
from pullstudy.store.influx.query import (
    PIVOT,
    TIMES,
    has_field,
    has_tag,
    identity_of,
    is_field,
    is_of,
    is_whole,
    points,
    record_of,
    stretch,
)
from pullstudy.store.influx.query_client import QueryClient
from pullstudy.store.influx.settings import InfluxSettings
from pullstudy.store.protocol import Identity


class InfluxJobs:
    """Asks one bucket."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        self._client = QueryClient(settings)

    async def close(self) -> None:
        await self._client.close()

    async def pulls(self, cluster: str, run: str | None, job: str) -> list[PullRecord]:
        """All of the job's that are whole. Raises StoreError."""
        of_run = _of_run(PULL, cluster, run)
        flux = points(self._settings.bucket, [*of_run, has_field("job", job)])
        times = [row.whole_number("at") for row in await self._client.rows(f"{flux} {TIMES}")]
        if not times:
            return []
        flux = points(self._settings.bucket, of_run, stretch(min(times), max(times) + 1))
        rows = await self._client.rows(f"{flux} {PIVOT} |> group()")
        found = [record_of(PULL, row) for row in rows if is_whole(PULL, row)]
        return [record for record in found if isinstance(record, PullRecord) and record.job == job]

    async def identities(self, cluster: str, run: str | None) -> set[Identity]:
        """Raises StoreError."""
        found: set[Identity] = set()
        for layout in (PULL, MILESTONE):
            conditions = [*_of_run(layout, cluster, run), is_field("event_uid", "count")]
            flux = points(self._settings.bucket, conditions)
            rows = await self._client.rows(
                f'{flux} {PIVOT} |> keep(columns: ["cluster", "event_uid", "count"]) |> group()'
            )
            found |= {identity_of(row) for row in rows if row.get("event_uid") and row.get("count")}
        return found


def _of_run(layout: Measurement, cluster: str, run: str | None) -> list[str]:
    return [is_of(layout), has_tag("cluster", cluster), has_tag("run", run)]
