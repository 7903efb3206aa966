"""What would be made in the account, in lines for a plan."""

from collections.abc import Iterator

from driver.planning.eks_plan import EksPlan, Mode, Registry, Snapshotter
from driver.planning.study import Study


def say_what_is_made(study: Study) -> Iterator[str]:
    plan, region = study.eks, study.cluster.region
    each = "for each size" if plan.mode is Mode.PER_SIZE else "once for all sizes"
    version = plan.kubernetes_version or "EKS' own default version"
    yield f"{each}, in {region}: a stack with a VPC, two roles and a launch template; a control plane, {version}"
    yield f"for each size: a node group of {study.cluster.node_type} on demand, {_place(plan)}, {plan.ami_type}"
    yield f"for each node: {_volume(plan)}, a public address; {', '.join(_runtime(plan))}"
    yield f"all of it tagged, and past its expiry {plan.ttl_hours:g} h after it was begun"


def _place(plan: EksPlan) -> str:
    zones = f"zones {', '.join(plan.zones)}" if plan.zones else "two zones"
    return f"in a placement group in one of {zones}" if plan.placement_group else f"in {zones}"


def _volume(plan: EksPlan) -> str:
    more = [f"{plan.volume.throughput} MiB/s"] if plan.volume.throughput else []
    more += [f"{plan.volume.iops} IOPS"] if plan.volume.iops else []
    return " ".join([f"a volume of {plan.volume.gigabytes} GB {plan.volume.type}", *more])


def _runtime(plan: EksPlan) -> Iterator[str]:
    yield "images on its own disks" if plan.local_ssd else "images on the volume"
    yield "SOCI's parallel pull" if plan.snapshotter is Snapshotter.SOCI_PARALLEL else "the AMI's own snapshotter"
    if plan.layer_downloads:
        yield f"{plan.layer_downloads} layers at once"
    yield f"from {'ECR of the region' if plan.registry is Registry.SAME_REGION else 'any registry'}"
