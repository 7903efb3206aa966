"""Which records' destination a sweep has, by flag before environment before study; and whether it can be reached."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from driver.errors import UsageError
from pullstudy.bus.buses import bus_settings, connect_error
from pullstudy.bus.protocol import BusError
from pullstudy.store.destination import Destination
from pullstudy.store.protocol import StoreError
from pullstudy.store.stores import why_not_usable

KAFKA_VARIABLE, INFLUX_VARIABLE = "PULLSTUDY_DRIVER_KAFKA", "PULLSTUDY_DRIVER_INFLUX"


class AskedDestination(msgspec.Struct, frozen=True, kw_only=True):
    """``--kafka`` and ``--influx``; None where they are not given."""

    kafka: str | None = None
    influx: str | None = None

    def __bool__(self) -> bool:
        return self.kafka is not None or self.influx is not None


def destination_of_new_run(asked: AskedDestination, study: Destination, environment: Mapping[str, str]) -> Destination:
    """With every name filled in. Raises UsageError, also where nothing could be read back."""
    given = msgspec.structs.replace(
        study,
        kafka=asked.kafka or environment.get(KAFKA_VARIABLE) or study.kafka,
        influx=asked.influx or environment.get(INFLUX_VARIABLE) or study.influx,
    )
    return _settled(given, environment)


def check_same_destination(
    asked: AskedDestination, study: Destination | None, kept: Destination, environment: Mapping[str, str]
) -> None:
    """Of a run that goes on: what the command line and its study say must be what the run began with.

    Raises UsageError.
    """
    base = kept if study is None or study == Destination() else study
    given = msgspec.structs.replace(base, kafka=asked.kafka or base.kafka, influx=asked.influx or base.influx)
    if given != kept and _settled(given, environment) != kept:
        raise UsageError(
            f"--resume: the records of this run are in {kept}; leave --kafka, --influx and [collect] out,"
            " or give another --out"
        )


def _settled(given: Destination, environment: Mapping[str, str]) -> Destination:
    if given.kafka and not given.influx:
        raise UsageError(
            f"--kafka {given.kafka} alone: what is published cannot be read back, so that no pull could be accounted"
            " for; add --influx URL, or start a collector with --kafka beside the sweep"
        )
    try:
        return given.settled(environment)
    except StoreError as error:
        raise UsageError(str(error)) from error


async def check_reachable(destination: Destination, environment: Mapping[str, str]) -> None:
    """Before a cluster is made for nothing: whether InfluxDB lets us read and write, and Kafka takes connections.

    Raises UsageError.
    """
    if destination.influx:
        await _check_store(destination, environment)
    if destination.kafka:
        await _check_bus(destination, environment)


async def _check_store(destination: Destination, environment: Mapping[str, str]) -> None:
    try:
        settings = destination.store_settings(environment)
        reason = await why_not_usable(settings, datetime.now(UTC))
    except StoreError as error:
        raise UsageError(str(error)) from error
    if reason is not None:
        raise UsageError(f"InfluxDB {settings.url}, bucket {settings.bucket}: {reason}")


async def _check_bus(destination: Destination, environment: Mapping[str, str]) -> None:
    try:
        error = await connect_error(bus_settings(environment, destination.kafka, destination.topic))
    except BusError as refused:
        raise UsageError(str(refused)) from refused
    if error is not None:
        reason = "connection refused" if isinstance(error, ConnectionRefusedError) else error or type(error).__name__
        raise UsageError(f"Kafka {destination.kafka} cannot be reached: {reason}; is a broker running there?")
