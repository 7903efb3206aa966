"""Who made a pod: its controller, as an event or the pod itself tells it, or as far as the pod's name does. Pure.

Sources: apimachinery ``util/rand`` (generated names end in five characters of an alphabet without vowels, 0, 1 and 3;
a template's hash is a 32-bit number whose decimal digits that alphabet writes as 4 to 9, b, c, d and f), kubernetes
``pkg/controller`` for each controller's names.
"""

import re
from collections.abc import Iterable, Mapping

import msgspec

from pullstudy.pulls.text_cache import cached_by_text


class OwnerReference(msgspec.Struct, frozen=True, gc=False):
    """One of an object's owners; a pod has one as a rule, its controller."""

    kind: str = ""
    name: str = ""
    uid: str = ""


class Belonging(msgspec.Struct, frozen=True, gc=False):
    """Where a pod belongs; what is not told is None. ``owner`` is ``Kind/name``, and None where only a name told it."""

    job: str | None = None
    job_uid: str | None = None
    owner: str | None = None


class PodOwner(msgspec.Struct, frozen=True, gc=False):
    """What people deployed the pod by. ``kind`` is None where the pod's name alone cannot tell it."""

    kind: str | None
    name: str


STATIC_POD = "static pod"  # as kind: a file on the node made it

_SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]{5}"
_HASH = "[4-9bcdf]{7,10}"  # all but one in 4,000 of them
_MOST_DIGITS = 6  # of a completion index; longer ones are hashes of Deployments and minutes of CronJobs
_INDEXED_POD = re.compile(rf"(.+)-(?:0|[1-9]\d{{0,{_MOST_DIGITS - 1}}})-{_SUFFIX}")
_DEPLOYMENT_POD = re.compile(rf"(.+)-{_HASH}-{_SUFFIX}")
_GENERATED = re.compile(rf"(.+)-{_SUFFIX}")
_REPLICA_SET = re.compile(rf"(.+)-{_HASH}")
_NUMBERED = re.compile(r"(.+)-\d+")
_STATEFUL_POD = re.compile(r"(.+)-(?:0|[1-9]\d{0,5})")
_CRON_JOB = re.compile(r"(.+)-(?:[23]\d{7}|1\d{9})")  # minutes since 1970, before Kubernetes 1.21 seconds

_JOB_LABELS = ("batch.kubernetes.io/job-name", "job-name")
_JOB_UID_LABELS = ("batch.kubernetes.io/controller-uid", "controller-uid")


def job_of_pod(pod: str) -> str | None:
    """The Indexed Job that a pod's name ``<job>-<index>-<5 chars>`` tells.

    A DaemonSet or DeploymentConfig whose own name ends in a number has pods of that form too: what told the owner
    overrules this.
    """
    match = _INDEXED_POD.fullmatch(pod)
    return match[1] if match else None


def belonging(pod: str, labels: Mapping[str, str] | None, owners: Iterable[OwnerReference] | None) -> Belonging:
    """Of a pod, by its owners; where none are told by its labels; where none are told either by its name."""
    if owners and (known := tuple(owners)):
        return _of_owner(next((owner for owner in known if owner.kind == "Job"), known[0]))
    return _of_labels(labels) if labels else _of_name(pod)


@cached_by_text(4096)  # of the pods of a moment: more would only hold memory
def _of_name(pod: str) -> Belonging:
    return Belonging(job=job_of_pod(pod))


def _of_owner(owner: OwnerReference) -> Belonging:
    text = f"{owner.kind}/{owner.name}"
    return Belonging(owner.name, owner.uid or None, text) if owner.kind == "Job" else Belonging(owner=text)


def _of_labels(labels: Mapping[str, str]) -> Belonging:
    """The job controller labels every pod of its own: one with labels and without these is no Job's."""
    job = next((labels[name] for name in _JOB_LABELS if name in labels), None)
    if job is None:
        return Belonging()
    uid = next((labels[name] for name in _JOB_UID_LABELS if name in labels), None)
    return Belonging(job, uid, f"Job/{job}")


def pod_owner(pod: str, *, node: str | None = None, job: str | None = None, owner: str | None = None) -> PodOwner:
    """What people deployed the pod by: the Deployment behind a ReplicaSet, the CronJob behind a Job.

    ``node``, ``job`` and ``owner`` as records have them. Told owners come first, then the job, then the name's form.
    """
    kind, _, name = (owner or "").partition("/")
    if kind == "Node":
        return PodOwner(STATIC_POD, _without_node(pod, name) or pod)
    if name:
        return _behind(kind, name)
    if job is not None:
        return _behind_job(job)
    return _by_name(pod, node)


_BEHIND = {
    "ReplicaSet": (_REPLICA_SET, "Deployment"),
    "ReplicationController": (_NUMBERED, "DeploymentConfig"),
    "Job": (_CRON_JOB, "CronJob"),
}


def _behind(kind: str, name: str) -> PodOwner:
    pattern, maker = _BEHIND.get(kind, (None, kind))
    match = pattern.fullmatch(name) if pattern else None
    return PodOwner(maker, match[1]) if match else PodOwner(kind, name)


@cached_by_text(64)  # records are read job by job
def _behind_job(job: str) -> PodOwner:
    return _behind("Job", job)


def _without_node(pod: str, node: str | None) -> str | None:
    """The name that a static pod has in its file: the kubelet appends its node's."""
    return pod.removesuffix(f"-{node}") if node and pod.endswith(f"-{node}") else None


def _by_name(pod: str, node: str | None) -> PodOwner:
    static = _without_node(pod, node)
    if static:
        return PodOwner(STATIC_POD, static)
    if match := _DEPLOYMENT_POD.fullmatch(pod):
        return PodOwner("Deployment", match[1])
    if match := _GENERATED.fullmatch(pod):
        found = _behind("Job", match[1])  # else a DaemonSet's, a Job's or a ReplicaSet's of its own
        return found if found.kind == "CronJob" else PodOwner(None, match[1])
    if match := _STATEFUL_POD.fullmatch(pod):
        return PodOwner("StatefulSet", match[1])
    return PodOwner(None, pod)
