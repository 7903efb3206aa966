"""The nodes are what the study says: launch template, user data and node group as AWS is told them."""

import base64
from email import message_from_string
from typing import Any

import msgspec
import pytest

from driver.clusters.provider import ClusterOrder, Handle
from driver.errors import ProviderError
from driver.planning.eks_plan import EksPrices, Snapshotter, Volume
from driver.planning.study import CacheMode, ClusterPlan, RunPlan
from driver.providers.eks.provider import EksProvider
from tests.driver.eks.aws_proxy import AwsProxy
from tests.driver.eks.studies import NOTHING, account, eks_study, everything
from tests.driver.eks.test_faults import status

pytestmark = pytest.mark.real

SSD = "c5ad.4xlarge"
SOCI = {"snapshotter": Snapshotter.SOCI_PARALLEL, "volume": Volume(type="gp3", throughput=600)}


def ordered(order: ClusterOrder, node_type: str = "c5a.4xlarge", **plan: Any) -> ClusterOrder:
    study = msgspec.structs.replace(eks_study(**plan), cluster=ClusterPlan(sizes=(4,), node_type=node_type))
    return msgspec.structs.replace(order, study=study)


async def template() -> dict[str, Any]:
    """Of the launch template that there is, what its nodes are made of."""
    asked = account()
    (one,) = (await asked.call("ec2", "describe_launch_templates"))["LaunchTemplates"]
    found = await asked.call("ec2", "describe_launch_template_versions", LaunchTemplateId=one["LaunchTemplateId"])
    data: dict[str, Any] = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    return data


async def parameters() -> dict[str, str]:
    """Of the stack that there is."""
    (stack,) = (await account().call("cloudformation", "describe_stacks"))["Stacks"]
    return {given["ParameterKey"]: given["ParameterValue"] for given in stack["Parameters"]}


def node_config(template: dict[str, Any]) -> Any:
    document = message_from_string(base64.b64decode(template["UserData"]).decode())
    (part,) = document.get_payload()  # type: ignore[misc]
    assert part.get_content_type() == "application/node.eks.aws"  # type: ignore[union-attr]
    return msgspec.json.decode(str(part.get_payload()))  # type: ignore[union-attr]


async def test_the_default_is_the_upstream_studys_node(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder
) -> None:
    saved: list[Handle] = []
    await provider.up(order, saved.append)
    told = await template()
    (disk,) = told["BlockDeviceMappings"]
    assert (disk["Ebs"]["VolumeType"], int(disk["Ebs"]["VolumeSize"])) == ("gp2", 150)
    assert "UserData" not in told
    assert (await parameters())["PlacementGroup"] == "no"
    (group,) = aws.bodies["CreateNodegroup"]
    assert group["instanceTypes"] == ["c5a.4xlarge"]
    assert group["scalingConfig"] == {"minSize": 4, "maxSize": 4, "desiredSize": 4}
    assert (group["amiType"], group["capacityType"]) == ("AL2023_x86_64_STANDARD", "ON_DEMAND")
    assert "releaseVersion" not in group
    assert len(group["subnets"]) == 2
    await provider.down(order.name, saved[-1])


async def test_every_setting_of_the_nodes_reaches_aws(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder
) -> None:
    wanted = ordered(
        order,
        SSD,
        volume=Volume(type="gp3", gigabytes=200, throughput=600, iops=6000),
        placement_group=True,
        snapshotter=Snapshotter.SOCI_PARALLEL,
        layer_downloads=8,
        local_ssd=True,
        ami_release="1.33.5-20251002",
        kubernetes_version="1.33",
        zones=("us-east-2b", "us-east-2a"),
    )
    saved: list[Handle] = []
    await provider.up(wanted, saved.append)
    told = await template()
    (disk,) = told["BlockDeviceMappings"]
    ebs = {key: str(disk["Ebs"][key]) for key in ("VolumeType", "VolumeSize", "Throughput", "Iops")}
    assert ebs == {"VolumeType": "gp3", "VolumeSize": "200", "Throughput": "600", "Iops": "6000"}
    # moto knows no placement groups, and leaves out what refers to one: that it is asked for is all that shows.
    assert (await parameters())["PlacementGroup"] == "yes"
    spec = node_config(told)["spec"]
    assert spec["featureGates"] == {"FastImagePull": True}
    assert spec["instance"] == {"localStorage": {"strategy": "RAID0"}}
    assert "max_concurrent_downloads = 8" in spec["containerd"]["config"]
    (group,) = aws.bodies["CreateNodegroup"]
    assert group["releaseVersion"] == "1.33.5-20251002"
    assert aws.bodies["CreateCluster"][0]["version"] == "1.33"
    (subnet,) = (await account().call("ec2", "describe_subnets", SubnetIds=group["subnets"]))["Subnets"]
    assert subnet["AvailabilityZone"] == "us-east-2b"
    await provider.down(order.name, saved[-1])
    assert await everything() == NOTHING


async def test_images_lie_on_the_volume_also_where_bottlerocket_has_two(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder
) -> None:
    wanted = ordered(order, ami_type="BOTTLEROCKET_x86_64", volume=Volume(gigabytes=200))
    study = msgspec.structs.replace(wanted.study, run=RunPlan(cache=CacheMode.WARM))
    saved: list[Handle] = []
    await provider.up(msgspec.structs.replace(wanted, study=study), saved.append)
    (disk,) = (await template())["BlockDeviceMappings"]
    assert (disk["DeviceName"], int(disk["Ebs"]["VolumeSize"])) == ("/dev/xvdb", 200)
    await provider.down(order.name, saved[-1])


@pytest.mark.parametrize(
    ("node_type", "plan", "said"),
    [
        ("x9.huge", {}, r"there is no x9\.huge in us-east-2"),
        ("c5a.4xlarge", {"local_ssd": True}, r"c5a\.4xlarge has no disks of its own"),
        ("c6g.4xlarge", {}, r"AL2023_x86_64_STANDARD is for x86_64, which c6g\.4xlarge is not"),
        ("c5a.large", SOCI, r"eks\.snapshotter: c5a\.large has less than the 4 vCPUs"),
        ("t3.medium", {"placement_group": True}, r"eks\.placement_group: t3\.medium cannot"),
        (SSD, {"zones": ("us-east-2c",)}, r"us-east-2c has no c5ad\.4xlarge, which is in us-east-2a, us-east-2b"),
        (SSD, {"zones": ("us-west-2a",)}, r"no us-west-2a for EKS in us-east-2"),
    ],
)
async def test_nodes_that_cannot_be_are_refused_before_anything_is_made(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, node_type: str, plan: dict[str, Any], said: str
) -> None:
    with pytest.raises(ProviderError, match=said):
        await provider.up(ordered(order, node_type, prices=EksPrices(node_hour=1.0), **plan), [].append)
    assert "CreateStack" not in aws.asked


async def test_nodes_are_made_in_zones_that_have_their_type(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder
) -> None:
    aws.reword("DescribeInstanceTypeOfferings", "us-east-2a", "us-east-2z")
    saved: list[Handle] = []
    await provider.up(order, saved.append)
    (group,) = aws.bodies["CreateNodegroup"]
    subnets = (await account().call("ec2", "describe_subnets", SubnetIds=group["subnets"]))["Subnets"]
    assert {subnet["AvailabilityZone"] for subnet in subnets} == {"us-east-2b", "us-east-2c"}
    await provider.down(order.name, saved[-1])


FULL = status("nodegroup", "CREATE_FAILED", "We currently do not have sufficient c5a.4xlarge capacity")
NEW = status("nodegroup", "CREATE_FAILED", "Your request for accessing resources in this region is being validated")
LIMITED = status("nodegroup", "CREATE_FAILED", "VcpuLimitExceeded: You have requested more vCPU capacity")


async def test_a_full_zone_is_followed_by_the_next_one(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder
) -> None:
    """In a placement group, that is; elsewhere EC2 itself chooses among the zones."""
    aws.rewrite("DescribeNodegroup", FULL)
    saved: list[Handle] = []
    await provider.up(ordered(order, placement_group=True), saved.append)
    subnets = [group["subnets"] for group in aws.bodies["CreateNodegroup"]]
    assert [len(each) for each in subnets] == [1, 1]
    assert subnets[0] != subnets[1]
    await provider.down(order.name, saved[-1])


@pytest.mark.parametrize("full", [FULL, LIMITED, NEW], ids=["no capacity", "vCPU limit", "new account"])
async def test_capacity_that_never_comes_is_given_up_after_so_many_tries(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, full: Any
) -> None:
    # After each failure the group is looked at once more, to be deleted.
    aws.rewrite("DescribeNodegroup", full, times=20)
    saved: list[Handle] = []
    with pytest.raises(ProviderError, match="asked 3 times: give another"):
        await provider.up(ordered(order, capacity_retries=2), saved.append)
    assert aws.asked.count("CreateNodegroup") == 3
    aws.forget()
    await provider.down(order.name, saved[-1])
    assert await everything() == NOTHING
