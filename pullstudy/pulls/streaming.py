"""Streaming: what a node's snapshotter says of an image that it mounts from afar instead of pulling it whole."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from pullstudy.pulls.kind import Record


class Streaming(Record, frozen=True, kw_only=True, gc=False):
    """One ImageStreaming event: of one image on one node. Identity is ``(cluster, event_uid, count)``.

    The older form of the message tells no shares: they are None, and the image is streamed.
    """

    run: Annotated[str | None, Meta(description="the run; empty where it belongs to none")] = None
    size: Annotated[int | None, Meta(description="nodes in the cluster")] = None
    node: Annotated[str | None, Meta(description="the node whose snapshotter said it")] = None
    image: Annotated[str, Meta(description="as the snapshotter names it, with its digest")]
    repository: Annotated[str, Meta(description="the image's, without tag and digest")]
    digest: Annotated[str | None, Meta(description="the image's digest")] = None
    streamed_share: Annotated[
        float | None, Meta(description="how much of the image is streamed, 0 to 1, where the message tells it")
    ] = None
    streamed_layers: Annotated[int | None, Meta(description="layers that are streamed")] = None
    disk_share: Annotated[float | None, Meta(description="how much is on a secondary boot disk, 0 to 1")] = None
    disk_layers: Annotated[int | None, Meta(description="layers that are on a secondary boot disk")] = None
    layers: Annotated[int | None, Meta(description="the image's layers")] = None
    combined: Annotated[
        bool | None, Meta(description="whether the event stands for others too, whose images it does not name")
    ] = None
    at: Annotated[datetime | None, Meta(description="when the snapshotter said so")] = None
    count: Annotated[int, Meta(description="how often the event was seen; with cluster and event_uid the identity")]
    event_uid: Annotated[str, Meta(description="of the event that told of it")]
