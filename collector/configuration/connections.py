"""``--kafka`` and ``--influx`` with the environment, as settings; what is wrong with them is wrong use."""

import logging
import os
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pullstudy.bus.kafka.settings import KafkaSettings
    from pullstudy.store.influx.settings import InfluxSettings


def kafka_settings(bootstrap: str) -> "KafkaSettings":
    """Raises typer.BadParameter."""
    from pullstudy.bus.kafka.settings import KafkaSettings, KafkaSettingsError

    # The client logs every try of its own; the bus says once a minute what is wrong.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        settings = KafkaSettings.from_environment(os.environ, bootstrap=bootstrap)
        settings.client_options()
    except KafkaSettingsError as error:
        raise typer.BadParameter(str(error), param_hint="'--kafka'") from error
    return settings


def influx_settings(url: str) -> "InfluxSettings":
    """Raises typer.BadParameter."""
    from pullstudy.store.influx.settings import InfluxSettings, InfluxSettingsError

    try:
        settings = InfluxSettings.from_environment(os.environ, url=url)
        settings.tls()
    except InfluxSettingsError as error:
        raise typer.BadParameter(str(error), param_hint="'--influx'") from error
    return settings
