"""All the checks of one collector, in the order of the way: cluster, data directory, Kafka, InfluxDB."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from collector.checks.cluster import ClusterCheck
from collector.checks.data import DataCheck
from collector.checks.finding import Findings
from collector.daemon import CollectorConfig
from collector.delivering.sink_daemon import DEFAULT_GROUP
from pullstudy.kube.settings import WatchSettings

PATIENCE_SECONDS = 10.0  # for each question: a collector would wait longer, a person would not


async def check_everything(
    config: CollectorConfig, settings: WatchSettings, spool_limit: int, now: Callable[[], datetime]
) -> Findings:
    """Only what the collector would use is looked at."""
    settings = replace(settings, request_seconds=PATIENCE_SECONDS, connect_seconds=PATIENCE_SECONDS)
    cluster = ClusterCheck(config.access, config.scope, settings, now, pods=config.reconcile)
    async for finding in cluster.findings():
        yield finding
    outputs = config.outputs
    data = DataCheck(config.data_directory, config.spool_directory, spool_limit, embedded=outputs.embedded)
    async for finding in data.findings():
        yield finding
    if outputs.kafka is not None:
        group = DEFAULT_GROUP if outputs.influx is not None else None
        async for finding in BUS_CHECKS[outputs.kafka.bus](outputs.kafka, group):
            yield finding
    if outputs.influx is not None:
        async for finding in STORE_CHECKS[outputs.influx.store](outputs.influx, now):
            yield finding


# The clients are imported where they are used: without them it starts a quarter of a second sooner.
def _kafka(settings: Any, group: str | None) -> Findings:
    from collector.checks.kafka import KafkaCheck

    return KafkaCheck(settings, group).findings()


def _influxdb(settings: Any, now: Callable[[], datetime]) -> Findings:
    from collector.checks.influxdb import InfluxCheck

    return InfluxCheck(settings, now).findings()


BUS_CHECKS: dict[str, Callable[[Any, str | None], Findings]] = {"kafka": _kafka}
STORE_CHECKS: dict[str, Callable[[Any, Callable[[], datetime]], Findings]] = {"influxdb": _influxdb}
