"""The collector's counters as readings of its metrics."""

from collections.abc import Callable, Iterator

from collector.monitoring.status import CollectorStatus
from collector.monitoring.vitals import DeliveryTrouble, Metrics, Reading
from collector.spooling.frame import LAYOUT
from collector.spooling.spool_queue import SpoolQueue
from pullstudy.bus.record_format import SCHEMA
from pullstudy.pulls import metric_names as names
from pullstudy.pulls.record import Outcome
from pullstudy.store.embedded.schema import VERSION

WITNESSED = (Outcome.PULLED, Outcome.CACHED, Outcome.FAILED)  # pod status knows no back-off but as a failure


def event_readings(cluster: str, status: CollectorStatus) -> Iterator[Reading]:
    """Of the event watch."""
    of = (cluster,)
    yield Reading(names.EVENTS, {(*of, reason): count for reason, count in status.reasons.items()})
    yield Reading(names.REJECTS, {(*of, "unknown"): status.unknown, (*of, "unreadable"): status.unreadable})
    yield Reading(names.GAPS, {of: status.gaps})
    yield Reading(names.CUT, {of: status.cut})
    yield Reading(names.BUGS, {of: status.bugs})
    yield Reading(names.RECONNECTS, {of: status.reconnects})
    yield Reading(names.LISTS, {of: status.lists})
    last = status.last_line_at
    yield Reading(names.LAST_EVENT, {} if last is None else {of: last.timestamp()})
    yield Reading(names.WATCHING, {of: status.watching})


def pod_readings(cluster: str, status: CollectorStatus) -> Iterator[Reading]:
    """Of the pods held against what events reported."""
    of = (cluster,)
    yield Reading(names.ACCOUNTED, {of: status.accounted})
    yield Reading(names.UNTOLD, {(*of, outcome): status.untold[outcome] for outcome in WITNESSED})
    yield Reading(names.AWAITED, {of: status.awaited})
    yield Reading(names.POD_RECONNECTS, {of: status.pod_reconnects})


def spool_metrics(cluster: str, status: CollectorStatus, queue: SpoolQueue) -> Metrics:
    """Of what all sources brought, and where it waits."""

    def read() -> Iterator[Reading]:
        yield info()
        of = (cluster,)
        yield Reading(names.RECORDS, {(*of, outcome): status.outcomes[outcome] for outcome in Outcome})
        yield Reading(names.PAUSED, {of: queue.paused})
        yield Reading(names.SPOOL_ENTRIES, {of: queue.waiting.entries})
        yield Reading(names.SPOOL_BYTES, {of: queue.size_bytes})
        yield Reading(names.SPOOL_LIMIT, {of: queue.limit_bytes})
        yield Reading(names.LAG, {of: queue.waiting.oldest_seconds})

    return read


def delivery_source(
    cluster: str, status: CollectorStatus, to: str, trouble: Callable[[], DeliveryTrouble | None]
) -> Metrics:
    """From the spool to the store or bus of this name."""

    def read() -> Iterator[Reading]:
        of = (cluster,)
        yield Reading(names.STORED, {of: status.stored})
        yield Reading(names.DEAD_LETTERS, {of: status.dead_letters})
        yield Reading(names.DELIVERY_TROUBLE, {of: trouble() is not None})
        yield Reading(names.WRITE_SECONDS, {(*of, to): status.write_seconds})

    return read


def info() -> Reading:
    """Which version this is, and what it writes."""
    from importlib.metadata import version  # some 20 ms, and only who scrapes needs it

    return Reading(names.INFO, {(version("pullstudy"), str(LAYOUT), str(VERSION), str(SCHEMA)): 1})
