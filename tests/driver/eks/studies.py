"""Studies whose patience with AWS is a test's, and what of them there is in an account."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from driver.planning.eks_plan import EksPlan, Patience
from driver.planning.study import ClusterPlan, Study
from driver.providers.eks.account import Account, Clients
from driver.providers.eks.aws_errors import AwsError
from driver.providers.eks.boundary import BOUNDARY
from driver.providers.eks.inventory import Found, take_inventory
from driver.providers.eks.tags import Mark

REGION = "us-east-2"
DOCUMENT = Path(__file__).parents[3] / "deploy" / "eks-boundary.json"
CLIENTS = {REGION: Clients(REGION)}  # all tests' account is at one address
QUICK = Patience(
    poll_seconds=0.02,
    create_seconds=1.0,
    delete_seconds=2.0,
    settle_seconds=0.4,
    retry_seconds=5.0,
    interface_seconds=0.4,
    api_seconds=0.01,
    credentials_seconds=0.1,
    delete_tries=3,
)


def eks_study(**plan: Any) -> Study:
    chosen = EksPlan(patience=QUICK, capacity_wait_seconds=0.01, owner="tester", **plan)
    return Study(name="test", cluster=ClusterPlan(sizes=(4,)), eks=chosen)


def account() -> Account:
    return Account(CLIENTS[REGION], retry_seconds=5.0)


async def make_boundary() -> None:
    """What an account's admin does once."""
    try:
        await account().call("iam", "create_policy", PolicyName=BOUNDARY, PolicyDocument=DOCUMENT.read_text())
    except AwsError as error:
        if error.code != "EntityAlreadyExists":
            raise


async def left() -> list[Found]:
    """All that bears tags of ours."""
    return await take_inventory(account())


async def everything() -> dict[str, int]:
    """How many clusters, stacks, networks and roles the account has, whoever made them."""
    asked = account()
    clusters = await asked.call("eks", "list_clusters")
    stacks = await asked.call("cloudformation", "describe_stacks")
    vpcs = await asked.call("ec2", "describe_vpcs", Filters=[{"Name": "is-default", "Values": ["false"]}])
    roles = await asked.call("iam", "list_roles")
    return {
        "clusters": len(clusters["clusters"]),
        "stacks": len(stacks["Stacks"]),
        "networks": len(vpcs["Vpcs"]),
        "roles": len(roles["Roles"]),
    }


NOTHING = {"clusters": 0, "stacks": 0, "networks": 0, "roles": 0}


def mark(run: str, *, hours: float) -> Mark:
    """Of a cluster whose time is over in so many hours, or was."""
    return Mark(study="test", run=run, owner="tester", expires_at=datetime.now(UTC) + timedelta(hours=hours))
