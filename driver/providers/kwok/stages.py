"""kwok's configuration: nodes by its own stages, pods by none.

Its stages' events name no container and no node (their source is ``kwok_controller``), and their messages are fixed
texts: the kubelets of this package play the pods. Source: kwok 0.7 ``v1alpha1.Stage``, ``pod_controller.go``.
"""

import json

# Where no stage is given for pods, kwok plays its own.
_NO_POD = {
    "apiVersion": "kwok.x-k8s.io/v1alpha1",
    "kind": "Stage",
    "metadata": {"name": "pods-have-kubelets"},
    "spec": {
        "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
        "selector": {"matchLabels": {"pullstudy/kubelet": "none"}},
        "next": {},
    },
}


# By default four at once: a busy API server answers in half a second, and 5,000 leases would run out.
_AT_ONCE = 32
_OPTIONS = {
    "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
    "kind": "KwokConfiguration",
    "options": {"nodeLeaseParallelism": _AT_ONCE, "nodePlayStageParallelism": _AT_ONCE},
}


def stage_file() -> str:
    """As kwok's ``--config`` takes it; JSON is YAML."""
    return "\n---\n".join(json.dumps(document) for document in (_OPTIONS, _NO_POD))
