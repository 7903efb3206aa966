"""What nobody may do with the credentials of a study, of its janitor, or of a role that a study made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tests.hostile.eks_requests import (
    ACCOUNT,
    BOUNDARY,
    CLUSTER,
    CLUSTER_ROLE,
    NODE_ROLE,
    REGION,
    TAGS,
    VPC,
    Caller,
    Keys,
    bears,
    cluster,
    ec2,
    managed,
    new,
    node_group,
    of_create_cluster,
    of_create_node_group,
    of_create_stack,
    role,
    service_role,
    stack,
)
from tests.hostile.iam_evaluation import Request

US = Caller()
NAMELESS = Caller(owner="")
ABROAD = Caller(region="eu-central-1")
THEIRS = {**TAGS, "pullstudy:owner": "other", "pullstudy:run": "99999999"}
THEIR_CLUSTER = "pullstudy-eks-other-4-99999999"
NOTHING: Mapping[str, str] = {}
BOUND = {"iam:PermissionsBoundary": BOUNDARY}
ADMIN = managed("AdministratorAccess")
TO_EKS = {"iam:PassedToService": "eks.amazonaws.com"}
AS_MADE = {"cloudformation:CreateAction": "CreateStack"}
FOREIGN_ROLE, BOUNDARY_POLICY = role("admin"), BOUNDARY
# A session of a made role outside of any instance, and a pod's on one of the nodes, which may read the node's.
ANYWHERE = Caller(owner="")
IN_POD = Caller(
    owner="",
    session={"ec2:SourceInstanceARN": ec2("instance", "i-0a"), "aws:Ec2InstanceSourceVpc": VPC},
)
THEIR_VPC = {"ec2:Vpc": ec2("vpc", "vpc-foreign")}
OUR_VPC = {"ec2:Vpc": ec2("vpc", VPC)}


class By(StrEnum):
    """Whose credentials the attacker has."""

    STUDY = "study"
    JANITOR = "janitor"
    ROLE = "made role"  # with every permission attached to it


@dataclass(frozen=True, slots=True)
class Attack:
    """Succeeds when all of its requests are allowed."""

    by: By
    name: str
    requests: tuple[Request, ...]
    trusted: bool = False  # by the role that is assumed


def without(tags: Mapping[str, str], key: str) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name != key}


def all_attacks() -> list[Attack]:
    tried = [*_escalations(), *_tagging(), *_stacks(), *_clusters(), *_network(), *_nodes(), *_abroad()]
    return [
        *(Attack(By.STUDY, name, requests) for name, requests in tried),
        Attack(By.STUDY, "assume a role that was made to trust its maker", (_assume(CLUSTER_ROLE),), trusted=True),
        *(Attack(By.JANITOR, name, requests) for name, requests in _of_janitor()),
        *(Attack(By.ROLE, name, requests) for name, requests in _of_role()),
    ]


Tried = Iterator[tuple[str, tuple[Request, ...]]]


def _assume(arn: str) -> Request:
    return US.asks("sts:AssumeRole", arn)


def _create_role(arn: str, *keys: Keys) -> tuple[Request, ...]:
    return (US.asks("iam:CreateRole", arn, *keys),)


def _attach(arn: str, *keys: Keys) -> tuple[Request, ...]:
    return (US.asks("iam:AttachRolePolicy", arn, *keys),)


def _escalations() -> Tried:
    cni = {"iam:PolicyARN": managed("AmazonEKS_CNI_Policy")}
    yield "make a role without the boundary", _create_role(CLUSTER_ROLE, new(TAGS))
    yield "make a role with another boundary", _create_role(CLUSTER_ROLE, new(TAGS), {"iam:PermissionsBoundary": ADMIN})
    yield "make a role outside /pullstudy/", _create_role(FOREIGN_ROLE, new(TAGS), BOUND)
    yield "make a role in another owner's name", _create_role(CLUSTER_ROLE, new(THEIRS), BOUND)
    yield (
        "attach AdministratorAccess to a made role",
        _attach(CLUSTER_ROLE, bears(TAGS), BOUND, {"iam:PolicyARN": ADMIN}),
    )
    yield (
        "attach a policy of its own making",
        _attach(CLUSTER_ROLE, bears(TAGS), BOUND, {"iam:PolicyARN": f"arn:aws:iam::{ACCOUNT}:policy/mine"}),
    )
    yield "attach to a role without the boundary", _attach(role("pullstudy/by-hand"), cni)
    yield "attach to a role outside /pullstudy/", _attach(FOREIGN_ROLE, BOUND, cni)
    yield "assume a foreign role", (_assume(FOREIGN_ROLE),)
    for service in ("ec2", "lambda", "cloudformation", "codebuild", "ecs-tasks"):
        passed = {"iam:PassedToService": f"{service}.amazonaws.com"}
        yield f"pass a made role to {service}", (US.asks("iam:PassRole", NODE_ROLE, passed),)
    yield "pass a foreign role to EKS", (US.asks("iam:PassRole", FOREIGN_ROLE, TO_EKS),)
    for action in ("PutRolePolicy", "UpdateAssumeRolePolicy", "DeleteRolePermissionsBoundary", "UpdateRole"):
        yield f"iam:{action} on a made role", (US.asks(f"iam:{action}", CLUSTER_ROLE, bears(TAGS), BOUND),)
    other = {"iam:PermissionsBoundary": ADMIN}
    yield "put another boundary on a made role", (US.asks("iam:PutRolePermissionsBoundary", CLUSTER_ROLE, other),)
    for action in ("CreatePolicyVersion", "SetDefaultPolicyVersion", "DeletePolicyVersion", "DeletePolicy"):
        yield f"iam:{action} on the boundary", (US.asks(f"iam:{action}", BOUNDARY_POLICY),)
    mine = f"arn:aws:iam::{ACCOUNT}:policy/pullstudy-eks"
    yield "iam:CreatePolicyVersion on its own policy", (US.asks("iam:CreatePolicyVersion", mine),)
    for action in ("CreateUser", "CreateAccessKey", "AttachUserPolicy", "PutUserPolicy", "TagUser"):
        yield f"iam:{action}", (US.asks(f"iam:{action}", f"arn:aws:iam::{ACCOUNT}:user/x"),)
    for action in ("CreateInstanceProfile", "AddRoleToInstanceProfile"):
        yield f"iam:{action}", (US.asks(f"iam:{action}", f"arn:aws:iam::{ACCOUNT}:instance-profile/x"),)
    yield (
        "make a service's role of another service",
        (service_role(US, "spot.amazonaws.com", "AWSServiceRoleForEC2Spot"),),
    )
    of_eks = role("aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS")
    yield (
        "make another service's role under EKS' name",
        (US.asks("iam:CreateServiceLinkedRole", of_eks, {"iam:AWSServiceName": "spot.amazonaws.com"}),),
    )
    yield (
        "make a service's role of another name",
        (US.asks("iam:CreateServiceLinkedRole", role("x"), {"iam:AWSServiceName": "eks.amazonaws.com"}),),
    )
    for action, arn in (
        ("lambda:CreateFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:x"),
        ("s3:GetObject", "arn:aws:s3:::bucket/x"),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:x"),
        ("ssm:SendCommand", ec2("instance")),
        ("eks:CreateAccessEntry", cluster(THEIR_CLUSTER)),
        ("ec2:AuthorizeSecurityGroupIngress", ec2("security-group")),
        ("ec2:ModifyInstanceAttribute", ec2("instance")),
    ):
        yield action, (US.asks(action, arn),)


def _tagging() -> Tried:
    yield "tag a foreign cluster as one's own", (US.asks("eks:TagResource", cluster("prod"), new(TAGS)),)
    yield (
        "tag another owner's cluster as one's own",
        (US.asks("eks:TagResource", cluster(THEIR_CLUSTER), new(TAGS), bears(THEIRS)),),
    )
    yield (
        "tag another owner's node group as one's own",
        (US.asks("eks:TagResource", node_group(THEIR_CLUSTER), new(TAGS), bears(THEIRS)),),
    )
    yield (
        "give one's own cluster to another owner",
        (US.asks("eks:TagResource", cluster(CLUSTER), new(THEIRS), bears(TAGS)),),
    )
    odd = {**TAGS, "team": "admins"}
    yield "give a cluster tags that others' policies read", (US.asks("eks:TagResource", cluster(CLUSTER), new(odd)),)
    yield (
        "tag another owner's role as one's own",
        (US.asks("iam:TagRole", role("pullstudy/theirs"), new(TAGS), bears(THEIRS)),),
    )
    yield "give a role to another owner", (US.asks("iam:TagRole", CLUSTER_ROLE, new(THEIRS), bears(TAGS)),)
    yield (
        "give a role the tag that names an owner of studies",
        (US.asks("iam:TagRole", CLUSTER_ROLE, new({**TAGS, "pullstudy-owner": "other"})),),
    )
    yield "tag a foreign role", (US.asks("iam:TagRole", FOREIGN_ROLE, new(TAGS)),)
    yield (
        "tag a foreign stack as one's own",
        (US.asks("cloudformation:TagResource", stack("prod"), new(TAGS), AS_MADE),),
    )
    yield (
        "tag a stack that is there as one's own",
        (US.asks("cloudformation:TagResource", stack(THEIR_CLUSTER), new(TAGS), bears(THEIRS)),),
    )
    yield (
        "tag a new stack as another owner's",
        (US.asks("cloudformation:TagResource", stack(CLUSTER), new(THEIRS), AS_MADE),),
    )
    yield (
        "give a stack tags that others' policies read",
        (US.asks("cloudformation:TagResource", stack(CLUSTER), new(odd), AS_MADE),),
    )
    for kind in ("vpc", "subnet", "instance", "network-interface", "volume", "security-group", "route-table"):
        yield f"tag a foreign {kind} as one's own", (US.asks("ec2:CreateTags", ec2(kind), new(TAGS)),)
    yield (
        "tag a new instance as another owner's",
        (US.asks("ec2:CreateTags", ec2("instance"), new(THEIRS), {"ec2:CreateAction": "RunInstances"}),),
    )
    yield "take the tags from another owner's VPC", (US.asks("ec2:DeleteTags", ec2("vpc"), bears(THEIRS)),)


def _stacks() -> Tried:
    made = stack(CLUSTER)
    yield (
        "make a stack with a service's role",
        (US.asks("cloudformation:CreateStack", made, new(TAGS), {"cloudformation:RoleArn": FOREIGN_ROLE}),),
    )
    yield "make a stack in another owner's name", (US.asks("cloudformation:CreateStack", made, new(THEIRS)),)
    yield "make a stack under a foreign name", (US.asks("cloudformation:CreateStack", stack("prod"), new(TAGS)),)
    yield (
        "make a stack that no janitor finds",
        (US.asks("cloudformation:CreateStack", made, new(without(TAGS, "pullstudy:run"))),),
    )
    yield (
        "make a stack that never expires",
        (US.asks("cloudformation:CreateStack", made, new(without(TAGS, "pullstudy:expires-at"))),),
    )
    yield "make a stack without a name of one's own", (NAMELESS.asks("cloudformation:CreateStack", made, new(TAGS)),)
    yield "delete a foreign stack", (US.asks("cloudformation:DeleteStack", stack("prod")),)
    yield (
        "delete a foreign stack that bears our tags",
        (US.asks("cloudformation:DeleteStack", stack("prod"), bears(TAGS)),),
    )
    yield "delete another owner's stack", (US.asks("cloudformation:DeleteStack", stack(THEIR_CLUSTER), bears(THEIRS)),)
    yield (
        "delete a stack with a service's role",
        (US.asks("cloudformation:DeleteStack", made, bears(TAGS), {"cloudformation:RoleArn": FOREIGN_ROLE}),),
    )
    for action in ("UpdateStack", "CreateChangeSet", "SetStackPolicy"):
        yield f"cloudformation:{action} on a stack", (US.asks(f"cloudformation:{action}", made, bears(TAGS)),)


def _clusters() -> Tried:
    yield "make a cluster in another owner's name", (US.asks("eks:CreateCluster", cluster(CLUSTER), new(THEIRS)),)
    for key, what in (("pullstudy:run", "that no janitor finds"), ("pullstudy:expires-at", "that never expires")):
        short = without(TAGS, key)
        yield f"make a cluster {what}", (US.asks("eks:CreateCluster", cluster(CLUSTER), new(short)),)
        yield f"make nodes {what}", (US.asks("eks:CreateNodegroup", cluster(CLUSTER), new(short), bears(TAGS)),)
    yield (
        "make nodes in another owner's name",
        (US.asks("eks:CreateNodegroup", cluster(CLUSTER), new(THEIRS), bears(TAGS)),),
    )
    yield (
        "make nodes in another owner's cluster",
        (US.asks("eks:CreateNodegroup", cluster(THEIR_CLUSTER), new(TAGS), bears(THEIRS)),),
    )
    yield (
        "make nodes in a foreign cluster that bears our tags",
        (US.asks("eks:CreateNodegroup", cluster("prod"), new(TAGS), bears(TAGS)),),
    )
    for what, arn in (("Cluster", cluster), ("Nodegroup", node_group)):
        action = f"eks:Delete{what}"
        yield f"{action} of a foreign cluster", (US.asks(action, arn("prod")),)
        yield f"{action} of a foreign cluster that bears our tags", (US.asks(action, arn("prod"), bears(TAGS)),)
        yield f"{action} of another owner's cluster", (US.asks(action, arn(THEIR_CLUSTER), bears(THEIRS)),)
        yield f"{action} of nobody's cluster, by a caller without a name", (NAMELESS.asks(action, arn(CLUSTER)),)
    yield (
        "eks:UpdateClusterConfig of another owner's cluster",
        (US.asks("eks:UpdateClusterConfig", cluster(THEIR_CLUSTER), bears(THEIRS)),),
    )


def _network() -> Tried:
    for action, kinds in (
        ("AssociateRouteTable", ("route-table", "subnet")),
        ("AttachInternetGateway", ("internet-gateway", "vpc")),
        ("CreateRoute", ("route-table",)),
        ("DeleteInternetGateway", ("internet-gateway",)),
        ("DeleteLaunchTemplate", ("launch-template",)),
        ("DeleteNetworkInterface", ("network-interface",)),
        ("DeletePlacementGroup", ("placement-group",)),
        ("DeleteRoute", ("route-table",)),
        ("DeleteRouteTable", ("route-table",)),
        ("DeleteSecurityGroup", ("security-group",)),
        ("DeleteSubnet", ("subnet",)),
        ("DeleteTags", ("instance",)),
        ("DeleteVolume", ("volume",)),
        ("DeleteVpc", ("vpc",)),
        ("DeleteVpcEndpoints", ("vpc-endpoint",)),
        ("DetachInternetGateway", ("internet-gateway", "vpc")),
        ("DisassociateRouteTable", ("route-table", "subnet")),
        ("ModifySubnetAttribute", ("subnet",)),
        ("ModifyVpcAttribute", ("vpc",)),
        ("TerminateInstances", ("instance",)),
        ("StopInstances", ("instance",)),
    ):
        for whose, tags in (("a foreign", NOTHING), ("another owner's", THEIRS)):
            asked = tuple(US.asks(f"ec2:{action}", ec2(kind), bears(tags)) for kind in kinds)
            yield f"ec2:{action} on {whose} {kinds[0]}", asked
    for action, kind in (("DeleteLoadBalancer", "loadbalancer/net"), ("DeleteTargetGroup", "targetgroup")):
        arn = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:{kind}/x/1"
        yield f"{action} of a foreign service", (US.asks(f"elasticloadbalancing:{action}", arn),)
        yield f"{action} of another owner", (US.asks(f"elasticloadbalancing:{action}", arn, bears(THEIRS)),)
    yield (
        "delete a foreign cluster's interface",
        (
            US.asks(
                "ec2:DeleteNetworkInterface",
                ec2("network-interface"),
                bears({"cluster.k8s.amazonaws.com/name": "prod", "node.k8s.amazonaws.com/instance_id": "i-0b"}),
            ),
        ),
    )
    yield (
        "delete a foreign cluster's security group",
        (US.asks("ec2:DeleteSecurityGroup", ec2("security-group"), bears({"aws:eks:cluster-name": "prod"})),),
    )
    # Tags of the request are put on all that a request names, in case EC2 does.
    for action, kind in (
        ("CreateSubnet", "subnet"),
        ("CreateRouteTable", "route-table"),
        ("CreateVpcEndpoint", "vpc-endpoint"),
    ):
        asked = (US.asks(f"ec2:{action}", ec2(kind), new(TAGS)), US.asks(f"ec2:{action}", ec2("vpc"), new(TAGS)))
        yield f"ec2:{action} in a foreign VPC", asked
        yield (
            f"ec2:{action} without tags",
            (
                US.asks(f"ec2:{action}", ec2(kind)),
                US.asks(f"ec2:{action}", ec2("vpc"), bears(TAGS)),
            ),
        )
    for action, kind in (
        ("CreateVpc", "vpc"),
        ("CreateInternetGateway", "internet-gateway"),
        ("CreateLaunchTemplate", "launch-template"),
    ):
        yield f"ec2:{action} without tags", (US.asks(f"ec2:{action}", ec2(kind)),)
        yield f"ec2:{action} in another owner's name", (US.asks(f"ec2:{action}", ec2(kind), new(THEIRS)),)
    for action, arn in (("DeleteRole", role("pullstudy/theirs")), ("UntagRole", role("pullstudy/theirs"))):
        yield f"iam:{action} of another owner's role", (US.asks(f"iam:{action}", arn, bears(THEIRS)),)
    yield (
        "iam:DeleteRole of a foreign role that bears our tags",
        (US.asks("iam:DeleteRole", FOREIGN_ROLE, bears(TAGS)),),
    )
    yield (
        "take a policy from another owner's role",
        (
            US.asks(
                "iam:DetachRolePolicy",
                role("pullstudy/theirs"),
                bears(THEIRS),
                {"iam:PolicyARN": managed("AmazonEKS_CNI_Policy")},
            ),
        ),
    )


def _run(**changed: Keys) -> tuple[Request, ...]:
    """A start of instances as EKS tries it, with other keys for some kinds of things."""
    usual: dict[str, Keys] = {
        **dict.fromkeys(("instance", "network_interface", "volume"), new(TAGS)),
        **dict.fromkeys(("launch_template", "subnet"), bears(TAGS)),
        "image": {"ec2:Owner": "amazon"},
        "security_group": {},
    }
    return tuple(
        US.asks("ec2:RunInstances", ec2(kind.replace("_", "-")), keys) for kind, keys in {**usual, **changed}.items()
    )


def _nodes() -> Tried:
    yield "run instances without tags", _run(instance={}, network_interface={}, volume={})
    yield "run instances in another owner's name", _run(instance=new(THEIRS))
    # As if the request's tags were given with everything.
    yield "run instances in a foreign subnet", _run(subnet=new(TAGS))
    yield "run instances of a foreign launch template", _run(launch_template=new(TAGS))
    yield "run instances of an image of the account", _run(image={"ec2:Owner": "self", **new(TAGS)})
    yield "run instances with a key pair", (*_run(), US.asks("ec2:RunInstances", ec2("key-pair"), new(TAGS)))
    yield (
        "run instances with a role",
        (*_run(), US.asks("iam:PassRole", NODE_ROLE, {"iam:PassedToService": "ec2.amazonaws.com"})),
    )


def _abroad() -> Tried:
    yield "make a network in another region", tuple(of_create_stack(ABROAD, TAGS))
    yield "make a VPC in another region", (ABROAD.asks("ec2:CreateVpc", ec2("vpc"), new(TAGS)),)
    yield "make a cluster in another region", tuple(of_create_cluster(ABROAD, TAGS))
    yield "make nodes in another region", tuple(of_create_node_group(ABROAD, TAGS))


def _of_janitor() -> Tried:
    making = [*of_create_stack(US, TAGS), *of_create_cluster(US, TAGS), *of_create_node_group(US, TAGS)]
    looks = ("iam:Get", "iam:List", "ec2:Describe")
    for request in {request.action: request for request in making if not request.action.startswith(looks)}.values():
        yield f"{request.action}", (request,)
    for action, kind in (
        ("DeleteVpc", "vpc"),
        ("DeleteVolume", "volume"),
        ("DeleteNetworkInterface", "network-interface"),
        ("DeleteSecurityGroup", "security-group"),
        ("DeleteTags", "instance"),
        ("TerminateInstances", "instance"),
        ("CreateTags", "vpc"),
    ):
        yield f"ec2:{action} on what bears no tag of a run", (US.asks(f"ec2:{action}", ec2(kind), new(TAGS)),)
    yield (
        "delete a foreign cluster's interface",
        (
            US.asks(
                "ec2:DeleteNetworkInterface",
                ec2("network-interface"),
                bears({"cluster.k8s.amazonaws.com/name": "prod"}),
            ),
        ),
    )
    yield (
        "delete a foreign cluster's security group",
        (US.asks("ec2:DeleteSecurityGroup", ec2("security-group"), bears({"aws:eks:cluster-name": "prod"})),),
    )
    balancer = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/net/x/1"
    yield (
        "delete a foreign cluster's balancer",
        (US.asks("elasticloadbalancing:DeleteLoadBalancer", balancer, bears({"elbv2.k8s.aws/cluster": "prod"})),),
    )
    yield "delete a cluster without tags", (US.asks("eks:DeleteCluster", cluster(CLUSTER)),)
    yield "delete a foreign cluster that bears our tags", (US.asks("eks:DeleteCluster", cluster("prod"), bears(TAGS)),)
    yield "delete a stack without tags", (US.asks("cloudformation:DeleteStack", stack(CLUSTER)),)
    yield (
        "delete a foreign stack that bears our tags",
        (US.asks("cloudformation:DeleteStack", stack("prod"), bears(TAGS)),),
    )
    yield (
        "delete a stack with a service's role",
        (US.asks("cloudformation:DeleteStack", stack(CLUSTER), bears(TAGS), {"cloudformation:RoleArn": FOREIGN_ROLE}),),
    )
    yield "delete a role without tags", (US.asks("iam:DeleteRole", role("pullstudy/by-hand")),)
    yield "delete a foreign role that bears our tags", (US.asks("iam:DeleteRole", FOREIGN_ROLE, bears(TAGS)),)
    yield "attach a policy", (US.asks("iam:AttachRolePolicy", CLUSTER_ROLE, BOUND, {"iam:PolicyARN": ADMIN}),)
    yield "assume a made role", (_assume(CLUSTER_ROLE),)


def _of_role() -> Tried:
    of_cluster = {**TAGS, f"kubernetes.io/cluster/{CLUSTER}": "owned"}
    for action in [
        "iam:CreateRole",
        "iam:PutRolePolicy",
        "iam:CreateServiceLinkedRole",
        "iam:PassRole",
        "sts:AssumeRole",
        "s3:GetObject",
        "ec2:RunInstances",
        "ec2:TerminateInstances",
        "ec2:CreateRoute",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:DeleteSecurityGroup",
        "ec2:DeleteVolume",
        "ec2:AttachVolume",
        "ec2:ModifyInstanceAttribute",
        "elasticloadbalancing:DeleteLoadBalancer",
        "elasticloadbalancing:CreateLoadBalancer",
        "eks:DeleteCluster",
        "autoscaling:UpdateAutoScalingGroup",
        "eks:CreateAccessEntry",
    ]:
        yield (
            f"{action}, from a node",
            (IN_POD.asks(action, "arn:aws:x:us-east-2:123456789012:x/x", bears(TAGS), OUR_VPC),),
        )
    for action in ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "eks:DescribeCluster"):
        yield f"{action}, from outside a node", (ANYWHERE.asks(action, "arn:aws:x:us-east-2:123456789012:x/x"),)
    for action in ("CreateNetworkInterface", "DeleteNetworkInterface", "ModifyNetworkInterfaceAttribute", "CreateTags"):
        arn = ec2("network-interface")
        yield f"ec2:{action}, from outside a node", (ANYWHERE.asks(f"ec2:{action}", arn, new(TAGS), OUR_VPC),)
        yield (
            f"ec2:{action} in another network, from a node",
            (IN_POD.asks(f"ec2:{action}", arn, new(TAGS), THEIR_VPC),),
        )
    yield (
        "make an interface in a foreign subnet, from a node",
        (
            IN_POD.asks("ec2:CreateNetworkInterface", ec2("network-interface"), OUR_VPC),
            IN_POD.asks("ec2:CreateNetworkInterface", ec2("subnet"), THEIR_VPC),
        ),
    )
    both = ec2("network-interface"), ec2("instance")
    yield (
        "attach an interface to a foreign instance, from a node",
        (
            IN_POD.asks("ec2:AttachNetworkInterface", both[0], OUR_VPC),
            IN_POD.asks("ec2:AttachNetworkInterface", both[1]),
        ),
    )
    yield (
        "attach an interface to an instance of a run, from outside a node",
        (ANYWHERE.asks("ec2:AttachNetworkInterface", both[1], bears(TAGS)),),
    )
    yield "tag a foreign instance as a run's", (ANYWHERE.asks("ec2:CreateTags", ec2("instance"), new(of_cluster)),)
    yield (
        "give an instance to another owner",
        (ANYWHERE.asks("ec2:CreateTags", ec2("instance"), new(THEIRS), bears(TAGS)),),
    )
