"""The Prometheus metrics by name: what ``/metrics`` shows is what dashboards and alert rules ask for."""

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "pullstudy_collector_"
LAG_LIMIT_SECONDS = 300.0  # what waits for longer is late: by default the process is not ready, and the alarm rings
SINK_PREFIX = "pullstudy_sink_"
KAFKA_PREFIX = "pullstudy_kafka_"
INFLUXDB_PREFIX = "pullstudy_influxdb_"
ARCHIVE_PREFIX = "pullstudy_archive_"


class MetricKind(StrEnum):
    """Prometheus' types."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class PullLabel(StrEnum):
    """Labels that pull durations have only where they are asked for."""

    IMAGE = "image"
    NODE = "node"


@dataclass(frozen=True)
class Metric:
    """One metric; ``labels`` in the order in which they are written."""

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{PREFIX}{name}_total", MetricKind.COUNTER, text, ("cluster", *labels))


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{PREFIX}{name}", MetricKind.GAUGE, text, ("cluster", *labels))


def _sink_counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{SINK_PREFIX}{name}_total", MetricKind.COUNTER, text, labels)


def _sink_gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{SINK_PREFIX}{name}", MetricKind.GAUGE, text, labels)


def _kafka(name: str, text: str) -> Metric:
    return Metric(f"{KAFKA_PREFIX}{name}_total", MetricKind.COUNTER, text, ("part",))


def _influxdb(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{INFLUXDB_PREFIX}{name}_total", MetricKind.COUNTER, text, ("part", *labels))


def _archive(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{ARCHIVE_PREFIX}{name}_total", MetricKind.COUNTER, text, labels)


INFO = Metric(
    "pullstudy_build_info",
    MetricKind.GAUGE,
    "1; the labels say which version runs, and the layouts and the record schema that it writes.",
    ("version", "spool_layout", "store_layout", "record_schema"),
)

EVENTS = _counter("events", "Events read from the watch, by their reason.", "reason")
RECORDS = _counter("records", "Pull records spooled, by outcome.", "outcome")
REJECTS = _counter("rejects", "What could not be read and is kept as a reject, by kind: unknown, unreadable.", "kind")
GAPS = _counter("gaps", "Stretches of the event stream that nobody watched.")
CUT = _counter("cut_texts", "Texts of events that were longer than is kept: their record has the beginning and a mark.")
BUGS = _counter("bugs", "Errors that nobody thought of: the work went on, and the log names a report.")
RECONNECTS = _counter("reconnects", "Watches opened again.")
LISTS = _counter("lists", "Lists of all events, made at the start and after a version was lost.")
ACCOUNTED = _counter("accounted_pulls", "Containers whose image came, by pod status, and an event told of it.")
UNTOLD = _counter("untold_pulls", "Pulls that pod status proves and no event told of, by outcome.", "outcome")
AWAITED = _gauge("awaited_pulls", "Containers whose image came, or failed to, and whose event may still come.")
POD_RECONNECTS = _counter("pod_reconnects", "Requests for pods, or for events of theirs, that failed or were cut.")
STORED = _counter("stored", "Records acknowledged by the store or the bus.")
LAST_EVENT = _gauge("last_event_timestamp_seconds", "When the last line of the watch came, in seconds since 1970.")
WATCHING = _gauge("watching", "1 while a watch is open, else 0.")
PAUSED = _gauge("watch_paused", "1 while the watch waits because the spool is full, else 0.")
SPOOL_ENTRIES = _gauge("spool_entries", "Batches in the spool that no store or bus has acknowledged.")
SPOOL_BYTES = _gauge("spool_bytes", "Bytes of the spool on disk.")
SPOOL_LIMIT = _gauge("spool_limit_bytes", "Bytes at which the spool stops the watch.")
LAG = _gauge("lag_seconds", "How long the oldest batch without acknowledgement has waited; 0 where there is none.")
SPANS = _counter(
    "spans",
    "Spans received by --otlp: kept, foreign (of no pull), late (of one that was recorded before), given_up.",
    "what",
)
SPAN_REQUESTS_REFUSED = _counter(
    "span_requests_refused", "Requests of spans that were refused: bad, or busy (the exporter comes again).", "why"
)
STAGED_PULLS = _counter("staged_pulls", "Pulls whose stages were recorded from spans.")
PENDING_SPANS = _gauge("pending_spans", "Spans whose pull is not over.")
SPAN_JOURNAL_BYTES = _gauge("span_journal_bytes", "Bytes on disk of spans whose pulls are not over.")
DELIVERY_TROUBLE = _gauge("delivery_trouble", "1 while the store or the bus takes nothing, else 0.")
DEAD_LETTERS = _counter("dead_letters", "Records that the store will never take, set aside with the reason.")
WRITE_SECONDS = Metric(
    f"{PREFIX}write_seconds",
    MetricKind.HISTOGRAM,
    "From the spool to the acknowledgement of a batch, outages in between included, by where it went.",
    ("cluster", "to"),
)

PULL_SECONDS = Metric(
    "pullstudy_pull_duration_seconds",
    MetricKind.HISTOGRAM,
    "How long pulls took by the kubelet's own word, without waiting, of the images that were downloaded.",
    ("cluster", "registry", "size_class"),
)
PULL_OUTCOMES = Metric(
    "pullstudy_pull_outcomes_total",
    MetricKind.COUNTER,
    "Pulls without a duration, by outcome: cached, failed, backoff.",
    ("cluster", "registry", "outcome"),
)

SINK_MESSAGES = _sink_counter("messages", "Messages taken from the bus.")
SINK_STORED = _sink_counter("stored", "Records that the store has acknowledged.")
SINK_DEAD_LETTERS = _sink_counter("dead_letters", "Messages buried, by why: unreadable, refused.", "kind")
SINK_LOST_RANGES = _sink_counter("lost_ranges", "Stretches of offsets that were gone before they were read.")
SINK_PARCELS = _sink_counter(
    "parcels", "Parcels stored, by what became of their offsets: committed, uncommitted (they come again).", "offsets"
)
SINK_UNDER_WAY = _sink_gauge("parcels_under_way", "Parcels taken, and not stored and committed yet.")
SINK_LAG = _sink_gauge("lag_seconds", "Age of the oldest message taken and not committed; 0 where there is none.")
SINK_LAG_MESSAGES = _sink_gauge(
    "lag_messages", "Messages of this sink's partitions that the group has not committed.", "topic", "partition"
)
SINK_TROUBLE = _sink_gauge("trouble", "1 while this edge does not work, else 0: kafka, influxdb, archive.", "edge")
SINK_WRITE_SECONDS = Metric(
    f"{SINK_PREFIX}write_seconds",
    MetricKind.HISTOGRAM,
    "Until the store has acknowledged a parcel, outages in between included.",
)

KAFKA_SENT = _kafka("sent_messages", "Messages that the brokers have acknowledged.")
KAFKA_SENT_BYTES = _kafka("sent_bytes", "Bytes of values sent, before compression.")
KAFKA_REPEATED = _kafka("repeated_messages", "Messages sent again.")
KAFKA_PRODUCERS_REBUILT = _kafka("producers_rebuilt", "Producers made anew because one failed.")
KAFKA_TAKEN = _kafka("taken_messages", "Messages taken by the consumer.")
KAFKA_TAKEN_BYTES = _kafka("taken_bytes", "Bytes of values taken, decompressed.")
KAFKA_REBALANCES = _kafka("rebalances", "Shares of the partitions that were given to the consumer.")
KAFKA_COMMITS_FAILED = _kafka("commits_failed", "Commits of offsets that failed: what was stored comes again.")
KAFKA_CONSUMERS_REBUILT = _kafka("consumers_rebuilt", "Consumers made anew because one failed.")

INFLUXDB_REQUESTS = _influxdb(
    "requests",
    "Requests to write, and one for the bucket's layout, by the answer's status; 0 where there was none.",
    "status",
)
INFLUXDB_POINTS = _influxdb("points", "Points written.")
INFLUXDB_REFUSED = _influxdb("refused", "Records that InfluxDB will never take.")
INFLUXDB_REPEATS = _influxdb("repeats", "Requests made again, because the server was away, busy or refused.")
INFLUXDB_SENT_BYTES = _influxdb("sent_bytes", "Bytes of line protocol sent, before compression.")

ARCHIVE_RECORDS = _archive("records", "Records written.")
ARCHIVE_REFUSED = _archive("refused", "Records that Parquet cannot hold.")
ARCHIVE_REPEATS = _archive("repeats", "Writes made again, because the place was away, full or refused.")
ARCHIVE_WRITTEN_BYTES = _archive("written_bytes", "Bytes of Parquet written, before they are merged.")
ARCHIVE_COMPACTIONS = _archive("compactions", "Compactions, by how they ended: done, failed.", "outcome")
ARCHIVE_MERGED_OBJECTS = _archive("merged_objects", "Incoming objects that compactions merged and deleted.")
ARCHIVE_PARTITIONS = _archive("partitions", "Partitions that compactions wrote, or wrote again.")

# prometheus_client's own names for a process: those that every dashboard for processes asks for.
PROCESS: tuple[Metric, ...] = (
    Metric("process_cpu_seconds_total", MetricKind.COUNTER, "User and system CPU time in seconds."),
    Metric("process_resident_memory_bytes", MetricKind.GAUGE, "Memory that is resident."),
    Metric("process_virtual_memory_bytes", MetricKind.GAUGE, "Address space in use."),
    Metric("process_start_time_seconds", MetricKind.GAUGE, "When the process began, in seconds since 1970."),
    Metric("process_open_fds", MetricKind.GAUGE, "Open file descriptors."),
    Metric("process_max_fds", MetricKind.GAUGE, "File descriptors that it may open."),
)

COLLECTOR: tuple[Metric, ...] = (
    INFO,
    EVENTS,
    RECORDS,
    REJECTS,
    GAPS,
    CUT,
    BUGS,
    RECONNECTS,
    LISTS,
    ACCOUNTED,
    UNTOLD,
    AWAITED,
    POD_RECONNECTS,
    STORED,
    LAST_EVENT,
    WATCHING,
    PAUSED,
    SPOOL_ENTRIES,
    SPOOL_BYTES,
    SPOOL_LIMIT,
    LAG,
    SPANS,
    SPAN_REQUESTS_REFUSED,
    STAGED_PULLS,
    PENDING_SPANS,
    SPAN_JOURNAL_BYTES,
    DELIVERY_TROUBLE,
    DEAD_LETTERS,
    WRITE_SECONDS,
    PULL_SECONDS,
    PULL_OUTCOMES,
)
SINK: tuple[Metric, ...] = (
    SINK_MESSAGES,
    SINK_STORED,
    SINK_DEAD_LETTERS,
    SINK_LOST_RANGES,
    SINK_PARCELS,
    SINK_UNDER_WAY,
    SINK_LAG,
    SINK_LAG_MESSAGES,
    SINK_TROUBLE,
    SINK_WRITE_SECONDS,
)
KAFKA_SENDING: tuple[Metric, ...] = (KAFKA_SENT, KAFKA_SENT_BYTES, KAFKA_REPEATED, KAFKA_PRODUCERS_REBUILT)
KAFKA_TAKING: tuple[Metric, ...] = (
    KAFKA_TAKEN,
    KAFKA_TAKEN_BYTES,
    KAFKA_REBALANCES,
    KAFKA_COMMITS_FAILED,
    KAFKA_CONSUMERS_REBUILT,
)
INFLUXDB: tuple[Metric, ...] = (
    INFLUXDB_REQUESTS,
    INFLUXDB_POINTS,
    INFLUXDB_REFUSED,
    INFLUXDB_REPEATS,
    INFLUXDB_SENT_BYTES,
)
ARCHIVE: tuple[Metric, ...] = (
    ARCHIVE_RECORDS,
    ARCHIVE_REFUSED,
    ARCHIVE_REPEATS,
    ARCHIVE_WRITTEN_BYTES,
    ARCHIVE_COMPACTIONS,
    ARCHIVE_MERGED_OBJECTS,
    ARCHIVE_PARTITIONS,
)
METRICS: tuple[Metric, ...] = (*COLLECTOR, *SINK, *KAFKA_SENDING, *KAFKA_TAKING, *INFLUXDB, *ARCHIVE, *PROCESS)
