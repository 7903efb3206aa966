"""The Job that pulls an image once on every node: its manifest."""

from collections.abc import Mapping
from typing import Any

from driver.clusters.labels import CONTAINER, JOB_LABEL, MANAGED_BY
from driver.planning.study import Study


def job_manifest(
    study: Study,
    name: str,
    image: str,
    size: int,
    node_selector: Mapping[str, str] | None = None,
    *,
    hold_seconds: int = 0,
) -> dict[str, Any]:
    """An Indexed Job with as many pods as nodes, no two on one node.

    ``node_selector`` has the labels of the cluster's own nodes. The Job bears them too: by them it is found again.
    ``hold_seconds`` keeps each pod on its node for so long after its container's start.
    """
    mine = dict(node_selector or {})
    labels = {**study.job.labels, **mine, **MANAGED_BY}
    spec = _pod_spec(study, name, image, mine)
    if hold_seconds:
        _hold(spec, hold_seconds)
    template_labels = {**labels, JOB_LABEL: name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": study.cluster.namespace, "labels": labels},
        "spec": {
            "completions": size,
            "parallelism": size,
            "completionMode": "Indexed",
            "backoffLimit": study.job.backoff_limit,
            "activeDeadlineSeconds": max(1, round(study.limits.job_seconds)),
            "template": {"metadata": {"labels": template_labels}, "spec": spec},
        },
    }


def _pod_spec(study: Study, name: str, image: str, mine: dict[str, str]) -> dict[str, Any]:
    container = {
        **study.job.container,
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": study.job.image_pull_policy,
        "command": list(study.job.command),
    }
    spec: dict[str, Any] = {
        **study.job.pod,
        "restartPolicy": "Never",
        "affinity": {"podAntiAffinity": _one_a_node(name)},
        "containers": [container],
        "terminationGracePeriodSeconds": 0,
    }
    if study.job.node_selector or mine:
        spec["nodeSelector"] = {**study.job.node_selector, **mine}
    if study.job.host_network:
        spec["hostNetwork"] = True
    if study.job.tolerations:
        spec["tolerations"] = list(study.job.tolerations)
    if study.job.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": secret} for secret in study.job.image_pull_secrets]
    return spec


def _hold(spec: dict[str, Any], seconds: int) -> None:
    spec["containers"][0]["lifecycle"] = {"postStart": {"sleep": {"seconds": seconds}}}
    spec["terminationGracePeriodSeconds"] = seconds + 1  # the API server takes no sleep that is as long


def _one_a_node(name: str) -> dict[str, Any]:
    # Required, not preferred: the upstream study let the scheduler choose, and used 3 of 4 nodes.
    term = {"labelSelector": {"matchLabels": {JOB_LABEL: name}}, "topologyKey": "kubernetes.io/hostname"}
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
