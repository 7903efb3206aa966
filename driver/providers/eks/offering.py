"""What EC2 offers in a region: asked before anything is made, since EKS itself says no after a quarter of an hour."""

from driver.errors import ProviderError
from driver.planning.eks_plan import EksPlan, Snapshotter
from driver.providers.eks.account import Account, Answer
from driver.providers.eks.aws_errors import AwsError

# EKS puts no control plane into these. Source: the EKS User Guide's "Subnet requirements for clusters".
_UNSUITED = ("use1-az3", "usw1-az2", "cac1-az3")
# With less, nodeadm passes over FastImagePull without a word. Source: awslabs/amazon-eks-ami, UseSOCISnapshotter.
_SOCI_CPUS, _SOCI_MEBIBYTES = 4, 7 * 1024


async def check_node_type(account: Account, node_type: str, plan: EksPlan) -> None:
    """Whether there can be such nodes. Raises ProviderError."""
    kind = await _node_type(account, node_type)
    for wrong in (_disks(kind, plan), _processor(kind, plan), _snapshotter(kind, plan), _placement(kind, plan)):
        if wrong:
            raise ProviderError(wrong.format(node_type))


async def _node_type(account: Account, name: str) -> Answer:
    try:
        found = await account.call("ec2", "describe_instance_types", InstanceTypes=[name])
    except AwsError as error:
        if error.code != "InvalidInstanceType":
            raise
        raise ProviderError(f"cluster.node_type: there is no {name} in {account.region}") from error
    kind: Answer = found["InstanceTypes"][0]
    return kind


def _disks(kind: Answer, plan: EksPlan) -> str:
    """Nodes without disks of their own would take the volume, and say nothing."""
    if plan.local_ssd and not kind.get("InstanceStorageSupported"):
        return "eks.local_ssd: {} has no disks of its own; give a type like c5ad.4xlarge"
    return ""


def _processor(kind: Answer, plan: EksPlan) -> str:
    wanted = "arm64" if "ARM_64" in plan.ami_type else "x86_64"
    if wanted not in kind["ProcessorInfo"]["SupportedArchitectures"]:
        return f"eks.ami_type: {plan.ami_type} is for {wanted}, which {{}} is not"
    return ""


def _snapshotter(kind: Answer, plan: EksPlan) -> str:
    small = kind["VCpuInfo"]["DefaultVCpus"] < _SOCI_CPUS or kind["MemoryInfo"]["SizeInMiB"] < _SOCI_MEBIBYTES
    if plan.snapshotter is Snapshotter.SOCI_PARALLEL and small:
        return f"eks.snapshotter: {{}} has less than the {_SOCI_CPUS} vCPUs and 7 GiB for soci-parallel"
    return ""


def _placement(kind: Answer, plan: EksPlan) -> str:
    if plan.placement_group and "cluster" not in kind["PlacementGroupInfo"]["SupportedStrategies"]:
        return "eks.placement_group: {} cannot be in one that keeps nodes close together"
    return ""


async def choose_zones(account: Account, node_type: str, plan: EksPlan) -> list[str]:
    """Two or three zones, the nodes' first; EKS wants two for its control plane. Raises ProviderError."""
    known, having = await _zones_for_eks(account), await _zones_with(account, node_type)
    for zone in plan.zones:
        if zone not in known:
            raise ProviderError(f"eks.zones: no {zone} for EKS in {account.region}; there are {', '.join(known)}")
        if zone not in having:
            raise ProviderError(f"eks.zones: {zone} has no {node_type}, which is in {', '.join(having)}")
    both = [zone for zone in known if zone in having]
    if not plan.zones and len(both) < 2:
        raise ProviderError(f"{node_type} is in {len(both)} zones of {account.region}: name the one in eks.zones")
    zones = list(dict.fromkeys([*plan.zones, *both, *known]))
    if len(zones) < 2:
        raise ProviderError(f"{account.region} shows {len(zones)} zones to this account; EKS needs two")
    return zones[: max(2, len(plan.zones))]


async def _zones_for_eks(account: Account) -> list[str]:
    found = await account.call(
        "ec2",
        "describe_availability_zones",
        Filters=[
            {"Name": "opt-in-status", "Values": ["opt-in-not-required"]},
            {"Name": "state", "Values": ["available"]},
        ],
    )
    return [zone["ZoneName"] for zone in found["AvailabilityZones"] if zone.get("ZoneId") not in _UNSUITED]


async def _zones_with(account: Account, node_type: str) -> list[str]:
    of_type = [{"Name": "instance-type", "Values": [node_type]}]
    having: list[str] = []
    async for page in account.pages(
        "ec2",
        "describe_instance_type_offerings",
        ("NextToken", "NextToken"),
        LocationType="availability-zone",
        Filters=of_type,
    ):
        having += [offering["Location"] for offering in page["InstanceTypeOfferings"]]
    return sorted(having)
