"""Durations, sizes, addresses and labels as a user writes them, each printing as it may be written."""

import re

import typer

from pullstudy.pulls.duration import DurationError, format_seconds, parse_seconds
from pullstudy.pulls.metric_names import PullLabel

_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(B|[KMGT]i?B?|)")


class Seconds(float):
    """A duration: ``25s``, ``5m``, ``1h30m``."""

    def __str__(self) -> str:
        # 5m and not 5m0s, as a user writes it.
        return re.sub(r"(?<=[hm])0[ms](?=\d|$)", "", re.sub(r"(?<=m)0s$", "", format_seconds(self)))


class ByteSize(int):
    """A number of bytes: ``1GiB``, ``500MiB``, ``4096``."""

    def __str__(self) -> str:
        for unit, factor in reversed(_UNITS.items()):
            if self >= factor and self % factor == 0:
                return f"{int(self) // factor}{unit}"
        return f"{int(self)}"


class Address(str):
    """``HOST:PORT``; all addresses of the machine where the host is missing, and any free port where the port is 0."""

    @property
    def host(self) -> str | None:
        return self.rpartition(":")[0].strip("[]") or None

    @property
    def port(self) -> int:
        return int(self.rpartition(":")[2])


class PullLabels(tuple[PullLabel, ...]):
    """Labels, with commas between them."""

    def __str__(self) -> str:
        return ",".join(self)


def pull_labels(text: str) -> PullLabels:
    """Raises typer.BadParameter."""
    if isinstance(text, tuple):
        return PullLabels(text)
    try:
        return PullLabels(dict.fromkeys(PullLabel(name.strip()) for name in text.split(",") if name.strip()))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: write image, node, or image,node") from error


def seconds(text: str) -> Seconds:
    """Raises typer.BadParameter."""
    try:
        found = float(text) if isinstance(text, float) else parse_seconds(text)
    except DurationError as error:
        raise typer.BadParameter(f"{text!r} is no duration: write it as 25s, 5m or 1h30m") from error
    if found <= 0:
        raise typer.BadParameter(f"{text!r}: it has to be longer than nothing")
    return Seconds(found)


def byte_size(text: str) -> ByteSize:
    """Units are powers of 1,024, with and without the B. Raises typer.BadParameter."""
    if isinstance(text, int):
        return ByteSize(text)
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no size: write it as 1GiB, 500MiB or a number of bytes")
    return ByteSize(float(found[1]) * _UNITS[f"{found[2][:1].strip('B')}iB" if found[2].strip("B") else ""])


def address(text: str) -> Address:
    """Raises typer.BadParameter."""
    host, colon, port = text.rpartition(":")
    bare = ":" in host and not (host.startswith("[") and host.endswith("]"))
    if not colon or bare or not port.isdecimal() or int(port) > 65_535:
        raise typer.BadParameter(f"{text!r} is no address: write it as HOST:PORT, [::1]:PORT or :PORT")
    return Address(text)
