"""The table of buses on servers, by the name that their settings have. The one in the process is ``embedded``.

The client is imported where a bus is opened: a collector without one starts a quarter of a second sooner.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from pullstudy.bus.protocol import SharedBus
from pullstudy.pulls.notices import Notices
from pullstudy.timing import Timing

KAFKA = "kafka"


class BusSettings(Protocol):
    """How a bus is reached. What else there is to say is the bus's own."""

    @property
    def bus(self) -> str:
        """Its name in BUSES."""
        ...

    @property
    def topic(self) -> str:
        """Of the pulls."""
        ...

    def closing_within(self, seconds: float) -> "BusSettings":
        """The same, with another limit for close()."""
        ...


@dataclass(frozen=True)
class BusType:
    """What there is to call of one kind of bus; the settings are those that ``settings`` gives."""

    settings: Callable[[Mapping[str, str], str, str | None], BusSettings]
    open: Callable[[Any, Notices, Random, Timing], SharedBus]
    connect_error: Callable[[Any], Awaitable[BaseException | None]]


def bus_settings(
    environment: Mapping[str, str], bootstrap: str, topic: str | None = None, *, bus: str = KAFKA
) -> BusSettings:
    """The address as the user types it, the rest as the client's variables say. Raises BusSettingsError."""
    return BUSES[bus].settings(environment, bootstrap, topic)


def open_bus(settings: BusSettings, notices: Notices, random: Random, timing: Timing | None = None) -> SharedBus:
    """Connects at the first publish."""
    return BUSES[settings.bus].open(settings, notices, random, timing or Timing())


async def connect_error(settings: BusSettings) -> BaseException | None:
    """Why no server of it takes a connection; None where one does."""
    return await BUSES[settings.bus].connect_error(settings)


def _kafka_settings(environment: Mapping[str, str], bootstrap: str, topic: str | None) -> BusSettings:
    from pullstudy.bus.kafka.settings import KafkaSettings

    settings = KafkaSettings.from_environment(environment, bootstrap=bootstrap, topic=topic)
    settings.client_options()  # a password's file or a certificate that cannot be used is found now
    return settings


def _kafka_bus(settings: Any, notices: Notices, random: Random, timing: Timing) -> SharedBus:
    from pullstudy.bus.kafka.bus import KafkaBus

    return KafkaBus(settings, notices, random, timing)


def _kafka_connect_error(settings: Any) -> Awaitable[BaseException | None]:
    from pullstudy.bus.kafka.probe import connect_error as error

    return error(settings)


BUSES: dict[str, BusType] = {KAFKA: BusType(_kafka_settings, _kafka_bus, _kafka_connect_error)}
