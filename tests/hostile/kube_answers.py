"""Answers of an API server, and what a bug or an enemy makes of them."""

import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from random import Random
from typing import Any

from pullstudy.kube.client import Query
from pullstudy.kube.errors import StatusError
from pullstudy.kube.status import read_status
from pullstudy.pulls.retry_after import http_date
from tests.collector.kube_events import event

DIGITS = b"9" * 5_000
NASTY = (
    b"null",
    b"-1",
    b"1e999",
    DIGITS,
    b"9" * 400,
    b'"\\ud800"',
    b'"\xff\xfe"',
    b'"text"',
    b'"410"',
    b"true",
    b"{}",
    b"[]",
    b"[" * 5_000 + b"]" * 5_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'"' + b"x" * 100_000 + b'"',
    b'"\\u0000\\u001b[2J\\u2028"',
)
HEADERS = (
    None,
    "1",
    "-5",
    "9" * 400,
    "9" * 5_000,
    "Tue, 24 Nov " + "9" * 24 + " 10:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "\udcff",
    "",
    "nan",
    "٣",
)


class EnoughError(Exception):
    """So many answers were given."""


def mutated(answer: bytes, random: Random) -> bytes:
    """One to three changes."""
    for _ in range(random.randint(1, 3)):
        answer = random.choice((_value, _value, _value, _flip, _cut, _twice))(answer, random)
    return answer


def _value(answer: bytes, random: Random) -> bytes:
    colons = [at for at, byte in enumerate(answer[:20_000]) if byte == ord(":")]
    if not colons:
        return random.choice(NASTY)
    at = random.choice(colons) + 1
    end = at
    while end < len(answer) and answer[end : end + 1] not in (b",", b"}"):
        end += 1
    return answer[:at] + random.choice(NASTY) + answer[end:]


def _flip(answer: bytes, random: Random) -> bytes:
    at = random.randrange(len(answer) or 1)
    return answer[:at] + bytes([random.randrange(256)]) + answer[at + 1 :]


def _cut(answer: bytes, random: Random) -> bytes:
    return answer[: random.randrange(len(answer) or 1)]


def _twice(answer: bytes, random: Random) -> bytes:
    at = random.randrange(len(answer) or 1)
    return answer[:at] + answer


def plain(value: Any) -> bytes:
    return json.dumps(value).encode()


def status(code: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "Status", "code": code, "message": "no", "reason": "Expired", **more}


class HostileClient:
    """A client whose server answers as well as it ever does, or with a mutation of that; EnoughError at the end."""

    url = "https://hostile"

    def __init__(self, random: Random, answers: int) -> None:
        self.requests = 0
        self.server_time: datetime | None = None
        self._random = random
        self._answers = answers

    async def renew_login(self) -> None: ...

    def _asked(self, what: str) -> None:
        self.requests += 1
        if self.requests > self._answers:
            raise EnoughError
        self.server_time = http_date(self._random.choice(HEADERS)) or self.server_time
        if self._random.random() < 0.2:
            code = self._random.choice((302, 401, 403, 404, 410, 422, 429, 500, 503, 504, 999))
            body = self._perhaps(plain(status(code, details={"retryAfterSeconds": 5, "kind": "events", "name": "x"})))
            raise StatusError(
                what, read_status(code, body, self._random.choice(HEADERS), datetime(2026, 3, 1, tzinfo=UTC))
            )

    def _perhaps(self, answer: bytes) -> bytes:
        return mutated(answer, self._random) if self._random.random() < 0.7 else answer

    async def get(self, what: str, path: str, query: Query = ()) -> bytes:
        self._asked(what)
        if path.startswith("/api/v1/namespaces/"):
            return self._perhaps(plain({"metadata": {"name": "kube-system", "uid": "u-1"}}))
        metadata: dict[str, Any] = {"resourceVersion": str(self._random.randrange(10_000))}
        if self._random.random() < 0.7:
            metadata["continue"] = f"token-{self._random.randrange(3) and self.requests}"
        items = [event(self._random.randrange(10_000)) for _ in range(self._random.randrange(4))]
        return self._perhaps(plain({"metadata": metadata, "items": items}))

    async def stream(self, what: str, path: str, query: Query, timeout_seconds: float) -> AsyncGenerator[bytes, None]:
        self._asked(what)
        yield b""
        for _ in range(self._random.randrange(6)):
            yield self._perhaps(plain(self._line())) + b"\n"

    def _line(self) -> dict[str, Any]:
        kind = self._random.choice(("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", "ODD"))
        if kind == "ERROR":
            codes: tuple[Any, ...] = (410, None, "410", "text", 10**400, -1, 504)
            details = {"retryAfterSeconds": self._random.choice((None, -5, 10**400, "5", 0, 3))}
            return {"type": kind, "object": status(self._random.choice(codes), details=details)}
        found = event(self._random.randrange(10_000))
        found["metadata"]["resourceVersion"] = str(self._random.randrange(10_000))
        return {"type": kind, "object": found}
