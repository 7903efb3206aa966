"""The spans of one pull, as containerd 2.4 makes them with its log at level debug.

Source: spans of containerd 2.4.2 (tests/data/containerd-spans). What resolving consists of is in equal parts: the
model tells no more of it than its length.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pullstudy.pulls.duration import format_nanoseconds
from pullstudy.pulls.image import full_reference
from pullstudy.sim.model.images import Image, ImageLayer
from pullstudy.sim.model.layer_times import LayerTimes
from pullstudy.sim.model.pull_model import PullCourse
from pullstudy.sim.tracing import otlp_message as otlp

ROOT = "runtime.v1.ImageService/PullImage"
UNPACK = "pkg.unpack.unpacker.unpack"
UNPACK_LAYER = "pkg.unpack.unpacker.unpackLayer"
FETCH_LAYER = "pkg.unpack.unpacker.fetchLayer"
HANDLER = "pkg.unpack.unpacker.UnpackHandler"
REQUEST = "remotes.docker.resolver.HTTPRequest"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_AGENT = "containerd/v2.4.2"
_SOCKET = "/run/containerd/containerd.sock"
_DEBUG: Mapping[str, otlp.Attribute] = {"level": "debug"}
_NAMES = {name: otlp.named(name, otlp.SERVER if name == ROOT else otlp.INTERNAL) for name in
          (ROOT, UNPACK, UNPACK_LAYER, FETCH_LAYER, HANDLER, REQUEST)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SpanIds:
    """Of one trace. ``next`` gives a new span's."""

    trace: bytes
    next: Callable[[], bytes]


@dataclass(slots=True)
class MadeSpan:
    """What is told of one span; times in ns."""

    ids: SpanIds
    id: bytes
    parent: bytes
    name: str
    start: int
    end: int
    attributes: bytes
    events: Sequence[bytes] = ()
    more: bytes = b""

    def encoded(self, most_events: int | None = None) -> bytes:
        """With so many of its events at most."""
        tail = (self.attributes, *self.events, self.more)
        if most_events is not None and len(self.events) > most_events:
            dropped = otlp.dropped_events(len(self.events) - most_events)
            tail = (self.attributes, *self.events[:most_events], dropped, self.more)
        return otlp.span(self.ids.trace, self.id, self.parent, _NAMES[self.name], self.start, self.end, tail)


def pull_spans(
    image: Image, course: PullCourse, times: Sequence[LayerTimes], ids: SpanIds, ns: Callable[[float], int]
) -> Iterator[MadeSpan]:
    """Of a pull that went well. ``ns`` is the node's clock: nanoseconds since 1970 at that moment."""
    texts = _texts(image)
    root, unpack = ids.next(), ids.next()
    start, resolved, end = ns(course.started_at), ns(course.resolved_at), ns(course.ended_at)
    yield MadeSpan(ids, root, b"", ROOT, start, end, texts.root)
    yield from _resolving(texts, ids, root, start, resolved)
    applied: list[bytes] = []
    fetched = iter(times)
    turn = resolved
    there = {each.layer.digest for each in times}
    for layer, told in zip(image.layers, texts.layers, strict=True):
        if layer.digest not in there:
            yield MadeSpan(ids, ids.next(), unpack, UNPACK_LAYER, turn, turn, told.layer)
            continue
        each = next(fetched)
        committed = ns(each.committed_at)
        yield from _layer(told, each, ids, unpack, ns)
        yield MadeSpan(ids, ids.next(), unpack, UNPACK_LAYER, turn, committed, told.layer)
        applied += _applied(told, each, turn, ns)
        turn = committed
    yield MadeSpan(ids, unpack, root, UNPACK, resolved, end, b"", applied)


def failed_pull_span(image: Image, error: str, ids: SpanIds, start_ns: int, end_ns: int) -> MadeSpan:
    """Of one that failed: the root alone."""
    return MadeSpan(ids, ids.next(), b"", ROOT, start_ns, end_ns, _texts(image).asked, more=otlp.failed(error))


def _resolving(texts: "_Texts", ids: SpanIds, root: bytes, start: int, end: int) -> Iterator[MadeSpan]:
    """The tag's digest is asked for, then the manifest, then the config."""
    third = (end - start) // 3
    manifest, config = start + third, start + 2 * third
    yield MadeSpan(ids, ids.next(), root, REQUEST, start, manifest, texts.resolving)
    for handler, request, begun, over in (
        (texts.manifest, texts.manifest_request, manifest, config),
        (texts.config, texts.config_request, config, end),
    ):
        id = ids.next()
        yield MadeSpan(ids, id, root, HANDLER, begun, over, handler)
        yield MadeSpan(ids, ids.next(), id, REQUEST, begun, over, request)


def _layer(
    told: "_LayerTexts", each: LayerTimes, ids: SpanIds, unpack: bytes, ns: Callable[[float], int]
) -> Iterator[MadeSpan]:
    id, asked, sent, there = ids.next(), ns(each.asked_at), ns(each.sent_at), ns(each.there_at)
    moments = (asked, sent, sent, ns(each.answered_at))
    events = [otlp.timed(event, at) for event, at in zip(told.events, moments, strict=True)]
    yield MadeSpan(ids, id, unpack, FETCH_LAYER, asked, there, told.layer, events)
    yield MadeSpan(ids, ids.next(), id, REQUEST, sent, there, told.request)


def _applied(told: "_LayerTexts", each: LayerTimes, turn: int, ns: Callable[[float], int]) -> tuple[bytes, bytes]:
    """containerd says how long it took when it is over."""
    at, committed = ns(each.applied_at), ns(each.committed_at)
    took = otlp.pair("d", format_nanoseconds(at - ns(each.apply_at)))
    lasted = otlp.pair("duration", format_nanoseconds(committed - turn))
    return otlp.timed_event(at, told.applied + took), otlp.timed_event(committed, told.unpacked + lasted)


@dataclass(frozen=True, slots=True)
class _LayerTexts:
    layer: bytes
    request: bytes
    events: tuple[tuple[bytes, bytes], ...]
    applied: bytes  # without how long it took
    unpacked: bytes


@dataclass(frozen=True, slots=True)
class _Texts:
    """What all pulls of an image say alike, as bytes."""

    asked: bytes
    root: bytes
    resolving: bytes
    manifest: bytes
    manifest_request: bytes
    config: bytes
    config_request: bytes
    layers: tuple[_LayerTexts, ...]


@lru_cache(maxsize=64)
def _texts(image: Image) -> _Texts:
    reference = full_reference(image.reference)
    host = "registry-1.docker.io" if reference.host == "docker.io" else reference.host
    where = f"https://{host}/v2/{reference.repository}"
    config = "sha256:" + hashlib.sha256(f"config {image.digest}".encode()).hexdigest()
    asked: dict[str, otlp.Attribute] = {
        "rpc.method": ROOT,
        "rpc.system.name": "grpc",
        "server.address": _SOCKET,
        "image.ref": image.reference,
        "snapshotter.name": "overlayfs",
    }
    children = [(CONFIG_TYPE, config), *((LAYER_TYPE, layer.digest) for layer in image.layers)]
    manifest: dict[str, otlp.Attribute] = {"descriptor.media.type": MANIFEST_TYPE, "descriptor.digest": image.digest}
    done: dict[str, otlp.Attribute] = {
        "image.id": config,
        "image.size.bytes": image.image_bytes,
        "rpc.response.status_code": "OK",
    }
    return _Texts(
        asked=otlp.attributes(asked),
        root=otlp.attributes({**asked, **done}),
        resolving=_request("HEAD", f"{where}/manifests/{reference.tag or reference.digest}", host),
        manifest=otlp.attributes(
            {**manifest, **{f"descriptor.child.{place}": child for place, child in enumerate(children)}}
        ),
        manifest_request=_request("GET", f"{where}/manifests/{image.digest}", host),
        config=otlp.attributes({"descriptor.media.type": CONFIG_TYPE, "descriptor.digest": config}),
        config_request=_request("GET", f"{where}/blobs/{config}", host),
        layers=tuple(_layer_texts(layer, f"{where}/blobs/{layer.digest}", host) for layer in image.layers),
    )


def _request(method: str, url: str, host: str) -> bytes:
    name, _, port = host.partition(":")
    return otlp.attributes(
        {
            "http.request.method": method,
            "url.full": url,
            "server.address": name,
            "server.port": int(port) if port.isdecimal() else 443,
            "network.protocol.version": "1.1",
            "http.response.status_code": 200,
        }
    )


def _layer_texts(layer: ImageLayer, url: str, host: str) -> _LayerTexts:
    size = layer.compressed_bytes
    of: dict[str, otlp.Attribute] = {"digest": layer.digest, "mediatype": LAYER_TYPE, "size": size}
    whole: dict[str, otlp.Attribute] = {"initial_parallelism": 3, "parallelism": 1, "chunk_size": 0, "offset": 0}
    asking: dict[str, otlp.Attribute] = {
        "request.header.accept": f"{LAYER_TYPE}, */*",
        "request.header.accept-encoding": "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5",
        "request.header.user-agent": _AGENT,
        "request.method": "GET",
        "url": url,
    }
    answer: dict[str, otlp.Attribute] = {
        "response.header.content-length": str(size),
        "response.header.content-type": "application/octet-stream",
        "response.header.docker-content-digest": layer.digest,
        "response.status": "200 OK",
        "url": url,
    }
    return _LayerTexts(
        layer=otlp.attributes(
            {"layer.media.type": LAYER_TYPE, "layer.media.size": size, "layer.media.digest": layer.digest}
        ),
        request=_request("GET", url, host),
        events=(
            otlp.event("fetch", {**of, **_DEBUG}),
            otlp.event("fetching layer", {**of, **whole, **_DEBUG}),
            otlp.event("do request", {**of, **asking, **_DEBUG}),
            otlp.event("fetch response received", {**of, **answer, **_DEBUG}),
        ),
        applied=otlp.event("diff applied", {"size": size, "media": LAYER_TYPE, "digest": layer.digest, **_DEBUG})[1],
        unpacked=otlp.event("layer unpacked", {"layer": layer.digest, **_DEBUG})[1],
    )
