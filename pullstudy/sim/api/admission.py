"""What becomes of an object before it is kept: checked, given defaults, and rid of what is not the client's to say."""

from typing import Any

from pullstudy.sim.api import status
from pullstudy.sim.api.apiserver import Identities
from pullstudy.sim.api.pods import new_status, with_defaults

Json = dict[str, Any]

NAME_LIMIT = 63
_SERVER_FIELDS = ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "generation", "selfLink")


def admit_meta(obj: Json, namespace: str | None) -> Json:
    """The object with metadata of its own. Raises ApiFailureError 400 or 422."""
    meta = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in _SERVER_FIELDS and value}
    if not meta.get("name") and not meta.get("generateName"):
        raise status.invalid(
            obj.get("kind", ""), "", "", "metadata.name", "Required value: name or generateName is required"
        )
    if namespace is not None and meta.setdefault("namespace", namespace) != namespace:
        raise status.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    body = {key: value for key, value in obj.items() if key not in ("kind", "apiVersion", "metadata")}
    return {"metadata": meta, **body}


def admit_job(obj: Json, namespace: str, identities: Identities) -> Json:
    """A Job with its defaults, its selector, and its pods' labels. Raises ApiFailureError 422."""
    job = admit_meta(obj, namespace)
    meta, spec = job["metadata"], dict(job.get("spec") or {})
    meta.setdefault("name", f"{meta.get('generateName', '')}{identities.suffix()}")
    name, indexed = meta["name"], spec.get("completionMode") == "Indexed"
    _check_job(name, spec, indexed)
    meta["uid"] = uid = identities.uid()
    meta["generation"] = 1
    own = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    template = spec["template"]
    template_meta = template.get("metadata") or {}
    labels = {**(template_meta.get("labels") or {}), **own}
    meta.setdefault("labels", dict(template_meta.get("labels") or {}) or dict(own))
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec = {
        "parallelism": 1,
        "backoffLimit": 2147483647 if "backoffLimitPerIndex" in spec else 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "TerminatingOrFailed",
        **{key: value for key, value in spec.items() if value is not None},
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
        "template": {"metadata": {**template_meta, "labels": labels}, "spec": with_defaults(template["spec"])},
    }
    return {"metadata": meta, "spec": spec, "status": {}}


def _check_job(name: str, spec: Json, indexed: bool) -> None:
    policy = spec["template"]["spec"].get("restartPolicy")
    if policy not in ("OnFailure", "Never"):
        why = f'Required value: valid values: "OnFailure", "Never"; got {policy!r}'
        raise status.invalid("Job", "batch", name, "spec.template.spec.restartPolicy", why)
    if indexed:
        if spec.get("completions") is None:
            why = "Required value: when completion mode is Indexed"
            raise status.invalid("Job", "batch", name, "spec.completions", why)
        # The pods' host name is the job's with the index.
        if len(f"{name}-{spec['completions'] - 1}") > NAME_LIMIT:
            why = "will not able to create pod with invalid DNS label: must be no more than 63 characters"
            raise status.invalid("Job", "batch", name, "metadata.name", why)
    elif len(name) > NAME_LIMIT:
        raise status.invalid("Job", "batch", name, "metadata.name", "must be no more than 63 characters")


def admit_pod(obj: Json, namespace: str) -> Json:
    """Raises ApiFailureError 422."""
    pod = admit_meta(obj, namespace)
    return {"metadata": pod["metadata"], "spec": with_defaults(pod["spec"]), "status": new_status()}


def admit_namespace(obj: Json) -> Json:
    namespace = admit_meta(obj, None)
    meta = namespace["metadata"]
    meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta.get("name", "")}
    return {"metadata": meta, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
