"""``collector archive``: what is on Kafka, or in a store, as Parquet in a directory or on S3."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated

import typer

from collector.clock import SystemClock
from collector.configuration.connections import asked_archive, asked_bus, asked_store
from collector.configuration.options import (
    CONTEXT,
    DEFAULT_MAX_LAG,
    DEFAULT_STOP_WITHIN,
    KAFKA_HELP,
    Config,
    Listen,
    LogFormat,
    MaxLag,
    ShowSettings,
    StopWithin,
)
from collector.configuration.quantity import Address, Seconds, seconds
from collector.configuration.settings_shown import shows_settings
from collector.log import Format, Log, say_failures_nobody_awaits
from collector.settings import StopSettings
from collector.stop_signal import StopSignal, end_within
from pullstudy.store.protocol import StoreError

if TYPE_CHECKING:
    from pullstudy.bus.buses import BusSettings
    from pullstudy.store.archive.settings import ArchiveSettings
    from pullstudy.store.protocol import Records

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

_EPILOG = """
\b
  collector archive --kafka broker:9092 --to s3://pulls/archive
  collector archive --copy pulling-study --to /srv/archive
  collector archive --copy http://influx:8086 --to /srv/archive
  collector archive --to /srv/archive
With --kafka it archives until SIGTERM or Ctrl-C, and merges every --compact-every; as many as the topic has partitions
share the work, and any of them may die. With --copy it copies a store and ends: run it again at any time, what is there
already changes nothing. With neither it merges what came in, and ends. See docs/archive.md.
Exit codes: 0 done or stopped by SIGTERM, 1 failed, 2 wrong use, 130 stopped by Ctrl-C.
"""
GROUP = "pullstudy-archive"
DEFAULT_COMPACT_EVERY = Seconds(600.0)


@app.command(epilog=_EPILOG, context_settings=CONTEXT)
def archive(
    context: typer.Context,
    to: Annotated[
        str,
        typer.Option(
            metavar="PLACE",
            help="The archive: a directory, or s3://BUCKET/PREFIX. Login: AWS_... (docs/archive.md).",
        ),
    ],
    kafka: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help=KAFKA_HELP.replace("Publish to", "Read from"))
    ] = None,
    copy: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Copy a store, and end: the directory of a study, or an InfluxDB's URL."),
    ] = None,
    compact_every: Annotated[
        Seconds, typer.Option(parser=seconds, metavar="DURATION", help="Merge what came in so often.")
    ] = DEFAULT_COMPACT_EVERY,
    listen: Listen = None,
    max_lag: MaxLag = DEFAULT_MAX_LAG,
    stop_within: StopWithin = DEFAULT_STOP_WITHIN,
    log_format: LogFormat = Format.TEXT,
    config: Config = None,
    show_settings: ShowSettings = None,
) -> None:
    """Keep records as Parquet, a file for each day and cluster, for years and for other engines."""
    if shows_settings(context, os.environ, show_settings):
        return
    if kafka is not None and copy is not None:
        raise typer.BadParameter("--kafka and --copy: give one of them")
    place = asked_archive(to)
    log = Log(SystemClock(), log_format)
    if kafka is None:
        asyncio.run(_once(place, _source(copy), log))
        return
    shares = StopSettings(within_seconds=stop_within)
    reading = asked_bus(kafka).closing_within(shares.close_seconds)
    raise typer.Exit(asyncio.run(_until_stopped(reading, place, compact_every, listen, max_lag, shares, log)))


def _source(copy: str | None) -> "Records | None":
    if copy is None:
        return None
    if copy.startswith(("http://", "https://")):
        from pullstudy.store.stores import open_reader

        return open_reader(asked_store(copy, "--copy"))
    from pullstudy.store.embedded.store import EmbeddedStore

    return EmbeddedStore(Path(copy), create=False)


async def _once(place: "ArchiveSettings", source: "Records | None", log: Log) -> None:
    """Copies the source, where there is one, and merges all that came in."""
    from collector.delivering.archiving import Compactor, copy_all
    from pullstudy.store.stores import open_store, why_not_usable

    if (why := await why_not_usable(place, SystemClock().now())) is not None:
        raise StoreError(why)
    if source is not None:
        await copy_all(source, open_store(place, log, Random()), log)
    await Compactor(place, 0.0, log, Random(), SystemClock()).compact()


async def _until_stopped(
    reading: "BusSettings",
    place: "ArchiveSettings",
    compact_every: float,
    listen: Address | None,
    max_lag: float,
    shares: StopSettings,
    log: Log,
) -> int:
    from collector.delivering.archiving import ARCHIVING, Compactor
    from collector.delivering.sink_daemon import SinkTarget, run_sink
    from collector.monitoring.listening import listening
    from collector.monitoring.vitals import Vitals

    vitals, random = Vitals(), Random()
    stop = StopSignal(end_within(shares.within_seconds), vitals.stop)
    stop.install()
    say_failures_nobody_awaits(log)
    log.info(f"archiving what is on topic {reading.topic} in {place.url}")
    compactor = Compactor(place, compact_every, log, random, SystemClock())
    compactor.show(vitals)
    sink = replace(ARCHIVING, drain_seconds=shares.sink_alone_drain_seconds)
    target = SinkTarget(reading, place, GROUP, sink, max_lag)
    async with listening(listen, vitals, log), asyncio.TaskGroup() as group:
        vitals.stages["compaction"] = compacting = group.create_task(compactor.run())
        await run_sink(target, log, random, stop.stop, vitals)
        compacting.cancel()
    return stop.exit_code
