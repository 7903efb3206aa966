"""What every command's options have in common: flag before environment before file before default.

An option ``--data-dir`` is PULLSTUDY_COLLECTOR_DATA_DIR in the environment and ``data-dir`` in the file of --config:
names are made from the option, so that none can be forgotten. A command gets all of that by ``CONTEXT`` and ``Config``.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from collector.configuration.quantity import (
    Address,
    ByteSize,
    PullLabels,
    Seconds,
    address,
    byte_size,
    pull_labels,
    seconds,
)
from collector.configuration.settings_file import SettingsFileError, read_settings
from collector.log import Format
from collector.settings import Settings

ENVIRONMENT_PREFIX = "PULLSTUDY_COLLECTOR"
CONTEXT = {"auto_envvar_prefix": ENVIRONMENT_PREFIX}
"""For ``app.command(context_settings=...)``."""

KAFKA_HELP = "Publish to this Kafka; several brokers with commas. TLS and SASL: KAFKA_... (docs/bus.md)."
INFLUX_HELP = "Store in this InfluxDB 2. Organisation, token, bucket: INFLUXDB_V2_... (docs/influxdb.md)."
_OF_ONE_RUN = frozenset(("config", "show_settings", "help"))  # neither in the environment's list nor in the file


def key_of(parameter: Any) -> str:
    """What the option is called in a file."""
    return str(parameter.opts[0]).lstrip("-")


def variable_of(parameter: Any) -> str:
    """What the option is called in the environment."""
    return f"{ENVIRONMENT_PREFIX}_{parameter.name.upper()}"


def settable(parameters: Iterable[Any]) -> list[Any]:
    """The options that a file can hold."""
    return [each for each in parameters if each.name not in _OF_ONE_RUN]


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """What the file says becomes the defaults, so that flags and environment go before it."""
    if path is None:
        return None
    own = {key_of(each): each for each in settable(context.command.params)}
    every: Callable[[], set[str]] = context.obj or set
    try:
        values = read_settings(path, {key: bool(each.is_flag) for key, each in own.items()}, every())
    except SettingsFileError as error:
        raise typer.BadParameter(str(error)) from error
    context.default_map = {own[key].name: value for key, value in values.items()}
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", is_eager=True, callback=_read_config, help="Settings in TOML: keys are options without dashes."
    ),
]
ShowSettings = Annotated[
    Format | None,
    typer.Option(help="Print each setting and where it comes from, secrets masked, and end."),
]
Listen = Annotated[
    Address | None,
    typer.Option(
        parser=address, metavar="HOST:PORT", help="Serve /metrics, /healthz, /readyz there; port 0 picks a free one."
    ),
]
Otlp = Annotated[
    Address | None,
    typer.Option(
        parser=address, metavar="HOST:PORT", help="Take runtimes' spans there, OTLP over HTTP; usual port: 4318."
    ),
]
OtlpGrpc = Annotated[
    Address | None,
    typer.Option(parser=address, metavar="HOST:PORT", help="The same, OTLP over gRPC; usual port: 4317."),
]
PullMetricsBy = Annotated[
    PullLabels,
    typer.Option(
        parser=pull_labels,
        metavar="LABELS",
        help="More labels of the pull durations in /metrics: image, node or both. Up to 20,000 series.",
    ),
]
MaxLag = Annotated[
    Seconds,
    typer.Option(parser=seconds, metavar="DURATION", help="Not ready while the oldest record has waited for longer."),
]
StopWithin = Annotated[
    Seconds,
    typer.Option(parser=seconds, metavar="DURATION", help="After SIGTERM, all in all; kubelet kills after 30 s."),
]
SpoolLimit = Annotated[
    ByteSize,
    typer.Option(parser=byte_size, metavar="SIZE", help="Disk for the spool: when full, the watch is paused."),
]
Namespace = Annotated[
    str | None,
    typer.Option(metavar="NS", help="Watch this namespace alone: a Role in it is enough. Default: all of them."),
]
Reconcile = Annotated[
    bool,
    typer.Option(
        "--reconcile/--no-reconcile", help="Watch pods too, and record from their status what no event told of."
    ),
]
ReconcileGrace = Annotated[
    Seconds,
    typer.Option(parser=seconds, metavar="DURATION", help="How long an event may come after pod status has told."),
]
LogFormat = Annotated[Format, typer.Option(help="How the lines on stderr look.")]

_SETTINGS = Settings()
DEFAULT_MAX_LAG = Seconds(_SETTINGS.max_lag_seconds)
DEFAULT_STOP_WITHIN = Seconds(_SETTINGS.stop.within_seconds)
DEFAULT_RECONCILE_GRACE = Seconds(_SETTINGS.reconcile.grace_seconds)
NO_PULL_LABELS = PullLabels()
DEFAULT_SPOOL_LIMIT = ByteSize(_SETTINGS.spool.most_bytes)
