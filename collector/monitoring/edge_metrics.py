"""The counters of Kafka's client and of stores as readings, by the part of the process that has them."""

from collections.abc import Iterator

from collector.monitoring.vitals import DeliveryTrouble, Metrics, Reading
from pullstudy.bus.protocol import GroupMember, SharedBus
from pullstudy.bus.trouble import Trouble
from pullstudy.pulls import metric_names as names
from pullstudy.store.protocol import SharedStore
from pullstudy.store.stores import ARCHIVE, INFLUXDB


def sending_source(part: str, bus: SharedBus) -> Metrics:
    """What is published."""

    def read() -> Iterator[Reading]:
        of, counters = (part,), bus.counters
        yield Reading(names.KAFKA_SENT, {of: counters.messages})
        yield Reading(names.KAFKA_SENT_BYTES, {of: counters.sent_bytes})
        yield Reading(names.KAFKA_REPEATED, {of: counters.repeats})
        yield Reading(names.KAFKA_PRODUCERS_REBUILT, {of: counters.rebuilt})

    return read


def taking_source(part: str, member: GroupMember) -> Metrics:
    """What is consumed."""

    def read() -> Iterator[Reading]:
        of, counters = (part,), member.counters
        yield Reading(names.KAFKA_TAKEN, {of: counters.messages})
        yield Reading(names.KAFKA_TAKEN_BYTES, {of: counters.taken_bytes})
        yield Reading(names.KAFKA_REBALANCES, {of: counters.rebalances})
        yield Reading(names.KAFKA_COMMITS_FAILED, {of: counters.commits_failed})
        yield Reading(names.KAFKA_CONSUMERS_REBUILT, {of: counters.rebuilt})

    return read


def store_source(part: str, store: SharedStore) -> Metrics:
    """What is written."""

    def read() -> Iterator[Reading]:
        of, counters = (part,), store.counters
        yield Reading(names.INFLUXDB_REQUESTS, {(part, str(each)): count for each, count in counters.statuses.items()})
        yield Reading(names.INFLUXDB_POINTS, {of: counters.points})
        yield Reading(names.INFLUXDB_REFUSED, {of: counters.refused})
        yield Reading(names.INFLUXDB_REPEATS, {of: counters.repeats})
        yield Reading(names.INFLUXDB_SENT_BYTES, {of: counters.sent_bytes})

    return read


def archive_source(part: str, store: SharedStore) -> Metrics:
    """What an archive is given; of one process at most."""

    def read() -> Iterator[Reading]:
        counters = store.counters
        yield Reading(names.ARCHIVE_RECORDS, {(): counters.points})
        yield Reading(names.ARCHIVE_REFUSED, {(): counters.refused})
        yield Reading(names.ARCHIVE_REPEATS, {(): counters.repeats})
        yield Reading(names.ARCHIVE_WRITTEN_BYTES, {(): counters.sent_bytes})

    return read


SOURCES = {INFLUXDB: store_source, ARCHIVE: archive_source}
"""By the store's name."""


def bus_trouble(trouble: Trouble) -> DeliveryTrouble | None:
    """A side of the bus, as it is now."""
    return None if trouble.reason is None else DeliveryTrouble(trouble.reason, trouble.alarm)


def store_trouble(store: SharedStore) -> DeliveryTrouble | None:
    """The store, as it is now."""
    counters = store.counters
    return None if counters.trouble is None else DeliveryTrouble(counters.trouble, counters.alarm)
