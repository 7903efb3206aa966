"""Puts a study that lies in a file into an InfluxDB, with the phases of its jobs: what ``sweep --influx`` does as it goes.

Again, it changes nothing: each record is the point that it was.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from dashboards.errors import StoreAddressError
from pullstudy.analysis.findings.phase_points import phase_points
from pullstudy.analysis.reading.study import read_study
from pullstudy.pulls.batch import Batch
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.stores import StoreSettings, open_store, why_not_usable


class PrintedNotices:
    """The store's notices as lines for people."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def info(self, message: str, **fields: object) -> None:
        self._say(message)

    warning = error = info


def fill_bucket(directory: Path, settings: StoreSettings, say: Callable[[str], None]) -> str:
    """What was put, in a line. Waits for a server that goes away meanwhile.

    Raises NotAStudyError, StoreAddressError where a point that is put there cannot be read back, StoreError.
    """
    batch = _records(directory)
    points = list(phase_points(read_study(directory)))

    async def put() -> None:
        reason = await why_not_usable(settings, datetime.now(UTC))
        if reason is not None:
            raise StoreAddressError(f"{settings.place}: {reason}")
        store = open_store(settings, PrintedNotices(say), Random())
        try:
            await store.write(batch)
            await store.tell(points)
        finally:
            await store.close()

    asyncio.run(put())
    return f"bucket {settings.bucket}: {len(batch.pulls)} pulls, {len(batch.milestones)} milestones, {len(points)} of phases"


def _records(directory: Path) -> Batch:
    store = EmbeddedStore(directory, create=False)
    try:
        return Batch(
            pulls=tuple(store.pulls()),
            milestones=tuple(store.milestones()),
            rejects=tuple(store.rejects()),
            gaps=tuple(store.gaps()),
        )
    finally:
        store.close_now()
