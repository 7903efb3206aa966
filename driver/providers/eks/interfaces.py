"""What AWS' own controllers leave when nodes go: interfaces of the CNI, security groups of EKS, volumes.

They hold the network: a stack whose VPC still has one ends DELETE_FAILED. Only the cluster's own VPC is looked at, and
there only what its controllers made.
"""

from collections.abc import Iterable

from driver.errors import ProviderError
from driver.providers.eks.account import Account, Answer
from driver.providers.eks.aws_errors import AwsError, AwsErrorKind
from driver.providers.eks.tags import unlisted
from driver.providers.eks.waiting import EksWaiting

# Source: amazon-vpc-cni-k8s, pkg/awsutils: the description and the tags of each interface that it makes.
CNI_DESCRIPTION = "aws-K8S-"
CNI_TAG = "node.k8s.amazonaws.com/instance_id"
EKS_TAG = "aws:eks:cluster-name"  # of the security group that EKS makes with a cluster
BALANCER_TAGS = ("kubernetes.io/cluster/{}", "elbv2.k8s.aws/cluster")  # of those for balancers; the first names it too


async def list_interfaces(account: Account, vpc: str) -> list[Answer]:
    """All network interfaces of the VPC."""
    return await _in_vpc(account, "describe_network_interfaces", "NetworkInterfaces", vpc)


async def list_security_groups(account: Account, vpc: str) -> list[Answer]:
    return await _in_vpc(account, "describe_security_groups", "SecurityGroups", vpc)


async def _in_vpc(account: Account, operation: str, field: str, vpc: str) -> list[Answer]:
    found: list[Answer] = []
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    async for page in account.pages("ec2", operation, ("NextToken", "NextToken"), Filters=of_vpc):
        found += page[field]
    return found


def of_cni(interfaces: Iterable[Answer]) -> list[Answer]:
    """Those that the CNI made for pods; a node's first interface goes with the node."""
    return [
        interface
        for interface in interfaces
        if interface.get("Description", "").startswith(CNI_DESCRIPTION)
        or CNI_TAG in unlisted(interface.get("TagSet", []))
    ]


async def delete_cni_interfaces(account: Account, waiting: EksWaiting, vpc: str) -> None:
    """Wait until the CNI's interfaces are free, and delete them. Raises ProviderError where one stays in use."""

    async def none_left() -> bool | None:
        left = of_cni(await list_interfaces(account, vpc))
        for interface in left:
            if interface["Status"] == "available":
                await _delete(account, "delete_network_interface", NetworkInterfaceId=interface["NetworkInterfaceId"])
        return None if left else True

    try:
        await waiting.until(none_left, "freeing the nodes' network interfaces", waiting.patience.interface_seconds)
    except ProviderError as error:
        if isinstance(error, AwsError):
            raise
        left = ", ".join(i["NetworkInterfaceId"] for i in of_cni(await list_interfaces(account, vpc)))
        raise ProviderError(f"{error}; still there: {left}") from error


async def delete_free_interfaces(account: Account, vpc: str) -> None:
    """Delete what a balancer or a control plane that is gone left in our network, whoever made it."""
    for interface in await list_interfaces(account, vpc):
        if interface["Status"] == "available":
            await _delete(account, "delete_network_interface", NetworkInterfaceId=interface["NetworkInterfaceId"])


async def delete_security_groups(account: Account, vpc: str, cluster: str) -> None:
    """Delete the security groups made for a cluster that is gone, and its services; one in use stays for now."""
    for group in await list_security_groups(account, vpc):
        tags = unlisted(group.get("Tags", []))
        named = {tags.get(EKS_TAG), tags.get(BALANCER_TAGS[1])}
        if cluster in named or BALANCER_TAGS[0].format(cluster) in tags:
            await _delete(account, "delete_security_group", GroupId=group["GroupId"])


async def delete_routes(account: Account, vpc: str) -> None:
    """Take the route tables from a VPC whose stack could not be deleted; its main one goes with it."""
    for table in await _in_vpc(account, "describe_route_tables", "RouteTables", vpc):
        associations = table.get("Associations", [])
        if any(association.get("Main") for association in associations):
            continue
        for association in associations:
            which = association["RouteTableAssociationId"]
            await _delete(account, "disassociate_route_table", AssociationId=which)
        await _delete(account, "delete_route_table", RouteTableId=table["RouteTableId"])


async def delete_vpc(account: Account, vpc: str) -> None:
    """Delete an empty VPC; one that something still hangs on stays for now."""
    await _delete(account, "delete_vpc", VpcId=vpc)


async def delete_volume(account: Account, volume: str) -> None:
    """Delete a volume whose node is gone; one that is still attached stays for now."""
    await _delete(account, "delete_volume", VolumeId=volume)


async def _delete(account: Account, operation: str, **which: str) -> None:
    try:
        await account.call("ec2", operation, **which)
    except AwsError as error:
        # In use again, or somebody else was quicker: the next look tells.
        if error.kind not in (AwsErrorKind.CONFLICT, AwsErrorKind.GONE):
            raise
