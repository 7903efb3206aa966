"""``collector migrate``: the points of a bucket into another one, which has the newest layout."""

import asyncio
import os
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Annotated

import typer

from collector.clock import SystemClock
from collector.configuration.connections import asked_influx
from collector.configuration.options import CONTEXT, Config, LogFormat, ShowSettings
from collector.configuration.settings_shown import shows_settings
from collector.errors import NotWholeError
from collector.log import Format, Log
from pullstudy.store.protocol import StoreError
from pullstudy.timing import Timing

if TYPE_CHECKING:
    from pullstudy.store.influx.migrate import Moved
    from pullstudy.store.influx.settings import InfluxSettings

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

_EPILOG = """
\b
  collector migrate --influx http://influx:8086 --to-bucket pulls-2 --dry-run
  collector migrate --influx http://influx:8086 --from-bucket pulls --to-bucket pulls-2
The other bucket has to exist, and the token to read the one and to write the other. Kill it and run it again at any
time: it copies what is not there yet, then looks whether all is there. Nothing is deleted. See docs/influxdb.md.
Exit codes: 0 all is there (or counted, with --dry-run), 1 failed or not all is there, 2 wrong use, 130 interrupted.
"""


@app.command(epilog=_EPILOG, context_settings=CONTEXT)
def migrate(
    context: typer.Context,
    influx: Annotated[
        str,
        typer.Option(
            metavar="URL", help="The InfluxDB 2 of both. Organisation, token: INFLUXDB_V2_... (docs/influxdb.md)."
        ),
    ],
    to_bucket: Annotated[str, typer.Option(metavar="BUCKET", help="Where the points go.")],
    from_bucket: Annotated[
        str | None,
        typer.Option(metavar="BUCKET", help="Where they are; without it INFLUXDB_V2_BUCKET, else pulls."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what is missing there, and copy nothing.")] = False,
    log_format: LogFormat = Format.TEXT,
    config: Config = None,
    show_settings: ShowSettings = None,
) -> None:
    """Move an InfluxDB bucket to the newest layout of points: copy them into another bucket, and verify."""
    if shows_settings(context, os.environ, show_settings):
        return
    settings = asked_influx(influx)
    source = replace(settings, bucket=from_bucket or settings.bucket)
    if source.bucket == to_bucket:
        # A delete names values that tags have, and what is old lacks a tag.
        raise typer.BadParameter(
            "is the bucket that the points are in: InfluxDB could not delete the old ones alone; make another bucket",
            param_hint="'--to-bucket'",
        )
    asyncio.run(_migrate(source, replace(settings, bucket=to_bucket), dry_run, Log(SystemClock(), log_format)))


async def _migrate(source: "InfluxSettings", target: "InfluxSettings", dry_run: bool, log: Log) -> None:
    from pullstudy.store.influx.bucket_layout import found_layouts
    from pullstudy.store.influx.check import why_not_usable
    from pullstudy.store.influx.migrate import Migration
    from pullstudy.store.influx.point_layout import FIRST, NEWEST
    from pullstudy.store.influx.read import InfluxReader
    from pullstudy.store.influx.store import InfluxStore

    if (why := await why_not_usable(target, SystemClock().now())) is not None:
        raise StoreError(f"{target.place}: {why}")
    if FIRST in await found_layouts(target):
        raise StoreError(
            f"{target.place} has points of layout {FIRST}: give an empty bucket, or one of layout {NEWEST}"
        )
    timing = Timing()
    store = InfluxStore(replace(target, layout=NEWEST), log, Random(), timing)
    try:
        migration = Migration(InfluxReader(source), InfluxReader(target), store.copy, log, timing)
        _say_what_came(await migration.run(dry=dry_run), target, dry_run, log)
    finally:
        await store.close()


def _say_what_came(found: "list[Moved]", target: "InfluxSettings", dry_run: bool, log: Log) -> None:
    """Raises NotWholeError."""
    for each in found:
        if each.points:
            counts = f"{each.there} were there, {each.copied} copied, {each.missing} missing"
            log.info(f"{each.name}: {each.points} points, {counts}{f': {each.why}' if each.why else ''}")
    points, missing = (sum(getattr(each, name) for each in found) for name in ("points", "missing"))
    if dry_run:
        log.info(f"{missing} of {points} points are not in {target.place} yet")
    elif missing:
        raise NotWholeError(
            f"{missing} of {points} points are not in {target.place}; run it again, or see the refusals above"
        )
    else:
        log.info(f"all {points} points are in {target.place}")
