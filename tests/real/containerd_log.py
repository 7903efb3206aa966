"""The third witness of a pull: containerd's own log."""

import re
from dataclasses import dataclass
from datetime import datetime

# time="2026-11-24T05:00:00.123456789Z" level=info msg="PullImage \"host/x:1\" returns image reference \"sha256:...\""
_LINE = re.compile(r'^time="(?P<at>[^"]+)" level=(?P<level>\w+) msg="(?P<message>(?:[^"\\]|\\.)*)"')
_BEGUN = re.compile(r'^PullImage "(?P<image>[^"]+)"$')
_DONE = re.compile(r'^PullImage "(?P<image>[^"]+)" returns image reference "(?P<reference>[^"]+)"$')
_FAILED = re.compile(r'^PullImage "(?P<image>[^"]+)" failed$')


@dataclass(frozen=True)
class PullLine:
    """One attempt. ``reference`` is the image's id, where it was pulled; ``seconds`` is from line to line."""

    image: str
    reference: str | None
    ended_at: datetime
    seconds: float


def attempts(log: str) -> list[PullLine]:
    """Every attempt that has an end, in the order of the ends. Attempts at one image at once are not told apart."""
    begun: dict[str, list[datetime]] = {}
    found = []
    for line in log.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        at, text = _time(match["at"]), match["message"].replace('\\"', '"')
        if start := _BEGUN.match(text):
            begun.setdefault(start["image"], []).append(at)
        elif (end := _DONE.match(text) or _FAILED.match(text)) and begun.get(end["image"]):
            since = begun[end["image"]].pop(0)
            reference = end.groupdict().get("reference")
            found.append(PullLine(end["image"], reference, at, (at - since).total_seconds()))
    return found


def _time(text: str) -> datetime:
    # Nine decimals, of which Python reads six.
    whole, _, rest = text.partition(".")
    return datetime.fromisoformat(f"{whole}.{rest.rstrip('Z')[:6]:0<6}+00:00")
