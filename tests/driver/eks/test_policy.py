"""deploy/eks-policy.json allows what is asked of AWS, and nothing beyond.

What is asked by us is what a run through moto asks, leftovers and all. What CloudFormation asks in our name for the
template's types is in its own schemas, which cfn-lint ships. What EKS asks in our name is in its User Guide.
"""

import json
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import msgspec
import pytest

from driver.clusters.provider import ClusterOrder, Handle
from driver.errors import ProviderError
from driver.planning.study import ClusterPlan
from driver.providers.eks.network import template_text
from driver.providers.eks.provider import EksProvider
from driver.providers.eks.tags import RUN
from tests.driver.eks.aws_proxy import AwsProxy
from tests.driver.eks.studies import NOTHING, account, eks_study, everything, left, mark

POLICY = Path(__file__).parents[3] / "deploy" / "eks-policy.json"

# EKS acts in the name of who calls it, or looks whether that one might. Source: the EKS User Guide's "Customize managed
# nodes with launch templates", "Amazon EKS cluster IAM role" and "Using service-linked roles for Amazon EKS".
OF_EKS = {
    "ec2:CreateTags",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:RunInstances",
    "eks:TagResource",  # clusters and node groups are made with tags
    "cloudformation:TagResource",  # and stacks
    "iam:CreateServiceLinkedRole",
    "iam:GetRole",
    "iam:ListAttachedRolePolicies",
    "iam:PassRole",
}
# What the schemas name for properties that the template does not use.
NOT_USED = {
    "ec2:AttachVpnGateway",  # the gateway is one to the internet
    "ec2:DetachVpnGateway",
    "ec2:CreateVpcEncryptionControl",
    "ec2:ReplaceRouteTableAssociation",  # nothing is ever changed
    "iam:DeleteRolePolicy",  # roles have managed policies only
    "iam:PutRolePolicy",
    "vpc-lattice:CreateServiceNetworkVpcEndpointAssociation",  # the endpoint is a gateway to S3
    "vpc-lattice:DescribeServiceNetworkVpcEndpointAssociation",
    "vpce:AllowMultiRegion",
}


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each action with the statement that allows it."""
    for statement in json.loads(POLICY.read_text())["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in statement["Action"]:
            yield action, statement


def of_cloudformation() -> set[str]:
    """What CloudFormation may ask for to make, read and delete what the template has."""
    from cfnlint.decode.cfn_yaml import loads
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    needed = set()
    for kind in {resource["Type"] for resource in loads(template_text())["Resources"].values()}:
        handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
        needed |= {action for name in ("create", "read", "delete") for action in handlers[name]["permissions"]}
    return needed - NOT_USED


def test_no_action_is_allowed_twice_and_none_by_a_pattern() -> None:
    actions = [action for action, _ in statements()]
    assert len(actions) == len(set(actions))
    assert not [action for action in actions if "*" in action]


def test_what_cloudformation_needs_for_the_template_is_allowed() -> None:
    assert of_cloudformation() | OF_EKS <= {action for action, _ in statements()}


def test_all_that_is_deleted_by_its_tag_is_given_it() -> None:
    """CloudFormation hands a stack's tags on to what it can tag; the rest has to have them in the template."""
    from cfnlint.decode.cfn_yaml import loads
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    for name, resource in loads(template_text())["Resources"].items():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
        untagged = not schema["tagging"]["taggable"] and "TagSpecifications" in schema["properties"]
        if untagged:
            (given,) = resource["Properties"]["TagSpecifications"]
            assert RUN in [tag["Key"] for tag in given["Tags"]], name


async def leave_things(asked: Any, vpc: str, cluster: str) -> None:
    """What controllers and nodes leave: balancers of both generations, a group, an interface, a volume."""
    subnets = await asked.call("ec2", "describe_subnets", Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    first, second = (subnet["SubnetId"] for subnet in subnets["Subnets"][:2])
    await asked.call("elbv2", "create_load_balancer", Name="new", Subnets=[first, second], Type="network")
    await asked.call("elbv2", "create_target_group", Name="targets", Protocol="TCP", Port=80, VpcId=vpc)
    listener = {"Protocol": "TCP", "LoadBalancerPort": 80, "InstancePort": 80}
    await asked.call("elb", "create_load_balancer", LoadBalancerName="old", Listeners=[listener], Subnets=[first])
    await asked.call("ec2", "create_network_interface", SubnetId=first, Description="aws-K8S-i-0abc")
    named = [{"Key": f"kubernetes.io/cluster/{cluster}", "Value": "owned"}]
    tagged = [{"ResourceType": "security-group", "Tags": named}]
    await asked.call(
        "ec2", "create_security_group", GroupName="k8s-elb-a", Description="b", VpcId=vpc, TagSpecifications=tagged
    )


@pytest.mark.real
async def test_what_is_asked_of_aws_is_allowed_and_nothing_beyond(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder
) -> None:
    asked, saved, calls = account(), list[Handle](), set[tuple[str, str]]()
    study = msgspec.structs.replace(
        eks_study(local_ssd=True), cluster=ClusterPlan(sizes=(4,), node_type="c5ad.4xlarge")
    )
    order = msgspec.structs.replace(order, study=study)
    aws.reword("DescribeStacks", "CREATE_COMPLETE", "CREATE_FAILED")  # its events are read
    with pytest.raises(ProviderError, match="CREATE_FAILED"):
        await provider.up(order, saved.append)
    await provider.down(order.name, saved[-1])
    cluster = (await provider.up(order, saved.append)).handle
    (network,) = [found.name for found in await left() if found.kind == "network"]
    calls |= aws.calls
    await leave_things(asked, network, cluster["cluster"])
    tags = [{"Key": key, "Value": value} for key, value in mark(cluster["mark"]["run"], hours=1).tags().items()]
    volume = [{"ResourceType": "volume", "Tags": tags}]
    await asked.call("ec2", "create_volume", AvailabilityZone="us-east-2a", Size=1, TagSpecifications=volume)
    aws.calls.clear()
    await provider.down(order.name, saved[-1])
    calls |= aws.calls
    assert await everything() == NOTHING
    assert not (await asked.call("elb", "describe_load_balancers"))["LoadBalancerDescriptions"]
    assert not (await asked.call("elbv2", "describe_target_groups"))["TargetGroups"]

    mine = {f"{service}:{operation}" for service, operation in calls}
    allowed = dict(statements())
    assert mine <= allowed.keys()
    assert allowed.keys() == mine | of_cloudformation() | OF_EKS
    for action in mine:
        check_condition(action, allowed[action], cluster, aws)


def check_condition(action: str, statement: dict[str, Any], cluster: Handle, aws: AwsProxy) -> None:
    """Whether what was asked meets the statement's condition and resource."""
    condition = statement.get("Condition", {}).get("Null", {})
    if "aws:RequestTag/pullstudy:run" in condition:
        sent = aws.bodies[action.removeprefix("eks:")]
        assert all(body["tags"][RUN] for body in sent)
    if statement["Resource"] != "*" and action.startswith("cloudformation:"):
        arn = f"arn:aws:cloudformation:us-east-2:123456789012:stack/{cluster['stack']}/abc"
        assert fnmatch(arn, f"{statement['Resource']}*")
