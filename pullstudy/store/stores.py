"""The table of stores on servers, by the name that their settings have. The study's own file is none of them.

The client is imported where a store is opened: a collector without one starts a quarter of a second sooner.
"""

from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from pullstudy.pulls.notices import Notices
from pullstudy.store.protocol import SharedStore
from pullstudy.timing import Timing


class StoreSettings(Protocol):
    """How a store is reached. What else there is to say is the store's own."""

    @property
    def store(self) -> str:
        """Its name in STORES."""
        ...


def open_store(settings: StoreSettings, notices: Notices, random: Random, timing: Timing | None = None) -> SharedStore:
    """Connects at the first write or read."""
    return STORES[settings.store](settings, notices, random, timing or Timing())


def _influxdb(settings: Any, notices: Notices, random: Random, timing: Timing) -> SharedStore:
    from pullstudy.store.influx.store import InfluxStore

    return InfluxStore(settings, notices, random, timing)


STORES: dict[str, Callable[[Any, Notices, Random, Timing], SharedStore]] = {"influxdb": _influxdb}
