"""The health of collectors and sinks, from their Prometheus metrics."""

from dashboards.layout import Json, Row, dashboard, heading
from dashboards.panels import BYTES, COUNT, SECONDS, Figures, Lines, PromTarget
from pullstudy.pulls import metric_names as metrics
from pullstudy.pulls.metric_names import Metric

UID = "pullstudy-collector"
_RED_OVER_0: list[Json] = [{"color": "green", "value": None}, {"color": "red", "value": 1}]
_RED_UNDER_1: list[Json] = [{"color": "red", "value": None}, {"color": "green", "value": 1}]
_PLAIN: list[Json] = [{"color": "text", "value": None}]
Query = tuple[str, str]  # PromQL, and a legend


def build() -> Json:
    return dashboard(
        UID,
        "pullstudy: collector",
        "Whether collectors and sinks watch, deliver and keep up.",
        _rows(),
        since="now-6h",
        until="now",
        refresh="30s",
    )


def rate(metric: Metric, *by: str) -> str:
    """A second, over five minutes, summed by these labels."""
    labels = ", ".join(label(metric, name) for name in by)
    return f"sum by ({labels}) (rate({metric.name}[5m]))" if by else f"sum(rate({metric.name}[5m]))"


def label(metric: Metric, name: str) -> str:
    assert name in metric.labels, f"{metric.name} has no label {name}"
    return name


def slowest(metric: Metric, share: float, *by: str) -> str:
    """A quantile of a histogram over five minutes."""
    labels = ", ".join(["le", *(label(metric, name) for name in by)])
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric.name}_bucket[5m])))"


_SPOOL_SHARE = f"{metrics.SPOOL_BYTES.name} / {metrics.SPOOL_LIMIT.name}"
_UNSENT = f"sum({metrics.DEAD_LETTERS.name}) + (sum({metrics.SINK_DEAD_LETTERS.name}) or vector(0))"


def _rows() -> list[Row]:
    return [
        (4, [(4, panel) for panel in _figures()]),
        heading("Collectors: from the watch into the spool"),
        (8, [(8, _events()), (8, _records()), (8, _watch())]),
        (8, [(8, _rejects()), (8, _witness()), (8, _untold())]),
        heading("Collectors: from the spool to the store or the bus"),
        (8, [(8, _lag()), (8, _spool()), (8, _writing())]),
        heading("Sinks: from the bus to the store"),
        (8, [(8, _sink_lag()), (8, _sink_messages()), (8, _sink_writing())]),
        (8, [(12, _sink_records()), (12, _sink_trouble())]),
        heading("Edges and processes"),
        (8, [(8, _influxdb()), (8, _kafka()), (8, _rebuilt())]),
        (8, [(12, _cpu()), (12, _memory())]),
    ]


def _figures() -> list[Figures]:
    return [
        _figure(
            "Watching",
            f"min({metrics.WATCHING.name})",
            COUNT,
            "1 while every collector has a watch open.",
            _RED_UNDER_1,
        ),
        _figure("Lag", f"max({metrics.LAG.name})", SECONDS, metrics.LAG.help),
        _figure("Spool", f"max({_SPOOL_SHARE})", "percentunit", "How full the fullest spool is."),
        _figure("Watch paused", f"max({metrics.PAUSED.name})", COUNT, metrics.PAUSED.help, _RED_OVER_0),
        _figure(
            "Dead letters",
            _UNSENT,
            COUNT,
            "Records that no store will ever take, of collectors and sinks.",
            _RED_OVER_0,
        ),
        _figure("Sink lag", f"max({metrics.SINK_LAG.name})", SECONDS, metrics.SINK_LAG.help),
    ]


def _figure(title: str, expression: str, unit: str, description: str, steps: list[Json] | None = None) -> Figures:
    targets = [PromTarget(expression, instant=True)]
    return Figures(
        title=title, unit=unit, description=description, targets=targets, steps=steps or _PLAIN, noValue="no collector"
    )


def _lines(title: str, unit: str, description: str, *queries: Query, logarithmic: bool = False) -> Lines:
    targets = [
        PromTarget(expression, legendFormat=legend, refId=chr(ord("A") + place))
        for place, (expression, legend) in enumerate(queries)
    ]
    return Lines(title=title, unit=unit, description=description, targets=targets, logarithmic=logarithmic)


# -- collectors ------------------------------------------------------------------------------------------------------


def _events() -> Lines:
    query = (rate(metrics.EVENTS, "cluster", "reason"), "{{cluster}} {{reason}}")
    return _lines("Events", "ops", "Events read a second, by reason.", query)


def _records() -> Lines:
    query = (rate(metrics.RECORDS, "cluster", "outcome"), "{{cluster}} {{outcome}}")
    return _lines("Pull records", "ops", "Records spooled a second, by outcome.", query)


def _watch() -> Lines:
    counted = (
        (metrics.RECONNECTS, "reconnects"),
        (metrics.LISTS, "lists"),
        (metrics.GAPS, "gaps"),
        (metrics.POD_RECONNECTS, "pods' reconnects"),
    )
    return _lines(
        "Reconnects, lists and gaps in an hour",
        COUNT,
        "A gap is a stretch of events that was not watched. Requests for pods are those of the watch on pods.",
        *((f"increase({metric.name}[1h])", "{{cluster}} " + word) for metric, word in counted),
    )


def _rejects() -> Lines:
    query = (rate(metrics.REJECTS, "cluster", "kind"), "{{cluster}} {{kind}}")
    return _lines("Rejects", "ops", metrics.REJECTS.help, query)


def _witness() -> Lines:
    return _lines(
        "Pulls by pod status",
        COUNT,
        "Pulls that pod status proves: those that an event reported in an hour, and those whose event may still come.",
        (f"sum by (cluster) (increase({metrics.ACCOUNTED.name}[1h]))", "{{cluster}} reported by an event"),
        (metrics.AWAITED.name, "{{cluster}} awaited"),
    )


def _untold() -> Lines:
    query = (f"sum by (cluster, outcome) (increase({metrics.UNTOLD.name}[1h]))", "{{cluster}} {{outcome}}")
    return _lines("Pulls without an event, in an hour", COUNT, metrics.UNTOLD.help, query)


def _lag() -> Lines:
    return _lines("Lag", SECONDS, metrics.LAG.help, (metrics.LAG.name, "{{cluster}}"))


def _spool() -> Lines:
    return _lines(
        "Spool",
        BYTES,
        "Bytes on disk, and where the watch is stopped.",
        (metrics.SPOOL_BYTES.name, "{{cluster}}"),
        (metrics.SPOOL_LIMIT.name, "{{cluster}} limit"),
    )


def _writing() -> Lines:
    by = ("cluster", "to")
    return _lines(
        "Until a batch is acknowledged",
        SECONDS,
        metrics.WRITE_SECONDS.help,
        (slowest(metrics.WRITE_SECONDS, 0.5, *by), "{{cluster}} {{to}} median"),
        (slowest(metrics.WRITE_SECONDS, 0.99, *by), "{{cluster}} {{to}} p99"),
        logarithmic=True,
    )


# -- sinks -----------------------------------------------------------------------------------------------------------


def _sink_lag() -> Lines:
    return _lines("Sink lag", SECONDS, metrics.SINK_LAG.help, (metrics.SINK_LAG.name, "{{instance}}"))


def _sink_messages() -> Lines:
    by = ", ".join(label(metrics.SINK_LAG_MESSAGES, name) for name in ("topic", "partition"))
    query = (f"sum by ({by}) ({metrics.SINK_LAG_MESSAGES.name})", "{{topic}} {{partition}}")
    return _lines("Messages not committed", COUNT, metrics.SINK_LAG_MESSAGES.help, query)


def _sink_writing() -> Lines:
    return _lines(
        "Until a parcel is acknowledged",
        SECONDS,
        metrics.SINK_WRITE_SECONDS.help,
        (slowest(metrics.SINK_WRITE_SECONDS, 0.5), "median"),
        (slowest(metrics.SINK_WRITE_SECONDS, 0.99), "p99"),
        logarithmic=True,
    )


def _sink_records() -> Lines:
    return _lines(
        "Messages and records",
        "ops",
        "Taken from the bus, acknowledged by the store, and buried, a second.",
        (rate(metrics.SINK_MESSAGES), "taken"),
        (rate(metrics.SINK_STORED), "stored"),
        (rate(metrics.SINK_DEAD_LETTERS, "kind"), "buried: {{kind}}"),
    )


def _sink_trouble() -> Lines:
    query = (
        f"max by (instance, {label(metrics.SINK_TROUBLE, 'edge')}) ({metrics.SINK_TROUBLE.name})",
        "{{instance}} {{edge}}",
    )
    lost = (f"sum(increase({metrics.SINK_LOST_RANGES.name}[1h]))", "lost ranges in an hour")
    delivery = (metrics.DELIVERY_TROUBLE.name, "{{cluster}} delivery")
    return _lines(
        "In trouble",
        COUNT,
        "1 while an edge does not work, of sinks (kafka, influxdb) and of collectors' delivery; and stretches of offsets that "
        "were gone before a sink read them.",
        query,
        delivery,
        lost,
    )


# -- edges -----------------------------------------------------------------------------------------------------------


def _influxdb() -> Lines:
    return _lines(
        "InfluxDB: requests and points",
        "ops",
        "A second: write requests by the answer's status (0 where there was none), points written, requests made again.",
        (rate(metrics.INFLUXDB_REQUESTS, "status"), "requests {{status}}"),
        (rate(metrics.INFLUXDB_POINTS), "points"),
        (rate(metrics.INFLUXDB_REPEATS), "made again"),
    )


def _kafka() -> Lines:
    return _lines(
        "Kafka: bytes",
        "Bps",
        "A second: values sent, before compression, and values taken.",
        (rate(metrics.KAFKA_SENT_BYTES), "sent"),
        (rate(metrics.KAFKA_TAKEN_BYTES), "taken"),
    )


def _rebuilt() -> Lines:
    counted = (
        (metrics.KAFKA_REPEATED, "messages sent again"),
        (metrics.KAFKA_REBALANCES, "shares of partitions given"),
        (metrics.KAFKA_COMMITS_FAILED, "commits failed"),
        (metrics.KAFKA_PRODUCERS_REBUILT, "producers made anew"),
        (metrics.KAFKA_CONSUMERS_REBUILT, "consumers made anew"),
    )
    return _lines(
        "Kafka: what did not go smoothly, in an hour",
        COUNT,
        "Nothing is lost by any of these; many of them mean a broker or a network in trouble.",
        *((f"sum(increase({metric.name}[1h]))", word) for metric, word in counted),
    )


_OURS = f"* on (instance) group_left (version) {metrics.INFO.name}"


def _cpu() -> Lines:
    query = (f"rate(process_cpu_seconds_total[5m]) {_OURS}", "{{instance}}")
    return _lines("CPU", "percentunit", "Share of one core, of collectors and sinks.", query)


def _memory() -> Lines:
    query = (f"process_resident_memory_bytes {_OURS}", "{{instance}}")
    return _lines("Memory", BYTES, "Resident, of collectors and sinks.", query)
