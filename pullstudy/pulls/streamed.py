"""Whether a pull was streamed: then its duration is that of mounting the image, and no bytes had to come before.

An event proves it. The absence of one proves nothing on a node that streams: client-go's recorder sends 25 events of
one source about one object and then one every 300 s, so that a node that starts with many images says nothing of later
ones (seen: none of the applications' images in tests/data/gke-streaming-on has an event).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum

from pullstudy.pulls.record import PullRecord
from pullstudy.pulls.streaming import Streaming

# Source: GKE, "Use Image streaming to pull container images": the image has to be in Artifact Registry; AKS, "artifact
# streaming": in Azure Container Registry.
_STREAMING_REGISTRIES = ("pkg.dev", "gcr.io", "azurecr.io")
_STREAMING_LABELS = (
    "cloud.google.com/gke-image-streaming",
    "cloud.google.com/gke-gcfs",
    "kubernetes.azure.com/artifactstreaming-enabled",
)
_NEAR = timedelta(seconds=2)  # events' times may be whole seconds, and the image is mounted before the pull ends


class Streamed(StrEnum):
    """What is known of one pull."""

    STREAMED = "streamed"
    WHOLE = "whole"
    UNKNOWN = "unknown"


def streams_images(labels: Mapping[str, str]) -> bool:
    """Whether a node's labels say that it streams the images that it can."""
    return any(labels.get(name) == "true" for name in _STREAMING_LABELS)


class StreamedPulls:
    """By the streamings that were recorded, and the nodes that say of themselves whether they stream."""

    def __init__(self, streamings: Iterable[Streaming], nodes: Mapping[tuple[str, str], bool]) -> None:
        """``nodes`` by cluster and name, of those whose labels are known: ``streams_images`` of them."""
        self._nodes = nodes
        self._seen: dict[tuple[str, str | None], list[Streaming]] = defaultdict(list)
        for streaming in streamings:
            self._seen[streaming.cluster, streaming.node].append(streaming)
        self._clusters = {cluster for cluster, _ in self._seen} | {key[0] for key, streams in nodes.items() if streams}

    def of(self, pull: PullRecord) -> Streamed:
        """Of this pull."""
        if pull.cluster not in self._clusters:
            return Streamed.WHOLE
        seen = self._seen.get((pull.cluster, pull.node), [])
        for streaming in seen:
            if _tells_of(streaming, pull):
                return Streamed.WHOLE if streaming.streamed_share == 0 else Streamed.STREAMED
        if not _can_be_streamed(pull.repository):
            return Streamed.WHOLE
        marked = self._nodes.get((pull.cluster, pull.node or ""))
        return Streamed.WHOLE if marked is False and not seen else Streamed.UNKNOWN


def _can_be_streamed(repository: str | None) -> bool:
    """True where the image is not known either."""
    registry = (repository or "").partition("/")[0]
    return repository is None or any(f".{registry}".endswith(f".{each}") for each in _STREAMING_REGISTRIES)


def _tells_of(streaming: Streaming, pull: PullRecord) -> bool:
    if pull.digest is not None and streaming.digest is not None:
        return pull.digest == streaming.digest
    # The kubelet named a tag and the snapshotter a digest: by the repository, while the pull was under way.
    if streaming.repository != pull.repository or streaming.at is None or pull.finished_at is None:
        return False
    return (pull.started_at or pull.finished_at) - _NEAR <= streaming.at <= pull.finished_at + _NEAR
