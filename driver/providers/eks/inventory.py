"""Everything in the account and region that bears our tags. A list that fails raises: it never reads as nothing."""

from collections.abc import AsyncIterator

import msgspec

from driver.providers.eks.account import Account, Answer
from driver.providers.eks.aws_errors import AwsError, AwsErrorKind
from driver.providers.eks.control_plane import find_cluster
from driver.providers.eks.node_group import find_node_group, list_node_groups
from driver.providers.eks.tags import RUN, unlisted

ROLE_PATH = "/pullstudy/"  # of the template's roles
# EC2's lists: the method, the field of its answer, the name of the id, and what it is called.
_OF_EC2 = (
    ("describe_vpcs", "Vpcs", "VpcId", "network"),
    ("describe_volumes", "Volumes", "VolumeId", "volume"),
    ("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId", "network interface"),
    ("describe_launch_templates", "LaunchTemplates", "LaunchTemplateId", "launch template"),
)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that exists. ``cluster`` is the node group's."""

    kind: str
    name: str
    tags: dict[str, str]
    account: str = ""  # its owner's, where the list tells
    cluster: str = ""

    @property
    def run(self) -> str:
        return self.tags.get(RUN, "")


async def take_inventory(account: Account, run: str | None = None) -> list[Found]:
    """All that bears the tag of this run, or of any. Raises AwsError."""
    return [found async for found in _everything(account, run) if found.run and run in (None, found.run)]


async def find_network(account: Account, run: str) -> str:
    """The VPC of a run, by its tag: a stack that is being deleted does not always say. Empty where there is none."""
    tagged = [{"Name": f"tag:{RUN}", "Values": [run]}]
    async for page in account.pages("ec2", "describe_vpcs", ("NextToken", "NextToken"), Filters=tagged):
        for vpc in page["Vpcs"]:
            return str(vpc["VpcId"])
    return ""


async def _everything(account: Account, run: str | None) -> AsyncIterator[Found]:
    async for found in _clusters(account, run):
        yield found
    async for found in _stacks(account):
        yield found
    async for found in _of_ec2(account):
        yield found
    async for found in _roles(account):
        yield found


async def _clusters(account: Account, run: str | None) -> AsyncIterator[Found]:
    async for page in account.pages("eks", "list_clusters", ("nextToken", "nextToken")):
        for name in page["clusters"]:
            cluster = await find_cluster(account, name)
            if cluster is None:
                continue
            owner = cluster["arn"].split(":")[4]
            found = Found(kind="cluster", name=name, tags=cluster.get("tags", {}), account=owner)
            yield found
            if found.run and run in (None, found.run):
                for group in await list_node_groups(account, name):
                    described = await find_node_group(account, name, group)
                    if described is not None:
                        tags = described.get("tags", {})
                        yield Found(kind="node group", name=group, tags=tags, account=owner, cluster=name)


async def _stacks(account: Account) -> AsyncIterator[Found]:
    async for page in account.pages("cloudformation", "describe_stacks", ("NextToken", "NextToken")):
        for stack in page["Stacks"]:
            if stack["StackStatus"] != "DELETE_COMPLETE":
                owner = stack["StackId"].split(":")[4]
                yield Found(kind="stack", name=stack["StackName"], tags=unlisted(stack.get("Tags", [])), account=owner)


async def _of_ec2(account: Account) -> AsyncIterator[Found]:
    tagged = [{"Name": "tag-key", "Values": [RUN]}]
    for operation, field, id_field, kind in _OF_EC2:
        async for page in account.pages("ec2", operation, ("NextToken", "NextToken"), Filters=tagged):
            for item in page[field]:
                tags = unlisted(item.get("Tags", item.get("TagSet", [])))
                yield Found(kind=kind, name=item[id_field], tags=tags, account=_owner(item))
    async for page in account.pages("ec2", "describe_instances", ("NextToken", "NextToken"), Filters=tagged):
        for reservation in page["Reservations"]:
            for instance in reservation["Instances"]:
                if instance["State"]["Name"] not in ("terminated", "shutting-down"):
                    tags = unlisted(instance.get("Tags", []))
                    owner = reservation.get("OwnerId", "")
                    yield Found(kind="instance", name=instance["InstanceId"], tags=tags, account=owner)


def _owner(item: Answer) -> str:
    """Empty for volumes, of which EC2 lists the account's own alone."""
    return str(item.get("OwnerId") or (item.get("CreatedBy", "") + ":::::").split(":")[4])


async def _roles(account: Account) -> AsyncIterator[Found]:
    async for page in account.pages("iam", "list_roles", ("Marker", "Marker"), PathPrefix=ROLE_PATH):
        for role in page["Roles"]:
            try:
                tags = await account.call("iam", "list_role_tags", RoleName=role["RoleName"])
            except AwsError as error:
                if error.kind is AwsErrorKind.GONE:
                    continue
                raise
            owner = role["Arn"].split(":")[4]
            yield Found(kind="role", name=role["RoleName"], tags=unlisted(tags["Tags"]), account=owner)


def say_found(found: Found) -> str:
    return f"{found.kind} {found.name}"
