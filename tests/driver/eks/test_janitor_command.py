"""``pulldriver janitor`` as a user types it: shows first, deletes when told to, and never says that nothing is left."""

import asyncio
import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from driver import cli
from driver.clusters.provider import ClusterOrder, Handle
from driver.providers.eks.provider import EksProvider
from tests.driver.eks.aws_proxy import AwsProxy
from tests.driver.eks.studies import CLIENTS, NOTHING, account, everything
from tests.driver.eks.test_command import start

pytestmark = pytest.mark.real

REGION = ("--region", "us-east-2")


@pytest.fixture
def long_ago(aws: AwsProxy, kubeconfig: Path) -> EksProvider:
    """Its clusters were made a day ago, and had twelve hours."""
    before = datetime.now(UTC) - timedelta(days=1)
    return EksProvider(kubeconfig, clients=CLIENTS, now=lambda: before)


async def in_thread(*words: str) -> int:
    """The command has an event loop of its own."""
    return await asyncio.to_thread(cli.run, list(words))


async def test_what_is_past_its_expiry_is_shown_and_then_deleted(
    aws: AwsProxy, long_ago: EksProvider, order: ClusterOrder, capsys: pytest.CaptureFixture[str]
) -> None:
    saved: list[Handle] = []
    await long_ago.up(order, saved.append)
    cluster = saved[-1]["cluster"]
    assert await in_thread("janitor", *REGION) == 1
    shown = capsys.readouterr()
    assert f"{cluster}: study test, of tester, expires " in shown.out
    assert "PAST ITS EXPIRY" in shown.out
    assert f"cluster {cluster}, node group nodes-4, stack {cluster}, network vpc-" in shown.out
    command = "pulldriver janitor --region us-east-2 --delete --yes"
    assert shown.err == f"pulldriver: 1 past its expiry; run: {command}\n"
    assert (await everything())["clusters"] == 1
    assert await in_thread(*command.split()[1:]) == 0
    assert f"{cluster}: deleted" in capsys.readouterr().err
    assert await everything() == NOTHING
    assert await in_thread("janitor", *REGION) == 0
    assert capsys.readouterr().out == "nothing of pulldriver is in us-east-2\n"


async def test_nothing_is_deleted_where_nobody_can_be_asked(aws: AwsProxy, capsys: pytest.CaptureFixture[str]) -> None:
    assert await in_thread("janitor", *REGION, "--delete") == 2
    assert capsys.readouterr().err.endswith("run: pulldriver janitor --region us-east-2 --delete --yes\n")
    assert aws.asked == []


async def test_what_has_time_left_is_shown_and_left_alone(
    aws: AwsProxy, provider: EksProvider, order: ClusterOrder, capsys: pytest.CaptureFixture[str]
) -> None:
    saved: list[Handle] = []
    await provider.up(order, saved.append)
    assert await in_thread("janitor", *REGION, "--delete", "--yes", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["cluster"], found["expired"]) == (saved[-1]["cluster"], False)
    assert (await everything())["clusters"] == 1
    await provider.down(order.name, saved[-1])


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"pullstudy:expires-at": "2020-01-01T00:00:00Z"},
        {"pullstudy:run": "abcd", "pullstudy:study": "test"},
        {"pullstudy:run": "abcd", "pullstudy:expires-at": "tomorrow"},
    ],
    ids=["none", "no run", "no expiry", "an expiry that nobody can read"],
)
async def test_a_cluster_without_all_of_our_tags_is_never_deleted(
    aws: AwsProxy, tags: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    role, vpc = "arn:aws:iam::123456789012:role/somebody", {"subnetIds": ["subnet-1"]}
    await account().call("eks", "create_cluster", name="theirs", roleArn=role, resourcesVpcConfig=vpc, tags=tags)
    assert await in_thread("janitor", *REGION, "--delete", "--yes") == 0
    assert ("has no readable expiry: left alone" in capsys.readouterr().out) is ("pullstudy:run" in tags)
    assert (await everything())["clusters"] == 1
    assert "DeleteCluster" not in aws.asked
    await account().call("eks", "delete_cluster", name="theirs")


@pytest.mark.parametrize(
    "operation", ["ListClusters", "DescribeVpcs", "ListRoles", "DescribeStacks", "DescribeVolumes"]
)
async def test_a_list_that_fails_is_an_error_and_never_nothing(
    aws: AwsProxy, operation: str, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.refuse(operation, "AccessDeniedException", 403, "not authorized")
    assert await in_thread("janitor", *REGION) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "not authorized" in told.err


async def test_what_cannot_be_deleted_is_told_with_the_command_that_tries_again(
    aws: AwsProxy, long_ago: EksProvider, order: ClusterOrder, capsys: pytest.CaptureFixture[str]
) -> None:
    saved: list[Handle] = []
    await long_ago.up(order, saved.append)
    aws.refuse("DeleteNodegroup", "AccessDeniedException", 403, "not authorized")
    assert await in_thread("janitor", *REGION, "--delete", "--yes") == 1
    told = capsys.readouterr().err
    assert "eks.delete_nodegroup: AccessDeniedException (not authorized)" in told
    assert told.endswith("pulldriver: 1 past its expiry; run: pulldriver janitor --region us-east-2 --delete --yes\n")
    assert await in_thread("janitor", *REGION, "--delete", "--yes") == 0
    assert await everything() == NOTHING


async def test_after_ctrl_c_the_command_that_goes_on_is_told(
    aws: AwsProxy, long_ago: EksProvider, order: ClusterOrder
) -> None:
    await long_ago.up(order, [].append)
    words = ("janitor", *REGION, "--delete", "--yes")
    process = await start(*words)
    aws.then("DeleteNodegroup", lambda: process.send_signal(signal.SIGINT))
    _, err = await process.communicate()
    assert process.returncode == 130
    assert f"pulldriver: 1 past its expiry; run: pulldriver {' '.join(words)}\n" in err.decode()
    assert await in_thread(*words) == 0
    assert await everything() == NOTHING
