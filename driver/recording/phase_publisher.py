"""Writes the phases of jobs that are over to InfluxDB: dashboards draw them, and no collector knows them."""

import asyncio
from pathlib import Path

import msgspec

from pullstudy.analysis.findings.phase_points import phase_points
from pullstudy.analysis.reading.ledger import LedgerTables, read_ledger
from pullstudy.analysis.reading.study import StudyData
from pullstudy.store.embedded.store import open_connection
from pullstudy.store.protocol import SharedStore
from pullstudy.store.selection import Selection


class PhasePublisher:
    """Of one sweep. The records are read back: the dashboards show what is stored."""

    def __init__(self, store: SharedStore, directory: Path) -> None:
        self._store = store
        self._directory = directory

    async def __call__(self, cluster: str) -> int:
        """How many points were written. Raises StoreError."""
        points = await asyncio.to_thread(lambda: list(phase_points(self._study(cluster))))
        await self._store.tell(points)
        return len(points)

    def _study(self, cluster: str) -> StudyData:
        ledger = self._ledger()
        runs = tuple(row.run for row in ledger.clusters if row.cluster == cluster)
        selection = Selection(runs=runs, clusters=(cluster,))
        return StudyData(
            name=self._directory.name,
            pulls=tuple(pull for pull in self._store.pulls(selection) if pull.job is not None),
            milestones=tuple(each for each in self._store.milestones(selection) if each.job is not None),
            ledger=_of_cluster(ledger, cluster),
        )

    def _ledger(self) -> LedgerTables:
        connection = open_connection(self._directory, create=False)
        try:
            return read_ledger(connection)
        finally:
            connection.close()


def _of_cluster(ledger: LedgerTables, cluster: str) -> LedgerTables:
    """Jobs of other clusters, whose records are not read, would be written as jobs without pods."""
    return msgspec.structs.replace(
        ledger,
        jobs=tuple(row for row in ledger.jobs if row.cluster == cluster),
        node_caches=tuple(row for row in ledger.node_caches if row.cluster == cluster),
        pods=tuple(row for row in ledger.pods if row.cluster == cluster),
    )
