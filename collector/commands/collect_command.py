"""``collector``: watch a cluster's events until a signal."""

import asyncio
import os
import re
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated

import typer

from collector.clock import SystemClock
from collector.configuration.connections import asked_bus, asked_store
from collector.configuration.options import (
    CONTEXT,
    DEFAULT_MAX_LAG,
    DEFAULT_RECONCILE_GRACE,
    DEFAULT_SPOOL_LIMIT,
    DEFAULT_STOP_WITHIN,
    INFLUX_HELP,
    KAFKA_HELP,
    NO_PULL_LABELS,
    Config,
    Listen,
    LogFormat,
    MaxLag,
    Namespace,
    Otlp,
    OtlpGrpc,
    PullMetricsBy,
    Reconcile,
    ReconcileGrace,
    ShowSettings,
    SpoolLimit,
    StopWithin,
)
from collector.configuration.settings_shown import shows_settings
from collector.log import Format, Log, say_failures_nobody_awaits
from collector.settings import Settings
from collector.sources.scope import Scope, is_namespace
from collector.stop_signal import StopSignal, end_within
from pullstudy.pulls.decode import Origin
from pullstudy.pulls.names import name_problem
from pullstudy.pulls.sizes import MOST_NODES

if TYPE_CHECKING:
    from collector.daemon import CollectorConfig

DEFAULT_DATA_DIRECTORY = Path("pulling-study")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

_EPILOG = """
\b
Examples:
  collector --cluster lab --kubeconfig ~/.kube/lab      keep the pulls of cluster "lab" in ./pulling-study
  collector --cluster lab --in-cluster --data-dir /data  the same from a pod, with its service account
  collector --cluster lab --log-format json              one JSON object a line on stderr
  collector --cluster lab --kafka broker:9092            publish; "collector sink" stores
  collector --cluster lab --influx http://influx:8086    the spool feeds InfluxDB; with both, through Kafka
  collector sink --kafka broker:9092 --influx http://influx:8086   the consumer alone: collector sink --help
  collector check --cluster lab --kafka broker:9092      try every connection and permission first
  collector --cluster lab --otlp 127.0.0.1:4318          stages of pulls too, from containerd's spans
  collector --version                                    which one this is
\b
It watches until SIGTERM or Ctrl-C, and goes on where it was when it is started again.
Each option may be given as PULLSTUDY_COLLECTOR_<NAME> in the environment, or as a key of the file of --config:
flags go before the environment, the environment before the file.
Exit codes: 0 stopped by SIGTERM, 1 failed (what was read is kept), 2 wrong use, 130 stopped by Ctrl-C.
"""


@app.command(epilog=_EPILOG, context_settings=CONTEXT)
def collect(
    context: typer.Context,
    cluster: Annotated[str, typer.Option(metavar="NAME", help="What the cluster is called in every record.")],
    kubeconfig: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="How to reach it. Default: KUBECONFIG, else ~/.kube/config."),
    ] = None,
    in_cluster: Annotated[
        bool, typer.Option("--in-cluster", help="Reach it with the service account of the pod that this runs in.")
    ] = False,
    namespace: Namespace = None,
    data_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the store (study.sqlite3) and the spool are kept.")
    ] = DEFAULT_DATA_DIRECTORY,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Name of the run, written to every record.")] = None,
    size: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=MOST_NODES, help="Nodes in the cluster, written to every record."),
    ] = None,
    connect_tries: Annotated[
        int, typer.Option(metavar="N", min=1, help="Give up when the cluster does not answer so often at the start.")
    ] = Settings().stop.connect_tries,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help=KAFKA_HELP)] = None,
    influx: Annotated[str | None, typer.Option(metavar="URL", help=INFLUX_HELP)] = None,
    reconcile: Reconcile = True,
    reconcile_grace: ReconcileGrace = DEFAULT_RECONCILE_GRACE,
    spool_limit: SpoolLimit = DEFAULT_SPOOL_LIMIT,
    listen: Listen = None,
    otlp: Otlp = None,
    otlp_grpc: OtlpGrpc = None,
    pull_metrics_by: PullMetricsBy = NO_PULL_LABELS,
    max_lag: MaxLag = DEFAULT_MAX_LAG,
    stop_within: StopWithin = DEFAULT_STOP_WITHIN,
    log_format: LogFormat = Format.TEXT,
    config: Config = None,
    show_settings: ShowSettings = None,
) -> None:
    """Watch a cluster's events and keep what they tell of image pulls, each once; by default in an embedded store."""
    if shows_settings(context, os.environ, show_settings):
        return
    target = target_of(cluster, kubeconfig, in_cluster, namespace, data_dir, run, size, kafka, influx, reconcile)
    if otlp is not None or otlp_grpc is not None:
        from collector.tracing.span_source import OtlpAddresses

        target = replace(target, otlp=OtlpAddresses(otlp, otlp_grpc))
    settings = Settings()
    settings = replace(
        settings,
        stop=replace(settings.stop, connect_tries=connect_tries, within_seconds=stop_within),
        spool=replace(settings.spool, most_bytes=spool_limit),
        max_lag_seconds=max_lag,
        reconcile=replace(settings.reconcile, grace_seconds=reconcile_grace),
    )
    # aiohttp and msgspec's decoders take a quarter of a second: --help need not pay for it.
    from collector.context import Context
    from collector.daemon import collect as collect_until_stopped
    from collector.monitoring.listening import listening
    from collector.monitoring.pull_durations import PullDurations

    async def run_daemon() -> int:
        stop = StopSignal(end_within(stop_within))
        stop.install()
        clock = SystemClock()
        durations = PullDurations(cluster, pull_metrics_by) if listen is not None else None
        context = Context(settings, clock, Random(), Log(clock, log_format), durations=durations, reports=data_dir)
        say_failures_nobody_awaits(context.log)
        async with listening(listen, context.vitals, context.log):
            await collect_until_stopped(target, context, stop)
        return stop.exit_code

    raise typer.Exit(asyncio.run(run_daemon()))


def target_of(
    cluster: str,
    kubeconfig: Path | None,
    in_cluster: bool,
    namespace: str | None,
    data_dir: Path,
    run: str | None,
    size: int | None,
    kafka: str | None,
    influx: str | None,
    reconcile: bool,
) -> "CollectorConfig":
    """What these options, named as they are, ask for. Raises typer.BadParameter."""
    if not _NAME.fullmatch(cluster):
        raise typer.BadParameter(
            f"{cluster!r} is no name: letters, digits, dots, dashes and underscores", param_hint="'--cluster'"
        )
    for option, name in (("--cluster", cluster), ("--run", run)):
        if problem := name_problem(name) if name is not None else None:
            raise typer.BadParameter(problem, param_hint=f"'{option}'")
    if kubeconfig is not None and in_cluster:
        raise typer.BadParameter("give that or --kubeconfig, not both", param_hint="'--in-cluster'")
    if namespace is not None and not is_namespace(namespace):
        raise typer.BadParameter(f"{namespace!r} is no namespace", param_hint="'--namespace'")
    bus, store = (
        asked_bus(kafka) if kafka is not None else None,
        asked_store(influx) if influx is not None else None,
    )
    from collector.daemon import CollectorConfig
    from collector.delivering.outputs import Outputs
    from pullstudy.kube.access import Access

    return CollectorConfig(
        origin=Origin(cluster=cluster, run=run, size=size),
        access=Access(str(kubeconfig) if kubeconfig else None, in_cluster),
        data_directory=data_dir,
        outputs=Outputs(bus, store),
        scope=Scope(namespace),
        reconcile=reconcile,
    )
