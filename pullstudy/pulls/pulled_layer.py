"""One layer in one pull: what it took, stage by stage."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from pullstudy.pulls.kind import Record
from pullstudy.pulls.stage import StageWitness


class LayerOrigin(StrEnum):
    """Where the bytes of a layer came from."""

    REGISTRY = "registry"  # the image's own
    MIRROR = "mirror"  # another host, which the runtime asks in its place
    PEER = "peer"  # a mirror on the node itself, which gets it from other nodes


class PulledLayer(Record, frozen=True, kw_only=True, gc=False):
    """One layer in one pull. Identity is ``(cluster, pull, layer_digest, repeat)``.

    Layers overlap: a stage's seconds are what this layer took, ``held_seconds`` what it held the pull up.
    """

    run: Annotated[str | None, Meta(description="the run; empty where it belongs to none")] = None
    size: Annotated[int | None, Meta(description="nodes in the cluster")] = None
    node: Annotated[str | None, Meta(description="the node that pulled")] = None
    image: Annotated[str | None, Meta(description="as the runtime was asked for it")] = None
    repository: Annotated[str | None, Meta(description="the image's, without tag and digest")] = None
    position: Annotated[int | None, Meta(description="in the image, from 0, the lowest")] = None
    layer_digest: Annotated[str, Meta(description="the layer's own: of its bytes as the registry has them")]
    repeat: Annotated[int, Meta(description="0; an image may have a layer twice: the second is 1")] = 0
    media_type: Annotated[str | None, Meta(description="as the manifest says")] = None
    layer_bytes: Annotated[int | None, Meta(description="as the registry has it")] = None
    unpacked_bytes: Annotated[int | None, Meta(description="unpacked")] = None
    prepare_at: Annotated[datetime | None, Meta(description="when preparing its snapshot began")] = None
    prepare_seconds: Annotated[float | None, Meta(description="preparing its snapshot")] = None
    queue_at: Annotated[datetime | None, Meta(description="when it was asked for")] = None
    queue_seconds: Annotated[float | None, Meta(description="waiting for its request to be sent")] = None
    first_byte_at: Annotated[datetime | None, Meta(description="when the request was sent")] = None
    first_byte_seconds: Annotated[float | None, Meta(description="from the request to the answer's headers")] = None
    transfer_at: Annotated[datetime | None, Meta(description="when the headers were there")] = None
    transfer_seconds: Annotated[float | None, Meta(description="from the headers to the last byte")] = None
    ingest_at: Annotated[datetime | None, Meta(description="when the last byte was read")] = None
    ingest_seconds: Annotated[float | None, Meta(description="verifying and writing after the last byte")] = None
    wait_at: Annotated[datetime | None, Meta(description="when it began to wait for its turn, the first time")] = None
    wait_seconds: Annotated[float | None, Meta(description="there, and waiting for its turn")] = None
    apply_at: Annotated[datetime | None, Meta(description="when decompressing began")] = None
    apply_seconds: Annotated[float | None, Meta(description="decompressing and unpacking")] = None
    commit_at: Annotated[datetime | None, Meta(description="when committing began")] = None
    commit_seconds: Annotated[float | None, Meta(description="committing its snapshot")] = None
    held_seconds: Annotated[float | None, Meta(description="of the pull's wall time, what it held up")] = None
    finished_at: Annotated[datetime | None, Meta(description="the end of its last stage that is known")] = None
    requests: Annotated[int | None, Meta(description="for it, redirects and authentication among them")] = None
    retries: Annotated[int | None, Meta(description="requests for it that failed and were followed by another")] = None
    origin: Annotated[
        LayerOrigin | None,
        Meta(description="where it came from: `registry`, `mirror`, or `peer` (a proxy on the node itself)"),
    ] = None
    host: Annotated[str | None, Meta(description="that was asked first, with its port")] = None
    present: Annotated[
        bool | None, Meta(description="whether its bytes were on the node: no request was made for it")
    ] = None
    witness: Annotated[StageWitness, Meta(description="whose word it is: `spans`, `containerd` or `registry`")]
    pull: Annotated[str, Meta(description="names the pull, as in `pull_stages`")]
