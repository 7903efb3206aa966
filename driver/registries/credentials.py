"""What ``docker login`` has kept for a registry. Nothing is ever taken from the command line."""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path

import msgspec

from driver.errors import UsageError

_DOCKER_HUB = "https://index.docker.io/v1/"  # its name in the file


class _Login(msgspec.Struct):
    auth: str = ""
    username: str = ""
    password: str = ""


class _DockerConfig(msgspec.Struct, rename="camel"):
    auths: dict[str, _Login] = {}


def basic_credentials(host: str, environment: Mapping[str, str]) -> str | None:
    """The value of an Authorization header, from ``config.json`` of $DOCKER_CONFIG or ~/.docker. Raises UsageError.

    None where that has none in itself: those that an outside helper keeps are not read.
    """
    path = Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        config = msgspec.json.decode(path.read_bytes(), type=_DockerConfig)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; it has the logins of registries") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Not the error's own words: they may repeat what stands there.
        raise UsageError(f"{path}: no configuration of Docker; docker login writes one") from None
    return next((told for name, login in config.auths.items() if _is_of(name, host) and (told := _basic(login))), None)


def _is_of(name: str, host: str) -> bool:
    if host == "docker.io":
        return name in (_DOCKER_HUB, "docker.io", "index.docker.io")
    return name.removeprefix("https://").partition("/")[0] == host


def _basic(login: _Login) -> str | None:
    given = login.auth or base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    try:
        user, colon, password = base64.b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return f"Basic {given}" if user and colon and password else None
