"""One control plane for several sizes: each has new nodes on it, and whoever is last takes all of it down."""

import msgspec
import pytest

from driver.clusters.provider import ClusterOrder, Handle
from driver.errors import ProviderError
from driver.planning.eks_plan import Mode
from driver.providers.eks.provider import EksProvider
from tests.driver.eks.aws_proxy import AwsProxy
from tests.driver.eks.studies import NOTHING, account, eks_study, everything
from tests.driver.eks.test_faults import status

pytestmark = pytest.mark.real


@pytest.fixture
def shared(order: ClusterOrder) -> ClusterOrder:
    return msgspec.structs.replace(order, study=eks_study(mode=Mode.SHARED))


def next_order(order: ClusterOrder, base: Handle) -> ClusterOrder:
    return msgspec.structs.replace(order, name="eks-test-8", size=8, base=base)


async def test_the_next_size_gets_new_nodes_on_the_same_control_plane(
    aws: AwsProxy, provider: EksProvider, shared: ClusterOrder
) -> None:
    first, second = list[Handle](), list[Handle]()
    await provider.up(shared, first.append)
    assert first[-1]["cluster"].startswith("pullstudy-eks-test-")
    assert len(first[-1]["cluster"]) == len("pullstudy-eks-test-") + 8
    assert await provider.empty(shared.name, first[-1])
    aws.asked.clear()
    await provider.up(next_order(shared, first[-1]), second.append)
    assert aws.asked[0] != "CreateNodegroup"
    assert "CreateCluster" not in aws.asked
    assert "CreateStack" not in aws.asked
    assert [group["nodegroupName"] for group in aws.bodies["CreateNodegroup"]] == ["nodes-4", "nodes-8"]
    assert second[0]["cluster"] == first[-1]["cluster"]
    assert second[0]["step"] == "nodes"
    await provider.down("eks-test-8", second[-1])
    assert await everything() == NOTHING
    await provider.down(shared.name, first[-1])


async def test_a_control_plane_that_went_away_between_two_sizes_is_said(
    aws: AwsProxy, provider: EksProvider, shared: ClusterOrder
) -> None:
    first, second = list[Handle](), list[Handle]()
    await provider.up(shared, first.append)
    await provider.empty(shared.name, first[-1])
    await account().call("eks", "delete_cluster", name=first[-1]["cluster"])
    with pytest.raises(ProviderError, match="which all sizes share, is gone"):
        await provider.up(next_order(shared, first[-1]), second.append)
    await provider.down("eks-test-8", second[-1])
    assert await everything() == NOTHING


async def test_nodes_that_do_not_go_are_said_and_nothing_is_kept(
    aws: AwsProxy, provider: EksProvider, shared: ClusterOrder
) -> None:
    saved = list[Handle]()
    await provider.up(shared, saved.append)
    aws.pretend("DeleteNodegroup", {"nodegroup": {"status": "DELETING"}}, times=3)
    aws.rewrite("DescribeNodegroup", status("nodegroup", "DELETE_FAILED", "a lingering group"), times=8)
    with pytest.raises(ProviderError, match="a lingering group"):
        await provider.empty(shared.name, saved[-1])
    aws.forget()
    await provider.down(shared.name, saved[-1])
    assert await everything() == NOTHING


async def test_a_cluster_of_its_own_is_not_kept(aws: AwsProxy, provider: EksProvider, order: ClusterOrder) -> None:
    saved = list[Handle]()
    await provider.up(order, saved.append)
    aws.asked.clear()
    assert not await provider.empty(order.name, saved[-1])
    assert aws.asked == []
    await provider.down(order.name, saved[-1])
    assert await everything() == NOTHING
