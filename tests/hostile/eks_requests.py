"""The requests that IAM judges when the driver, CloudFormation or EKS in its name, and the nodes ask AWS.

What a service puts into a request is of two sorts here: tags of the request are put on what it makes alone, where an
allowed request is built; who builds an attack puts them wherever that helps it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from driver.providers.eks.network import template_text
from tests.hostile.iam_evaluation import Request, Values, make_context

ACCOUNT, REGION = "123456789012", "us-east-2"
OWNER = "tester"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/pullstudy-eks-boundary"
CLUSTER = "pullstudy-eks-test-4-0a1b2c3d"
VPC = "vpc-0a"
TAGS = {
    "pullstudy:study": "test",
    "pullstudy:run": "0a1b2c3d",
    "pullstudy:owner": OWNER,
    "pullstudy:expires-at": "2026-01-01T00:00:00Z",
}
Keys = Mapping[str, "str | Values"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and where."""

    owner: str = OWNER  # empty: its principal bears no such tag
    region: str = REGION
    session: Keys = field(default_factory=dict)

    def asks(self, action: str, resource: str, *keys: Keys) -> Request:
        context: dict[str, str | Values] = {
            "aws:PrincipalAccount": ACCOUNT,
            "aws:RequestedRegion": self.region,
            **self.session,
        }
        if self.owner:
            context["aws:PrincipalTag/pullstudy-owner"] = self.owner
        for more in keys:
            context.update(more)
        return Request(action, resource, make_context(context))


def new(tags: Mapping[str, str]) -> Keys:
    """Keys of a request that gives these tags."""
    return {**{f"aws:RequestTag/{key}": value for key, value in tags.items()}, "aws:TagKeys": tuple(tags)}


def bears(tags: Mapping[str, str]) -> Keys:
    """Keys of a request on what has these tags."""
    return {f"aws:ResourceTag/{key}": value for key, value in tags.items()}


def ec2(kind: str, name: str = "x") -> str:
    owner = "" if kind in ("image", "snapshot") else ACCOUNT
    return f"arn:aws:ec2:{REGION}:{owner}:{kind}/{name}"


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def cluster(name: str) -> str:
    return f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{name}"


def node_group(name: str) -> str:
    return f"arn:aws:eks:{REGION}:{ACCOUNT}:nodegroup/{name}/nodes-4/0a-1b"


def stack(name: str) -> str:
    return f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/0a-1b"


def managed(name: str) -> str:
    return f"arn:aws:iam::aws:policy/{name}"


CLUSTER_ROLE, NODE_ROLE = role(f"pullstudy/{CLUSTER}-ClusterRole-A"), role(f"pullstudy/{CLUSTER}-NodeRole-B")
# What CloudFormation adds to the tags of what it makes, where its schemas say so.
OF_STACK = {"aws:cloudformation:stack-name": CLUSTER}


class _Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions as its long ones."""


def _function(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        value: Any = loader.construct_sequence(node, deep=True)
    else:
        value = node.value
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _function)


@cache
def template() -> Mapping[str, Any]:
    """Its resources."""
    resources: Mapping[str, Any] = yaml.load(template_text(), _Loader)["Resources"]
    return resources


def of_create_stack(caller: Caller, tags: Mapping[str, str]) -> Iterator[Request]:
    """The driver's call, and what CloudFormation asks in its name for what the template has."""
    yield caller.asks("cloudformation:CreateStack", stack(CLUSTER), new(tags))
    made_by = {"cloudformation:CreateAction": "CreateStack"}
    yield caller.asks("cloudformation:TagResource", stack(CLUSTER), new(tags), made_by)
    for resource in template().values():
        yield from _MADE[resource["Type"]](caller, resource, tags)


def of_delete_stack(caller: Caller, tags: Mapping[str, str]) -> Iterator[Request]:
    yield caller.asks("cloudformation:DeleteStack", stack(CLUSTER), bears(tags))
    for resource in template().values():
        kind, of_kind = resource["Type"], _DELETED[resource["Type"]]
        for action, things in of_kind:
            for thing in things:
                arn = _role_of(resource) if kind == "AWS::IAM::Role" else ec2(thing)
                if action != "iam:DetachRolePolicy":
                    yield caller.asks(action, arn, bears(tags))
                else:
                    for policy in _policies_of(resource):
                        yield caller.asks(action, arn, bears(tags), {"iam:PolicyARN": policy})


def _tagged(service_action: str, kind: str) -> Any:
    """Makes one thing of that kind, on others that bear our tags."""

    def made(caller: Caller, resource: Any, tags: Mapping[str, str]) -> Iterator[Request]:
        given = _own_tags(resource, tags) if kind == "launch-template" else {**tags, **OF_STACK}
        yield caller.asks(f"ec2:{service_action}", ec2(kind), new(given))
        yield caller.asks("ec2:CreateTags", ec2(kind), new(given), {"ec2:CreateAction": service_action})
        for used in _USED.get(service_action, ()):
            yield caller.asks(f"ec2:{service_action}", ec2(used), bears(tags))
        for action in _SET.get(service_action, ()):
            yield caller.asks(action, ec2(kind), bears(tags))

    return made


def _own_tags(resource: Any, tags: Mapping[str, str]) -> dict[str, str]:
    """Those that the template itself gives, where CloudFormation hands none on."""
    (given,) = resource["Properties"]["TagSpecifications"]
    return {tag["Key"]: tags[tag["Key"]] for tag in given["Tags"]}


def _on_ours(action: str, *kinds: str) -> Any:
    def made(caller: Caller, resource: Any, tags: Mapping[str, str]) -> Iterator[Request]:
        for kind in kinds:
            yield caller.asks(action, ec2(kind), bears(tags))

    return made


def _role_made(caller: Caller, resource: Any, tags: Mapping[str, str]) -> Iterator[Request]:
    properties, arn = resource["Properties"], _role_of(resource)
    given = {tag["Key"]: tags[tag["Key"]] for tag in properties["Tags"]}
    bound = {"iam:PermissionsBoundary": _substituted(properties["PermissionsBoundary"])}
    yield caller.asks("iam:CreateRole", arn, new(given), bound)
    yield caller.asks("iam:TagRole", arn, new(given))
    yield caller.asks("iam:GetRole", arn)
    for policy in _policies_of(resource):
        # Whether IAM knows the tags of a role that was made a second ago is not said.
        yield caller.asks("iam:AttachRolePolicy", arn, bound, {"iam:PolicyARN": policy})


def _role_of(resource: Any) -> str:
    trusted = resource["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
    return CLUSTER_ROLE if trusted == "eks.amazonaws.com" else NODE_ROLE


def _policies_of(resource: Any) -> list[str]:
    return [_substituted(arn) for arn in resource["Properties"]["ManagedPolicyArns"]]


def _substituted(text: Any) -> str:
    plain: str = text["Fn::Sub"]
    return plain.replace("${AWS::Partition}", "aws").replace("${AWS::AccountId}", ACCOUNT)


_USED = {"CreateSubnet": ("vpc",), "CreateRouteTable": ("vpc",), "CreateVpcEndpoint": ("vpc", "route-table")}
_SET = {"CreateVpc": ("ec2:ModifyVpcAttribute",), "CreateSubnet": ("ec2:ModifySubnetAttribute",)}
_MADE = {
    "AWS::EC2::VPC": _tagged("CreateVpc", "vpc"),
    "AWS::EC2::InternetGateway": _tagged("CreateInternetGateway", "internet-gateway"),
    "AWS::EC2::VPCGatewayAttachment": _on_ours("ec2:AttachInternetGateway", "internet-gateway", "vpc"),
    "AWS::EC2::RouteTable": _tagged("CreateRouteTable", "route-table"),
    "AWS::EC2::Route": _on_ours("ec2:CreateRoute", "route-table"),
    "AWS::EC2::Subnet": _tagged("CreateSubnet", "subnet"),
    "AWS::EC2::SubnetRouteTableAssociation": _on_ours("ec2:AssociateRouteTable", "route-table", "subnet"),
    "AWS::EC2::VPCEndpoint": _tagged("CreateVpcEndpoint", "vpc-endpoint"),
    "AWS::EC2::PlacementGroup": _tagged("CreatePlacementGroup", "placement-group"),
    "AWS::EC2::LaunchTemplate": _tagged("CreateLaunchTemplate", "launch-template"),
    "AWS::IAM::Role": _role_made,
}
_DELETED: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "AWS::EC2::VPC": [("ec2:DeleteVpc", ("vpc",))],
    "AWS::EC2::InternetGateway": [("ec2:DeleteInternetGateway", ("internet-gateway",))],
    "AWS::EC2::VPCGatewayAttachment": [("ec2:DetachInternetGateway", ("internet-gateway", "vpc"))],
    "AWS::EC2::RouteTable": [("ec2:DeleteRouteTable", ("route-table",))],
    "AWS::EC2::Route": [("ec2:DeleteRoute", ("route-table",))],
    "AWS::EC2::Subnet": [("ec2:DeleteSubnet", ("subnet",))],
    "AWS::EC2::SubnetRouteTableAssociation": [("ec2:DisassociateRouteTable", ("route-table", "subnet"))],
    "AWS::EC2::VPCEndpoint": [("ec2:DeleteVpcEndpoints", ("vpc-endpoint",)), ("ec2:DeleteTags", ("vpc-endpoint",))],
    "AWS::EC2::PlacementGroup": [("ec2:DeletePlacementGroup", ("placement-group",))],
    "AWS::EC2::LaunchTemplate": [
        ("ec2:DeleteLaunchTemplate", ("launch-template",)),
        ("ec2:DeleteTags", ("launch-template",)),
    ],
    "AWS::IAM::Role": [("iam:DetachRolePolicy", ("",)), ("iam:UntagRole", ("",)), ("iam:DeleteRole", ("",))],
}


def of_create_cluster(caller: Caller, tags: Mapping[str, str]) -> Iterator[Request]:
    """Source: the EKS User Guide's "Identity-based policies", "Cluster IAM role" and "Using service-linked roles"."""
    yield caller.asks("eks:CreateCluster", cluster(CLUSTER), new(tags))
    yield caller.asks("eks:TagResource", cluster(CLUSTER), new(tags))
    yield caller.asks("iam:PassRole", CLUSTER_ROLE, {"iam:PassedToService": "eks.amazonaws.com"})
    yield caller.asks("iam:GetRole", CLUSTER_ROLE)
    yield service_role(caller, "eks.amazonaws.com", "AWSServiceRoleForAmazonEKS")


def service_role(caller: Caller, service: str, name: str) -> Request:
    arn = role(f"aws-service-role/{service}/{name}")
    return caller.asks("iam:CreateServiceLinkedRole", arn, {"iam:AWSServiceName": service})


def of_create_node_group(caller: Caller, tags: Mapping[str, str]) -> Iterator[Request]:
    """With the trial of RunInstances that EKS makes of the launch template.

    Source: the EKS User Guide's "Customize managed nodes with launch templates".
    """
    yield caller.asks("eks:CreateNodegroup", cluster(CLUSTER), new(tags), bears(tags))
    yield caller.asks("eks:TagResource", node_group(CLUSTER), new(tags))
    yield caller.asks("iam:PassRole", NODE_ROLE, {"iam:PassedToService": "eks.amazonaws.com"})
    yield caller.asks("iam:GetRole", NODE_ROLE)
    yield caller.asks("iam:ListAttachedRolePolicies", NODE_ROLE)
    yield service_role(caller, "eks-nodegroup.amazonaws.com", "AWSServiceRoleForAmazonEKSNodegroup")
    data = template()["NodeTemplate"]["Properties"]["LaunchTemplateData"]
    by_template = {given["ResourceType"]: given["Tags"] for given in data["TagSpecifications"]}
    yield caller.asks("ec2:DescribeLaunchTemplateVersions", "*")
    for kind in ("instance", "volume", "network-interface"):
        given = {tag["Key"]: tags[tag["Key"]] for tag in by_template[kind]}
        yield caller.asks("ec2:RunInstances", ec2(kind), new(given))
        yield caller.asks("ec2:CreateTags", ec2(kind), new(given), {"ec2:CreateAction": "RunInstances"})
    for kind in ("subnet", "launch-template", "placement-group"):
        yield caller.asks("ec2:RunInstances", ec2(kind), bears(tags))
    for kind in ("image", "snapshot"):
        yield caller.asks("ec2:RunInstances", ec2(kind), {"ec2:Owner": "amazon"})
    yield caller.asks("ec2:RunInstances", ec2("security-group"))


# Which of a call's parameters names what it deletes.
_OF_CALL = {
    "DeleteNetworkInterface": ("NetworkInterfaceId", "network-interface"),
    "DeleteSecurityGroup": ("GroupId", "security-group"),
    "DeleteRouteTable": ("RouteTableId", "route-table"),
    "DisassociateRouteTable": ("AssociationId", "route-table"),
    "DeleteVpc": ("VpcId", "vpc"),
    "DeleteVolume": ("VolumeId", "volume"),
}


def of_call(
    caller: Caller, service: str, operation: str, sent: Mapping[str, str], tags: Mapping[str, Mapping[str, str]]
) -> Iterator[Request]:
    """What IAM judges of a recorded call; ``tags`` are those of each thing by its id or name, before it was asked."""
    action = f"{service}:{operation}"
    if operation in _OF_CALL:
        name, kind = _OF_CALL[operation]
        yield caller.asks(action, ec2(kind, sent[name]), bears(tags.get(sent[name], {})))
    elif service == "elasticloadbalancing" and operation.startswith("Delete"):
        (named,) = (value for key, value in sent.items() if key.startswith(("LoadBalancer", "TargetGroup")))
        arn = named if ":" in named else f"arn:aws:{service}:{REGION}:{ACCOUNT}:loadbalancer/{named}"
        yield caller.asks(action, arn, bears(tags.get(named, {})))
    elif operation in ("DeleteCluster", "DeleteNodegroup"):
        name = sent["name"]
        arn = cluster(name) if operation == "DeleteCluster" else node_group(name)
        yield caller.asks(action, arn, bears(tags.get(name, {})))
    elif operation == "GetPolicy":
        yield caller.asks(action, sent["PolicyArn"])
    elif operation.startswith(("Describe", "List", "GetCallerIdentity")):
        yield caller.asks(action, "*")
    else:
        raise KeyError(f"{action} is not known here: say what IAM judges of it")
