"""The pod of a job, as the job controller makes it from the template."""

from typing import Any

from pullstudy.sim.api import pods
from pullstudy.sim.api.apiserver import Identities
from pullstudy.sim.api.resources import JOBS

Json = dict[str, Any]


def new_pod(job: Json, index: int, identities: Identities) -> Json:
    """With its index, if the job is indexed, in name, label and annotation."""
    meta, spec = job["metadata"], job["spec"]
    template_meta = spec["template"].get("metadata") or {}
    labels = dict(template_meta.get("labels") or {})
    annotations = dict(template_meta.get("annotations") or {})
    pod_spec = pods.with_defaults(spec["template"]["spec"])
    name = meta["name"]
    if spec.get("completionMode") == "Indexed":
        name = f"{name}-{index}"
        labels[pods.INDEX_KEY] = annotations[pods.INDEX_KEY] = str(index)
        pod_spec["hostname"] = name
    return {
        "metadata": {
            "name": f"{name}-{identities.suffix()}",
            "generateName": f"{name}-",
            "namespace": meta["namespace"],
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [_owner(meta)],
            "finalizers": [pods.TRACKING_FINALIZER],
        },
        "spec": pod_spec,
        "status": pods.new_status(),
    }


def _owner(meta: Json) -> Json:
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
