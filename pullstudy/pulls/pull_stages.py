"""Where the wall time of one pull went: stages that add up to it."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from pullstudy.pulls.kind import Record
from pullstudy.pulls.record import Outcome
from pullstudy.pulls.stage import StageWitness


class PullStages(Record, frozen=True, kw_only=True, gc=False):
    """One pull inside of a runtime. Identity is ``(cluster, pull)``.

    The stages that are known add up to ``wall_seconds``. One that the witness cannot tell from its neighbour is None,
    and its time is in the neighbour: see docs/stages.md.
    """

    run: Annotated[str | None, Meta(description="the run; empty where it belongs to none")] = None
    size: Annotated[int | None, Meta(description="nodes in the cluster")] = None
    node: Annotated[str | None, Meta(description="the node that pulled")] = None
    namespace: Annotated[str | None, Meta(description="of the pod, where the kubelet's trace tells it")] = None
    pod: Annotated[str | None, Meta(description="the pod's name, where the kubelet's trace tells it")] = None
    pod_uid: Annotated[str | None, Meta(description="the pod's uid, where the kubelet's trace tells it")] = None
    image: Annotated[str | None, Meta(description="as the runtime was asked for it")] = None
    repository: Annotated[str | None, Meta(description="the image's, without tag and digest")] = None
    tag: Annotated[str | None, Meta(description="the image's tag")] = None
    digest: Annotated[str | None, Meta(description="of the manifest of the node's platform")] = None
    outcome: Annotated[Outcome | None, Meta(description="`pulled` or `failed`; empty where nobody says")] = None
    error: Annotated[str | None, Meta(description="of a failed pull, as the runtime says it")] = None
    started_at: Annotated[datetime, Meta(description="when the runtime was asked")]
    finished_at: Annotated[datetime, Meta(description="when it answered")]
    wall_seconds: Annotated[float, Meta(description="from the question to the answer")]
    resolve_seconds: Annotated[float | None, Meta(description="the name, manifest and config")] = None
    prepare_seconds: Annotated[
        float | None, Meta(description="a snapshot to unpack into; empty where `apply_seconds` holds it")
    ] = None
    queue_seconds: Annotated[float | None, Meta(description="until a layer's request was sent")] = None
    first_byte_seconds: Annotated[
        float | None,
        Meta(description="from the request to the answer's headers; empty where `transfer_seconds` holds it"),
    ] = None
    transfer_seconds: Annotated[float | None, Meta(description="from the headers to the last byte")] = None
    ingest_seconds: Annotated[
        float | None, Meta(description="verifying and writing after the last byte; empty where nobody says")
    ] = None
    wait_seconds: Annotated[
        float | None, Meta(description="no layer was worked on: those that were there waited for their turn")
    ] = None
    apply_seconds: Annotated[float | None, Meta(description="decompressing and unpacking")] = None
    commit_seconds: Annotated[
        float | None, Meta(description="committing snapshots; empty where `apply_seconds` holds it")
    ] = None
    finish_seconds: Annotated[float | None, Meta(description="after the last layer: the image's record")] = None
    unattributed_seconds: Annotated[float, Meta(description="what none of these explains")]
    layers: Annotated[int | None, Meta(description="of the image, where its manifest was seen; else those seen")] = None
    layer_bytes: Annotated[int | None, Meta(description="of all layers as the registry has them")] = None
    requests: Annotated[int | None, Meta(description="for layers")] = None
    retries: Annotated[int | None, Meta(description="for layers: requests that failed and were followed")] = None
    parallel: Annotated[bool | None, Meta(description="whether several layers were unpacked at a time")] = None
    complete: Annotated[bool, Meta(description="whether nothing is known to be missing")]
    witness: Annotated[StageWitness, Meta(description="whose word it is: `spans`, `containerd` or `registry`")]
    trace: Annotated[str | None, Meta(description="the id of the trace that it is part of")] = None
    pull: Annotated[str, Meta(description="names the pull; with cluster the identity; for spans trace and span")]
