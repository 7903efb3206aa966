"""``collector sink``: the consumer alone, to scale it apart from the collectors."""

import asyncio
import os
from random import Random
from typing import Annotated

import typer

from collector.clock import SystemClock
from collector.configuration.connections import asked_bus, asked_store
from collector.configuration.options import (
    CONTEXT,
    DEFAULT_MAX_LAG,
    DEFAULT_STOP_WITHIN,
    INFLUX_HELP,
    KAFKA_HELP,
    Config,
    Listen,
    LogFormat,
    MaxLag,
    ShowSettings,
    StopWithin,
)
from collector.configuration.settings_shown import shows_settings
from collector.log import Format, Log, say_failures_nobody_awaits
from collector.settings import StopSettings
from collector.stop_signal import StopSignal, end_within

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
    listen: Listen = None,
    max_lag: MaxLag = DEFAULT_MAX_LAG,
    stop_within: StopWithin = DEFAULT_STOP_WITHIN,
    log_format: LogFormat = Format.TEXT,
    config: Config = None,
    show_settings: ShowSettings = None,
) -> None:
    """Store what collectors published to Kafka in InfluxDB."""
    if shows_settings(context, os.environ, show_settings):
        return
    reading, storing = asked_bus(kafka), asked_store(influx)
    from collector.delivering.sink import SinkSettings
    from collector.delivering.sink_daemon import SinkTarget, run_sink
    from collector.monitoring.listening import listening
    from collector.monitoring.vitals import Vitals

    shares = StopSettings(within_seconds=stop_within)
    target = SinkTarget(
        reading.closing_within(shares.close_seconds),
        storing,
        sink=SinkSettings(drain_seconds=shares.sink_alone_drain_seconds),
        max_lag_seconds=max_lag,
    )

    async def run() -> int:
        log, vitals = Log(SystemClock(), log_format), Vitals()
        stop = StopSignal(end_within(stop_within), vitals.stop)
        stop.install()
        say_failures_nobody_awaits(log)
        log.info(f"storing what is on topic {reading.topic} of {kafka} in {storing.place}")
        async with listening(listen, vitals, log):
            await run_sink(target, log, Random(), stop.stop, vitals)
        return stop.exit_code

    raise typer.Exit(asyncio.run(run()))
