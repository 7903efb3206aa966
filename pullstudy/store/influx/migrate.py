"""Copies what one bucket has into another, which so gets the newest layout of points, and looks whether all is there.

A record has the same time in both layouts. So the times of the points of a stretch, which are one field and quick to
ask for, tell what is missing in the other bucket, before it is copied and after. Nothing else is kept of how far it
came: run again, it copies what is not there yet. Nothing is deleted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec

from pullstudy.pulls.notices import Notices
from pullstudy.store.influx.point_layout import MEASUREMENTS, Measurement
from pullstudy.store.influx.read import InfluxReader, Stretch
from pullstudy.store.protocol import Delivered
from pullstudy.store.selection import ALL
from pullstudy.timing import Timing

SAY_SECONDS = 10.0
LOOKS, LOOK_SECONDS = 10, 0.2  # a query may not see yet what was just written


@dataclass
class Moved:
    """Of one measurement, in points. ``missing`` are those that are not in the other bucket in the end."""

    name: str
    points: int = 0
    there: int = 0  # before
    copied: int = 0
    missing: int = 0
    why: str = ""  # the first refusal


class Migration:
    """From one bucket into another."""

    def __init__(
        self,
        source: InfluxReader,
        target: InfluxReader,
        copy: Callable[[Sequence[msgspec.Struct]], Awaitable[Delivered]],
        notices: Notices,
        timing: Timing,
    ) -> None:
        self._source = source
        self._target = target
        self._copy = copy
        self._notices = notices
        self._timing = timing
        self._said_at = 0.0

    async def run(self, *, dry: bool = False) -> list[Moved]:
        """By measurement; ``dry`` copies nothing and counts. Raises StoreError."""
        self._said_at = self._timing.monotonic()
        return [await self._move(measurement, dry) for measurement in MEASUREMENTS]

    async def _move(self, measurement: Measurement, dry: bool) -> Moved:
        own = measurement.own_field
        moved = Moved(f"{measurement.name} ({own})" if own else measurement.name)
        stretches = await asyncio.to_thread(lambda: list(self._source.stretches(measurement, ALL, [])))
        total = sum(each.piece.points for each in stretches)
        for each in stretches:
            await self._move_stretch(each, moved, dry)
            self._say(moved, total)
        return moved

    async def _move_stretch(self, each: Stretch, moved: Moved, dry: bool) -> None:
        wanted, there = await self._times(self._source, each), await self._times(self._target, each)
        missing = wanted - there
        moved.points += len(wanted)
        moved.there += len(wanted) - len(missing)
        if missing and not dry:
            records = await asyncio.to_thread(self._source.stored, each)
            delivered = await self._copy(records)
            if delivered.refused:
                moved.why = moved.why or delivered.refused[0].reason
            left = await self._left(each, missing, expected=len(delivered.refused))
            moved.copied += len(missing) - len(left)
            missing = left
        moved.missing += len(missing)

    async def _left(self, each: Stretch, missing: set[int], expected: int) -> set[int]:
        """Of these times those of which the other bucket has no point."""
        left = missing
        for look in range(LOOKS):
            if look:
                await self._timing.sleep(LOOK_SECONDS)
            left = missing - await self._times(self._target, each)
            if len(left) <= expected:
                break
        return left

    async def _times(self, reader: InfluxReader, each: Stretch) -> set[int]:
        return await asyncio.to_thread(reader.times, each)

    def _say(self, moved: Moved, total: int) -> None:
        now = self._timing.monotonic()
        if now - self._said_at >= SAY_SECONDS:
            self._said_at = now
            self._notices.info(f"{moved.name}: {moved.points} of {total} points", copied=moved.copied)
