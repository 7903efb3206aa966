"""The stages of a pull: what holds it up, from the question for its manifest to the image's record."""

from enum import StrEnum


class Stage(StrEnum):
    """In the order in which a layer goes through them; ``resolve`` is before all layers, ``finish`` after them."""

    RESOLVE = "resolve"  # the name, manifest and config
    PREPARE = "prepare"  # a snapshot to unpack into
    QUEUE = "queue"  # until the layer's request is sent: for a download's turn, or for another pull of the same layer
    FIRST_BYTE = "first_byte"  # from the request to the answer's headers
    TRANSFER = "transfer"  # from the headers to the last byte
    INGEST = "ingest"  # the rest of the download: digest, write, rename
    WAIT = "wait"  # the layer is there and its turn has not come: earlier layers, or a turn to unpack
    APPLY = "apply"  # decompress and unpack
    COMMIT = "commit"  # the snapshot
    FINISH = "finish"  # the image's record
    UNATTRIBUTED = "unattributed"


LAYER_STAGES = (
    Stage.PREPARE,
    Stage.QUEUE,
    Stage.FIRST_BYTE,
    Stage.TRANSFER,
    Stage.INGEST,
    Stage.WAIT,
    Stage.APPLY,
    Stage.COMMIT,
)


class StageWitness(StrEnum):
    """Whose word the times are."""

    SPANS = "spans"  # of the runtime's tracing
    CONTAINERD = "containerd"  # its API: events, and what its content store and snapshots tell
    REGISTRY = "registry"  # the registry's own log
