"""The collector's Prometheus metrics by name: what ``/metrics`` shows is what dashboards and alert rules ask for."""

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "pullstudy_collector_"


class Kind(StrEnum):
    """Prometheus' types."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True)
class Metric:
    """One metric; ``labels`` in the order in which they are written."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{PREFIX}{name}_total", Kind.COUNTER, text, ("cluster", *labels))


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{PREFIX}{name}", Kind.GAUGE, text, ("cluster", *labels))


EVENTS = _counter("events", "Events read from the watch, by their reason.", "reason")
RECORDS = _counter("records", "Pull records spooled, by outcome.", "outcome")
REJECTS = _counter("rejects", "What could not be read and is kept as a reject, by kind: unknown, unreadable.", "kind")
GAPS = _counter("gaps", "Stretches of the event stream that nobody watched.")
RECONNECTS = _counter("reconnects", "Watches opened again.")
LISTS = _counter("lists", "Lists of all events, made at the start and after a version was lost.")
STORED = _counter("stored", "Records acknowledged by the store or the bus.")
LAST_EVENT = _gauge("last_event_timestamp_seconds", "When the last line of the watch came, in seconds since 1970.")
WATCHING = _gauge("watching", "1 while a watch is open, else 0.")
SPOOL_ENTRIES = _gauge("spool_entries", "Batches in the spool that no store or bus has acknowledged.")
SPOOL_BYTES = _gauge("spool_bytes", "Bytes of the spool on disk.")
SPOOL_LIMIT = _gauge("spool_limit_bytes", "Bytes at which the spool stops the watch.")
LAG = _gauge("lag_seconds", "How long the oldest batch without acknowledgement has waited; 0 where there is none.")
DELIVERY_TROUBLE = _gauge("delivery_trouble", "1 while the store or the bus takes nothing, else 0.")
DEAD_LETTERS = _counter("dead_letters", "Records that the store will never take, set aside with the reason.")

METRICS: tuple[Metric, ...] = (
    EVENTS,
    RECORDS,
    REJECTS,
    GAPS,
    RECONNECTS,
    LISTS,
    STORED,
    LAST_EVENT,
    WATCHING,
    SPOOL_ENTRIES,
    SPOOL_BYTES,
    SPOOL_LIMIT,
    LAG,
    DELIVERY_TROUBLE,
    DEAD_LETTERS,
)
