"""What InfluxDB's answer to a write means, as a value. No I/O, no clock.

| answer | what it is | what follows |
|---|---|---|
| 204 | written | done |
| 400 with ``"code": "invalid"`` | a malformed line: none of the batch was written | divide |
| 413 | too large, by the server or a proxy before it | divide |
| 422 | some points refused (type conflict, older than the retention), the rest written | divide |
| 408, 425, 429, 5xx, no answer | away or overloaded; Retry-After is honoured | repeat |
| 401, 403, 404, any other | a setting is wrong: token, bucket, organisation, address | repeat, and alarm |

204 alone is what InfluxDB documents as written. Its web interface answers a path that it does not know with 200 and a
page, whatever is sent there.

To divide is to write each half for itself; a single point that would have to be divided is refused.
Nothing is ever discarded because of a wrong setting: it is repeated until the setting is right.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from pullstudy.pulls.printable import printable
from pullstudy.pulls.retry_after import retry_after_seconds


class Action(StrEnum):
    """What to do with the points of a request."""

    DONE = "done"
    REPEAT = "repeat"
    DIVIDE = "divide"  # into halves, each written for itself; a single point that gets here is refused


@dataclass(frozen=True)
class Verdict:
    """The meaning of one answer."""

    action: Action
    reason: str = ""  # one line
    alarm: bool = False  # somebody has to change a setting
    wait_seconds: float | None = None  # the server's own wish
    dropped: int = 0  # points that a 422 says were refused, at least


_AWAY = (408, 425, 429)
_ADVICE = {
    401: "the token is not accepted: check INFLUXDB_V2_TOKEN",
    403: "the token may not write to the bucket: give it write permission",
    404: "no such organisation or bucket: create it, or check INFLUXDB_V2_ORG and the bucket's name",
}
_DROPPED = re.compile(r"dropped=([0-9]{1,9})(?![0-9])")
_REASON_CHARACTERS = 500
_NOT_THE_API = (
    "this is no answer of InfluxDB's API, but of its web interface or of another server:"
    " check the address, http://HOST:8086 without a path"
)


class _Problem(msgspec.Struct):
    code: str = ""
    message: str = ""


_decode = msgspec.json.Decoder(_Problem).decode


def judge(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Verdict:
    """The meaning of an answer to a write."""
    if status == 204:
        return Verdict(Action.DONE)
    problem = _problem(body)
    reason = _reason(status, problem, body)
    if _divides(status, problem):
        found = _DROPPED.search(problem.message)
        return Verdict(Action.DIVIDE, reason, dropped=int(found[1]) if found and status == 422 else 0)
    return _not_now(status, headers, reason, now)


def judge_query(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Verdict:
    """The meaning of an answer to a query, of which ``body`` is the text where it is no table."""
    if status == 200 and is_table(headers):
        return Verdict(Action.DONE)
    problem = _problem(body)
    reason = _reason(status, problem, body)
    if status == 400 and problem.code:
        return Verdict(Action.REPEAT, reason)  # the query's own fault
    return _not_now(status, headers, reason, now)


def is_table(headers: Mapping[str, str]) -> bool:
    """Whether the body is said to be CSV, as every result is."""
    return "csv" in headers.get("Content-Type", "").lower()


def _not_now(status: int, headers: Mapping[str, str], reason: str, now: datetime) -> Verdict:
    if status in _AWAY or status >= 500:
        return Verdict(Action.REPEAT, reason, wait_seconds=retry_after_seconds(headers.get("Retry-After"), now))
    return Verdict(Action.REPEAT, f"{reason}: {_ADVICE.get(status, _NOT_THE_API)}", alarm=True)


def _reason(status: int, problem: _Problem, body: bytes) -> str:
    start = body[: 4 * _REASON_CHARACTERS].decode(errors="replace").strip()
    text = problem.message or ("a web page" if start.startswith("<") else start)
    return f"{status} {one_line(text)}"[:_REASON_CHARACTERS].rstrip()


def one_line(text: str) -> str:
    """Cut, too: what a server answers may be of any length."""
    return printable(" ".join(text[:_REASON_CHARACTERS].split()))[:_REASON_CHARACTERS]


def _divides(status: int, problem: _Problem) -> bool:
    # A proxy's 400 is about the request, not about a point: without InfluxDB's own code it is a wrong setting.
    return status == 413 or (status == 400 and problem.code == "invalid") or (status == 422 and bool(problem.code))


def _problem(body: bytes) -> _Problem:
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Problem()
