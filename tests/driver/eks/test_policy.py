"""deploy/eks-policy.json and eks-roles-policy.json allow what is asked of AWS, and no other action.

What they refuse is in tests/hostile/test_eks_policy.py. What is asked by us is what a run through moto asks, leftovers
and all. What CloudFormation asks in our name for the template's types is in its own schemas, which cfn-lint ships. What
EKS asks in our name is in its User Guide.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from driver.clusters.provider import ClusterOrder, Handle
from driver.errors import ProviderError
from driver.planning.study import ClusterPlan
from driver.providers.eks.interfaces import EKS_TAG
from driver.providers.eks.provider import EksProvider
from driver.providers.eks.tags import OWNER, RUN, unlisted
from tests.driver.eks.aws_proxy import AwsProxy, Sent
from tests.driver.eks.studies import NOTHING, account, eks_study, everything, left, mark
from tests.hostile.eks_requests import (
    Caller,
    of_call,
    of_create_cluster,
    of_create_node_group,
    of_create_stack,
    of_delete_stack,
    template,
)
from tests.hostile.iam_evaluation import Request, judge, read_policy

DEPLOY = Path(__file__).parents[3] / "deploy"

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


STUDY = ("eks-policy", "eks-roles-policy")
JANITOR = ("eks-janitor-policy",)


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each action with a statement that allows it."""
    for name in STUDY:
        for statement in read_policy(DEPLOY / f"{name}.json")["Statement"]:
            if statement["Effect"] == "Allow":
                for action in statement["Action"]:
                    yield action, statement


def of_cloudformation() -> set[str]:
    """What CloudFormation may ask for to make, read and delete what the template has."""
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    needed = set()
    for kind in {resource["Type"] for resource in template().values()}:
        handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
        needed |= {action for name in ("create", "read", "delete") for action in handlers[name]["permissions"]}
    return needed - NOT_USED


def test_no_action_is_allowed_by_a_pattern() -> None:
    assert not [action for action, _ in statements() if "*" in action]


def test_what_cloudformation_needs_for_the_template_is_allowed() -> None:
    assert of_cloudformation() | OF_EKS <= {action for action, _ in statements()}


def test_everything_that_cloudformation_makes_is_tagged_as_it_is_made() -> None:
    """Tags that came a moment later would be refused: who may give tags to what is there may delete anything.

    CloudFormation hands a stack's tags on to what it can tag; the rest has to have them in the template.
    """
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    for name, resource in template().items():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
        tagging = schema["tagging"]
        assert tagging["taggable"] is tagging.get("tagOnCreate", False), name
        if not tagging["taggable"] and "TagSpecifications" in schema["properties"]:
            (given,) = resource["Properties"]["TagSpecifications"]
            assert {RUN, OWNER} <= {tag["Key"] for tag in given["Tags"]}, name


async def leave_things(asked: Any, vpc: str, cluster: str, tags: list[dict[str, str]]) -> None:
    """What controllers and nodes leave: balancers of both generations, a group, an interface, a volume.

    Balancers bear the tags that docs/eks.md has their controller give.
    """
    subnets = await asked.call("ec2", "describe_subnets", Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    first, second = (subnet["SubnetId"] for subnet in subnets["Subnets"][:2])
    await asked.call("elbv2", "create_load_balancer", Name="new", Subnets=[first, second], Type="network", Tags=tags)
    await asked.call("elbv2", "create_target_group", Name="targets", Protocol="TCP", Port=80, VpcId=vpc, Tags=tags)
    listener = {"Protocol": "TCP", "LoadBalancerPort": 80, "InstancePort": 80}
    old = {"LoadBalancerName": "old", "Listeners": [listener], "Subnets": [first], "Tags": tags}
    await asked.call("elb", "create_load_balancer", **old)
    of_cni = [{"Key": "cluster.k8s.amazonaws.com/name", "Value": cluster}]
    tagged = [{"ResourceType": "network-interface", "Tags": of_cni}]
    await asked.call(
        "ec2", "create_network_interface", SubnetId=first, Description="aws-K8S-i-0abc", TagSpecifications=tagged
    )
    # EKS' own key: moto takes it.
    tagged = [{"ResourceType": "security-group", "Tags": [{"Key": EKS_TAG, "Value": cluster}]}]
    await asked.call(
        "ec2", "create_security_group", GroupName="k8s-elb-a", Description="b", VpcId=vpc, TagSpecifications=tagged
    )


async def tags_of_all(asked: Any) -> dict[str, dict[str, str]]:
    """By id, ARN or name."""
    tags: dict[str, dict[str, str]] = {}
    for tag in (await asked.call("ec2", "describe_tags"))["Tags"]:
        tags.setdefault(tag["ResourceId"], {})[tag["Key"]] = tag["Value"]
    balancers = (await asked.call("elbv2", "describe_load_balancers"))["LoadBalancers"]
    groups = (await asked.call("elbv2", "describe_target_groups"))["TargetGroups"]
    arns = [*(each["LoadBalancerArn"] for each in balancers), *(each["TargetGroupArn"] for each in groups)]
    for said in (await asked.call("elbv2", "describe_tags", ResourceArns=arns))["TagDescriptions"]:
        tags[said["ResourceArn"]] = unlisted(said["Tags"])
    for said in (await asked.call("elb", "describe_tags", LoadBalancerNames=["old"]))["TagDescriptions"]:
        tags[said["LoadBalancerName"]] = unlisted(said["Tags"])
    for found in await left():
        tags.setdefault(found.name, found.tags)
    return tags


@pytest.mark.real
async def test_what_is_asked_of_aws_is_allowed_and_no_other_action(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder
) -> None:
    asked, saved, sent = account(), list[Handle](), list[Sent]()
    study = msgspec.structs.replace(
        eks_study(local_ssd=True), cluster=ClusterPlan(sizes=(4,), node_type="c5ad.4xlarge")
    )
    order = msgspec.structs.replace(order, study=study)
    aws.reword("DescribeStacks", "CREATE_COMPLETE", "CREATE_FAILED")  # its events are read
    with pytest.raises(ProviderError, match="CREATE_FAILED"):
        await provider.up(order, saved.append)
    await provider.down(order.name, saved[-1])
    sent += aws.sent
    aws.sent.clear()
    cluster = (await provider.up(order, saved.append)).handle
    (network,) = [found.name for found in await left() if found.kind == "network"]
    sent += aws.sent
    tags = mark(cluster["mark"]["run"], hours=1).listed()
    await leave_things(asked, network, cluster["cluster"], tags)
    volume = [{"ResourceType": "volume", "Tags": tags}]
    await asked.call("ec2", "create_volume", AvailabilityZone="us-east-2a", Size=1, TagSpecifications=volume)
    known = await tags_of_all(asked)
    aws.sent.clear()
    await provider.down(order.name, saved[-1])
    down = list(aws.sent)
    assert await everything() == NOTHING
    assert not (await asked.call("elb", "describe_load_balancers"))["LoadBalancerDescriptions"]
    assert not (await asked.call("elbv2", "describe_target_groups"))["TargetGroups"]

    allowed = {action for action, _ in statements()}
    mine = {f"{service}:{operation}" for service, operation, _ in (*sent, *down)}
    assert allowed == mine | of_cloudformation() | OF_EKS
    given = aws.bodies["CreateCluster"][-1]["tags"]
    made = {call[1] for call in sent}
    for requests in (
        *(act(Caller(), given) for operation, act in MAKING.items() if operation in made),
        *(
            of_call(Caller(), *call, known)
            for call in sent
            if call[1] not in MAKING and not call[1].startswith("Delete")
        ),
        *(of_call(Caller(), *call, known) for call in down if call[1] != "DeleteStack"),
    ):
        check(requests, STUDY)
    for call in down:
        if call[1] != "DeleteStack":
            check(of_call(Caller(owner=""), *call, known), JANITOR)


MAKING = {
    "CreateStack": of_create_stack,
    "CreateCluster": of_create_cluster,
    "CreateNodegroup": of_create_node_group,
    "DeleteStack": of_delete_stack,
}


def check(requests: Iterable[Request], names: tuple[str, ...]) -> None:
    """Whether all are allowed."""
    policies = [read_policy(DEPLOY / f"{name}.json") for name in names]
    for request in requests:
        verdict = judge(request, policies)
        assert verdict.allowed, (request, verdict.reason)
