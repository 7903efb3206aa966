"""``--kafka``, ``--influx`` and ``--to`` with the environment, as settings; what is wrong with them is wrong use."""

import logging
import os
from typing import TYPE_CHECKING

import typer

from pullstudy.bus.buses import BusSettings, bus_settings
from pullstudy.bus.protocol import BusSettingsError
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.protocol import StoreSettingsError
from pullstudy.store.stores import StoreSettings, store_settings

if TYPE_CHECKING:
    from pullstudy.store.influx.settings import InfluxSettings


def asked_bus(bootstrap: str) -> BusSettings:
    """Raises typer.BadParameter."""
    # The client logs every try of its own; the bus says once a minute what is wrong.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        return bus_settings(os.environ, bootstrap)
    except BusSettingsError as error:
        raise typer.BadParameter(str(error), param_hint="'--kafka'") from error


def asked_store(url: str, option: str = "--influx") -> StoreSettings:
    """Raises typer.BadParameter, which names the option."""
    try:
        return store_settings(os.environ, url=url)
    except StoreSettingsError as error:
        raise typer.BadParameter(str(error), param_hint=f"'{option}'") from error


def asked_influx(url: str) -> "InfluxSettings":
    """Raises typer.BadParameter."""
    from pullstudy.store.influx.settings import InfluxSettings

    settings = asked_store(url)
    assert isinstance(settings, InfluxSettings)
    return settings


def asked_archive(place: str) -> ArchiveSettings:
    """Raises typer.BadParameter."""
    try:
        return ArchiveSettings.of(place)
    except StoreSettingsError as error:
        raise typer.BadParameter(str(error), param_hint="'--to'") from error
