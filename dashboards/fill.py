"""Puts a study that lies in a file into an InfluxDB, with the phases of its jobs: what ``sweep --influx`` does as it goes.

Again, it changes nothing: each record is the point that it was.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random
from typing import TypeVar

from dashboards.errors import StoreAddressError
from pullstudy.analysis.findings.phase_points import phase_points
from pullstudy.analysis.reading.study import opened_study
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kinds import KINDS
from pullstudy.store.embedded.store import EmbeddedStore
from pullstudy.store.stores import StoreSettings, open_store, why_not_usable

T = TypeVar("T")
_AT_ONCE = 10_000  # records or points


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

    async def put() -> str:
        with ExitStack() as stack:
            file = EmbeddedStore(directory, create=False)
            stack.callback(file.close_now)
            study = stack.enter_context(opened_study(directory))
            reason = await why_not_usable(settings, datetime.now(UTC))
            if reason is not None:
                raise StoreAddressError(f"{settings.place}: {reason}")
            store = open_store(settings, PrintedNotices(say), Random())
            try:
                counts = [await _put(file.records(kind), lambda some: store.write(Batch(more=some))) for kind in KINDS]
                points = await _put(phase_points(study.jobs()), store.tell)
            finally:
                await store.close()
        return ", ".join(
            [*(f"{count} {kind.plural}" for count, kind in zip(counts, KINDS, strict=True)), f"{points} of phases"]
        )

    return f"bucket {settings.bucket}: {asyncio.run(put())}"


async def _put(records: Iterable[T], write: Callable[[tuple[T, ...]], Awaitable[object]]) -> int:
    """How many there were."""
    count = 0
    remaining = iter(records)
    while some := tuple(islice(remaining, _AT_ONCE)):
        await write(some)
        count += len(some)
    return count
