"""The janitor acts on what bears our tags, in this account, and is past its expiry: on nothing else."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from driver.clusters.provider import ClusterOrder, Handle
from driver.providers.eks.inventory import Found
from driver.providers.eks.janitor import _group, delete_left_cluster, find_left_clusters
from driver.providers.eks.provider import EksProvider
from driver.providers.eks.tags import EXPIRES, RUN
from driver.providers.eks.waiting import EksWaiting
from tests.driver.eks.aws_proxy import AwsProxy
from tests.driver.eks.studies import NOTHING, QUICK, account, everything

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAST, COMING = "2025-12-31T00:00:00Z", "2026-01-02T00:00:00Z"


def thing(kind: str, expires: str) -> Found:
    return Found(kind=kind, name="eks-test-4-abcd", tags={RUN: "abcd", EXPIRES: expires})


@pytest.mark.parametrize(
    ("cluster", "stack", "expired"),
    [(PAST, PAST, True), (PAST, COMING, False), (COMING, COMING, False), (PAST, "soon", False), (PAST, "", False)],
)
def test_a_cluster_is_past_its_expiry_when_all_of_it_is(cluster: str, stack: str, expired: bool) -> None:
    assert _group("abcd", [thing("cluster", cluster), thing("stack", stack)], NOW).expired is expired


@pytest.mark.real
async def test_only_what_is_ours_here_and_past_its_expiry_is_deleted(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder
) -> None:
    saved: list[Handle] = []
    await provider.up(order, saved.append)
    asked = account()
    role = "arn:aws:iam::123456789012:role/somebody"
    vpc = {"subnetIds": ["subnet-1"]}
    await asked.call("eks", "create_cluster", name="foreign", roleArn=role, resourcesVpcConfig=vpc)
    now = datetime.now(UTC)
    (found,) = await find_left_clusters(asked, "123456789012", now)
    assert not found.expired
    assert await find_left_clusters(asked, "111122223333", now) == []
    (later,) = await find_left_clusters(asked, "123456789012", now + timedelta(hours=13))
    assert later.expired
    waiting = EksWaiting(QUICK, now=lambda: datetime.now(UTC), sleep=asyncio.sleep)
    await delete_left_cluster(asked, waiting, later)
    assert await everything() == {**NOTHING, "clusters": 1}
    await asked.call("eks", "delete_cluster", name="foreign")
