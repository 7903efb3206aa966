"""What is wrong with a study for EKS, found before anything is made."""

import re

from driver.errors import UsageError
from driver.planning.eks_plan import EksPlan, Mode, Registry, Snapshotter, Volume
from driver.planning.study import CacheMode, Study
from driver.providers.eks.duration import longest_seconds
from pullstudy.pulls.image import parse_image

_MOST_ZONES = 3
_FAMILIES = ("AL2023_", "AL2_", "BOTTLEROCKET_")  # of AMIs whose nodes run the study's images
_NO_SHELL = "BOTTLEROCKET_"
# Of gp3. Source: the EBS User Guide's "General Purpose SSD volumes".
_LEAST_THROUGHPUT, _LEAST_IOPS, _THROUGHPUT_AN_IOPS, _IOPS_A_GIGABYTE = 125, 3000, 0.25, 500
# AWS reports slower pulls with the gate on below this throughput of the volume.
SOCI_THROUGHPUT = 600


def check_study(study: Study) -> None:
    """Raises UsageError."""
    plan = study.eks
    for wrong in (
        _size(study),
        _zones(plan),
        _ami(plan),
        _volume(plan),
        _snapshotter(plan),
        _registry(study),
        _cache(study),
        _time(study),
    ):
        if wrong:
            raise UsageError(wrong)


def _size(study: Study) -> str:
    """EKS says so after the control plane is paid for."""
    largest, limit = max(study.sizes), study.eks.most_nodes
    if largest <= limit:
        return ""
    return (
        f"--sizes: a managed node group has at most {limit} nodes, not {largest}; where the account's quota is raised,"
        " say so with eks.most_nodes"
    )


def _zones(plan: EksPlan) -> str:
    if len(plan.zones) > _MOST_ZONES or len(set(plan.zones)) != len(plan.zones):
        return f"eks.zones: at most {_MOST_ZONES}, each once"
    return ""


def _ami(plan: EksPlan) -> str:
    if not plan.ami_type.startswith(_FAMILIES):
        return f"eks.ami_type: one of EKS' own that begins with {', '.join(_FAMILIES)}, not {plan.ami_type}"
    return ""


def _volume(plan: EksPlan) -> str:
    volume = plan.volume
    if volume.type not in ("gp2", "gp3"):
        return f"eks.volume.type: gp2 or gp3, not {volume.type}"
    if volume.type == "gp2" and (volume.throughput or volume.iops):
        return "eks.volume: throughput and iops are of gp3; a gp2 volume has those of its size"
    return _gp3(volume) if volume.type == "gp3" else ""


def _gp3(volume: Volume) -> str:
    """EC2 says so only when it starts the nodes."""
    throughput, iops = volume.throughput or _LEAST_THROUGHPUT, volume.iops or _LEAST_IOPS
    if throughput < _LEAST_THROUGHPUT or iops < _LEAST_IOPS:
        return f"eks.volume: a gp3 volume has at least {_LEAST_THROUGHPUT} MiB/s and {_LEAST_IOPS} IOPS"
    if throughput > iops * _THROUGHPUT_AN_IOPS:
        return f"eks.volume: {throughput} MiB/s want iops = {throughput / _THROUGHPUT_AN_IOPS:.0f} or more"
    if iops > volume.gigabytes * _IOPS_A_GIGABYTE:
        return f"eks.volume: {iops} IOPS want gigabytes = {-(-iops // _IOPS_A_GIGABYTE)} or more"
    return ""


def _snapshotter(plan: EksPlan) -> str:
    nodeadm = plan.snapshotter is not Snapshotter.DEFAULT or plan.layer_downloads or plan.local_ssd
    if nodeadm and not plan.ami_type.startswith("AL2023"):
        return "eks: snapshotter, layer_downloads and local_ssd are settings of nodeadm: give an ami_type of AL2023"
    slow = not plan.local_ssd and plan.volume.throughput < SOCI_THROUGHPUT
    if plan.snapshotter is Snapshotter.SOCI_PARALLEL and slow:
        return f"eks.snapshotter soci-parallel wants local_ssd or a gp3 volume of {SOCI_THROUGHPUT} MiB/s"
    return ""


def _cache(study: Study) -> str:
    # Found at the first job's end it would have cost a cluster.
    if study.run.cache is CacheMode.COLD and study.eks.ami_type.startswith(_NO_SHELL):
        return f"the caches of {study.eks.ami_type} cannot be cleared: no shell is on the nodes; add --cache warm"
    return ""


def _time(study: Study) -> str:
    hours, limit = longest_seconds(study) / 3600, study.eks.ttl_hours
    if hours <= limit:
        return ""
    what = "a cluster is up" if study.eks.mode is Mode.PER_SIZE else "the control plane that all sizes share is up"
    return f"eks.ttl_hours is {limit:g}, and {what} for about {hours:.1f} h: raise it, or give fewer images or repeats"


def _registry(study: Study) -> str:
    if study.eks.registry is Registry.ANY:
        return ""
    of_region = re.compile(rf"\d{{12}}\.dkr\.ecr\.{re.escape(study.cluster.region)}\.amazonaws\.com(\.cn)?/")
    for reference in study.images.references:
        if not of_region.match(parse_image(reference).repository):
            return f"eks.registry is same-region, and {reference} does not lie in ECR of {study.cluster.region}"
    return ""
