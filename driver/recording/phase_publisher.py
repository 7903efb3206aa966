"""Writes the phases of jobs that are over to InfluxDB: dashboards draw them, and no collector knows them."""

import asyncio
from contextlib import closing
from pathlib import Path

from pullstudy.analysis.findings.phase_points import Point, phase_points
from pullstudy.analysis.reading.ledger import read_ledger
from pullstudy.analysis.reading.study import copied, study_of
from pullstudy.store.embedded.store import open_connection
from pullstudy.store.protocol import SharedStore
from pullstudy.store.selection import ALL, Selection


class PhasePublisher:
    """Of one sweep. The records are read back: the dashboards show what is stored."""

    def __init__(self, store: SharedStore, directory: Path) -> None:
        self._store = store
        self._directory = directory

    async def __call__(self, cluster: str) -> int:
        """How many points were written. Raises StoreError."""
        points = await asyncio.to_thread(self._points, cluster)
        await self._store.tell(points)
        return len(points)

    def _points(self, cluster: str) -> list[Point]:
        chosen = Selection(runs=self._runs(cluster), clusters=(cluster,))
        with (
            copied([(self._store, chosen)]) as file,
            study_of(self._directory.name, [(file, ALL)], self._directory, chosen) as records,
        ):
            return list(phase_points(records.jobs()))

    def _runs(self, cluster: str) -> tuple[str, ...]:
        with closing(open_connection(self._directory, create=False)) as connection:
            return tuple(row.run for row in read_ledger(connection).clusters if row.cluster == cluster)
