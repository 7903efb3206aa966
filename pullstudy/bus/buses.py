"""The table of buses on servers, by the name that their settings have. The one in the process is ``embedded``.

The client is imported where a bus is opened: a collector without one starts a quarter of a second sooner.
"""

from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from pullstudy.bus.protocol import SharedBus
from pullstudy.pulls.notices import Notices
from pullstudy.timing import Timing


class BusSettings(Protocol):
    """How a bus is reached. What else there is to say is the bus's own."""

    @property
    def bus(self) -> str:
        """Its name in BUSES."""
        ...

    def closing_within(self, seconds: float) -> "BusSettings":
        """The same, with another limit for close()."""
        ...


def open_bus(settings: BusSettings, notices: Notices, random: Random, timing: Timing | None = None) -> SharedBus:
    """Connects at the first publish."""
    return BUSES[settings.bus](settings, notices, random, timing or Timing())


def _kafka(settings: Any, notices: Notices, random: Random, timing: Timing) -> SharedBus:
    from pullstudy.bus.kafka.bus import KafkaBus

    return KafkaBus(settings, notices, random, timing)


BUSES: dict[str, Callable[[Any, Notices, Random, Timing], SharedBus]] = {"kafka": _kafka}
