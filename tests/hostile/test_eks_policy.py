"""Who has a study's, a janitor's or a made role's credentials on AWS cannot get more with them, nor harm others.

IAM's answers are those of tests/hostile/iam_evaluation.py. That each condition is needed is shown by leaving it out:
then an attack succeeds. Source of what services tell IAM: AWS' Service Authorization Reference.
"""

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hostile.authorization_reference import DEPLOY, EVERYWHERE, key_name, known_keys, read_table
from tests.hostile.conftest import Attack as TellAttack
from tests.hostile.eks_attacks import Attack, By, all_attacks
from tests.hostile.eks_requests import (
    CLUSTER,
    TAGS,
    VPC,
    Caller,
    bears,
    ec2,
    new,
    of_create_cluster,
    of_create_node_group,
    of_create_stack,
    of_delete_stack,
    template,
)
from tests.hostile.iam_evaluation import Policy, Request, Verdict, judge, listed, make_context, read_policy

FILES = ("eks-policy", "eks-roles-policy", "eks-janitor-policy", "eks-boundary")
EVERYTHING = {"Statement": [{"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"}]}
LONGEST = 6144  # letters of a managed policy without white space. Source: the IAM User Guide's "IAM and STS quotas"
ATTACKS = all_attacks()
NODE = Caller(owner="", session={"ec2:SourceInstanceARN": ec2("instance"), "aws:Ec2InstanceSourceVpc": VPC})

Shipped = dict[str, Policy]


def shipped() -> Shipped:
    return {name: read_policy(DEPLOY / f"{name}.json") for name in FILES}


SHIPPED = shipped()


def answer(request: Request, by: By, policies: Shipped, *, trusted: bool = False) -> Verdict:
    if by is By.ROLE:
        return judge(request, [EVERYTHING], boundary=policies["eks-boundary"])
    names = ("eks-janitor-policy",) if by is By.JANITOR else ("eks-policy", "eks-roles-policy")
    return judge(request, [policies[name] for name in names], trusted=trusted)


def why_held(attack: Attack, policies: Shipped) -> str:
    """Empty: it succeeds."""
    for request in attack.requests:
        verdict = answer(request, attack.by, policies, trusted=attack.trusted)
        if not verdict.allowed:
            return verdict.reason
    return ""


def ids(attack: Attack) -> str:
    return f"{attack.by}: {attack.name}"


def test_each_attack_is_tried_once() -> None:
    names = [ids(attack) for attack in ATTACKS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("tried", ATTACKS, ids=ids)
def test_what_nobody_may_do_is_refused(tried: Attack, attack: TellAttack) -> None:
    held_by = why_held(tried, SHIPPED)
    attack(ids(tried), held_by if len(held_by) <= 90 else f"{held_by[:87]}...")
    assert held_by


def parts() -> Iterator[tuple[str, str, str]]:
    """Each condition of a statement that allows, and each statement that denies."""
    for file, policy in SHIPPED.items():
        for statement in policy["Statement"]:
            if statement["Effect"] == "Deny":
                yield file, statement["Sid"], ""
                continue
            for operator, keys in statement.get("Condition", {}).items():
                for key in keys:
                    yield file, statement["Sid"], f"{operator} {key}"


@pytest.mark.parametrize(("file", "sid", "part"), list(parts()))
def test_without_any_condition_an_attack_succeeds(file: str, sid: str, part: str) -> None:
    weaker: dict[str, Any] = copy.deepcopy(SHIPPED)
    (statement,) = [each for each in weaker[file]["Statement"] if each["Sid"] == sid]
    if part:
        operator, key = part.split(" ", 1)
        del statement["Condition"][operator][key]
    else:
        weaker[file]["Statement"].remove(statement)
    assert any(not why_held(tried, weaker) for tried in ATTACKS)


def narrow() -> Iterator[tuple[str, str]]:
    """Statements that speak of things by name, or of kinds of things of which an action makes one with another."""
    for file, policy in SHIPPED.items():
        for statement in policy["Statement"]:
            named = [arn for arn in listed(statement["Resource"]) if not re.search(r"^\*$|:[a-z-]+/\*$", arn)]
            by_kind = statement["Sid"] in ("MakeNetwork", "RunNodes", "RunNodesInTheirGroups")
            if (named or by_kind) and statement["Effect"] == "Allow" and "Look" not in statement["Sid"]:
                yield file, statement["Sid"]


@pytest.mark.parametrize(("file", "sid"), list(narrow()))
def test_on_any_resource_an_attack_succeeds(file: str, sid: str) -> None:
    weaker: dict[str, Any] = copy.deepcopy(SHIPPED)
    (statement,) = [each for each in weaker[file]["Statement"] if each["Sid"] == sid]
    statement["Resource"] = "*"
    assert any(not why_held(tried, weaker) for tried in ATTACKS)


def kinds_of(statement: Any) -> set[str]:
    """Of resources that a statement speaks of; "" for all."""
    named = set()
    for arn in listed(statement["Resource"]):
        rest = arn.split(":", 5)[-1]
        named.add("" if arn == "*" or rest.startswith("*") else re.split("[:/]", rest)[0])
    return named


@pytest.mark.parametrize("file", FILES)
def test_every_condition_is_on_a_key_that_the_service_gives_with_the_action(file: str) -> None:
    """One that it does not give would close for ever, or open for ever."""
    table = read_table()
    for statement in SHIPPED[file]["Statement"]:
        keys = {key_name(key) for lines in statement.get("Condition", {}).values() for key in lines}
        for action in statement["Action"]:
            if "*" in action:
                assert keys <= EVERYWHERE
                continue
            kinds = kinds_of(statement) - {""} or set(table[action])
            for kind in kinds & (set(table[action]) - {""}) or {""}:
                assert keys <= known_keys(action, kind), (statement["Sid"], action, kind)


@pytest.mark.parametrize("file", FILES)
def test_a_policy_is_no_longer_than_iam_takes(file: str) -> None:
    assert len(re.sub(r"\s", "", (DEPLOY / f"{file}.json").read_text())) <= LONGEST


@pytest.mark.parametrize("file", FILES)
def test_no_variable_stands_where_iam_reads_none(file: str) -> None:
    """Source: the IAM User Guide's "Policy variables": in values of string and ARN operators, late in an ARN."""
    for statement in SHIPPED[file]["Statement"]:
        assert "${" not in str([statement["Resource"], statement["Action"]])
        for operator, lines in statement.get("Condition", {}).items():
            assert "${" not in str(lines) or operator.rpartition(":")[2].startswith(("String", "Arn"))


def test_what_a_study_asks_for_is_allowed() -> None:
    us = Caller()
    for act in (of_create_stack, of_create_cluster, of_create_node_group, of_delete_stack):
        for request in act(us, TAGS):
            verdict = answer(request, By.STUDY, SHIPPED)
            assert verdict.allowed, (request, verdict.reason)


def test_nothing_is_asked_with_a_key_that_the_service_does_not_give() -> None:
    """Else the requests here would pass and AWS' own not."""
    us, of_session = Caller(), {"aws:principaltag"}
    for act in (of_create_stack, of_create_cluster, of_create_node_group, of_delete_stack):
        for request in act(us, TAGS):
            kind = re.split("[:/]", request.resource.split(":", 5)[-1])[0]
            given = {key_name(key) for key in request.context} - of_session
            assert given <= known_keys(request.action, kind), request


def node_requests() -> Iterator[Request]:
    """What a node's kubelet and CNI ask. Source: amazon-vpc-cni-k8s, docs/iam-policy.md."""
    mine = {"ec2:Vpc": ec2("vpc", VPC)}
    for action in ("ec2:DescribeInstances", "ec2:DescribeSubnets", "ec2:DescribeInstanceTypes", "ecr:BatchGetImage"):
        yield NODE.asks(action, "*")
    yield NODE.asks("eks:DescribeCluster", f"arn:aws:eks:us-east-2:123456789012:cluster/{CLUSTER}")
    of_cni = {"cluster.k8s.amazonaws.com/name": CLUSTER, "node.k8s.amazonaws.com/instance_id": "i-0a"}
    for kind in ("network-interface", "subnet", "security-group"):
        yield NODE.asks("ec2:CreateNetworkInterface", ec2(kind), mine)
    yield NODE.asks("ec2:CreateTags", ec2("network-interface"), mine, new(of_cni))
    for action in ("AttachNetworkInterface", "DetachNetworkInterface", "ModifyNetworkInterfaceAttribute"):
        yield NODE.asks(f"ec2:{action}", ec2("network-interface"), mine, bears(of_cni))
        yield NODE.asks(f"ec2:{action}", ec2("instance"), bears(TAGS))
    for action in ("AssignPrivateIpAddresses", "UnassignPrivateIpAddresses", "DeleteNetworkInterface"):
        yield NODE.asks(f"ec2:{action}", ec2("network-interface"), mine, bears(of_cni))


def test_nodes_and_control_plane_can_do_within_the_boundary_what_they_must() -> None:
    """The control plane without balancers. Source: the EKS User Guide's "Amazon EKS cluster IAM role"."""
    plane = Caller(owner="")
    of_cluster = new({f"kubernetes.io/cluster/{CLUSTER}": "owned"})
    of_plane = [
        plane.asks("ec2:CreateTags", ec2("instance"), of_cluster, bears(TAGS)),
        *(
            plane.asks(action, "*")
            for action in (
                "ec2:DescribeInstances",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeVpcs",
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeAvailabilityZones",
                "ec2:DescribeInstanceTopology",
                "kms:DescribeKey",
            )
        ),
    ]
    managed = attached()
    for request in (*node_requests(), *of_plane):
        verdict = judge(request, managed, boundary=SHIPPED["eks-boundary"])
        assert verdict.allowed, (request, verdict.reason)


def attached() -> list[Policy]:
    """AWS' own policies that the template attaches, as moto ships them."""
    import json

    from moto.iam.aws_managed_policies import aws_managed_policies_data

    known = json.loads(aws_managed_policies_data)
    names = {
        arn["Fn::Sub"].rpartition("/")[2]
        for resource in template().values()
        if resource["Type"] == "AWS::IAM::Role"
        for arn in resource["Properties"]["ManagedPolicyArns"]
    }
    assert len(names) == 4
    return [named(known[name]["Document"]) for name in names]


def named(document: Any) -> Policy:
    for statement in document["Statement"]:
        statement.setdefault("Sid", "")
    policy: Policy = document
    return policy


def test_a_janitor_deletes_what_any_owners_run_left() -> None:
    janitor = Caller(owner="")
    for request in of_delete_stack(janitor, TAGS):
        verdict = answer(request, By.JANITOR, SHIPPED)
        assert verdict.allowed, (request, verdict.reason)


@pytest.mark.parametrize(
    ("operator", "wanted", "given", "holds_"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", "a", "A", False),
        ("StringEquals", "a", None, False),
        ("StringEqualsIfExists", "a", None, True),
        ("StringEqualsIfExists", "a", "b", False),
        ("StringNotEquals", "a", None, True),
        ("StringLike", "a*", "abc", True),
        ("StringLike", "${v}*", "x-1", True),
        ("StringEquals", "${v}", "x", True),
        ("StringEquals", "${none}", "", False),
        ("StringNotEquals", "${none}", "a", True),
        ("StringLike", "${star}", "abc", False),
        ("StringLike", "${star}", "*", True),
        ("ArnLike", "arn:aws:iam::*:policy/a", "arn:aws:iam::1:policy/a", True),
        ("ArnLike", "arn:aws:iam::*", "arn:aws:iam::1:policy/a", False),
        ("Null", "true", None, True),
        ("Null", "false", None, False),
        ("Null", "false", "a", True),
        ("Bool", "true", "true", True),
        ("ForAllValues:StringEquals", ["a", "b"], ("a",), True),
        ("ForAllValues:StringEquals", ["a", "b"], ("a", "c"), False),
        ("ForAllValues:StringEquals", ["a"], None, True),
        ("ForAnyValue:StringEquals", ["a"], ("b", "a"), True),
        ("ForAnyValue:StringEquals", ["a"], None, False),
        ("ForAnyValue:StringNotEquals", ["a"], None, False),
    ],
)
def test_conditions_hold_as_iam_says(operator: str, wanted: Any, given: Any, holds_: bool) -> None:
    context = make_context({"v": "x", "star": "*", **({} if given is None else {"k": given})})
    statement = {
        "Sid": "s",
        "Effect": "Allow",
        "Action": "a:B",
        "Resource": "*",
        "Condition": {operator: {"k": wanted}},
    }
    assert judge(Request("a:B", "r", context), [{"Statement": [statement]}]).allowed is holds_


def test_a_denial_goes_over_everything_and_a_boundary_only_narrows() -> None:
    asked = Request("a:B", "r", {})
    allow = {"Statement": [{"Sid": "s", "Effect": "Allow", "Action": ["a:*"], "Resource": "*"}]}
    deny = {"Statement": [{"Sid": "d", "Effect": "Deny", "Action": "a:b", "Resource": "*"}]}
    none: Policy = {"Statement": []}
    assert judge(asked, [allow]).allowed
    assert not judge(asked, [allow, deny]).allowed
    assert not judge(asked, [none], boundary=allow).allowed
    assert not judge(asked, [allow], boundary=none).allowed
    assert judge(asked, [none], trusted=True).allowed
    assert not judge(asked, [deny], trusted=True).allowed


@pytest.mark.parametrize("odd", [{"NotAction": "a:B"}, {"Condition": {"DateLessThan": {"k": "x"}}}])
def test_what_the_evaluation_does_not_know_is_an_error(odd: Any) -> None:
    statement = {"Sid": "s", "Effect": "Allow", "Action": "a:B", "Resource": "*", **odd}
    with pytest.raises(ValueError, match="not known here"):
        judge(Request("a:B", "r", {}), [{"Statement": [statement]}])
