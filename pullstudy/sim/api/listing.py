"""Lists: pages, continue tokens and the version rules of a LIST (kubernetes ``apiserver/pkg/storage/etcd3``)."""

import base64
import binascii
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from pullstudy.sim.api import status
from pullstudy.sim.api.history import History, ObjectVersion
from pullstudy.sim.api.resources import Resource

INCONSISTENT = -1  # the version of a token that goes on with whatever is there now


class ContinueToken(msgspec.Struct, frozen=True):
    """As etcd3's: the version of the first page and the key that the next page starts at."""

    rv: int
    start: str
    v: str = "meta.k8s.io/v1"

    def text(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")


def parse_token(text: str) -> ContinueToken:
    """Raises ApiFailureError 400."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=ContinueToken)
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise status.bad_request(f"continue key is not valid: {error}") from error


@dataclass(frozen=True)
class ListQuery:
    """What is asked for. ``keep`` is scope and selectors in one test."""

    keep: Callable[[ObjectVersion], bool] | None
    limit: int = 0
    continue_token: str = ""
    version: str = ""
    match: str = ""  # resourceVersionMatch


@dataclass(frozen=True)
class ObjectPage:
    version: int
    items: list[ObjectVersion]
    continue_token: str = ""
    remaining: int = 0

    @property
    def meta(self) -> dict[str, str | int]:
        """The list's own metadata."""
        more: dict[str, str | int] = {}
        if self.continue_token:
            more = {"continue": self.continue_token, "remainingItemCount": self.remaining}
        return {"resourceVersion": str(self.version), **more}


def list_page(history: History, resource: Resource, query: ListQuery) -> ObjectPage:
    """One page. Raises ApiFailureError: 410 for a version or token that was compacted, 504 for one still to come."""
    if query.continue_token:
        return _next_page(history, resource, query)
    version = _version_asked(history, query)
    entries = history.entries(resource) if version is None else history.entries_at(resource, version)
    return _cut(history.version if version is None else version, entries, query)


def _version_asked(history: History, query: ListQuery) -> int | None:
    """The exact version to list at, or None for the newest."""
    if query.version in ("", "0"):
        return None
    try:
        version = int(query.version)
    except ValueError:
        raise status.bad_request(f"resourceVersion: Invalid value: {query.version!r}") from None
    if version > history.version:
        raise status.version_too_large(version, history.version)
    exact = query.match == "Exact" or (query.limit and query.match != "NotOlderThan")
    if not exact:
        return None
    if version < history.oldest:
        raise status.expired(f"The provided resourceVersion is too old: {version} ({history.oldest})")
    return version


def _next_page(history: History, resource: Resource, query: ListQuery) -> ObjectPage:
    token = parse_token(query.continue_token)
    if token.rv == INCONSISTENT:
        version, entries = history.version, history.entries(resource)
    elif token.rv < history.oldest:
        raise status.expired_continue(ContinueToken(INCONSISTENT, token.start).text())
    else:
        version, entries = token.rv, history.entries_at(resource, token.rv)
    return _cut(version, entries[bisect_left(entries, token.start, key=_key_text) :], query)


def _cut(version: int, entries: Sequence[ObjectVersion], query: ListQuery) -> ObjectPage:
    kept = list(entries if query.keep is None else filter(query.keep, entries))
    if not query.limit or len(kept) <= query.limit:
        return ObjectPage(version, kept)
    rest = len(kept) - query.limit
    return ObjectPage(version, kept[: query.limit], ContinueToken(version, _key_text(kept[query.limit])).text(), rest)


def _key_text(entry: ObjectVersion) -> str:
    # A zero byte sorts before every character of a name, so that text order is the order of the key pairs.
    return "\0".join(entry.key)


def render(resource: Resource, page: ObjectPage, item: Callable[[bytes], bytes]) -> bytes:
    """The List object; ``item`` turns an entry's bytes into a list's item."""
    return b"".join(
        [
            f'{{"kind":"{resource.kind}List","apiVersion":"{resource.api_version}","metadata":'.encode(),
            msgspec.json.encode(page.meta),
            b',"items":[',
            b",".join([item(entry.data) for entry in page.items]),
            b"]}\n",
        ]
    )
