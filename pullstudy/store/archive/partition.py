"""Partitions and their keys: Hive's layout, which DuckDB, Spark and Trino read.

A cluster's name is any text. What is no letter, digit, dot, dash or underscore is %XX, as Hive escapes it, so that no
name leaves its directory; one too long for a file's name is cut, and a digest of the whole stands behind a tilde.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import unquote

UNKNOWN = "__HIVE_DEFAULT_PARTITION__"  # Hive's for NULL: no time is known, or a cluster without a name
INCOMING = "incoming/"
_MOST_BYTES = 200  # of an escaped name: file systems take 255, and DuckDB, Spark and we write more around it
_KEY = re.compile(r"(?P<table>[a-z_]+)/day=(?P<day>[^/]+)/cluster=(?P<cluster>[^/]+)/(?P=table)\.parquet")


@dataclass(frozen=True)
class Partition:
    """The records of one kind, day (in UTC, of the kind's time) and cluster."""

    table: str  # the kind's plural
    day: str | None
    cluster: str

    @property
    def key(self) -> str:
        return f"{self.table}/day={self.day or UNKNOWN}/cluster={escaped(self.cluster)}/{self.table}.parquet"


@dataclass(frozen=True)
class PartitionKey:
    """What a key tells of its partition."""

    key: str
    day: str | None
    cluster: str | None  # None where the name was cut: the file has it whole

    @staticmethod
    def of(key: str) -> "PartitionKey | None":
        """None where it is the key of no partition."""
        found = _KEY.fullmatch(key)
        if found is None:
            return None
        cluster = found["cluster"]
        named = None if "~" in cluster else ("" if cluster == UNKNOWN else unquote(cluster))
        return PartitionKey(key, None if found["day"] == UNKNOWN else found["day"], named)


def escaped(name: str) -> str:
    """Of a cluster. Two names never have the same."""
    if not name:
        return UNKNOWN
    text = "".join(character if _plain(character) else _percent(character) for character in name)
    if text == UNKNOWN:
        return _percent("_") + text[1:]
    encoded = text.encode()
    if len(encoded) <= _MOST_BYTES:
        return text
    beginning = encoded[: _MOST_BYTES - 66].decode(errors="ignore")
    return f"{beginning}~{sha256(name.encode()).hexdigest()}"


def _plain(character: str) -> bool:
    # Hive takes each %XX for one character: letters beyond ASCII stay as they are, or Spark would show others.
    return character in "._-" or character.isalnum()


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())
