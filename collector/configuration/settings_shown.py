"""``--show-settings``: every setting of a command as it will be used, and where it comes from; secrets masked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import typer

from collector.configuration.options import key_of, settable, variable_of
from collector.log import Format
from pullstudy.pulls.kinds import DEFAULT_NAME

MASK = "********"


@dataclass(frozen=True)
class Shown:
    """One setting."""

    name: str
    value: str | None
    source: str  # flag, environment NAME, file PATH, default, or not set


@dataclass(frozen=True)
class Variable:
    """A setting that only the environment has, named as the clients of Kafka and InfluxDB name it."""

    name: str
    default: str | None = None
    secret: bool = False


VARIABLES = (
    Variable("KAFKA_TOPIC", DEFAULT_NAME),
    Variable("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT"),
    Variable("KAFKA_SASL_MECHANISM", "PLAIN"),
    Variable("KAFKA_SASL_USERNAME"),
    Variable("KAFKA_SASL_PASSWORD", secret=True),
    Variable("KAFKA_SASL_PASSWORD_FILE"),
    Variable("KAFKA_SSL_CAFILE"),
    Variable("KAFKA_SSL_CERTFILE"),
    Variable("KAFKA_SSL_KEYFILE"),
    Variable("INFLUXDB_V2_ORG"),
    Variable("INFLUXDB_V2_TOKEN", secret=True),
    Variable("INFLUXDB_V2_TOKEN_FILE"),
    Variable("INFLUXDB_V2_BUCKET", DEFAULT_NAME),
    Variable("INFLUXDB_V2_LAYOUT"),
    Variable("INFLUXDB_V2_SSL_CA_CERT"),
    Variable("INFLUXDB_V2_VERIFY_SSL", "true"),
)


def shows_settings(context: typer.Context, environment: Mapping[str, str], form: Format | None) -> bool:
    """Whether they are asked for in place of what the command does; then they are printed."""
    if form is None:
        return False
    typer.echo(settings_text(shown_settings(context, environment), form))
    return True


def shown_settings(context: typer.Context, environment: Mapping[str, str]) -> list[Shown]:
    """All of the command that the context is of."""
    path = context.params.get("config")
    options = [_option(context, each, path) for each in settable(context.command.params)]
    return [*options, *(_variable(each, environment) for each in VARIABLES)]


def _option(context: typer.Context, parameter: Any, path: object) -> Shown:
    value = context.params.get(parameter.name)
    source = context.get_parameter_source(parameter.name)
    places = {
        "COMMANDLINE": "flag",
        "ENVIRONMENT": f"environment {variable_of(parameter)}",
        "DEFAULT_MAP": f"file {path}",
    }
    otherwise = "not set" if value is None else "default"
    name = key_of(parameter)
    text = _address(str(value)) if name == "influx" and value is not None else _text(value)
    return Shown(name, text, places.get(source.name if source else "", otherwise))


def _address(value: str) -> str:
    """Without what may be a password: before @, after ? or #. Such an address is refused, but shown before that."""
    host = re.sub(r"^(\w+://)?.*@", rf"\g<1>{MASK}@", value, flags=re.DOTALL)
    return re.sub(r"([?#]).*", rf"\g<1>{MASK}", host, flags=re.DOTALL)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    return str(value)


def _variable(variable: Variable, environment: Mapping[str, str]) -> Shown:
    value = environment.get(variable.name)
    if value:
        return Shown(variable.name, MASK if variable.secret else value, "environment")
    return Shown(variable.name, variable.default, "not set" if variable.default is None else "default")


def settings_text(settings: list[Shown], form: Format) -> str:
    """As a table, or as one JSON object by name."""
    if form is Format.JSON:
        found = {each.name: {"value": each.value, "source": each.source} for each in settings}
        return msgspec.json.encode(found).decode()
    widths = [max(len(text) for text in column) for column in zip(*(_cells(each) for each in settings), strict=True)]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(_cells(each), widths, strict=True)) for each in settings]
    return "\n".join(row.rstrip() for row in rows)


def _cells(setting: Shown) -> tuple[str, str, str]:
    return setting.name, "-" if setting.value is None else setting.value, setting.source
