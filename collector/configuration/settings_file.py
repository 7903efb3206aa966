"""The file of ``--config``: a TOML file whose keys are the options without their dashes.

    cluster = "lab"
    data-dir = "/data"
    max-lag = "10m"

It holds no secret: those stay in the environment, or in the files that it names.
"""

import tomllib
from collections.abc import Mapping, Set
from difflib import get_close_matches
from pathlib import Path

from collector.errors import CollectorError

_SECRETS = ("token", "password", "secret", "key")


class SettingsFileError(CollectorError):
    """The file cannot be read, or says what it cannot: wrong use."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


def read_settings(path: Path, flags: Mapping[str, bool], elsewhere: Set[str]) -> dict[str, str | bool]:
    """The file's values by key, those of ``flags``: this command's keys, each with whether it is on or off.

    Keys of ``elsewhere`` are other commands': one file can serve them all. Raises SettingsFileError.
    """
    found = _parsed(path)
    for key in found:
        if key not in flags and key not in elsewhere:
            raise SettingsFileError(path, _unknown(key, {*flags, *elsewhere}))
    return {key: _value(path, key, found[key], is_flag=flags[key]) for key in found if key in flags}


def _parsed(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsFileError(path, f"cannot be read: {(error.strerror or str(error)).lower()}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsFileError(path, f"is no TOML: {error}") from error


def _unknown(key: str, known: Set[str]) -> str:
    if any(word in key.lower() for word in _SECRETS):
        return (
            f"{key!r} looks like a secret, and this file holds none: set INFLUXDB_V2_TOKEN, KAFKA_SASL_PASSWORD"
            " or their _FILE in the environment"
        )
    near = get_close_matches(key.lower().replace("_", "-"), known, n=1)
    return f"there is no setting {key!r}; " + (f"did you mean {near[0]!r}?" if near else "see collector --help")


def _value(path: Path, key: str, value: object, *, is_flag: bool) -> str | bool:
    if is_flag:
        if not isinstance(value, bool):
            raise SettingsFileError(path, f"{key} is true or false, not {value!r}")
        return value
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise SettingsFileError(path, f"{key} is a text or a number, not {value!r}")
    return str(value)
