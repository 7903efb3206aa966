"""A span of a runtime's or a kubelet's tracing, as far as it tells of pulls.

Source of names, attributes and events: containerd 1.7 ``pkg/unpack/unpacker.go``, 2.x ``core/unpack/unpacker.go``,
``core/remotes/docker/resolver.go``, ``core/diff/apply/apply.go``, and spans of 1.7.35 and 2.4.2. Events are the lines
of containerd's log at level debug: without it there are none.
"""

import msgspec

ROOTS = frozenset(("runtime.v1.ImageService/PullImage", "runtime.v1alpha2.ImageService/PullImage"))
UNPACK = "pkg.unpack.unpacker.unpack"
UNPACK_LAYER = "pkg.unpack.unpacker.unpackLayer"
FETCH_LAYER = "pkg.unpack.unpacker.fetchLayer"
HANDLER = "pkg.unpack.unpacker.UnpackHandler"  # of an index, a manifest or a config
REQUEST = "remotes.docker.resolver.HTTPRequest"
SYNC_POD = "syncPod"  # the kubelet's: its attributes name the pod
NAMES = ROOTS | {
    UNPACK,
    UNPACK_LAYER,
    FETCH_LAYER,
    HANDLER,
    REQUEST,
    SYNC_POD,
    "pkg.cri.server.PullImage",  # 1.7, as the others below: the image's name, and the way to the root
    "pkg.cri.sbserver.PullImage",
    "pull.Pull",
    "pull.fetch",
    "pull.UnpackWait",
    "pull.createNewImage",
}
ATTRIBUTES = frozenset(
    (
        "image.ref",
        "image.size.bytes",
        "layer.media.type",
        "layer.media.size",
        "layer.media.digest",
        "descriptor.media.type",
        "descriptor.digest",
        "url.full",
        "http.url",
        "http.response.status_code",
        "http.status_code",
        "k8s.pod.uid",
        "k8s.pod.name",
        "k8s.namespace.name",
    )
)
CHILD = "descriptor.child."  # and its place: what a manifest names, the config first
SENT, ANSWERED, APPLIED = "do request", "fetch response received", "diff applied"
EVENTS = frozenset((SENT, ANSWERED, APPLIED))
EVENT_ATTRIBUTES = frozenset(("d", "digest", "response.status"))


class SpanEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that happened while a span was open."""

    name: str
    at: int  # nanoseconds since 1970
    attributes: dict[str, str] = {}


class Span(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One piece of work. Times are nanoseconds since 1970, of its node's clock.

    Fields are only ever added at the end: they are kept on disk by their order.
    """

    node: str | None = None
    trace: str
    id: str
    parent: str = ""  # empty: it has none
    name: str
    start: int
    end: int
    attributes: dict[str, str] = {}  # those of ATTRIBUTES and CHILD; a list as its texts, with spaces between
    events: tuple[SpanEvent, ...] = ()  # those of EVENTS
    cut: bool = False  # whether the limit of events of whoever made it took some (128 where nobody sets it)
    error: str | None = None
    client: bool = False  # the caller's side of a call: a kubelet's, of the call that the runtime has as its own span


def is_root(span: Span) -> bool:
    """Whether it is a runtime's whole pull."""
    return span.name in ROOTS and not span.client


def is_above_root(span: Span) -> bool:
    """Whether it is a kubelet's."""
    return span.name == SYNC_POD or (span.name in ROOTS and span.client)
