"""Whatever AWS does to a cluster on its way up or down, nothing of it is left, or the user is told the one command."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from driver.clusters.provider import ClusterOrder, Handle
from driver.errors import ProviderError
from driver.providers.eks.provider import EksProvider
from tests.driver.eks.aws_proxy import AwsProxy
from tests.driver.eks.studies import CLIENTS, NOTHING, account, everything, left
from tests.driver.scripted_api import scripted

pytestmark = pytest.mark.real  # moto takes half a minute of CPU for all of them

Saved = list[Handle]


def status(kind: str, value: str, issue: str = "") -> Callable[[Any], None]:
    def change(document: Any) -> None:
        document[kind]["status"] = value
        document[kind]["health"] = {"issues": [{"code": "AsgInstanceLaunchFailures", "message": issue}]}

    return change


UP_AND_DOWN: dict[str, Callable[[AwsProxy], None]] = {
    "throttled": lambda aws: (
        [
            aws.refuse(name, "ThrottlingException", 429)
            for name in ("CreateCluster", "DescribeCluster", "DeleteNodegroup", "ListNodegroups", "DeleteCluster")
        ]
        and None
    ),
    "throttled by EC2 and CloudFormation": lambda aws: (
        (
            [aws.refuse(name, "RequestLimitExceeded", 503) for name in ("DescribeNetworkInterfaces", "DescribeVpcs")]
            and aws.refuse("CreateStack", "Throttling", 400)
        )
        or aws.refuse("DescribeStacks", "Throttling", 400)
    ),
    "500 for each call that makes something": lambda aws: (
        [aws.refuse(name, "InternalFailure", 500) for name in ("CreateStack", "CreateCluster", "CreateNodegroup")]
        and None
    ),
    "the answer to the stack is lost": lambda aws: aws.lose("CreateStack"),
    "the answer to the cluster is lost": lambda aws: aws.lose("CreateCluster"),
    "the answer to the node group is lost": lambda aws: aws.lose("CreateNodegroup"),
    "the answers to the deletions are lost": lambda aws: (
        [aws.lose(name) for name in ("DeleteNodegroup", "DeleteCluster", "DeleteStack")] and None
    ),
    "a connection is cut before it is heard": lambda aws: aws.cut("CreateCluster", times=2),
    "the cluster is not seen at first": lambda aws: aws.refuse(
        "DescribeCluster", "ResourceNotFoundException", 404, times=3
    ),
    "the node group is not seen at first": lambda aws: aws.refuse(
        "DescribeNodegroup", "ResourceNotFoundException", 404, times=3
    ),
    "the role is not seen at first": lambda aws: aws.refuse(
        "CreateCluster", "InvalidParameterException", 400, "Role with arn could not be assumed", times=2
    ),
    "there is no capacity at first": lambda aws: aws.rewrite(
        "DescribeNodegroup", status("nodegroup", "CREATE_FAILED", "InsufficientInstanceCapacity")
    ),
    "the cluster says once that node groups are attached": lambda aws: aws.refuse(
        "DeleteCluster", "ResourceInUseException", 409, "Cluster has nodegroups attached"
    ),
}


@pytest.mark.parametrize("fault", UP_AND_DOWN)
async def test_a_fault_that_passes_costs_nothing_but_time(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved, fault: str
) -> None:
    UP_AND_DOWN[fault](aws)
    cluster = await provider.up(order, saved.append)
    assert {found.kind for found in await left()} >= {"cluster", "node group", "stack", "network", "role"}
    assert cluster.handle == saved[-1]
    await provider.down(order.name, saved[-1])
    assert await left() == []
    assert await everything() == NOTHING


DOOMED: dict[str, tuple[Callable[[AwsProxy], None], str]] = {
    "the stack ends CREATE_FAILED": (
        lambda aws: aws.refuse("CreateStack", "LimitExceededException", 400, "no more roles"),
        "no more roles",
    ),
    "the cluster ends FAILED": (
        lambda aws: aws.rewrite("DescribeCluster", status("cluster", "FAILED", "no addresses left")),
        "no addresses left",
    ),
    "the node group ends CREATE_FAILED": (
        lambda aws: aws.rewrite("DescribeNodegroup", status("nodegroup", "CREATE_FAILED", "nodes did not join")),
        "nodes did not join",
    ),
    "the cluster's waiter times out while it is still made": (
        lambda aws: aws.rewrite("DescribeCluster", status("cluster", "CREATING"), times=60),
        "took longer than",
    ),
    "the node group's waiter times out": (
        lambda aws: aws.rewrite("DescribeNodegroup", status("nodegroup", "CREATING"), times=60),
        "took longer than",
    ),
    "permission is missing for the node group": (
        lambda aws: aws.refuse("CreateNodegroup", "AccessDeniedException", 403, "not authorized"),
        "not authorized",
    ),
}


@pytest.mark.parametrize("fault", DOOMED)
async def test_a_cluster_that_cannot_be_made_is_taken_down_to_nothing(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved, fault: str
) -> None:
    inject, said = DOOMED[fault]
    inject(aws)
    with pytest.raises(ProviderError, match=said):
        await provider.up(order, saved.append)
    aws.forget()
    await provider.down(order.name, saved[-1])
    assert await everything() == NOTHING


@pytest.mark.parametrize("operation", ["CreateStack", "CreateCluster", "CreateNodegroup"])
async def test_a_driver_that_ends_at_a_call_which_took_effect_leaves_enough_to_find_it(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved, operation: str
) -> None:
    """What was saved before the call is all that another process has."""
    making = asyncio.ensure_future(provider.up(order, saved.append))
    aws.then(operation, making.cancel)
    with pytest.raises(asyncio.CancelledError):
        await making
    other = EksProvider(order.directory / "no-kubeconfig", clients=CLIENTS)
    await other.down(order.name, saved[-1])
    assert await everything() == NOTHING


async def test_the_order_down_is_nodes_interfaces_cluster_stack(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    await provider.up(order, saved.append)
    aws.asked.clear()
    await provider.down(order.name, saved[-1])
    first = [aws.asked.index(name) for name in ("DeleteNodegroup", "DescribeNetworkInterfaces", "DeleteCluster")]
    assert [*first, aws.asked.index("DeleteStack")] == sorted([*first, aws.asked.index("DeleteStack")])


async def test_an_interface_that_lingers_is_waited_for_and_deleted_before_the_cluster(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    await provider.up(order, saved.append)
    asked = account()
    (network,) = [found.name for found in await left() if found.kind == "network"]
    subnets = await asked.call("ec2", "describe_subnets", Filters=[{"Name": "vpc-id", "Values": [network]}])
    await asked.call(
        "ec2", "create_network_interface", SubnetId=subnets["Subnets"][0]["SubnetId"], Description="aws-K8S-i-0abc"
    )
    aws.refuse(
        "DeleteNetworkInterface", "InvalidParameterValue", 400, "Network interface 'eni-0abc' is currently in use."
    )
    aws.asked.clear()
    await provider.down(order.name, saved[-1])
    assert aws.asked.count("DeleteNetworkInterface") == 2
    assert aws.asked.index("DeleteNetworkInterface") < aws.asked.index("DeleteCluster")
    assert await everything() == NOTHING


async def test_a_stack_that_no_longer_says_its_network_is_cleared_all_the_same(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    await provider.up(order, saved.append)
    (network,) = [found.name for found in await left() if found.kind == "network"]
    subnets = await account().call("ec2", "describe_subnets", Filters=[{"Name": "vpc-id", "Values": [network]}])
    await account().call(
        "ec2", "create_network_interface", SubnetId=subnets["Subnets"][0]["SubnetId"], Description="aws-K8S-i-0abc"
    )
    aws.reword("DescribeStacks", "<OutputKey>Vpc<", "<OutputKey>Gone<", times=99)
    await provider.down(order.name, saved[-1])
    assert aws.asked.index("DeleteNetworkInterface") < aws.asked.index("DeleteCluster")
    assert await everything() == NOTHING


async def test_a_service_that_never_gives_its_balancer_back_does_not_keep_the_cluster(
    aws: AwsProxy, order: ClusterOrder, saved: Saved
) -> None:
    stuck = {"metadata": {"name": "a", "namespace": "b", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    async with scripted(order.directory) as (script, _):
        script.say("/api/v1/nodes", {"items": [{"metadata": {"name": "a", "labels": {"pullstudy/run": "abcd"}}}]})
        script.say("/api/v1/services", {"items": [{**stuck, "spec": {"type": "LoadBalancer"}}]})
        provider = EksProvider(order.directory / "kubeconfig", clients=CLIENTS, draw=lambda: "abcd")
        await provider.up(order, saved.append)
        asked = account()
        (network,) = [found.name for found in await left() if found.kind == "network"]
        subnets = await asked.call("ec2", "describe_subnets", Filters=[{"Name": "vpc-id", "Values": [network]}])
        both = [subnet["SubnetId"] for subnet in subnets["Subnets"][:2]]
        await asked.call("elbv2", "create_load_balancer", Name="stuck", Subnets=both, Type="network")
        await provider.down(order.name, saved[-1])
    assert (await asked.call("elbv2", "describe_load_balancers"))["LoadBalancers"] == []
    assert await everything() == NOTHING


async def test_a_balancer_that_we_may_not_delete_keeps_neither_nodes_nor_control_plane_and_is_told(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    await provider.up(order, saved.append)
    asked = account()
    (network,) = [found.name for found in await left() if found.kind == "network"]
    subnets = await asked.call("ec2", "describe_subnets", Filters=[{"Name": "vpc-id", "Values": [network]}])
    both = [subnet["SubnetId"] for subnet in subnets["Subnets"][:2]]
    await asked.call("elbv2", "create_load_balancer", Name="theirs", Subnets=both, Type="network")
    aws.refuse("DeleteLoadBalancer", "AccessDenied", 403, "not authorized")
    aws.refuse("DeleteVpc", "DependencyViolation", 400, "the vpc has dependencies", times=999)
    with pytest.raises(ProviderError, match=r"not allowed was: AWS elbv2.delete_load_balancer: AccessDenied"):
        await provider.down(order.name, saved[-1])
    assert (await everything())["clusters"] == 0
    aws.forget()
    await provider.down(order.name, saved[-1])
    assert (await asked.call("elbv2", "describe_load_balancers"))["LoadBalancers"] == []
    assert await everything() == NOTHING


async def test_nothing_is_made_in_an_account_without_the_boundary(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    aws.refuse("GetPolicy", "NoSuchEntity", 404, "no such policy")
    said = "account 123456789012 has no policy pullstudy-eks-boundary.*: run aws iam create-policy"
    with pytest.raises(ProviderError, match=said):
        await provider.up(order, saved.append)
    assert saved == []
    assert "CreateStack" not in aws.asked


async def test_a_node_group_that_ends_delete_failed_is_deleted_again(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    await provider.up(order, saved.append)
    aws.pretend("DeleteNodegroup", {"nodegroup": {"status": "DELETING"}})
    # Looked at once before it is deleted, and then after.
    aws.rewrite("DescribeNodegroup", status("nodegroup", "ACTIVE"))
    aws.rewrite("DescribeNodegroup", status("nodegroup", "DELETE_FAILED", "Ec2SecurityGroupDeletionFailure"))
    await provider.down(order.name, saved[-1])
    assert aws.asked.count("DeleteNodegroup") == 2
    assert await everything() == NOTHING


async def test_a_node_group_that_is_never_deleted_ends_with_why_and_the_one_command_that_then_does_it(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    await provider.up(order, saved.append)
    aws.pretend("DeleteNodegroup", {"nodegroup": {"status": "DELETING"}}, times=3)
    aws.rewrite("DescribeNodegroup", status("nodegroup", "DELETE_FAILED", "a lingering group"), times=8)
    with pytest.raises(ProviderError) as caught:
        await provider.down(order.name, saved[-1])
    said = str(caught.value)
    assert "eks-test-4 may still exist: node group nodes-4" in said
    assert "a lingering group" in said
    assert f"run: pulldriver down --out {order.directory}" in said
    assert "DeleteCluster" not in aws.asked
    aws.forget()
    await provider.down(order.name, saved[-1])
    assert await everything() == NOTHING


async def test_a_node_group_that_stays_does_not_leave_the_others_half_deleted(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    await provider.up(order, saved.append)
    (group,) = aws.bodies["CreateNodegroup"]
    named = {"clusterName": saved[-1]["cluster"], "nodegroupName": "by-hand"}
    made = {key: group[key] for key in ("nodeRole", "subnets", "scalingConfig")}
    await account().call("eks", "create_nodegroup", **named, **made)
    aws.refuse("DeleteNodegroup", "AccessDeniedException", 403, "not authorized")
    with pytest.raises(ProviderError, match="not authorized"):
        await provider.down(order.name, saved[-1])
    assert len((await account().call("eks", "list_nodegroups", clusterName=named["clusterName"]))["nodegroups"]) == 1
    await provider.down(order.name, saved[-1])
    assert await everything() == NOTHING


async def test_credentials_lost_in_the_middle_are_told_with_the_command_that_goes_on(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    aws.refuse("CreateNodegroup", "ExpiredTokenException", 403, "the security token is expired", times=2)
    with pytest.raises(ProviderError, match="expired"):
        await provider.up(order, saved.append)
    aws.refuse("GetCallerIdentity", "ExpiredToken", 403, "the security token is expired", times=20)
    with pytest.raises(ProviderError, match="renew the credentials, then run: pulldriver down --out"):
        await provider.down(order.name, saved[-1])
    aws.forget()
    await provider.down(order.name, saved[-1])
    assert await everything() == NOTHING


async def test_credentials_that_were_laid_out_anew_are_read_without_a_pause(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    aws.refuse("CreateCluster", "ExpiredTokenException", 403, "the security token is expired")
    aws.refuse("DeleteNodegroup", "InvalidSignatureException", 403, "Signature expired")
    await provider.up(order, saved.append)
    await provider.down(order.name, saved[-1])
    assert (aws.asked.count("CreateCluster"), aws.asked.count("DeleteNodegroup")) == (2, 2)
    assert await everything() == NOTHING


async def test_a_cluster_that_eks_updates_by_itself_is_deleted_when_that_is_over(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    """However long that takes: its status is ACTIVE all the while."""
    await provider.up(order, saved.append)
    busy = "Cannot delete because cluster eks-test-4 currently has an update in progress"
    aws.refuse("DeleteCluster", "ResourceInUseException", 409, busy, times=order.study.eks.patience.delete_tries + 2)
    await provider.down(order.name, saved[-1])
    assert await everything() == NOTHING


async def test_a_node_group_that_appears_after_the_others_are_gone_is_deleted_too(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    """As where a driver is killed while it asks again for nodes, long after it announced them."""
    await provider.up(order, saved.append)
    aws.pretend("ListNodegroups", {"nodegroups": []})
    await provider.down(order.name, saved[-1])
    assert aws.asked.count("DeleteNodegroup") == 1
    assert await everything() == NOTHING


@pytest.mark.parametrize("operation", ["ListNodegroups", "DescribeNetworkInterfaces", "ListClusters", "ListRoles"])
async def test_a_list_that_fails_never_reads_as_nothing_to_delete(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved, operation: str
) -> None:
    await provider.up(order, saved.append)
    aws.refuse(operation, "AccessDeniedException", 403, "not authorized")
    with pytest.raises(ProviderError, match="not authorized"):
        await provider.down(order.name, saved[-1])
    await provider.down(order.name, saved[-1])
    assert await everything() == NOTHING


async def test_another_account_is_not_taken_for_one_where_nothing_is_left(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    await provider.up(order, saved.append)
    with pytest.raises(ProviderError, match="made in account 111122223333, and these credentials are of 123456789012"):
        await provider.down(order.name, {**saved[-1], "account": "111122223333"})
    await provider.down(order.name, saved[-1])
    assert await everything() == NOTHING


async def test_a_cluster_and_a_stack_with_other_tags_are_left_alone(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    await provider.up(order, saved.append)
    foreign = {**saved[-1], "mark": {**saved[-1]["mark"], "run": "another"}}
    with pytest.raises(ProviderError, match="bears other tags than ours: it is left alone"):
        await provider.down(order.name, foreign)
    assert (await everything())["clusters"] == 1
    await provider.down(order.name, saved[-1])


async def test_what_is_down_can_be_taken_down_again(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, saved: Saved
) -> None:
    await provider.up(order, saved.append)
    for _ in range(2):
        await provider.down(order.name, saved[-1])
    await provider.down(order.name, {})
    assert await everything() == NOTHING


async def test_a_kubeconfig_that_leads_to_another_cluster_ends_the_size_before_anything_is_done_there(
    aws: AwsProxy, order: ClusterOrder, saved: Saved
) -> None:
    async with scripted(order.directory) as (script, _):
        script.say("/api/v1/nodes", {"items": [{"metadata": {"name": "a", "labels": {"pullstudy/run": "another"}}}]})
        provider = EksProvider(order.directory / "kubeconfig", clients=CLIENTS)
        with pytest.raises(ProviderError, match="leads to another cluster than pullstudy-eks-test-4-"):
            await provider.up(order, saved.append)
        await provider.down(order.name, saved[-1])
        assert {asked.partition(" ")[0] for asked in script.asked} == {"GET"}
    assert await everything() == NOTHING


async def test_nodes_and_jobs_of_a_proven_kubeconfig_are_those_of_its_node_group(
    aws: AwsProxy, order: ClusterOrder, saved: Saved
) -> None:
    async with scripted(order.directory) as (script, _):
        script.say("/api/v1/nodes", {"items": [{"metadata": {"name": "a", "labels": {"pullstudy/run": "abcd"}}}]})
        provider = EksProvider(order.directory / "kubeconfig", clients=CLIENTS, draw=lambda: "abcd")
        cluster = await provider.up(order, saved.append)
        await provider.down(order.name, saved[-1])
    assert cluster.node_selector == {"pullstudy/run": "abcd"}
    assert aws.bodies["CreateNodegroup"][0]["labels"] == {"pullstudy/run": "abcd"}
    assert saved[-1]["kubeconfig"] == str(cluster.kubeconfig)
    assert str(order.directory / "clusters" / "eks-test-4.context") in saved[-1]["kubeconfig"]
