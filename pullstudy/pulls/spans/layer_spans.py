"""What the spans of a pull say of each of its layers."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from pullstudy.pulls.duration import DurationError, parse_nanoseconds
from pullstudy.pulls.spans.pull_trace import PullTrace
from pullstudy.pulls.spans.span import (
    ANSWERED,
    APPLIED,
    CHILD,
    FETCH_LAYER,
    HANDLER,
    REQUEST,
    SENT,
    UNPACK_LAYER,
    Span,
)

Interval = tuple[int, int]  # nanoseconds since 1970

_DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,128}")
_BLOB = re.compile(r"/blobs/([a-z0-9]+:[0-9a-f]{32,128})")
_UNAUTHORISED = 401  # the answer that says where to get a token: no failure


@dataclass(frozen=True, slots=True)
class Request:
    """One request for a layer."""

    interval: Interval
    host: str | None
    mirrored: bool  # the runtime named the registry that it asked in the place of
    failed: bool


@dataclass(frozen=True, slots=True)
class LayerSpans:
    """Of one layer of one pull; what no span told is None."""

    digest: str
    repeat: int = 0
    position: int | None = None
    media_type: str | None = None
    size: int | None = None  # bytes
    unpack: Interval | None = None  # holds the wait for the download and for earlier layers
    fetch: Interval | None = None  # containerd 1.7 before its fix: ends before the download begins
    requests: tuple[Request, ...] = ()  # by start
    sent: int | None = None
    answered: int | None = None
    applied: Interval | None = None
    present: bool | None = None


@dataclass(slots=True)
class _Found:
    unpacks: list[Span] = field(default_factory=list)
    fetches: list[Span] = field(default_factory=list)
    requests: list[Span] = field(default_factory=list)
    applied: list[Interval] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Of the node's platform."""

    digest: str | None
    layers: tuple[str, ...]  # digests, the lowest first


def manifest_of(trace: PullTrace) -> Manifest | None:
    for span in trace.spans:
        kind = span.attributes.get("descriptor.media.type", "")
        if span.name == HANDLER and "manifest" in kind and not ("list" in kind or "index" in kind):
            children = [_digest(text) for _, text in sorted(_children(span))]
            layers = tuple(digest for digest in children[1:] if digest)
            if layers:
                return Manifest(span.attributes.get("descriptor.digest"), layers)
    return None


def _children(span: Span) -> Iterable[tuple[int, str]]:
    for name, text in span.attributes.items():
        place = name.removeprefix(CHILD)
        if place != name and place.isdigit():
            yield int(place), text


def _digest(text: str) -> str | None:
    found = _DIGEST.search(text)
    return found[0] if found else None


def layers_of(trace: PullTrace, manifest: Manifest | None) -> list[LayerSpans]:
    """In the order of the image where the manifest was seen, else in that in which they were unpacked or fetched."""
    found = _found(trace)
    layers = [layer for digest, spans in found.items() for layer in _of_digest(digest, spans, trace)]
    told = _tells_all(trace, layers)
    places: dict[str, list[int]] = {}
    for place, digest in enumerate(manifest.layers if manifest is not None else ()):
        places.setdefault(digest, []).append(place)
    known = [replace(layer, present=_present(layer, told), position=_place(places, layer)) for layer in layers]
    return sorted(known, key=lambda layer: (layer.position is None, layer.position or 0, *_order(layer)))


def _place(places: dict[str, list[int]], layer: LayerSpans) -> int | None:
    of_digest = places.get(layer.digest, [])
    return of_digest[layer.repeat] if layer.repeat < len(of_digest) else None


def _order(layer: LayerSpans) -> tuple[bool, int, str, int]:
    first = layer.unpack or layer.fetch
    return (layer.unpack is None, first[0] if first else 0, layer.digest, layer.repeat)


def _found(trace: PullTrace) -> dict[str, _Found]:
    found: dict[str, _Found] = {}
    fetch_of = {span.id: span.attributes.get("layer.media.digest") for span in trace.spans if span.name == FETCH_LAYER}
    unpacked = {span.attributes.get("layer.media.digest") for span in trace.spans if span.name == UNPACK_LAYER}
    ours = {digest for digest in (*fetch_of.values(), *unpacked) if digest}
    for span in trace.spans:
        digest = span.attributes.get("layer.media.digest")
        if span.name == UNPACK_LAYER and digest:
            found.setdefault(digest, _Found()).unpacks.append(span)
        elif span.name == FETCH_LAYER and digest:
            found.setdefault(digest, _Found()).fetches.append(span)
        elif span.name == REQUEST:
            asked = fetch_of.get(span.parent) or _asked_for(span)
            if asked in ours:  # else the manifest's or the config's
                found.setdefault(asked, _Found()).requests.append(span)
        for interval, of in _applied(span):
            found.setdefault(of, _Found()).applied.append(interval)
    return found


def _asked_for(span: Span) -> str:
    found = _BLOB.search(_url(span))
    return found[1] if found else ""


def _url(span: Span) -> str:
    return span.attributes.get("url.full") or span.attributes.get("http.url", "")


def _applied(span: Span) -> Iterable[tuple[Interval, str]]:
    """containerd logs "diff applied" when that is over, with how long it took."""
    for event in span.events:
        digest = event.attributes.get("digest")
        if event.name == APPLIED and digest:
            try:
                took = parse_nanoseconds(event.attributes.get("d", ""))
            except DurationError:
                continue
            yield (event.at - took, event.at), digest


def _of_digest(digest: str, found: _Found, trace: PullTrace) -> list[LayerSpans]:
    """An image may have the same layer several times: their spans are in the order of the image."""
    repeats = max(len(found.unpacks), len(found.fetches), len(found.applied), 1)
    applied = sorted(found.applied)
    layers = []
    for repeat in range(repeats):
        unpack, fetch = _at(found.unpacks, repeat), _at(found.fetches, repeat)
        requests = _requests_of(found, fetch, repeat, trace)
        told = (unpack or fetch or trace.root).attributes
        size = told.get("layer.media.size", "")
        layers.append(
            LayerSpans(
                digest=digest,
                repeat=repeat,
                media_type=told.get("layer.media.type"),
                size=int(size) if size.isdecimal() else None,
                unpack=(unpack.start, unpack.end) if unpack else None,
                fetch=(fetch.start, fetch.end) if fetch else None,
                requests=tuple(map(_request, requests)),
                sent=_first(fetch, SENT),
                answered=_answered(fetch),
                applied=applied[repeat] if repeat < len(applied) else None,
            )
        )
    return layers


def _at(spans: Sequence[Span], place: int) -> Span | None:
    return spans[place] if place < len(spans) else None


def _requests_of(found: _Found, fetch: Span | None, repeat: int, trace: PullTrace) -> list[Span]:
    """Those below the layer's own fetch; those below none that was seen are the first layer's of the digest."""
    fetches = {span.id for span in found.fetches}
    return [
        span
        for span in found.requests
        if (fetch is not None and span.parent == fetch.id) or (repeat == 0 and span.parent not in fetches)
    ]


def _request(span: Span) -> Request:
    url = urlsplit(_url(span)) if _BLOB.search(_url(span)) else None
    status = span.attributes.get("http.response.status_code") or span.attributes.get("http.status_code", "")
    code = int(status) if status.isdecimal() else None
    return Request(
        interval=(span.start, span.end),
        host=url.netloc or None if url else None,
        mirrored=url is not None and "ns=" in url.query,
        failed=span.error is not None or code is None or (code >= 400 and code != _UNAUTHORISED),
    )


def _first(span: Span | None, name: str) -> int | None:
    return min((event.at for event in span.events if event.name == name), default=None) if span else None


def _answered(fetch: Span | None) -> int | None:
    """When the headers of the answer with the bytes were there: a redirect or a 401 may come before it."""
    answers = [event for event in fetch.events if event.name == ANSWERED] if fetch else []
    good = [event.at for event in answers if event.attributes.get("response.status", "2").startswith("2")]
    return min(good, default=None)


def _tells_all(trace: PullTrace, layers: Sequence[LayerSpans]) -> bool:
    """Whether what was not said did not happen: no span is known to be missing, and the debug log is on and uncut."""
    logged = any(layer.applied is not None for layer in layers)
    nothing_fetched = not any(layer.fetch or layer.requests for layer in layers)
    return trace.whole and (logged or nothing_fetched) and not any(span.cut for span in trace.spans)


def _present(layer: LayerSpans, told: bool) -> bool | None:
    """A layer that is unpacked already is not fetched; the fetch of one in the content store makes no request."""
    if layer.requests or layer.sent is not None:
        return False
    unfetched = layer.fetch is None and layer.applied is not None  # its fetch span is lost
    return True if told and not unfetched else None
