"""The Job that pulls an image once on every node: its manifest."""

from typing import Any

from driver.study import Study

MANAGED_BY = {"app.kubernetes.io/managed-by": "pulldriver"}
CONTAINER = "pull"


def job_manifest(study: Study, name: str, image: str, size: int) -> dict[str, Any]:
    """An Indexed Job with as many pods as nodes, no two on one node."""
    template_labels = {**study.job.labels, **MANAGED_BY, "pullstudy/job": name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": study.cluster.namespace, "labels": {**study.job.labels, **MANAGED_BY}},
        "spec": {
            "completions": size,
            "parallelism": size,
            "completionMode": "Indexed",
            "backoffLimit": study.job.backoff_limit,
            "activeDeadlineSeconds": max(1, round(study.limits.job_seconds)),
            "template": {"metadata": {"labels": template_labels}, "spec": _pod_spec(study, name, image)},
        },
    }


def _pod_spec(study: Study, name: str, image: str) -> dict[str, Any]:
    container = {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": study.job.image_pull_policy,
        "command": list(study.job.command),
    }
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "affinity": {"podAntiAffinity": _one_a_node(name)},
        "containers": [container],
        "terminationGracePeriodSeconds": 0,
    }
    if study.job.node_selector:
        spec["nodeSelector"] = study.job.node_selector
    if study.job.tolerations:
        spec["tolerations"] = list(study.job.tolerations)
    if study.job.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": secret} for secret in study.job.image_pull_secrets]
    return spec


def _one_a_node(name: str) -> dict[str, Any]:
    # Required, not preferred: the upstream study let the scheduler choose, and used 3 of 4 nodes.
    term = {"labelSelector": {"matchLabels": {"pullstudy/job": name}}, "topologyKey": "kubernetes.io/hostname"}
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
