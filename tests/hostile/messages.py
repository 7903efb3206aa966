"""Messages that nobody meant to publish: real ones with one or more things about them changed."""

import json
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any

from pullstudy.bus.record_format import encode
from tests.store.records import AT, gap, milestone, pull, reject

RECORDS = (
    pull("u", node="n1", size=4, run="r", finished_at=AT, started_at=AT, pull_seconds=1.5, image_bytes=7, error="e"),
    milestone("m", node="n1"),
    reject(),
    gap(),
)
# As JSON writes them: what no json.dumps() would give, too.
VALUES = [
    *("null", "true", "[]", "{}", '""', "0", "-1", "1.5", "NaN", "Infinity", "-0.0", "1e999", "-1e999", "5e-324"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "9" * 400),
    *("9" * 5_000, "-" + "9" * 5_000, "1e400000000", "0." + "1" * 5_000),
    *('"2024-11-11T00:32:10"', '"2024-11-11T00:32:10+23:59"', '"0001-01-01T00:00:00+14:00"'),
    *(
        '"9999-12-31T23:59:59.999999-14:00"',
        '"2024-02-30T00:00:00Z"',
        '"0000-00-00T00:00:00Z"',
        '"1600-01-01T00:00:00Z"',
    ),
    *(
        '"2024-11-11T24:00:00Z"',
        '"2024-11-11T00:32:60Z"',
        '"2024-11-11 00:32:10Z"',
        '"' + "2" * 400 + '"',
        "1731285130",
    ),
    *('"\\ud800"', '"\\udc00x"', '"\\u0000"', '"\\u2028\\n\\r"', '"a b,c=d\\\\"', '"' + "x" * 70_000 + '"', '"pulled"'),
    *("[" * 5_000 + "]" * 5_000, '{"a":' * 5_000 + "1" + "}" * 5_000, "[" * 100_000, '"\\x"', "'x'", "", "nul"),
    *('"backoff"', '"unheard"', '"' + "é" * 600 + '"', '[1,"2",null]'),
]
SCHEMAS = ["0", "1", "2", "3", "99", "-1", '"2"', "null", "9" * 5_000, "2.0"]
KINDS = ['"pull"', '"milestone"', '"reject"', '"gap"', '"novelty"', '"\\ud800"', "null", "7", '"' + "k" * 9_000 + '"']


def mutated(number: int, seed: int) -> Iterator[bytes]:
    """So many, each with an event_uid or position of its own where it still has one."""
    random = Random(seed)
    plain = [json.loads(encode(record)) for record in RECORDS]
    for place in range(number):
        cells = {name: json.dumps(value) for name, value in random.choice(plain).items()}
        for name in ("event_uid", "position", "from_version"):
            if name in cells:
                cells[name] = f'"mutated-{place}"'
        yield _one(cells, random)


def _one(cells: dict[str, str], random: Random) -> bytes:
    choice = random.randrange(10)
    for _ in range(random.randint(1, 3)):
        name = random.choice(list(cells))
        if choice < 5:
            cells[name] = random.choice(VALUES)
        elif choice == 5:
            del cells[name]
            cells.setdefault("more", random.choice(VALUES))
        elif choice == 6:
            cells["schema"], cells["kind"] = random.choice(SCHEMAS), random.choice(KINDS)
    body = "{" + ",".join(f'"{name}":{value}' for name, value in cells.items()) + "}"
    return _spoilt(body.encode(errors="surrogatepass"), choice, random)


def _spoilt(message: bytes, choice: int, random: Random) -> bytes:
    spoilt = bytearray(message)
    if choice == 7:  # no UTF-8, as likely as not
        for _ in range(random.randint(1, 8)):
            spoilt[random.randrange(len(spoilt))] = random.randrange(256)
    elif choice == 8:
        del spoilt[random.randrange(len(spoilt)) :]
    elif choice == 9:
        place = random.randrange(len(spoilt))
        spoilt[place:place] = random.choice([b"\xff\xfe", b"\x00" * 9, b"[" * 2_000, message, b"\xed\xa0\x80", b'"'])
    return bytes(spoilt)


def named() -> dict[str, bytes]:
    """Those that ended sinks, or look as if they would."""
    record = pull("named", node="n", finished_at=AT)
    plain: dict[str, Any] = json.loads(encode(record))

    def with_(**cells: object) -> bytes:
        return json.dumps(plain | cells).encode()

    return {
        "a time without a zone": with_(finished_at="2024-11-11T00:32:10"),
        "a start without a zone": with_(started_at="2024-11-11T00:32:10"),
        "a time of the year 1": with_(finished_at="0001-01-01T00:00:00+14:00"),
        "a time of the year 9999": with_(finished_at=f"{AT.replace(year=9999).isoformat()}"),
        "an integer of 5,000 digits": with_().replace(b'"count": 1', b'"count": ' + b"9" * 5_000),
        "a size of 400 digits": with_(size=10**399),
        "an integer beyond 64 bits": with_(image_bytes=2**64),
        "a number without an end": with_().replace(b'"count": 1', b'"count": 1, "pull_seconds": 1e999'),
        "a text instead of a number": with_(count="one"),
        "nesting 100,000 deep": b'{"schema":2,"kind":"pull","more":' + b"[" * 100_000,
        "no UTF-8": with_(node="x").replace(b'"x"', b'"\xff\xfe"'),
        "nothing": b"",
        "another kind": with_(kind="novelty"),
        "another schema": with_(schema=10**30),
        "a time a century off": with_(finished_at=(AT + timedelta(days=90_000)).isoformat()),
    }
