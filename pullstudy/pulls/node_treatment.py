"""What a node's labels and taints say was done to it that changes how it pulls: what studies compare. Pure.

Sources: the providers' documents of their node labels; GKE's as seen in tests/data.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

_LABELS = {
    "cloud.google.com/gke-image-streaming": "image streaming",
    "kubernetes.azure.com/artifactstreaming-enabled": "artifact streaming",
    "cloud.google.com/gke-ephemeral-storage-local-ssd": "local SSD",
    "cloud.google.com/gke-local-nvme-ssd": "local SSD",
    "karpenter.k8s.aws/instance-local-nvme": "local SSD",
    "cloud.google.com/gke-boot-disk": "boot disk",
    "cloud.google.com/gke-confidential-nodes": "confidential nodes",
    "cloud.google.com/gke-sandbox": "sandbox",
}
_SECONDARY_DISK = "cloud.google.com.node-restriction.kubernetes.io/gke-secondary-boot-disk-"
# Of what a provider or a kubelet's configuration tells of nodes: names by which images come or are kept otherwise.
_OF_ENVIRONMENT = re.compile(
    "treatment|taint|stream|gcfs|soci|snapshotter|stargz|nydus|spegel|dragonfly|kraken|local-?_?ssd|ephemeral|nvme|"
    "boot-?_?disk|volume",
    re.IGNORECASE,
)
# Kubernetes and the autoscaler set and lift these by themselves.
_PASSING_TAINTS = (
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
)


def treatments(labels: Mapping[str, str]) -> tuple[str, ...]:
    """In words, sorted: ``boot disk: pd-balanced``, ``image streaming: true``."""
    return tuple(sorted(_treatments(labels)))


def _treatments(labels: Mapping[str, str]) -> Iterator[str]:
    for name, value in labels.items():
        if name in _LABELS:
            yield f"{_LABELS[name]}: {value}"
        elif name.startswith(_SECONDARY_DISK):
            yield f"secondary boot disk: {name.removeprefix(_SECONDARY_DISK)}={value}"


def lasting_taints(taints: Iterable[str]) -> tuple[str, ...]:
    """Of taints as ``key=value:effect`` those that somebody gave to the node, sorted."""
    return tuple(sorted(taint for taint in taints if not taint.startswith(_PASSING_TAINTS)))


def is_treatment(name: str) -> bool:
    """Whether a name of a cluster's saved environment says of a value that it changes how nodes pull."""
    return _OF_ENVIRONMENT.search(name) is not None
