"""``collector sink``: the consumer alone, to scale it apart from the collectors."""

import asyncio
import os
import signal
from random import Random
from typing import Annotated

import typer

from collector.clock import SystemClock
from collector.connections import influx_settings, kafka_settings
from collector.log import Format, Log
from collector.options import CONTEXT, INFLUX_HELP, KAFKA_HELP, Config, LogFormat, ShowSettings
from collector.settings_shown import settings_text, shown_settings

DONE, INTERRUPTED = 0, 130

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

_EPILOG = """
\b
Start as many as there is work for, up to the topic's partitions: they share it, and any of them may die.
It stores until SIGTERM or Ctrl-C; offsets are committed after the store has acknowledged.
Exit codes: 0 stopped by SIGTERM, 1 failed, 2 wrong use, 130 stopped by Ctrl-C.
"""


@app.command(epilog=_EPILOG, context_settings=CONTEXT)
def sink(
    context: typer.Context,
    kafka: Annotated[str, typer.Option(metavar="HOST:PORT", help=KAFKA_HELP.replace("Publish to", "Read from"))],
    influx: Annotated[str, typer.Option(metavar="URL", help=INFLUX_HELP)],
    log_format: LogFormat = Format.TEXT,
    config: Config = None,
    show_settings: ShowSettings = None,
) -> None:
    """Store what collectors published to Kafka in InfluxDB."""
    if show_settings is not None:
        typer.echo(settings_text(shown_settings(context, os.environ), show_settings))
        return
    reading, storing = kafka_settings(kafka), influx_settings(influx)
    from collector.daemon import StopSignal
    from collector.sink_daemon import SinkTarget, run_sink

    async def run() -> int:
        stop = StopSignal()
        stop.install()
        log = Log(SystemClock(), log_format)
        log.info(f"storing what is on topic {reading.topic} of {kafka} in bucket {storing.bucket} of {storing.url}")
        await run_sink(SinkTarget(reading, storing), log, Random(), stop.stop)
        return INTERRUPTED if stop.first is signal.SIGINT else DONE

    raise typer.Exit(asyncio.run(run()))
